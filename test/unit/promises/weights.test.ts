import { expect, test } from 'vitest';
import { prepare, type Samples, splitSamples, subsetSamples, uploadSamples } from '../../../src/index.js';
import {
  bitsOf,
  distance,
  failing,
  logitsOf,
  oneStep,
  points,
  rowsOf,
  softmax,
  testModels,
  withWeights,
} from './networks.js';

/* `weights` of samples: how often each counts in the loss. */

const { create } = testModels();
const train = points(24);
const pattern = [2, 0, 1, 0.5, 3];
const weighted = withWeights(train, (row) => pattern[row % pattern.length]!);

test('the loss that evaluate gives is the mean over the samples of each loss times its weight', async () => {
  const model = await create();
  await model.fit(train, { epochs: 2 });
  const layers = await model.download();
  const sum = logitsOf(layers, train.x).reduce(
    (total, logits, row) => total - weighted.weights![row]! * Math.log(softmax(logits)[train.labels[row]!]!),
    0,
  );
  expect((await model.evaluate(weighted)).loss).toBeCloseTo(sum / train.count, 5);
});

test('the loss of training, too, taken before the update', async () => {
  const model = await create();
  const before = await model.evaluate(weighted);
  const { epochs } = await model.fit(weighted, oneStep);
  expect(epochs[0]!.trainLoss).toBeCloseTo(before.loss, 6);
});

test('a validation with weights is what evaluate gives', async () => {
  const model = await create();
  const { epochs } = await model.fit(train, { validation: weighted });
  const { loss, accuracy } = await model.evaluate(weighted);
  expect(epochs[0]).toMatchObject({ validationLoss: loss, validationAccuracy: accuracy });
});

test('the step of the last bias is the mean gradient of the plain formula', async () => {
  const model = await create();
  const before = await model.download();
  await model.fit(weighted, { ...oneStep, learningRate: 0.1 });
  const after = await model.download();
  const gradient = [0, 0, 0];
  for (const [row, logits] of logitsOf(before, train.x).entries()) {
    softmax(logits).forEach((share, k) => {
      gradient[k]! += (weighted.weights![row]! * (share - (train.labels[row] === k ? 1 : 0))) / train.count;
    });
  }
  const steps = after.at(-1)!.bias.map((bias, k) => bias - before.at(-1)!.bias[k]!);
  gradient.forEach((value, k) => {
    expect(Math.abs(value)).toBeGreaterThan(1e-3);
    expect(steps[k]).toBeCloseTo(-0.1 * value, 5);
  });
});

test('whole weights count as often as a sample is repeated', async () => {
  const [given, repeated, plain] = [await create(), await create(), await create()];
  const counts = [2, 1, 3, 1]; // of every four rows, 42 in all
  const rows = Array.from({ length: 24 }, (_, row) =>
    Array.from({ length: counts[row % 4]! }, () => row),
  ).flat();
  const scale = 24 / rows.length; // the mean is over the samples, whatever their weights
  await given.fit(
    withWeights(train, (row) => counts[row % 4]! * scale),
    oneStep,
  );
  await repeated.fit(rowsOf(train, rows), oneStep);
  await plain.fit(train, oneStep);
  expect(await distance(given, repeated)).toBeLessThan(1e-6);
  expect(await distance(given, plain)).toBeGreaterThan(1e-4);
});

test('samples of weight 0 are as if they were not there, but in the number that the mean divides by', async () => {
  const [zeros, fewer] = [await create(), await create()];
  const rows = Array.from({ length: 24 }, (_, row) => row).filter((row) => row % 3 !== 0);
  await zeros.fit(
    withWeights(train, (row) => (row % 3 === 0 ? 0 : 24 / rows.length)),
    oneStep,
  );
  await fewer.fit(rowsOf(train, rows), oneStep);
  expect(await distance(zeros, fewer)).toBeLessThan(1e-6);
});

test('what a sample of weight 0 is does not matter to the bits', async () => {
  const [one, two] = [await create(), await create()];
  const weights = train.labels.map((_, row) => (row % 3 === 0 ? 0 : 1));
  const other = points(24, { seed: 77 });
  const x = train.x.map((value, i) => (Math.floor(i / 4) % 3 === 0 ? other.x[i]! : value));
  await one.fit({ ...train, weights: Float32Array.from(weights) }, { epochs: 3, batchSize: 8 });
  await two.fit({ ...train, x, weights: Float32Array.from(weights) }, { epochs: 3, batchSize: 8 });
  expect(await two.download()).toEqual(await one.download());
});

test('weights of 1 change no bit', async () => {
  const [ones, none] = [await create(), await create()];
  for (const [model, samples] of [
    [ones, withWeights(train, () => 1)],
    [none, train],
  ] as const) {
    await model.fit(samples, { epochs: 3, batchSize: 5 });
  }
  expect(await bitsOf(ones)).toBe(await bitsOf(none));
});

test('weights follow their samples when these are shuffled', async () => {
  const [all, kept] = [await create(), await create()];
  // Batches of one sample: a step of weight 0 changes nothing, without momentum and decay.
  const options = { epochs: 1, batchSize: 1, momentum: 0, weightDecay: 0 };
  const only = withWeights(train, (row) => (row === 5 ? 1 : 0));
  await all.fit(only, options);
  await kept.fit(rowsOf(train, [5]), { ...options });
  expect(await distance(all, kept)).toBeLessThan(1e-7);
  expect((await all.download())[0]!.weights).not.toEqual((await (await create()).download())[0]!.weights);
});

