import { execFile } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  resumeSelection,
  type SelectionConfig,
  type SelectionResults,
  selectFeatures,
} from '../../../src/bench.js';
import type { LayerData } from '../../../src/index.js';
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
  const dense = {
    ...layer,
    dense: true,
    rowOffsets: new Uint32Array(),
    weights: Float32Array.of(1, -1, 0, 0, 3, 0.5),
  };
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
  expect([
    jaccard(of(1, 2), of(1, 2)),
    jaccard(of(1, 2), of(3, 4)),
    jaccard(of(1, 2, 3), of(2, 3, 4)),
  ]).toEqual([1, 0, 0.5]);
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
  [{ keep: [5, 10, 5] }, 'keep'],
  [{ hidden: [0] }, 'hidden'],
  [{ train: 0.5 }, 'train'],
  [{ runs: 0 }, 'runs'],
  [{ epsilon: -1 }, 'epsilon'],
  [{ method: 'rigl' as never }, 'method'],
])('%j is refused by name, before a folder is made', async (options, option) => {
  const out = path.join(os.tmpdir(), 'set-native-never-made');
  await expect(selectFeatures({ ...small, ...options }, { out })).rejects.toMatchObject({
    details: { option },
  });
  expect(fs.existsSync(out)).toBe(false);
});

const tiny = { ...small, train: 200, test: 100, hidden: [20], epochs: 2, keep: [10, 100, 20] };

/** Stops `tiny` after so many runs, at once or in a training, and hands over what the error has. */
async function stopped(after: number, out?: string): Promise<SelectionResults> {
  const controller = new AbortController();
  let done = 0;
  const onRun = () => {
    done += 1;
    if (done === after) controller.abort();
  };
  const hooks = { signal: controller.signal, onRun, ...(out !== undefined && { out }) };
  const error = await selectFeatures(tiny, hooks).catch((reason) => reason);
  expect(error).toMatchObject({ code: 'ERR_ABORTED', cause: controller.signal.reason });
  return error.details.results;
}

test('a signal stops it, and the error has what was finished', async () => {
  const whole = await selectFeatures(tiny);
  expect(whole).toMatchObject({ complete: true, notes: [] });
  const partial = await stopped(4);
  expect(partial.complete).toBe(false);
  expect(partial.runs).toEqual(whole.runs.slice(0, 4));
  expect(partial.summary.map(({ keep, accuracy }) => [keep, accuracy.low === null])).toEqual([
    [10, false],
    [100, true],
    [20, true],
  ]);
});

