import { Readable } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { promisify } from 'node:util';
import { crc32, inflateRaw } from 'node:zlib';
import yauzl from 'yauzl';
import { ZipFile } from 'yazl';
import { SetNativeError } from '../errors.js';
import { refusal } from './refusal.js';

/*
 * Zip archives in memory. Written ones are stored, not deflated, with one time stamp: the same content gives
 * the same bytes, whichever Node and zlib write it.
 *
 * Archives come from strangers. The directory is checked before anything is unpacked: how many entries, their
 * names, methods and sizes, that no two share bytes, and that what it says of a name is what the entry itself
 * says. Unpacking stops at the size that the directory gave, and the sum of each entry is checked.
 */

/** Archives of arrays have six to eight entries. */
const mostEntries = 100;
/** Weights hardly pack, indices to a tenth: what unpacks to more is made to. */
const mostRatio = 200;
/** So many bytes may unpack from any archive. */
const smallBytes = 2 ** 20;

/** Bytes that are written, or summed, between two looks at other work. */
const pieceBytes = 2 ** 18;

/** Midday, since a time zone may leave out a midnight. The format keeps the local time and no zone. */
const writtenAt = () => new Date(1980, 0, 1, 12);

/** The bytes of an archive, in pieces. */
export async function zipPieces(entries: Iterable<[name: string, Uint8Array]>): Promise<Uint8Array[]> {
  const zip = new ZipFile();
  const options = { mtime: writtenAt(), mode: 0o100644, forceDosTimestamp: true, compress: false };
  for (const [name, bytes] of entries) {
    zip.addReadStreamLazy(name, { ...options, size: bytes.length }, (give) =>
      give(null, Readable.from(partsOf(bytes))),
    );
  }
  zip.end();
  const pieces: Uint8Array[] = [];
  for await (const piece of zip.outputStream) pieces.push(piece as Buffer);
  return pieces;
}

function* partsOf(bytes: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += pieceBytes) {
    // A Buffer, which streams pass on as it is.
    yield Buffer.from(bytes.buffer, bytes.byteOffset + at, Math.min(pieceBytes, bytes.length - at));
  }
}

/** A file of an archive. */
export interface ZipEntry {
  name: string;
  /** Unpacks it. Rejects with ERR_DATA_FORMAT where its bytes are not those that were packed. */
  read(): Promise<Uint8Array>;
}

/** What an archive is read for: its name and the operation, for messages, and most bytes when unpacked. */
export interface ZipSource {
  operation: string;
  file: string;
  most: number;
}

/**
 * The entries of an archive, in its order.
 *
 * @throws SetNativeError ERR_DATA_FORMAT for everything that is not exactly such an archive,
 * ERR_OUT_OF_MEMORY
 */
export async function readZip(bytes: Uint8Array, source: ZipSource): Promise<ZipEntry[]> {
  const { operation, file } = source;
  const fail: Fail = (expected, came, advice = 'the file is damaged, cut off, or no zip archive', cause) =>
    refusal(operation, file, {}, expected, came, advice, cause);
  const found: Found[] = [];
  try {
    const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const zip = await yauzl.fromBufferPromise(buffer, { lazyEntries: true });
    if (zip.entryCount > mostEntries) throw fail(`at most ${mostEntries} entries`, `${zip.entryCount}`);
    for await (const entry of zip.eachEntry()) {
      const local = await zip.readLocalFileHeaderPromise(entry);
      if (!local.fileName.equals(entry.fileNameRaw)) {
        throw fail(`an entry ${entry.fileName}`, `${local.fileName} in its own header`);
      }
      found.push({ entry, begin: entry.relativeOffsetOfLocalHeader, data: local.fileDataStart });
    }
    // Behind the last entry comes the end of the directory, or its form for archives above 4 GiB.
    const end = Number(zip.readEntryCursor);
    const signature = buffer.toString('latin1', end, end + 4);
    if (signature !== 'PK\x05\x06' && signature !== 'PK\x06\x06') {
      throw fail(`a directory of ${zip.entryCount} entries`, 'more in it');
    }
  } catch (cause) {
    if (cause instanceof SetNativeError) throw cause;
    throw fail('a zip archive', (cause as Error).message, undefined, cause);
  }
  checkEntries(found, bytes, source, fail);
  return found.map(({ entry, data }) => ({
    name: entry.fileName,
    read: () => unpack(entry, bytes.subarray(data, data + entry.compressedSize), fail),
  }));
}

type Fail = (expected: string, came: string, advice?: string, cause?: unknown) => Error;

interface Found {
  entry: yauzl.Entry;
  /** Bytes where its own header, and where its data begin. */
  begin: number;
  data: number;
}

function checkEntries(found: Found[], { length: size }: Uint8Array, source: ZipSource, fail: Fail): void {
  const names = new Set<string>();
  for (const { entry } of found) {
    const { fileName: name, compressionMethod: method } = entry;
    if (names.has(name)) throw fail('every name once', `${name} twice`);
    names.add(name);
    if (entry.isEncrypted()) throw fail(`${name} in the clear`, 'an encrypted entry', 'save it without');
    if (method !== 0 && method !== 8) {
      throw fail(`${name} stored or deflated`, `method ${method}`, 'save it with NumPy or SciPy');
    }
  }
  // Each begins behind the end of the one before, so that no byte is unpacked twice.
  const ordered = found.toSorted((a, b) => a.begin - b.begin);
  for (const [i, { entry, data }] of ordered.entries()) {
    const end = data + entry.compressedSize;
    const next = ordered[i + 1];
    if (next !== undefined && next.begin < end) {
      throw fail('entries one behind the other', `${next.entry.fileName} within ${entry.fileName}`);
    }
  }
  const total = found.reduce((sum, { entry }) => sum + entry.uncompressedSize, 0);
  if (total > Math.max(smallBytes, mostRatio * size)) {
    const expected = `at most ${mostRatio} times its ${size} bytes when unpacked`;
    throw fail(expected, `${total}`, 'save it with compressed=False if it is what it seems');
  }
  const { operation, file, most } = source;
  if (total > most) {
    throw new SetNativeError(
      'ERR_OUT_OF_MEMORY',
      `[${operation}] ${file} unpacks to ${total} bytes, and there is memory for ${most} of them`,
      { details: { file, bytes: total, available: most } },
    );
  }
}

const inflate = promisify(inflateRaw) as (
  bytes: Uint8Array,
  options: { maxOutputLength: number },
) => Promise<Uint8Array>;

async function unpack(
  { fileName: name, compressionMethod, uncompressedSize: size, crc32: sum }: yauzl.Entry,
  packed: Uint8Array,
  fail: Fail,
): Promise<Uint8Array> {
  let bytes = packed;
  if (compressionMethod !== 0) {
    try {
      bytes = await inflate(packed, { maxOutputLength: Math.max(size, 1) });
    } catch (cause) {
      throw fail(`${size} bytes of ${name}, deflated`, (cause as Error).message, undefined, cause);
    }
  }
  if (bytes.length !== size) throw fail(`${size} bytes of ${name}`, `${bytes.length}`);
  let came = 0;
  for (let at = 0; at < bytes.length; at += pieceBytes) {
    came = crc32(bytes.subarray(at, at + pieceBytes), came);
    if (at > 0) await nextTurn();
  }
  if (came !== sum) throw fail(`the CRC-32 ${sum} of ${name}`, `${came}`);
  return bytes;
}
