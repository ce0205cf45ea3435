import { readFileSync, statSync } from 'node:fs';
import { getHeapStatistics } from 'node:v8';
import { z } from 'zod';

/*
 * Text from strangers, within what this process has memory for: nothing catches the end of that.
 */

/** What numbers and texts of JSON take in memory per byte, at most. */
const bytesPerByte = 16;

/** Objects and lists take much more, and time: as many as an epoch has, for a million of them. */
const mostObjects = 2 ** 21;

/** Text that is parsed as a whole. Throws where it is no file, or too much. */
export function boundedText(file: string): string {
  const text = readWithin(file, Math.floor(getHeapStatistics().heap_size_limit / bytesPerByte));
  checkObjects(text, 'it');
  return text;
}

/** Lines that are parsed one by one, without a last one that has no end. Throws as boundedText does. */
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
  if (!stats.isFile()) throw new Error('it is not a regular file'); // a pipe would be waited for
  if (stats.size > most) throw tooLong(`it has ${stats.size} bytes`, most);
  return readFileSync(file, 'utf8');
}

function tooLong(what: string, most: number): Error {
  return new Error(
    `${what}, and this process has memory for ${most}; NODE_OPTIONS=--max-old-space-size=<MB> gives it more`,
  );
}

/** A list whose first bad item ends the check: every one of a million would be reported. */
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

/** A list of whole numbers from 0. */
export const counts = z.custom<number[]>(
  (list) => Array.isArray(list) && list.every((each) => Number.isSafeInteger(each) && each >= 0),
  'expected a list of whole numbers from 0',
);