describe('the folder of a selection', () => {
  let root: string;
  let out: string;
  beforeEach(() => {
    root = fs.mkdtempSync(path.join(os.tmpdir(), 'set-native-select-'));
    out = path.join(root, 'out');
  });
  afterEach(() => fs.rmSync(root, { recursive: true }));
  const read = (dir: string) =>
    ['selection.json', 'runs.jsonl'].map((file) => fs.readFileSync(path.join(dir, file), 'utf8'));

  test.each([1, 3, 5])(
    'stopped after %i runs and resumed, its files are those of one that never was',
    async (after) => {
      const results = await selectFeatures(tiny, { out: path.join(root, 'whole') });
      const partial = await stopped(after, out);
      expect(JSON.parse(read(out)[0]!)).toEqual(JSON.parse(JSON.stringify(partial)));
      expect(fs.readdirSync(out).sort()).toEqual(['runs.jsonl', 'selection.json']);
      fs.appendFileSync(path.join(out, 'runs.jsonl'), '{"seed":1,"kee'); // what a kill leaves
      let runs = 0;
      const resumed = await resumeSelection(out, {}, { onRun: () => void runs++ });
      expect(runs).toBe(6 - after);
      expect(resumed).toEqual(results);
      expect(read(out)).toEqual(read(path.join(root, 'whole')));
    },
  );

  test('a finished selection resumes to itself, training nothing', async () => {
    const results = await selectFeatures(tiny, { out });
    expect(await resumeSelection(out, { threads: 0 }, { onRun: () => expect.unreachable() })).toEqual(
      results,
    );
  });

  test('a finished selection that has lost a run is not complete until it is done again', async () => {
    await selectFeatures(tiny, { out });
    const file = path.join(out, 'runs.jsonl');
    fs.writeFileSync(file, `${fs.readFileSync(file, 'utf8').split('\n').slice(0, -3).join('\n')}\n`);
    const controller = new AbortController();
    const hooks = { signal: controller.signal, onRun: () => controller.abort() };
    const error = await resumeSelection(out, {}, hooks).catch((reason) => reason);
    expect(error).toMatchObject({ code: 'ERR_ABORTED', details: { results: { complete: false } } });
    expect(JSON.parse(read(out)[0]!).complete).toBe(false);
    expect((await resumeSelection(out)).complete).toBe(true);
  });

  test.each([
    ['"features": 784', '"features": 2000000000'],
    ['"classes": 10', '"classes": 11'],
    ['"width": 28', '"width": 1000000000000000'],
  ])('%s of a selection with the same data must not become %s', async (was, becomes) => {
    await stopped(1, out);
    const head = path.join(out, 'selection.json');
    fs.writeFileSync(head, fs.readFileSync(head, 'utf8').replace(was, becomes));
    fs.writeFileSync(path.join(out, 'runs.jsonl'), '');
    await expect(resumeSelection(out)).rejects.toMatchObject({
      code: 'ERR_DATA_FORMAT',
      message: expect.stringMatching(
        /selection\.json has .*, where the data have 784 features, 10 classes and a picture/,
      ),
    });
  });

  test('a figure that another has put there is not written over', async () => {
    await selectFeatures(tiny, { out });
    const figure = path.join(out, 'accuracy-by-share.svg');
    fs.writeFileSync(path.join(root, 'kept'), 'of somebody else');
    fs.symlinkSync(path.join('..', 'kept'), figure);
    const cli = path.resolve(import.meta.dirname, '../../../dist/cli/main.js');
    const failure = await execute(process.execPath, [cli, 'select', '--resume', out]).catch(
      (reason) => reason,
    );
    expect(failure).toMatchObject({
      code: 2,
      stderr: expect.stringContaining(`${figure} is none that set-native wrote`),
    });
    expect(failure.stdout).toContain('accuracy');
    expect(fs.readFileSync(figure, 'utf8')).toBe('of somebody else');
  });

  test('a folder that holds a selection is refused, and one that holds none cannot be resumed', async () => {
    await stopped(1, out);
    const before = read(out);
    await expect(selectFeatures(tiny, { out })).rejects.toMatchObject({
      code: 'ERR_IN_USE',
      message: expect.stringContaining('holds a selection, which can be resumed'),
      details: { option: 'out', dir: out, begun: out },
    });
    expect(read(out)).toEqual(before);
    await expect(resumeSelection(root)).rejects.toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
    fs.writeFileSync(path.join(root, 'notes.txt'), 'of somebody else');
    const refused = selectFeatures(tiny, { out: root }).then(() => 'taken', String);
    expect(await refused).toContain(`but ${root} holds notes.txt, out`);
  });

  test('two processes never write to it at once', async () => {
    await stopped(1, out);
    const first = resumeSelection(out);
    await expect(resumeSelection(out)).rejects.toMatchObject({ code: 'ERR_IN_USE' });
    expect((await first).complete).toBe(true);
  });

  test('damage is named with its line, and other data with both places', async () => {
    await stopped(3, out);
    const file = path.join(out, 'runs.jsonl');
    const lines = fs.readFileSync(file, 'utf8').split('\n').slice(0, -1);
    const damages: [string, string][] = [
      [lines[1]!, 'line 3 is of seed 0, 10 % of the features, as line 2'],
      [lines[0]!, 'line 3 is of seed 0, all features, as line 1'],
      [lines[2]!.slice(1), 'line 3 is not JSON'],
      [
        lines[2]!.replace('"seed":0', '"seed":7'),
        'line 3 is of a run that the selection does not have: seed 7',
      ],
      [lines[2]!.replace('"keep":100', '"keep":50'), 'line 3 is of a run that the selection does not have'],
      [lines[2]!.replace('[0,1,', '[1,'), 'line 3 has features that are not 784 of 784, ascending'],
      [lines[2]!.replace('"accuracy":0', '"accuracy":7'), 'line 3 has accuracy'],
      [
        '{"seed":1,"accuracy":0.5,"strength":[1,2]}',
        'line 3 has strength of 2 inputs, where there are 784 features',
      ],
    ];
    for (const [damage, message] of damages) {
      fs.writeFileSync(file, `${[lines[0], lines[1], damage, ...lines.slice(3)].join('\n')}\n`);
      const resumed = resumeSelection(out);
      await expect(resumed).rejects.toMatchObject({
        code: 'ERR_DATA_FORMAT',
        message: expect.stringContaining(message),
      });
    }
    fs.writeFileSync(file, `${lines.join('\n')}\n`);
    const head = path.join(out, 'selection.json');
    const text = fs.readFileSync(head, 'utf8');
    fs.writeFileSync(head, text.replace(/"sha256": "./, '"sha256": "'));
    await expect(resumeSelection(out)).rejects.toMatchObject({ code: 'ERR_DATA_FORMAT' });
    fs.writeFileSync(head, text.replace(/"sha256": "[^"]*"/, `"sha256": "${'0'.repeat(64)}"`));
    await expect(resumeSelection(out)).rejects.toMatchObject({
      code: 'ERR_DATA_FORMAT',
      message: expect.stringMatching(
        /began with the data in embedded \(SHA-256 0{12}\), but embedded has others/,
      ),
    });
  });
});

test('the command writes results and figures, of pictures a map', async () => {
  const out = fs.mkdtempSync(path.join(os.tmpdir(), 'set-native-select-'));
  try {
    const cli = path.resolve(import.meta.dirname, '../../../dist/cli/main.js');
    const options =
      '--dataset procedural --train 200 --test 100 --hidden 20 --epochs 1 --runs 2 --keep 10,100';
    const { stdout } = await execute(process.execPath, [cli, 'select', ...options.split(' '), '--out', out]);
    expect(stdout).toMatch(/10 % +78 +0\.\d{3}/);
    const results = JSON.parse(fs.readFileSync(path.join(out, 'selection.json'), 'utf8'));
    expect(results.runs).toHaveLength(4);
    const figures = ['accuracy-by-share', 'strength-map'];
    const written = figures.flatMap((name) => [`${name}.png`, `${name}.svg`, `${name}.vl.json`]);
    expect(fs.readdirSync(out).sort()).toEqual([...written, 'runs.jsonl', 'selection.json'].sort());
    expect(fs.readFileSync(path.join(out, 'strength-map.svg'), 'utf8')).toContain(
      'how often among the strongest 10 %',
    );
  } finally {
    fs.rmSync(out, { recursive: true });
  }
});
