import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { checkHooks, checkKeys } from '../checks.js';
import { aborted, checkSignal, SetNativeError } from '../errors.js';
import { makeFolder } from '../files.js';
import { type Download, type Publication, publications } from './publications.js';
import { dataFolder, type LookupOptions } from './registry.js';

/*
 * Data sets from where their authors publish them. A file counts as fetched only when its SHA-256 is the known one; until then
 * it has another name.
 */

/** The data sets that `pullDataset` knows an address of. */
export const pullable: readonly string[] = Object.keys(publications);

export interface PullOptions extends LookupOptions {
  /** Base address to fetch from instead of the authors': a mirror that has the same files. */
  from?: string;
  signal?: AbortSignal;
  /** After every piece: the file, and how much of it is here. */
  onProgress?: (file: string, received: number, total: number) => void;
}

/**
 * Fetches a data set into a folder of its name, in `dataDir`, else in the folder that SET_NATIVE_DATA names, else in the user's
 * cache. Files that are there and whole are not fetched again; nothing half-fetched keeps a data file's name.
 *
 * @returns the folder
 * @throws SetNativeError ERR_DATA_NOT_FOUND (no address known), ERR_IO (server not reached or refusing, folder not writable),
 *   ERR_DATA_FORMAT (size or SHA-256 is not the known one), ERR_ABORTED
 */
export async function pullDataset(name: string, options: PullOptions = {}): Promise<string> {
  checkKeys('data', options, ['dataDir', 'from', 'signal', 'onProgress']);
  const { from, ...hooks } = options;
  checkHooks('data', { onProgress: hooks.onProgress, signal: hooks.signal });
  checkSignal('data', hooks.signal, 'before it began');
  const publication = Object.hasOwn(publications, name) ? publications[name] : undefined;
  if (publication === undefined) {
    throw new SetNativeError(
      'ERR_DATA_NOT_FOUND',
      `[data] an address is known of ${pullable.join(', ')}, not of ${name}: fetch its files from where it is published, and ` +
        'put them into a folder that `set-native data list` looks in',
      { details: { name, pullable } },
    );
  }
  const { base, downloads, unpack } = publication;
  const folder = path.join(dataFolder({ dataDir: options.dataDir }).folder, name);
  inFolder(folder, () => makeFolder(folder));
  for (const download of downloads) {
    const file = path.join(folder, path.basename(download.file));
    if (unpack === undefined ? await isWhole(file, download) : isUnpacked(folder, unpack)) continue;
    const url = new URL(download.file, from === undefined || from.endsWith('/') ? (from ?? base) : `${from}/`);
    await fetchFile(url, file, download, hooks);
    if (unpack !== undefined) await unpackArchive(file, folder, unpack.files);
  }
  return folder;
}

async function fetchFile(url: URL, file: string, expected: Download, hooks: PullOptions): Promise<void> {
  const { signal, onProgress } = hooks;
  checkSignal('data', signal, `before ${url} was fetched`);
  const partial = `${file}.${process.pid}.part`;
  const hash = createHash('sha256');
  let received = 0;
  const measure = new Transform({
    transform(piece: Buffer, _, done) {
      received += piece.length;
      if (received > expected.bytes) return done(wrongFile(url, `${expected.bytes} bytes`, 'more'));
      hash.update(piece);
      onProgress?.(path.basename(file), received, expected.bytes);
      done(undefined, piece);
    },
  });
  // A signal of its own: fetch takes none of another realm, and keeps a listener on the one it takes.
  const controller = new AbortController();
  const stop = () => controller.abort();
  signal?.addEventListener('abort', stop);
  try {
    const response = await fetch(url, { signal: controller.signal });
    if (!response.ok || response.body === null) throw new Error(`the server answered ${response.status}`);
    await pipeline(response.body, measure, fs.createWriteStream(partial));
    if (received < expected.bytes) throw wrongFile(url, `${expected.bytes} bytes`, String(received));
    const sum = hash.digest('hex');
    if (sum !== expected.sha256) throw wrongFile(url, `SHA-256 ${expected.sha256}`, sum);
    fs.renameSync(partial, file);
  } catch (cause) {
    fs.rmSync(partial, { force: true });
    if (cause instanceof SetNativeError) throw cause;
    if (signal?.aborted) throw aborted('data', signal, `while ${url} was fetched, which is cancelled`);
    const { message, cause: inner } = cause as Error & { cause?: Error };
    throw new SetNativeError(
      'ERR_IO',
      `[data] ${url}: could not be fetched: ${inner?.message ?? message}; try again, or name a mirror with --from`,
      { details: { url: String(url), file }, cause },
    );
  } finally {
    signal?.removeEventListener('abort', stop);
  }
}

function isUnpacked(folder: string, { files, bytes }: NonNullable<Publication['unpack']>): boolean {
  return files
    .map((file) => path.join(folder, file))
    .every((file) => fs.existsSync(file) && fs.statSync(file).size === bytes);
}

/** The wanted files of a tar archive, into `folder`; then the archive goes. */
async function unpackArchive(archive: string, folder: string, wanted: string[]): Promise<void> {
  const { extract } = await import('tar');
  try {
    await extract({
      file: archive,
      cwd: folder,
      strip: 1,
      filter: (name, entry) => 'type' in entry && entry.type === 'File' && wanted.includes(path.basename(name)),
    });
    fs.rmSync(archive);
  } catch (cause) {
    throw new SetNativeError('ERR_IO', `[data] ${archive}: could not be unpacked: ${(cause as Error).message}`, {
      cause,
    });
  }
}

/** Whether the file is there with the known size and sum. */
async function isWhole(file: string, { bytes, sha256 }: Download): Promise<boolean> {
  if (!fs.existsSync(file) || fs.statSync(file).size !== bytes) return false;
  const hash = createHash('sha256');
  await pipeline(fs.createReadStream(file), hash);
  return hash.digest('hex') === sha256;
}

function wrongFile(url: URL, expected: string, came: string): SetNativeError {
  return new SetNativeError('ERR_DATA_FORMAT', `[data] ${url}: expected ${expected}, came ${came}; nothing was kept`, {
    details: { url: String(url), expected, came },
  });
}

function inFolder(folder: string, body: () => void): void {
  try {
    body();
  } catch (cause) {
    throw new SetNativeError(
      'ERR_IO',
      `[data] ${folder} must be a folder that can be written: ${(cause as Error).message}; name another with --data-dir`,
      { details: { folder }, cause },
    );
  }
}
