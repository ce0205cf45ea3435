import { statSync } from 'node:fs';
import { SetNativeError } from '../errors.js';
import { identityOf, isStandardOutput, writeAtomically } from '../files/output.js';
import { endedBySignals } from './signals.js';

/*
 * Results of a command: a file for programs, a table for people.
 */

/** Throws ERR_USAGE where two flags name the same file; devices such as /dev/null may be named twice. */
export function checkApart(files: Record<string, string | undefined>): void {
  const seen = new Map<string, string>();
  for (const [flag, file] of Object.entries(files)) {
    const identity = file === undefined ? undefined : identityOf(file);
    if (file === undefined || identity === undefined) continue;
    const other = seen.get(identity);
    if (other !== undefined) {
      throw new SetNativeError(
        'ERR_USAGE',
        `[bench] ${other} and ${flag} must name two files, but ${file} is the same`,
        { details: { flag } },
      );
    }
    seen.set(identity, flag);
  }
}

/**
 * Stream of the table: standard error where one of the files is standard output, which then holds nothing
 * else.
 */
export function tableStream(...files: (string | undefined)[]): NodeJS.WriteStream {
  return files.some((file) => file !== undefined && isStandardOutput(file)) ? process.stderr : process.stdout;
}

/** Writes the file, if any, and shows the table even where that fails; returns the failure. */
export function writeAndShow(
  { table, stream }: { table: string; stream: NodeJS.WriteStream },
  file: string | undefined,
  content: Iterable<string>,
): Error | undefined {
  let failure: Error | undefined;
  try {
    if (file !== undefined) writeOutput(file, content);
  } catch (error) {
    failure = error as Error;
  }
  stream.write(`${table}\n`);
  return failure;
}

/** Writes the file. Any signal ends the program while the file waits for its reader. */
export function writeOutput(file: string, content: Iterable<string>): void {
  const write = () => writeAtomically(file, content);
  if (waitsForNobody(file)) write();
  else endedBySignals(write);
}

/** Whether `file` is a regular file, or none yet. */
function waitsForNobody(file: string): boolean {
  try {
    return file !== '-' && statSync(file).isFile();
  } catch {
    return file !== '-'; // writing reports what is wrong, if anything is
  }
}
