import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type KernelResults, kernelsJson, readKernelResults } from '../../../src/kernels/results.js';
import { point, results } from './results.js';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'set-native-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function read(text: string): KernelResults {
  const file = path.join(folder, 'old.json');
  writeFileSync(file, text);
  return readKernelResults(file);
}

const written = (value: KernelResults) => [...kernelsJson(value)].join('');

test.each([
  ['cases', results()],
  ['nothing yet', results({ complete: false, ceilings: [], cases: [] })],
  [
    'a sweep',
    results({ cases: [], sweep: { batch: 32, points: [point(), point({ links: 3e5 })], exponents: [] } }),
  ],
])('results with %s are read as they were written', (_, value) => {
  expect(read(written(value))).toEqual(value);
});

test('there is a line for each case and point', () => {
  const text = written(results({ sweep: { batch: 32, points: [point()], exponents: [] } }));
  expect(text.split('\n').filter((line) => /^ {2}\{("name"|"links")/.test(line))).toHaveLength(2);
});

const { cases, ...withoutCases } = results();
test.each([
  ['no JSON', '{', 'is not JSON'],
  ['no object', '[]', 'holds something else'],
  ['null', 'null', 'holds something else'],
  ['results of bench', '{"schemaVersion": 2, "runs": [], "summary": []}', 'holds something else'],
  ['no cases', JSON.stringify(withoutCases), 'holds something else'],
  ['no machine', JSON.stringify({ ...results(), machine: {} }), 'holds something else'],
  [
    'another version',
    JSON.stringify({ ...results(), schemaVersion: 2 }),
    'has schemaVersion 2, this program reads 1',
  ],
  ['no version', JSON.stringify({ ...results(), schemaVersion: undefined }), 'has schemaVersion undefined'],
  [
    'a case without times',
    JSON.stringify({ ...results(), cases: [...cases, { name: 'x' }] }),
    'a case (number 2)',
  ],
  [
    'a time of zero',
    JSON.stringify({ ...results(), cases: [{ ...cases[0], medianMs: 0 }] }),
    'a case (number 1)',
  ],
])('%s is refused', (_, text, message) => {
  expect(() => read(text)).toThrow(
    expect.objectContaining({ code: 'ERR_DATA_FORMAT', message: expect.stringContaining(message) }),
  );
});

test('a file that cannot be read is an error of the command line', () => {
  expect(() => readKernelResults(path.join(folder, 'none.json'))).toThrow(
    expect.objectContaining({ code: 'ERR_IO', message: expect.stringContaining('none.json: ENOENT') }),
  );
});
