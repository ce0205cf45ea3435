import { closeSync, existsSync, mkdirSync, openSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { SetNativeError } from './errors.js';

/*
 * Output files: checked before the work starts, written in one piece.
 */

/** Throws ERR_USAGE unless `option` names a place for a file. */
export function checkWritable(option: string, file: string): void {
  try {
    const folder = path.dirname(path.resolve(file));
    if (!existsSync(folder)) throw new Error(`there is no folder ${folder}`);
    if (existsSync(file) && !statSync(file).isFile()) throw new Error('it is not a regular file');
    const probe = temporary(file);
    writeFileSync(probe, '');
    rmSync(probe);
  } catch (cause) {
    throw notWritable(option, file, cause);
  }
}

export function notWritable(option: string, file: string, cause: unknown): SetNativeError {
  return new SetNativeError(
    'ERR_USAGE',
    `[bench] ${option} must name a place that can be written, got ${file}: ${(cause as Error).message}`,
    { details: { option, file }, cause },
  );
}

/** Node's own recursion never ends where a folder exists and mkdir in it says that it does not, as in /proc. */
export function makeFolder(folder: string): void {
  if (existsSync(folder)) {
    if (statSync(folder).isDirectory()) return;
    throw new Error(`${folder} is a file, not a folder`);
  }
  makeFolder(path.dirname(folder));
  mkdirSync(folder);
}

/** A reader never sees half a file. */
export function writeAtomically(file: string, pieces: Iterable<string | Uint8Array>): void {
  try {
    const open = openSync(temporary(file), 'w');
    try {
      for (const piece of pieces) writeFileSync(open, piece);
    } finally {
      closeSync(open);
    }
    renameSync(temporary(file), file);
  } catch (cause) {
    rmSync(temporary(file), { force: true });
    throw new SetNativeError('ERR_IO', `[bench] could not write ${file}: ${(cause as Error).message}`, { cause });
  }
}

function temporary(file: string): string {
  return `${file}.${process.pid}.tmp`;
}
