import { expect, test } from 'vitest';
import { runExperiment } from '../../../src/bench.js';
import { experimentConfig } from '../../../src/experiment/config.js';
import { listDatasets, loadDataset } from '../../../src/index.js';
import { publishedRun } from '../../../src/thesis/draws.js';
import { realDataDir, realDataSkip } from '../../support/realData.js';

const small = { run: 0, hidden: [40, 30], counts: { train: 50, test: 20 } };
const procedural = loadDataset('procedural');

test('a network of the density asked for, whole layers dense, weights within their bound', () => {
  const { layers, train, test: held } = publishedRun(procedural, { ...small, epsilon: 3 });
  expect([train.count, held.count, train.features]).toEqual([50, 20, 784]);
  expect(layers.map(({ inputs, outputs, dense }) => [inputs, outputs, dense])).toEqual([
    [784, 40, false],
    [40, 30, false],
    [30, 10, false],
  ]);
  const [first] = layers;
  const expected = 3 * (784 + 40);
  expect(Math.abs(first!.weights.length - expected)).toBeLessThan(4 * Math.sqrt(expected));
  expect(Math.max(...first!.weights.map(Math.abs))).toBeLessThanOrEqual(Math.fround(Math.sqrt(6 / 784)));
  expect(publishedRun(procedural, { ...small, epsilon: 31 }).layers.map(({ dense }) => dense)).toEqual([
    false,
    true,
    true,
  ]);
});

test('the same run draws the same, another run or density something else; epochs have orders of their own', () => {
  const draw = (run: number, epsilon: number) => publishedRun(procedural, { ...small, run, epsilon });
  const [one, again, other, denser] = [draw(0, 3), draw(0, 3), draw(1, 3), draw(0, 5)];
  expect(again.layers).toEqual(one.layers);
  expect(again.trainOf(2).labels).toEqual(one.trainOf(2).labels);
  expect(one.trainOf(1).labels).not.toEqual(one.trainOf(2).labels);
  expect(Array.from(one.trainOf(1).labels).sort()).toEqual(Array.from(one.train.labels).sort());
  expect(other.train.labels).not.toEqual(one.train.labels);
  expect(denser.train.labels).toEqual(one.train.labels); // drawn before the first density
  expect(denser.layers[0]!.weights.subarray(0, 5)).not.toEqual(one.layers[0]!.weights.subarray(0, 5));
});

test('a data set without a test set of its own is refused', () => {
  const { test: _, ...rest } = procedural;
  expect(() => publishedRun(rest, { ...small, epsilon: 3 })).toThrow('a test set of its own');
});

test('in an experiment: SET and static start from the same network, with the same samples', async () => {
  const config = experimentConfig({
    dataset: 'procedural',
    readings: ['published'],
    methods: ['set', 'set-motif'],
    hidden: [40],
    epsilon: [3],
    train: 200,
    test: 100,
    epochs: 3,
  });
  const { runs } = await runExperiment(config);
  expect(runs.map(({ method, topology }) => [method, topology])).toEqual([
    ['set', 'erdos-renyi'],
    ['static', 'erdos-renyi'],
  ]);
  expect(runs[0]!.epochs[0]!.trainLoss).toBe(runs[1]!.epochs[0]!.trainLoss);
  expect(runs[0]!.epochs[2]!.trainLoss).not.toBe(runs[1]!.epochs[2]!.trainLoss);
});

/**
 * Accuracies that the thesis' program printed for static networks at epsilon 1, after the first six epochs.
 */
const printed = [
  [0.104, 0.104, 0.104, 0.109, 0.088, 0.102],
  [0.099, 0.099, 0.095, 0.095, 0.095, 0.108],
  [0.092, 0.097, 0.097, 0.098, 0.12, 0.097],
];

test(`Fashion-MNIST: the printed accuracies come out, digit for digit${realDataSkip}`, {
  timeout: 120_000,
}, async (context) => {
  const dataDir = realDataDir ?? 'no folder of real data';
  const found = realDataDir && listDatasets({ dataDir }).find(({ name }) => name === 'fashion-mnist')?.found;
  context.skip(!found, `fashion-mnist is not in ${dataDir}`);
  const { runs } = await runExperiment({
    dataset: 'fashion-mnist',
    dataDir,
    readings: ['published'],
    methods: ['static'],
    init: 'he-dense',
    epsilon: [1],
    epochs: 6,
    runs: 3,
  });
  expect(runs.map(({ epochs }) => epochs.map(({ testAccuracy }) => testAccuracy))).toEqual(printed);
});
