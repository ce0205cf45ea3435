import { randomBytes } from 'node:crypto';
import {
  accessSync,
  type BigIntStats,
  closeSync,
  constants,
  existsSync,
  fchmodSync,
  fchownSync,
  fstatSync,
  fsync,
  fsyncSync,
  ftruncateSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readlinkSync,
  readSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  write as writeBytes,
  writeSync,
} from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { SetNativeError } from '../errors.js';
import { closing, closingAsync } from './closing.js';
import { isAlive, machine } from './machine.js';

/*
 * Writes output files: they are checked before the work starts, and written in one piece.
 *
 * A regular file is replaced as a whole: the new content is written beside it, under a name that nobody can
 * guess, flushed to the disk and then renamed, so that neither a reader nor a power cut finds half of it. A
 * symbolic link stays and its target is written; mode and owner stay. Devices and pipes, `-` (standard
 * output) and files that the streams of this process are connected to are written in place.
 */

type Target =
  /** A stream of this process. */
  | { kind: 'stream'; fd: number }
  /** A device, a pipe, or a file that has no name any more, which is written in place. */
  | { kind: 'plain'; path: string; old: BigIntStats }
  /** A regular file, or none yet; `path` is no symbolic link. */
  | { kind: 'file'; path: string; old: BigIntStats | undefined };

type Pieces = Iterable<string | Uint8Array>;

/** Throws ERR_IO unless `option` names a place for a file. Changes nothing and leaves nothing behind. */
export function checkWritable(operation: string, option: string, file: string): void {
  try {
    const target = targetOf(file);
    if (target.kind === 'stream') return;
    if (target.old?.isSocket()) throw new Error('it is a socket');
    if (target.old === undefined) probeFolder(path.dirname(target.path));
    else if (target.old.isFile()) probeFile(target.path);
    else accessSync(target.path, constants.W_OK); // a pipe would wait for its reader
  } catch (cause) {
    throw notWritable(operation, option, file, cause);
  }
}

/**
 * Throws unless a file can be made in `folder`. It makes one, because a file system such as /proc grants the
 * rights and takes no file.
 */
function probeFolder(folder: string): void {
  const file = path.join(folder, temporaryName());
  closeSync(openSync(file, 'wx'));
  rmSync(file);
}

/** Throws unless a file can be opened for writing: a protected file is not replaced either. */
function probeFile(file: string): void {
  closeSync(openSync(file, constants.O_WRONLY));
}

/**
 * Whether `file` is `-`, or the file that standard output goes to: then nothing else may be written there.
 */
export function isStandardOutput(file: string): boolean {
  const target = targetOf(file);
  return target.kind === 'stream' && target.fd === 1;
}

export function notWritable(operation: string, option: string, file: string, cause: unknown): SetNativeError {
  return new SetNativeError(
    'ERR_IO',
    `[${operation}] ${option} must name a place that can be written, got ${file}: ${(cause as Error).message}`,
    { details: { option, file }, cause },
  );
}

/**
 * Makes a folder and those above it. The recursive mkdir of Node never ends where a folder exists and mkdir
 * in it says that it does not, as in /proc.
 */
export function makeFolder(folder: string): void {
  if (existsSync(folder)) {
    if (statSync(folder).isDirectory()) return;
    throw new Error(`${folder} is a file, not a folder`);
  }
  makeFolder(path.dirname(folder));
  try {
    mkdirSync(resolveLinks(folder));
  } catch (error) {
    if (codeOf(error) !== 'EEXIST' || !statSync(folder).isDirectory()) throw error; // another process was quicker
  }
}

/**
 * Writes a file as described above. A reader of a pipe that leaves early is no failure. Throws ERR_IO, and
 * leaves a regular file unchanged unless it had to be written in place.
 */
