import { closeSync, existsSync, fstatSync, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs';
import type { z } from 'zod';
import { SetNativeError } from '../errors.js';
import { boundedLines, boundedText } from './bounded.js';

/*
 * Reads and writes files of work that may be stopped at any moment: one JSON value, or one per line where
 * lines are only ever appended. A file that does not fit its schema is refused, naming file, line and key.
 */

/** Writer of such files, for messages. */
export interface Writer {
  /** Operation in front of messages, such as "bench". */
  operation: string;
  /** Name in messages, such as "`set-native bench`". */
  name: string;
  /** Version of the files, where they state one. */
  schemaVersion?: number;
}

/**
 * Text of a file.
 *
 * @throws SetNativeError ERR_IO: no regular file, or more than this process has memory for
 */
export function readText(file: string, writer: Writer): string {
  return read(file, boundedText, writer);
}

/**
 * Whole lines of a file; none where there is no file. A last line without an end, which a kill leaves, is
 * left out. Throws as readText does.
 */
export function readLines(file: string, writer: Writer): string[] {
  return existsSync(file) ? read(file, boundedLines, writer) : [];
}

function read<T>(file: string, reader: (file: string) => T, { operation }: Writer): T {
  try {
    return reader(file);
  } catch (cause) {
    throw new SetNativeError('ERR_IO', `[${operation}] could not read ${file}: ${(cause as Error).message}`, {
      cause,
    });
  }
}

/**
 * The value of a JSON text that fits a schema.
 *
 * @param where name of the text in messages
 * @throws SetNativeError ERR_DATA_FORMAT
 */
export function parseRecord<T>(schema: z.ZodType<T>, text: string, where: string, writer: Writer): T {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw damaged(where, `is not JSON (${(cause as Error).message})`, writer, cause);
  }
  const { data, error } = schema.safeParse(value);
  if (error === undefined) return data as T;
  const { path: keys, message } = error.issues[0]!;
  throw damaged(where, `has ${keys.length > 0 ? `${keys.join('.')}: ` : ''}${message}`, writer, error);
}

/**
 * The error of a file that is not as its writer writes it.
 *
 * @param what end of a sentence that begins with `where`
 */
export function damaged(
  where: string,
  what: string,
  { operation, name, schemaVersion }: Writer,
  cause?: unknown,
): SetNativeError {
  const version = schemaVersion === undefined ? '' : ` (schemaVersion ${schemaVersion})`;
  return new SetNativeError(
    'ERR_DATA_FORMAT',
    `[${operation}] expected what ${name} writes${version}, but ${where} ${what}`,
    {
      details: { where },
      cause,
    },
  );
}

/**
 * Adds a line for each value: all of them or, where the disk is full, none. Throws the error of the system.
 */
export function appendLines(file: string, values: unknown[]): void {
  const lines = Buffer.from(values.map((value) => `${JSON.stringify(value)}\n`).join(''));
  const open = openSync(file, 'a');
  const { size } = fstatSync(open);
  try {
    for (let done = 0; done < lines.length; ) done += writeSync(open, lines, done);
  } catch (cause) {
    ftruncateSync(open, size);
    throw cause;
  } finally {
    closeSync(open);
  }
}

/** Removes a last line without an end. */
export function dropTornLine(file: string): void {
  if (!existsSync(file)) return;
  const bytes = readFileSync(file);
  const end = bytes.lastIndexOf('\n') + 1;
  if (end === bytes.length) return;
  const open = openSync(file, 'r+');
  ftruncateSync(open, end);
  closeSync(open);
}
