import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { checkHooks, checkKeys } from '../checks.js';
import { aborted, checkSignal, isAbortBy, SetNativeError } from '../errors.js';
import { closingAsync } from '../files/closing.js';
import { makeFolder } from '../files/output.js';
import { type OriginFile, originAt } from './origin.js';
import { type Download, type Publication, publications } from './publications.js';
import { checkLookup, dataFolder, type LookupOptions } from './registry.js';
import { makeWorkFolder, removeLeftovers, removeWorkFolder } from './workFolder.js';

/*
 * Fetches data sets from the servers of their authors. A file counts as fetched only when its SHA-256 is the
 * known one; until then it lies in a folder of its own.
 */

/** Names of the data sets that `pullDataset` knows an address of. */
export const pullable: readonly string[] = Object.keys(publications);

export interface PullOptions extends LookupOptions {
  /**
   * Origin to fetch from instead of the server of the authors: the address of a mirror (http, https, file) or
   * a folder, with the same files.
   */
  from?: string;
  signal?: AbortSignal;
  /** Called after every piece, with the file and the number of its bytes fetched. */
  onProgress?: (file: string, received: number, total: number) => void;
}

/**
 * Fetches a data set into a folder of its name, in `dataDir`, else in the folder that SET_NATIVE_DATA names,
 * else in the cache of the user. Files that are there and whole are not fetched again. No half-fetched file
 * has the name of a data file, and leftovers of earlier, killed processes are removed. Only regular files are
 * replaced. HTTP_PROXY, HTTPS_PROXY and NO_PROXY of the environment are used.
 *
 * @returns the folder
 * @throws SetNativeError ERR_DATA_NOT_FOUND (no address known, nothing in the folder `from`), ERR_IO (server
 * not reached, refusing or silent for a minute, folder not writable), ERR_DATA_FORMAT (size or SHA-256 is not
 * the known one), ERR_INVALID_ARGUMENT, ERR_ABORTED (its `cause` is the reason of the signal)
 */
export async function pullDataset(name: string, options: PullOptions = {}): Promise<string> {
  checkKeys('data', options, ['dataDir', 'from', 'signal', 'onProgress']);
  const { from, signal, onProgress, ...lookup } = options;
  checkHooks('data', { onProgress, signal });
  checkLookup(lookup);
  checkSignal('data', signal, 'before it began');
  const publication = Object.hasOwn(publications, name) ? publications[name] : undefined;
  if (publication === undefined) {
    throw new SetNativeError(
      'ERR_DATA_NOT_FOUND',
      `[data] an address is known of ${pullable.join(', ')}, not of ${name}: fetch its files from where it is published, and ` +
        'put them into a folder that `set-native data list` looks in',
      { details: { name, pullable } },
    );
  }
  const folder = path.join(dataFolder(lookup).folder, name);
  const origin = await originAt(from ?? publication.base, name);
  const bringAll = async () => {
    inFolder(folder, () => makeFolder(folder));
    removeLeftovers(
      folder,
      publication.downloads.map(({ file }) => path.basename(file)),
    );
    for (const download of publication.downloads) {
      if (await isThere(folder, download, publication.unpack)) continue;
      await bring(folder, download, publication.unpack, (partial) =>
        fetchFile(origin.open(download.file), partial, download, signal, onProgress),
      );
      checkSignal('data', signal, `while ${name} was fetched, which is cancelled`);
    }
  };
  try {
    await closingAsync(bringAll, () => origin.close());
  } catch (error) {
    throw isAbortBy(signal, error)
      ? aborted('data', signal, `while ${name} was fetched, which is cancelled`)
      : error;
  }
  return folder;
}

/** Whether the file, or the files of its archive, are in the folder already. */
async function isThere(folder: string, download: Download, unpack: Publication['unpack']): Promise<boolean> {
  if (unpack === undefined) return isWhole(path.join(folder, path.basename(download.file)), download);
  return unpack.files.every((file) => isFileOf(path.join(folder, file), unpack.bytes));
}

/** Fetches a file, or the files of its archive, into the folder. */
async function bring(
  folder: string,
  download: Download,
  unpack: Publication['unpack'],
  fetchInto: (partial: string) => Promise<void>,
): Promise<void> {
  const name = path.basename(download.file);
  const wanted = unpack?.files ?? [name];
  for (const file of wanted) checkReplaceable(path.join(folder, file));
  const work = inFolder(folder, () => makeWorkFolder(folder));
  try {
    await fetchInto(path.join(work, name));
    if (unpack !== undefined) await unpackArchive(path.join(work, name), work, unpack);
    for (const file of wanted) {
      checkReplaceable(path.join(folder, file));
      inFolder(folder, () => fs.renameSync(path.join(work, file), path.join(folder, file)));
    }
  } finally {
    removeWorkFolder(work);
  }
}