export function writeAtomically(file: string, pieces: Pieces): void {
  try {
    const target = targetOf(file);
    if (target.kind === 'stream') writeStream(target.fd, pieces);
    else if (target.kind === 'file') writeFile(target.path, target.old, pieces);
    else if (target.old.isFile()) overwrite(target.path, pieces);
    else {
      const open = openSync(target.path, constants.O_WRONLY | constants.O_NOCTTY);
      closing(
        () => writeStream(open, pieces),
        () => closeSync(open),
      );
    }
  } catch (cause) {
    throw notWritten(file, cause);
  }
}

/**
 * Does the same as writeAtomically without holding up other work while a regular file is written. The pieces
 * must not change meanwhile.
 */
export async function writeInBackground(file: string, pieces: readonly Uint8Array[]): Promise<void> {
  try {
    const target = targetOf(file);
    if (target.kind === 'file' && !isShared(target.old)) {
      removeLeftovers(path.dirname(target.path));
      if (target.old !== undefined) probeFile(target.path);
      if (await replaceInBackground(target.path, target.old, pieces)) return;
    }
  } catch (cause) {
    throw notWritten(file, cause);
  }
  writeAtomically(file, pieces);
}

function notWritten(file: string, cause: unknown): SetNativeError {
  return new SetNativeError('ERR_IO', `[write] could not write ${file}: ${(cause as Error).message}`, {
    cause,
  });
}

/**
 * Removes half-written files, which a kill has left in `folder`: every write makes its own there. A file that
 * another process is about to finish stays.
 */
export function removeLeftovers(folder: string): void {
  let names: string[];
  try {
    names = readdirSync(folder);
  } catch {
    return; // a folder that can be written but not listed, or none
  }
  for (const name of names) {
    const match = temporaryPattern.exec(name);
    if (match === null) continue;
    const file = path.join(folder, name);
    try {
      const { mtimeMs } = lstatSync(file);
      const gone = match[1] === machine() && !isAlive(Number(match[2]));
      if (gone || Date.now() - mtimeMs > dayMs) rmSync(file);
    } catch {
      // another user's, or gone meanwhile
    }
  }
}

/** The target of `file`. Throws the error of the system where it leads nowhere. */
function targetOf(file: string): Target {
  if (file === '-') return { kind: 'stream', fd: 1 };
  // Only the system follows the links of /proc, and refuses links that it considers unsafe.
  const old = statSync(file, { bigint: true, throwIfNoEntry: false });
  if (old === undefined) {
    if (/[\\/]$/.test(file)) throw new Error('it names a folder');
    return { kind: 'file', path: resolveLinks(file), old };
  }
  if (old.isDirectory()) throw new Error('it is a folder, not a regular file');
  // Opening it by name would write from its start, over what the stream has written. Devices have no
  // position.
  const fd = old.isCharacterDevice() ? undefined : [1, 2].find((each) => isSame(streamStats(each), old));
  if (fd !== undefined) return { kind: 'stream', fd };
  if (!old.isFile()) return { kind: 'plain', path: file, old };
  const resolved = resolveLinks(file);
  const named = isSame(statSync(resolved, { bigint: true, throwIfNoEntry: false }), old);
  return named ? { kind: 'file', path: resolved, old } : { kind: 'plain', path: file, old };
}

function streamStats(fd: number): BigIntStats | undefined {
  try {
    return fstatSync(fd, { bigint: true });
  } catch {
    return undefined; // closed
  }
}

function isSame(a: BigIntStats | undefined, b: BigIntStats): boolean {
  return a !== undefined && a.dev === b.dev && a.ino === b.ino;
}

/**
 * Identity of a file, to compare it with others; undefined where several may write it, and where it leads
 * nowhere, which writing it reports.
 */
export function identityOf(file: string): string | undefined {
  let target: Target;
  try {
    target = targetOf(file);
  } catch {
    return undefined;
  }
  if (target.kind === 'stream') return `stream ${target.fd}`;
  const { old } = target;
  if (old === undefined) return target.path;
  return old.isCharacterDevice() ? undefined : `${old.dev} ${old.ino}`;
}

