import { readFileSync, statSync } from 'node:fs';
import { TextDecoder } from 'node:util';
import { getHeapStatistics } from 'node:v8';
import { z } from 'zod';

/*
 * Reads text that may be of any size, as far as this process has memory for it: a process that runs out of
 * memory ends and cannot report it.
 */

/** Most bytes of memory that numbers and texts of JSON take per byte of the file. */
const bytesPerByte = 16;

/** Most objects and lists in one text, which take much more memory, and time. */
const mostObjects = 2 ** 21;

/** Text of a file, to be parsed as a whole. Throws for what is no regular file, and for too much text. */
export function boundedText(file: string): string {
  const text = readWithin(file, Math.floor(getHeapStatistics().heap_size_limit / bytesPerByte));
  checkObjects(text, 'it');
  return text;
}

/** Text of bytes in UTF-8, to be parsed as a whole. Throws for too much text, and for what is no text. */
export function boundedBytes(bytes: Uint8Array): string {
  const most = Math.floor(getHeapStatistics().heap_size_limit / bytesPerByte);
  if (bytes.length > most) throw tooLong(`it has ${bytes.length} bytes`, most);
  const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  checkObjects(text, 'it');
  return text;
}

/**
 * Lines of a file, to be parsed one by one. A last line without an end is left out. Throws as boundedText
 * does.
 */
export function boundedLines(file: string): string[] {
  const { heap_size_limit: heap } = getHeapStatistics();
  const lines = readWithin(file, Math.floor(heap / 8))
    .split('\n')
    .slice(0, -1); // mostly numbers, of three characters and more
  const most = Math.floor(heap / bytesPerByte);
  for (const [i, line] of lines.entries()) {
    if (line.length > most) throw tooLong(`its line ${i + 1} has ${line.length} characters`, most);
    checkObjects(line, `its line ${i + 1}`);
  }
  return lines;
}

function checkObjects(text: string, what: string): void {
  if (text.length < mostObjects) return;
  let objects = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === 0x5b || code === 0x7b) objects += 1; // [ and {
  }
  if (objects > mostObjects) throw new Error(`${what} has more than ${mostObjects} objects and lists`);
}

function readWithin(file: string, most: number): string {
  const stats = statSync(file);
  if (!stats.isFile()) throw new Error('it is not a regular file'); // reading a pipe would wait for its writer
  if (stats.size > most) throw tooLong(`it has ${stats.size} bytes`, most);
  return readFileSync(file, 'utf8');
}

function tooLong(what: string, most: number): Error {
  return new Error(
    `${what}, and this process has memory for ${most}; NODE_OPTIONS=--max-old-space-size=<MB> gives it more`,
  );
}

/** Schema of a list, whose check ends at the first bad item instead of reporting every one of a million. */
export function listOf<T>(item: z.ZodType<T>) {
  return z.unknown().transform((list, { issues }): T[] => {
    if (!Array.isArray(list)) issues.push({ code: 'custom', message: 'expected a list', input: list });
    else {
      const items: T[] = [];
      for (const [i, each] of list.entries()) {
        const { data, error } = item.safeParse(each);
        if (error === undefined) items.push(data);
        else {
          const { path, message } = error.issues[0]!;
          issues.push({ code: 'custom', message, path: [i, ...path], input: each });
          return z.NEVER;
        }
      }
      return items;
    }
    return z.NEVER;
  });
}

/** Schema of a list of whole numbers from 0. */
export const counts = z.custom<number[]>(
  (list) => Array.isArray(list) && list.every((each) => Number.isSafeInteger(each) && each >= 0),
  'expected a list of whole numbers from 0',
);
