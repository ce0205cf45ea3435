import { writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';
import { tileOrder } from '../../../src/datasets/inputOrder.js';
import { type ExperimentConfig, experimentConfig } from '../../../src/experiment/config.js';
import { runExperiment } from '../../../src/experiment/experiment.js';
import { samplesOf } from '../../../src/experiment/samples.js';
import { setAside } from '../../../src/experiment/setAside.js';
import { loadDataset, prepare } from '../../../src/index.js';

/*
 * The order of inputs of an experiment.
 */

const dataset = loadDataset('procedural');
const tiny = {
  ...{ dataset: 'procedural', hidden: [30], train: 100, validation: 10, test: 50 },
  ...{ epochs: 3, epsilon: [4], motifSize: [4], methods: ['set-motif' as const] },
} satisfies Partial<ExperimentConfig>;

test.each<[ExperimentConfig['inputOrder'], number]>([
  ['tiles', 2],
  [{ tiles: 2 }, 2],
  [{ tiles: 4, shape: [28, 28] }, 4],
])('%j is the order that prepare has', (inputOrder, size) => {
  const { train, validation, test, encoding } = samplesOf(
    experimentConfig({ ...tiny, inputOrder }),
    3,
    dataset,
  );
  expect(encoding.order).toEqual(Array.from(tileOrder([28, 28], size)));
  const counts = { train: 100, validation: 10, test: 50, seed: 3 };
  const prepared = prepare(dataset, { ...counts, inputOrder });
  for (const [part, own] of Object.entries({ train, validation, test }))
    expect(own!.x).toEqual(prepared[part as 'train']!.x);
});

test('links of inputs are those of pixels of the data, whatever the order', async () => {
  const { runs } = await runExperiment({ ...tiny, inputOrder: 'tiles' });
  const links = runs[0]!.inputDegree!;
  // Motifs of four neighbouring inputs are linked as one: tiles of two by two pixels.
  for (let row = 0; row < 28; row += 2) {
    for (let column = 0; column < 28; column += 2) {
      const tile = [0, 1, 28, 29].map((at) => links[row * 28 + column + at]);
      expect(new Set(tile).size, `tile ${row}, ${column}`).toBe(1);
    }
  }
  expect(new Set(links).size).toBeGreaterThan(1);
  const given = (await runExperiment(tiny)).runs[0]!;
  const total = (counts: number[]) => counts.reduce((sum, count) => sum + count, 0);
  expect(total(links)).toBe(total(given.inputDegree!));
  expect(given.epochs[0]!.trainLoss).not.toBe(runs[0]!.epochs[0]!.trainLoss);
});

test('the thesis has the given order', async () => {
  const readings: ExperimentConfig['readings'] = ['published', 'described'];
  const inputOrder = { tiles: 4 };
  const config = experimentConfig({ ...tiny, readings, inputOrder });
  expect(setAside(config, { inputOrder }, dataset)).toEqual(
    readings.map((reading) => `The reading ${reading} sets inputOrder tiles of 4 aside and uses given.`),
  );
  const untimed = async (options: Partial<ExperimentConfig>) => {
    const { runs } = await runExperiment({ ...tiny, readings, ...options });
    return JSON.stringify(runs, (key, value) => (key.endsWith('Ms') ? undefined : value));
  };
  expect(await untimed({ inputOrder })).toBe(await untimed({}));
});

test('tiles of data without the shape of an image are refused before anything trains, with what to do', async () => {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'set-native-order-'));
  const csv = path.join(folder, 'table.csv');
  const lines = Array.from({ length: 40 }, (_, i) => `${i % 5},${i % 3},${i % 7},${i % 4},${i % 2}`);
  writeFileSync(csv, ['a,b,c,d,label', ...lines].join('\n'));
  const table = {
    dataset: 'table.csv',
    csv,
    methods: ['set' as const],
    hidden: [8],
    epochs: 1,
    epsilon: [2],
  };
  try {
    await expect(runExperiment({ ...table, inputOrder: 'tiles' })).rejects.toMatchObject({
      code: 'ERR_INVALID_ARGUMENT',
      message: expect.stringMatching(
        /^\[bench\] inputOrder of tiles takes the shape of an image, .* give \{/,
      ),
    });
    const shaped = { ...table, inputOrder: { tiles: 2, shape: [2, 2] as [number, number] } };
    expect((await runExperiment(shaped)).complete).toBe(true);
    await expect(runExperiment({ ...table, inputOrder: { tiles: 2, shape: [2, 3] } })).rejects.toMatchObject({
      code: 'ERR_SHAPE',
      message: expect.stringContaining('[bench] inputOrder.shape'),
    });
  } finally {
    await rm(folder, { recursive: true });
  }
});