/** Most symbolic links that are followed, as in Linux. */
const mostLinks = 40;

/** The path without symbolic links. Its last name need not exist. */
function resolveLinks(file: string): string {
  let at = file;
  for (let links = 0; links <= mostLinks; links++) {
    const folder = realFolder(path.dirname(at));
    const name = path.join(folder, path.basename(at));
    if (!lstatSync(name, { throwIfNoEntry: false })?.isSymbolicLink()) return name;
    const link = readlinkSync(name);
    at = path.isAbsolute(link) ? link : `${folder}${path.sep}${link}`; // not joined: `..` leaves what a link points at
  }
  throw new Error('ELOOP: too many symbolic links');
}

function realFolder(folder: string): string {
  try {
    return realpathSync.native(folder);
  } catch (cause) {
    if (codeOf(cause) !== 'ENOENT') throw cause;
    throw new Error(`ENOENT: there is no folder ${folder}`, { cause });
  }
}

/**
 * Writes a regular file in one piece; in place, as other programs do, where replacing it would do harm or is
 * not allowed: it has other names (hard links), another owner, a folder that cannot be written, or is a
 * mount. A kill may then leave half of it.
 */
function writeFile(file: string, old: BigIntStats | undefined, pieces: Pieces): void {
  removeLeftovers(path.dirname(file));
  if (old !== undefined) probeFile(file);
  if (isShared(old) || !replace(file, old, pieces)) overwrite(file, pieces);
}

/** Whether a file has other names, which replacing it would part from it. */
function isShared(old: BigIntStats | undefined): boolean {
  return old !== undefined && old.nlink > 1n;
}

/** Replaces a file. Returns false, without touching `pieces`, where that is not allowed. */
function replace(file: string, old: BigIntStats | undefined, pieces: Pieces): boolean {
  const temporary = openBeside(file, old);
  if (temporary === undefined) return false;
  const { name, open } = temporary;
  const write = () => {
    if (old !== undefined && !makeAlike(open, old)) return false;
    writeAll(open, pieces);
    sync(open);
    return true;
  };
  const writeAndRename = () => {
    if (!closing(write, () => closeSync(open))) return false;
    takePlace(name, file, old);
    return true;
  };
  return closing(writeAndRename, () => rmSync(name, { force: true }));
}

/** Does the same as `replace`. What may take long, writing and flushing, runs on other threads. */
async function replaceInBackground(
  file: string,
  old: BigIntStats | undefined,
  pieces: readonly Uint8Array[],
): Promise<boolean> {
  const temporary = openBeside(file, old);
  if (temporary === undefined) return false;
  const { name, open } = temporary;
  const write = async () => {
    if (old !== undefined && !makeAlike(open, old)) return false;
    for (const piece of pieces) {
      for (let done = 0; done < piece.length; ) {
        done += await writePart(open, piece, done, Math.min(piece.length - done, 2 ** 24));
      }
    }
    await flush(open).catch(unlessUnknown);
    return true;
  };
  const writeAndRename = async () => {
    if (!(await closingAsync(write, () => closeSync(open)))) return false;
    takePlace(name, file, old);
    return true;
  };
  return closingAsync(writeAndRename, () => rmSync(name, { force: true }));
}

const flush = promisify(fsync);
const writePart = (fd: number, bytes: Uint8Array, from: number, length: number) =>
  new Promise<number>((resolve, reject) => {
    writeBytes(fd, bytes, from, length, null, (error, written) => (error ? reject(error) : resolve(written)));
  });

/** Opens a new file beside another; undefined where that is not allowed. */
function openBeside(file: string, old: BigIntStats | undefined): { name: string; open: number } | undefined {
  const name = path.join(path.dirname(file), temporaryName());
  try {
    return { name, open: openSync(name, 'wx', old === undefined ? 0o666 : 0o600) };
  } catch (error) {
    if (old !== undefined && isDenied(error)) return undefined;
    throw error;
  }
}