test('in batches, the last of them smaller, the mean of each is over its samples', async () => {
  const model = await create();
  const before = await model.download();
  const options = { ...oneStep, batchSize: 16, learningRate: 0.1 };
  await model.fit(weighted, options);
  const parts = await create();
  const part = (from: number, to: number): Samples => ({
    x: train.x.slice(from * 4, to * 4),
    labels: train.labels.slice(from, to),
    weights: weighted.weights!.slice(from, to),
    count: to - from,
    features: 4,
  });
  await parts.fit(part(0, 16), options);
  await parts.fit(part(16, 24), options);
  expect(await distance(model, parts)).toBeLessThan(1e-6);
  expect((await model.download())[0]!.weights).not.toEqual(before[0]!.weights);
});

test('the same bits with one thread and two, with weights', async () => {
  const [one, two] = [await create({ layers: [4, 40, 3] }), await create({ layers: [4, 40, 3], threads: 2 })];
  for (const model of [one, two]) await model.fit(weighted, { epochs: 3, batchSize: 7 });
  expect(await bitsOf(two)).toBe(await bitsOf(one));
});

test('figures other than the loss count samples, whatever their weights', async () => {
  const model = await create();
  await model.fit(train, { epochs: 3 });
  const { loss: plainLoss, ...plain } = await model.evaluate(train);
  const { loss, ...given } = await model.evaluate(weighted);
  expect(given).toEqual(plain);
  expect(loss).not.toBe(plainLoss);
});

test('mean absolute error and r2 count samples, whatever their weights', async () => {
  const model = await create({ loss: 'mse' });
  const { labels, ...rest } = train;
  const targets = Float32Array.from({ length: 72 }, (_, i) => labels[Math.floor(i / 3)]! + (i % 3));
  const { weights } = weighted;
  const { loss: plainLoss, ...plain } = await model.evaluate({ ...rest, targets });
  const { loss, ...given } = await model.evaluate({ ...rest, targets, weights: weights! });
  expect(given).toEqual(plain);
  expect(loss).not.toBe(plainLoss);
});

test('uploaded samples keep their weights, which are copied', async () => {
  const model = await create();
  const expected = (await model.evaluate(weighted)).loss;
  const mine = { ...weighted, weights: weighted.weights!.slice() };
  const uploaded = await uploadSamples(mine);
  mine.weights.fill(1);
  expect((await model.evaluate(uploaded)).loss).toBe(expected);
  uploaded.dispose();
});

test('prepare, splitSamples and subsetSamples keep weights with their rows', () => {
  const samples: Samples = {
    x: Float32Array.from({ length: 30 }, (_, row) => row),
    labels: Uint32Array.from({ length: 30 }, (_, row) => row % 3),
    weights: Float32Array.from({ length: 30 }, (_, row) => row + 0.5),
    count: 30,
    features: 1,
  };
  const classNames = ['a', 'b', 'c'];
  const dataset = { name: 'mine', source: 'embedded', features: 1, classes: 3, classNames, train: samples };
  const scaling = { kind: 'none' } as const;
  const prepared = prepare({ ...dataset, scaling }, { seed: 2, validation: 5 });
  const split = splitSamples(samples, { seed: 2 });
  const parts = [prepared.train, prepared.validation!, prepared.test, split.train, split.test];
  for (const part of [...parts, subsetSamples(samples, 9, 4)]) {
    part.x.forEach((row, at) => {
      expect(part.weights![at]).toBe(row + 0.5);
      expect(part.labels[at]).toBe(row % 3);
    });
    expect(part.weights).toHaveLength(part.count);
  }
});

const wrongWeights: [string, Partial<Samples>, string][] = [
  ['a negative one', { weights: weighted.weights!.with(7, -1) }, 'ERR_OUT_OF_RANGE'],
  ['NaN', { weights: weighted.weights!.with(7, Number.NaN) }, 'ERR_OUT_OF_RANGE'],
  ['infinity', { weights: weighted.weights!.with(7, Number.POSITIVE_INFINITY) }, 'ERR_OUT_OF_RANGE'],
  ['all of them 0', { weights: new Float32Array(24) }, 'ERR_OUT_OF_RANGE'],
  ['one too few', { weights: weighted.weights!.slice(1) }, 'ERR_SHAPE'],
  ['one too many', { weights: new Float32Array(25).fill(1) }, 'ERR_SHAPE'],
  ['none', { weights: new Float32Array(0) }, 'ERR_SHAPE'],
  ['a list', { weights: Array.from({ length: 24 }, () => 1) as never }, 'ERR_INVALID_ARGUMENT'],
  ['double precision', { weights: new Float64Array(24).fill(1) as never }, 'ERR_INVALID_ARGUMENT'],
  ['a misspelt key', { weight: weighted.weights } as never, 'ERR_INVALID_ARGUMENT'],
];

test.each(wrongWeights)('%s: refused by fit, train, evaluate and uploadSamples', async (_, wrong, code) => {
  const model = await create();
  const samples = { ...train, ...wrong };
  const before = await bitsOf(model);
  for (const call of [
    () => model.fit(samples),
    () => model.train(samples).next(),
    () => model.evaluate(samples),
    () => model.fit(train, { validation: samples }),
    () => uploadSamples(samples),
  ]) {
    await expect(call()).rejects.toEqual(failing(code));
  }
  expect(await bitsOf(model)).toBe(before);
});

test('the message names the row of a bad weight', async () => {
  const model = await create();
  for (const value of [-1, Number.NaN]) {
    const samples = { ...train, weights: weighted.weights!.with(7, value) };
    await expect(model.fit(samples)).rejects.toEqual(failing('ERR_OUT_OF_RANGE', 'row 7'));
  }
});

test('details name the row of a bad weight', async () => {
  const model = await create();
  const samples = { ...train, weights: weighted.weights!.with(7, -1) };
  await expect(model.fit(samples)).rejects.toMatchObject({ details: { row: 7 } });
});
