import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import * as bench from '../../src/bench.js';
import * as index from '../../src/index.js';
// @ts-expect-error: a program without types
import { apiDocument } from '../support/apiDocument.js';

const file = path.resolve(import.meta.dirname, '../../docs/api.md');

test('docs/api.md says what the types say; npm run docs writes it anew', { timeout: 60_000 }, async () => {
  const text = readFileSync(file, 'utf8');
  expect(text).toBe(await apiDocument());
  const titles = [...text.matchAll(/^### `(\w+)`$/gm)].map(([, name]) => name);
  for (const name of [...Object.keys(index), ...Object.keys(bench)]) expect(titles).toContain(name);
  expect(new Set(titles).size).toBe(titles.length);
});