/** Gives a file that is written the name of the one that it replaces. */
function takePlace(temporary: string, file: string, old: BigIntStats | undefined): void {
  try {
    renameSync(temporary, file);
  } catch (error) {
    if (old === undefined || !isDenied(error)) throw error;
    overwrite(file, contentOf(temporary));
  }
  syncFolder(path.dirname(file));
}

/**
 * Gives an open file the owner and the mode of another; returns false where that is not allowed. On Windows
 * a file takes its rights from its folder.
 */
function makeAlike(open: number, { uid, gid, mode }: BigIntStats): boolean {
  if (process.platform === 'win32') return true;
  try {
    const now = fstatSync(open, { bigint: true });
    if (now.uid !== uid || now.gid !== gid) fchownSync(open, Number(uid), Number(gid));
    fchmodSync(open, Number(mode) & 0o7777);
    return true;
  } catch {
    return false;
  }
}

function overwrite(file: string, pieces: Pieces): void {
  const open = openSync(file, constants.O_WRONLY);
  closing(
    () => {
      ftruncateSync(open, writeAll(open, pieces));
      sync(open);
    },
    () => closeSync(open),
  );
}

function writeStream(fd: number, pieces: Pieces): void {
  try {
    writeAll(fd, pieces);
  } catch (error) {
    if (codeOf(error) !== 'EPIPE') throw error;
  }
}

/** Writes all pieces; returns the number of bytes. */
function writeAll(fd: number, pieces: Pieces): number {
  let total = 0;
  for (const piece of pieces) {
    const bytes = typeof piece === 'string' ? Buffer.from(piece) : piece;
    for (let done = 0; done < bytes.length; ) {
      try {
        done += writeSync(fd, bytes, done, Math.min(bytes.length - done, 2 ** 30));
      } catch (error) {
        if (codeOf(error) !== 'EAGAIN') throw error;
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5); // a pipe that is full, set not to block
      }
    }
    total += bytes.length;
  }
  return total;
}

function* contentOf(file: string): Generator<Uint8Array> {
  const open = openSync(file, 'r');
  try {
    const buffer = Buffer.alloc(2 ** 20);
    for (let size = readSync(open, buffer); size > 0; size = readSync(open, buffer))
      yield buffer.subarray(0, size);
  } finally {
    closeSync(open); // cannot fail for a file that was only read
  }
}

function sync(open: number): void {
  try {
    fsyncSync(open);
  } catch (error) {
    unlessUnknown(error);
  }
}

/**
 * Throws an error of flushing, unless the file system has no such thing or Node's permission model closes it,
 * as it does even where writing is allowed.
 */
function unlessUnknown(error: unknown): void {
  if (!['EINVAL', 'ENOSYS', 'ENOTSUP', 'ERR_ACCESS_DENIED'].includes(codeOf(error) ?? '')) throw error;
}

/**
 * Flushes a folder to the disk, so that the new name survives a power cut. The content is safe already, and
 * not every system can do this.
 */
function syncFolder(folder: string): void {
  try {
    const open = openSync(folder, 'r');
    closing(
      () => fsyncSync(open),
      () => closeSync(open),
    );
  } catch {
    // see above
  }
}

const dayMs = 24 * 60 * 60 * 1000;
const temporaryPattern = /^\.set-native-([0-9a-f]{8})-(\d+)-[0-9a-f]{24}\.tmp$/;

/**
 * Name of a half-written file: it names the process for `removeLeftovers`, and the rest cannot be guessed. It
 * is short, whatever the file is called.
 */
function temporaryName(): string {
  return `.set-native-${machine()}-${process.pid}-${randomBytes(12).toString('hex')}.tmp`;
}

function isDenied(error: unknown): boolean {
  return ['EACCES', 'EPERM', 'EROFS', 'EBUSY', 'EXDEV'].includes(codeOf(error) ?? '');
}

function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code;
}
