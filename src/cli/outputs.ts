import { isStandardOutput, writeAtomically } from '../files.js';

/*
 * The results of a command: a file for programs, a table for people.
 */

/** Where the table goes: to standard error where one of the files is standard output, which then holds nothing else. */
export function tableStream(...files: (string | undefined)[]): NodeJS.WriteStream {
  return files.some((file) => file !== undefined && isStandardOutput(file)) ? process.stderr : process.stdout;
}

/** Writes the file, if any, and shows the table whatever came of that; returns the failure of the file. */
export function deliver(
  { table, stream }: { table: string; stream: NodeJS.WriteStream },
  file: string | undefined,
  content: Iterable<string>,
): Error | undefined {
  let failure: Error | undefined;
  try {
    if (file !== undefined) writeAtomically(file, content);
  } catch (error) {
    failure = error as Error;
  }
  stream.write(`${table}\n`);
  return failure;
}
