import fs from 'node:fs';
import os from 'node:os';
import { gunzipSync } from 'node:zlib';
import { SetNativeError } from '../errors.js';
import { type Place, refusal } from '../files/refusal.js';

/*
 * Reads files, unpacks them, and reads their bytes within bounds. Parsers take bytes and the name of the
 * file, so that every error can name the place.
 *
 * The cost of a file is bounded, however small it is when packed: its unpacked size by `unpackedLimit`, its
 * samples by `maxSamples`, both by a quarter of the memory that this process may use. No parser holds more
 * than the unpacked bytes and three times the samples that it makes of them; those that know the number of
 * samples beforehand, all but text, hold the samples once.
 */

/** Most bytes of a data file, packed or unpacked: ten times the size of MNIST. */
const MAX_FILE_BYTES = 2 ** 29;

/** Most samples of one data set: three times HIGGS, and few enough for an array of as many labels. */
const MAX_SAMPLES = 2 ** 25;

/** Most bytes of the samples of one data set: as many float32 features as a file can have bytes. */
const MAX_SAMPLE_BYTES = 4 * MAX_FILE_BYTES;

/** Bytes of a sample beside its features: a label as text or number, in a list that grows, and as a class. */
const LABEL_BYTES = 32;

/**
 * Share of memory that a data set may take: scaling and splitting make copies, and the network needs room
 * too.
 */
const MEMORY_SHARE = 1 / 4;

/** Bytes of memory that this process may use: the machine's, or the control group's where that is less. */
export function machineMemory(): number {
  // 0 where the system sets no limit, or far more than there is.
  return Math.min(os.totalmem(), process.constrainedMemory() || Number.POSITIVE_INFINITY);
}

/** Most bytes of an unpacked file. */
export function unpackedLimit(memory = machineMemory()): number {
  return Math.min(MAX_FILE_BYTES, Math.floor(memory * MEMORY_SHARE));
}

/** Most samples with this number of features; 0 where not even one has room. */
export function maxSamples(features: number, memory = machineMemory()): number {
  const bytes = Math.min(MAX_SAMPLE_BYTES, memory * MEMORY_SHARE);
  return Math.min(MAX_SAMPLES, Math.floor(bytes / (4 * features + LABEL_BYTES)));
}

/**
 * Checks that samples have room, before anything of their size is allocated.
 *
 * @param count number of samples known so far; parsers of text count them as they read
 * @throws SetNativeError ERR_OUT_OF_MEMORY
 */
export function checkSampleCount(
  file: string,
  count: number,
  features: number,
  memory = machineMemory(),
): void {
  const limit = maxSamples(features, memory);
  if (count <= limit) return;
  const share = `a quarter of the ${(memory / 2 ** 30).toFixed(1)} GiB that this machine gives, and no more than 2 GiB`;
  throw new SetNativeError(
    'ERR_OUT_OF_MEMORY',
    `[data] ${file}: expected at most ${limit} samples of ${features} features, for which ${share} have room, ` +
      `came at least ${count}; take fewer samples or features, or a machine with more memory`,
    { details: { file, count, features, limit, memory } },
  );
}

/** Advice by the kind of error. Only errors that fetching may fix advise to fetch. */
export const ADVICE = {
  /** The file was cut off, or changed on the way. */
  damaged: 'the file is damaged or cut off, fetch it again',
  /** The bytes are sound but not of this format. */
  foreign: 'the file is of another kind, check that it is the right one',
  /** The format is right, but its content cannot be used. */
  content: 'correct the file',
  /** Two sound files do not fit together. */
  mismatch: 'check that these files belong together',
  /** A cell has no value. */
  missing: 'drop such rows or fill them in; what is a value must be called otherwise',
} as const;

/**
 * `ERR_DATA_FORMAT` with a message of one form: file, place, what was expected, what came, what to do.
 *
 * @param advice one of ADVICE, or a sentence of its own
 */
export function formatError(
  file: string,
  place: Place,
  expected: string,
  came: string,
  advice: string,
  cause?: unknown,
): SetNativeError<'ERR_DATA_FORMAT'> {
  return refusal('data', file, place, expected, came, advice, cause);
}

/** Whether the bytes start as gzip does. */
function isGzip(bytes: Uint8Array): boolean {
  return bytes.length >= 2 && bytes[0] === 0x1f && bytes[1] === 0x8b;
}

/**
 * Most bytes that packed ones can become: a byte of deflate stands for up to 1032. The size that a file
 * states may be larger.
 */
export function mostInflated(packedBytes: number): number {
  return 1032 * packedBytes + 2 ** 10;
}

/** Bytes of a chunk of output of zlib, for a gzip file that does not state its size. */
const MIN_CHUNK_BYTES = 2 ** 16;

/**
 * Unpacks gzip, recognised by its first two bytes; other bytes are returned unchanged.
 *
 * @param limit most bytes of the result, against gzip bombs
 * @throws SetNativeError ERR_DATA_FORMAT where the file is cut off, damaged (checksum included) or larger
 * than `limit`
 */
