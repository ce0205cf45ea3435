import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { z } from 'zod';
import { runExperiment } from '../../../src/experiment/experiment.js';
import { readExperiment } from '../../../src/experiment/read.js';
import { listOf } from '../../../src/files/bounded.js';

/*
 * A folder from strangers: whatever it holds, reading it ends, with an error where it is not sound.
 */

let root: string;
let dir: string;
const inDir = (name: string) => path.join(dir, name);

beforeAll(async () => {
  root = mkdtempSync(path.join(os.tmpdir(), 'set-native-bounded-'));
  const small = { dataset: 'procedural', hidden: [20], train: 50, test: 20, epochs: 1, epsilon: [2] };
  await runExperiment({ ...small, methods: ['static'] }, { out: path.join(root, 'sound') });
}, 60_000);
afterAll(() => rmSync(root, { recursive: true, force: true }));
beforeEach(() => {
  dir = path.join(root, 'out');
  rmSync(dir, { recursive: true, force: true });
  cpSync(path.join(root, 'sound'), dir, { recursive: true });
});

test.each([
  ['wider than can be counted', { width: 1e15, height: 1 }],
  ['of other pixels than features', { width: 28, height: 27 }],
  ['of no pixels', { width: 0, height: 0 }],
])('pictures %s are refused', (_, image) => {
  const head = JSON.parse(readFileSync(inDir('experiment.json'), 'utf8'));
  head.dataset.image = image;
  writeFileSync(inDir('experiment.json'), JSON.stringify(head));
  expect(() => readExperiment(dir)).toThrow(
    'dataset.image: expected width × height to be the number of features',
  );
});

test.each(['experiment.json', 'results.jsonl'])(
  '%s of more bytes than there is memory is not read',
  (name) => {
    truncateSync(inDir(name), 2 ** 40);
    expect(() => readExperiment(dir)).toThrow(
      /it has 1099511627776 bytes, and this process has memory for \d+; NODE_OPTIONS/,
    );
  },
);

test.skipIf(process.platform === 'win32')('a pipe in place of a file is not waited for', () => {
  rmSync(inDir('results.jsonl'));
  execFileSync('mkfifo', [inDir('results.jsonl')]);
  expect(() => readExperiment(dir)).toThrow('it is not a regular file');
});

test('millions of objects in a line are refused before they take memory and time', () => {
  const run = readFileSync(inDir('results.jsonl'), 'utf8');
  writeFileSync(inDir('results.jsonl'), run.replace('"epochs":[', `"epochs":[${'{},'.repeat(3e6)}`));
  expect(() => readExperiment(dir)).toThrow('its line 1 has more than 2097152 objects and lists');
});

test('a list is looked at up to its first bad item', () => {
  let looked = 0;
  const item = z.custom<number>((value) => {
    looked += 1;
    return value === 0;
  });
  const { error } = listOf(item).safeParse(Array.from({ length: 1000 }, (_, i) => (i < 5 ? 0 : 1)));
  expect([looked, error!.issues.length, error!.issues[0]!.path]).toEqual([6, 1, [5]]);
  expect(listOf(item).safeParse([0, 0]).data).toEqual([0, 0]);
});