/** Throws for anything that a pull cannot have written, such as a folder: its owner has to move it. */
function checkReplaceable(file: string): void {
  const there = inFolder(path.dirname(file), () => fs.lstatSync(file, { throwIfNoEntry: false }));
  if (there === undefined || there.isFile()) return;
  const kind = there.isSymbolicLink() ? 'a symbolic link' : 'a folder or a device';
  throw new SetNativeError(
    'ERR_IO',
    `[data] ${file} must be a regular file or not there, but is ${kind}, and its content is not the published one; move it away`,
    { details: { file } },
  );
}

async function fetchFile(
  { where, pieces }: OriginFile,
  partial: string,
  expected: Download,
  signal: AbortSignal | undefined,
  onProgress: PullOptions['onProgress'] | undefined,
): Promise<void> {
  const hash = createHash('sha256');
  let received = 0;
  const open = inFolder(path.dirname(partial), () => fs.openSync(partial, 'wx'));
  const receive = async () => {
    for await (const piece of pieces(signal)) {
      received += piece.length;
      if (received > expected.bytes) throw wrongFile(where, `${expected.bytes} bytes`, 'more');
      hash.update(piece);
      inFolder(path.dirname(partial), () => fs.writeFileSync(open, piece));
      onProgress?.(path.basename(partial), received, expected.bytes);
    }
    if (received < expected.bytes) throw wrongFile(where, `${expected.bytes} bytes`, String(received));
    const sum = hash.digest('hex');
    if (sum !== expected.sha256) throw wrongFile(where, `SHA-256 ${expected.sha256}`, sum);
  };
  await closingAsync(receive, () => inFolder(path.dirname(partial), () => fs.closeSync(open)));
}

function isFileOf(file: string, bytes: number): boolean {
  try {
    const stats = fs.statSync(file);
    return stats.isFile() && stats.size === bytes;
  } catch {
    return false;
  }
}

/**
 * Unpacks the wanted files of a tar archive into `folder`, and nothing else, wherever the archive puts them.
 */
async function unpackArchive(
  archive: string,
  folder: string,
  unpack: NonNullable<Publication['unpack']>,
): Promise<void> {
  const { extract } = await import('tar');
  const isWanted = (name: string) =>
    /^[^/\\]+\/[^/\\]+$/.test(name) && unpack.files.includes(path.basename(name));
  try {
    await extract({
      file: archive,
      cwd: folder,
      strip: 1,
      filter: (name, entry) =>
        'type' in entry &&
        entry.type === 'File' &&
        entry.size === unpack.bytes &&
        isWanted(name.replace(/^\.\//, '')),
    });
    const missing = unpack.files.find((file) => !isFileOf(path.join(folder, file), unpack.bytes));
    if (missing !== undefined) throw new Error(`${missing}, of ${unpack.bytes} bytes, is not in it`);
  } catch (cause) {
    throw new SetNativeError(
      'ERR_IO',
      `[data] ${path.basename(archive)}: could not be unpacked into ${folder}: ${(cause as Error).message}`,
      { cause },
    );
  }
}

/** Whether the file exists with the known size and checksum. */
async function isWhole(file: string, { bytes, sha256 }: Download): Promise<boolean> {
  if (!isFileOf(file, bytes)) return false;
  const hash = createHash('sha256');
  try {
    await pipeline(fs.createReadStream(file), hash);
  } catch (cause) {
    throw new SetNativeError('ERR_IO', `[data] ${file}: could not be read: ${(cause as Error).message}`, {
      cause,
    });
  }
  return hash.digest('hex') === sha256;
}

function wrongFile(where: string, expected: string, came: string): SetNativeError {
  return new SetNativeError(
    'ERR_DATA_FORMAT',
    `[data] ${where}: expected ${expected}, came ${came}; nothing was kept`,
    {
      details: { where, expected, came },
    },
  );
}

function inFolder<T>(folder: string, body: () => T): T {
  try {
    return body();
  } catch (cause) {
    throw new SetNativeError(
      'ERR_IO',
      `[data] ${folder} must be a folder that can be written: ${(cause as Error).message}; name another with \`dataDir\``,
      { details: { folder }, cause },
    );
  }
}
