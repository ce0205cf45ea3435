import { closeSync, existsSync, openSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { SetNativeError } from '../errors.js';

/*
 * Output files of commands: checked before the work starts, written in one piece at its end.
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

/** A reader never sees half a file. */
export function writeAtomically(file: string, pieces: Iterable<string>): void {
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