export function gunzip(bytes: Uint8Array, file: string, limit = unpackedLimit()): Uint8Array {
  if (!isGzip(bytes)) return bytes;
  // The last four bytes state the size. A single chunk of that size, and one byte to see the end, holds
  // nothing twice.
  const stated =
    bytes.length < 4 ? 0 : new DataView(bytes.buffer, bytes.byteOffset).getUint32(bytes.length - 4, true);
  const chunkSize = Math.max(MIN_CHUNK_BYTES, Math.min(stated, limit, mostInflated(bytes.length)) + 1);
  try {
    return gunzipSync(bytes, { maxOutputLength: limit, chunkSize });
  } catch (cause) {
    throw unpackError(cause, file, {}, limit);
  }
}

/** An error of zlib while unpacking, as ERR_DATA_FORMAT. */
export function unpackError(cause: unknown, file: string, place: Place, limit: number): SetNativeError {
  const { code, message } = cause as NodeJS.ErrnoException;
  if (code === 'ERR_BUFFER_TOO_LARGE') {
    return tooLarge(file, place, limit, 'more', cause);
  }
  const came = `"${message}" from zlib`;
  return formatError(file, place, 'whole and undamaged compressed data', came, ADVICE.damaged, cause);
}

/** The error of a file, or a part of one, with more bytes than `unpackedLimit`: ERR_DATA_FORMAT. */
export function tooLarge(
  file: string,
  place: Place,
  limit: number,
  came: string,
  cause?: unknown,
): SetNativeError<'ERR_DATA_FORMAT'> {
  return formatError(
    file,
    place,
    `at most ${limit} bytes when unpacked`,
    came,
    'take a part of the data',
    cause,
  );
}

/**
 * Reads a whole file, unpacked if its content is gzip, whatever its name.
 *
 * @throws SetNativeError ERR_DATA_NOT_FOUND (no such file), ERR_IO (not readable, not a file),
 * ERR_DATA_FORMAT (damaged gzip, or more bytes than `unpackedLimit`)
 */
export function readBytes(file: string): Uint8Array {
  let bytes: Uint8Array;
  try {
    const stat = fs.statSync(file);
    if (!stat.isFile()) {
      throw new SetNativeError(
        'ERR_IO',
        `[data] ${file}: expected a file, came a folder or device; check the path`,
        {
          details: { file },
        },
      );
    }
    const limit = unpackedLimit();
    if (stat.size > limit) throw tooLarge(file, {}, limit, `${stat.size}`);
    bytes = fs.readFileSync(file);
  } catch (cause) {
    if (cause instanceof SetNativeError) throw cause;
    const { code, message } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') {
      throw new SetNativeError(
        'ERR_DATA_NOT_FOUND',
        `[data] ${file}: expected a file, there is none; check the path`,
        {
          details: { file },
          cause,
        },
      );
    }
    throw new SetNativeError(
      'ERR_IO',
      `[data] ${file}: expected a readable file, came "${message}"; check its permissions`,
      {
        details: { file },
        cause,
      },
    );
  }
  return gunzip(bytes, file);
}

/** Reads bytes from front to back. Reading beyond the end throws ERR_DATA_FORMAT, naming file and offset. */
export class ByteReader {
  offset = 0;
  private readonly view: DataView;

  /** @param base offset of `bytes` in the file, for messages */
  constructor(
    readonly bytes: Uint8Array,
    readonly file: string,
    public littleEndian = false,
    private readonly base = 0,
  ) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get remaining(): number {
    return this.bytes.length - this.offset;
  }

  /** An error at the current place, or at `offset`. */
  error(
    expected: string,
    came: string,
    advice: string,
    offset = this.offset,
  ): SetNativeError<'ERR_DATA_FORMAT'> {
    return formatError(this.file, { offset: this.base + offset }, expected, came, advice);
  }

  /** Steps over `count` bytes of `what` and returns where they started. */
  private advance(count: number, what: string): number {
    if (count > this.remaining) {
      throw this.error(`${count} bytes of ${what}`, `${this.remaining} to the end`, ADVICE.damaged);
    }
    const start = this.offset;
    this.offset += count;
    return start;
  }

  u8(what: string): number {
    return this.view.getUint8(this.advance(1, what));
  }

  u16(what: string): number {
    return this.view.getUint16(this.advance(2, what), this.littleEndian);
  }

  u32(what: string): number {
    return this.view.getUint32(this.advance(4, what), this.littleEndian);
  }

  i32(what: string): number {
    return this.view.getInt32(this.advance(4, what), this.littleEndian);
  }

  /** View (no copy) of the next `count` bytes. */
  take(count: number, what: string): Uint8Array {
    const start = this.advance(count, what);
    return this.bytes.subarray(start, start + count);
  }

  /** Reader of the next `count` bytes only. */
  window(count: number, what: string): ByteReader {
    const start = this.offset;
    return new ByteReader(this.take(count, what), this.file, this.littleEndian, this.base + start);
  }
}
