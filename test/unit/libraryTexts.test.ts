import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';

/*
 * The library speaks to whoever calls it: of options, such as `dataDir`. Only src/cli/ speaks of flags, such
 * as --data-dir, and only it throws ERR_USAGE. Comments count too, since they are what an editor shows of a
 * call.
 */

const src = path.resolve(import.meta.dirname, '../../src');

/** Texts outside src/cli/ that look like flags, each with the reason why it may stand there. */
const allowed: Record<string, Record<string, string>> = {
  'addon.ts': {
    '--permission': "an option of node's, which closes addons and files",
    '--allow-addons': "an option of node's, the only way to an addon then",
    '--allow-fs-read': "an option of node's, the only way to its folder then",
  },
  'threads.ts': { '--input-type': "an option of node's, which worker threads must not inherit" },
  'files/bounded.ts': { '--max-old-space-size': "an option of node's, the only way to more memory" },
  'report/html/page.ts': {
    ...{ '--ink': 'a property of CSS', '--line': 'a property of CSS', '--note': 'a property of CSS' },
    ...{ '--page': 'a property of CSS', '--soft': 'a property of CSS' },
  },
};

const flag = /(?<![\w-])--[a-z][\w-]*/g;

const library = readdirSync(src, { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts'))
  .map((name) => name.replaceAll(path.sep, '/'))
  .filter((name) => !name.startsWith('cli/'));
const textOf = (file: string) => readFileSync(path.join(src, file), 'utf8');

test('the library names no flag of a command', () => {
  const found = library.flatMap((file) =>
    [...textOf(file).matchAll(flag)].map(([text]) => ({ file, text: text! })),
  );
  const wrong = found.filter(({ file, text }) => allowed[file]?.[text] === undefined);
  expect(wrong).toEqual([]);
  for (const [file, texts] of Object.entries(allowed)) {
    for (const text of Object.keys(texts))
      expect(found, 'a reason for nothing').toContainEqual({ file, text });
  }
});

test('the library throws no ERR_USAGE', () => {
  expect(library.filter((file) => textOf(file).includes('ERR_USAGE'))).toEqual(['errors.ts']); // where it is listed
});
