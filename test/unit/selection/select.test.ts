import { execFile } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { type LayerData, type SelectionConfig, selectFeatures } from '../../../src/index.js';
import { jaccard, strengths, strongest } from '../../../src/selection/strength.js';

const execute = promisify(execFile);

const layer = {
  inputs: 3,
  outputs: 2,
  dense: false,
  rowOffsets: Uint32Array.of(0, 2, 2, 3),
  weights: Float32Array.of(0.5, -0.25, 2),
} as unknown as LayerData;

test('strength: the sum of |w| over the links of an input', () => {
  expect(Array.from(strengths(layer))).toEqual([0.75, 0, 2]);
  const dense = { ...layer, dense: true, rowOffsets: new Uint32Array(), weights: Float32Array.of(1, -1, 0, 0, 3, 0.5) };
  expect(Array.from(strengths(dense))).toEqual([2, 0, 3.5]);
});

test('the strongest, ties by number, in the order of their numbers', () => {
  const strength = Float64Array.of(1, 5, 3, 5, 0, 3);
  expect(Array.from(strongest(strength, 1))).toEqual([1]);
  expect(Array.from(strongest(strength, 3))).toEqual([1, 2, 3]);
  expect(Array.from(strongest(strength, 6))).toEqual([0, 1, 2, 3, 4, 5]);
});

test('Jaccard index', () => {
  const of = (...features: number[]) => Uint32Array.from(features);
  expect([jaccard(of(1, 2), of(1, 2)), jaccard(of(1, 2), of(3, 4)), jaccard(of(1, 2, 3), of(2, 3, 4))]).toEqual([
    1, 0, 0.5,
  ]);
});

const small: Partial<SelectionConfig> & { dataset: string } = {
  dataset: 'procedural',
  train: 1000,
  test: 500,
  hidden: [100],
  epochs: 8,
  runs: 2,
  keep: [3, 100],
};

test('on pictures the strongest of the pixels beat as many random ones; the same on repeat', async () => {
  const results = await selectFeatures(small);
  expect(results.summary.map(({ keep, features }) => [keep, features])).toEqual([
    [3, 24],
    [100, 784],
  ]);
  const [few, all] = results.summary;
  expect(few!.accuracy.mean).toBeGreaterThan(few!.randomAccuracy.mean);
  expect(all!.accuracy).toEqual(all!.randomAccuracy);
  expect(all!.stability).toBe(1);
  expect(few!.stability).toBeGreaterThan(0.03 / 1.97); // what random sets would share
  expect(results.strength).toHaveLength(784);
  const again = await selectFeatures({ ...small, threads: 1 });
  expect(again.runs).toEqual(results.runs);
});

test.each([
  [{ keep: [] }, 'keep'],
  [{ keep: [0] }, 'keep'],
  [{ keep: [101] }, 'keep'],
  [{ runs: 0 }, 'runs'],
  [{ epsilon: -1 }, 'epsilon'],
  [{ method: 'rigl' as never }, 'evolution.method'],
])('%j is refused by name', async (options, option) => {
  await expect(selectFeatures({ ...small, ...options })).rejects.toMatchObject({ details: { option } });
});

test('a signal stops it', async () => {
  const controller = new AbortController();
  const running = selectFeatures(small, { signal: controller.signal, onRun: () => controller.abort() });
  await expect(running).rejects.toMatchObject({ code: 'ERR_ABORTED' });
});

test('the command writes results and figures, of pictures a map', async () => {
  const out = fs.mkdtempSync(path.join(os.tmpdir(), 'set-native-select-'));
  try {
    const cli = path.resolve(import.meta.dirname, '../../../dist/cli/main.js');
    const options = '--dataset procedural --train 200 --test 100 --hidden 20 --epochs 1 --runs 2 --keep 10,100';
    const { stdout } = await execute(process.execPath, [cli, 'select', ...options.split(' '), '--out', out]);
    expect(stdout).toMatch(/10 % +78 +0\.\d{3}/);
    const results = JSON.parse(fs.readFileSync(path.join(out, 'selection.json'), 'utf8'));
    expect(results.runs).toHaveLength(4);
    const figures = ['accuracy-by-share', 'strength-map'];
    const written = figures.flatMap((name) => [`${name}.png`, `${name}.svg`, `${name}.vl.json`]);
    expect(fs.readdirSync(out).sort()).toEqual([...written, 'selection.json'].sort());
    expect(fs.readFileSync(path.join(out, 'strength-map.svg'), 'utf8')).toContain('how often among the strongest 10 %');
  } finally {
    fs.rmSync(out, { recursive: true });
  }
});
