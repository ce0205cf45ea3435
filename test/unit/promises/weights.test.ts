import { expect, test } from 'vitest';
import {
  type ClassWeight,
  prepare,
  type Samples,
  type SparseMLP,
  splitSamples,
  subsetSamples,
  uploadSamples,
} from '../../../src/index.js';
import { bitsOf, failing, logitsOf, points, softmax, testModels } from './networks.js';

/* Weights of samples and of classes: how often a sample counts in the loss. */

const { create } = testModels();
const train = points(24);

/** One step over all samples at once, in their order: what it makes of the weights tells the gradient. */
const oneStep = {
  epochs: 1,
  batchSize: 4096,
  shuffle: false,
  momentum: 0,
  weightDecay: 0,
  evolution: { method: 'static' },
} as const;

const withWeights = (samples: Samples, weightOf: (row: number) => number): Samples => ({
  ...samples,
  weights: Float32Array.from({ length: samples.count }, (_, row) => weightOf(row)),
});

/** Rows of samples, each as often as it is named. */
function rowsOf({ x, labels, features }: Samples, rows: number[]): Samples {
  return {
    x: Float32Array.from(rows.flatMap((row) => [...x.subarray(row * features, (row + 1) * features)])),
    labels: Uint32Array.from(rows, (row) => labels[row]!),
    count: rows.length,
    features,
  };
}

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

/** The largest difference of a weight or bias of two models. */
async function distance(one: SparseMLP, two: SparseMLP): Promise<number> {
  const [a, b] = [await one.download(), await two.download()];
  let most = 0;
  for (const [k, layer] of a.entries()) {
    for (const part of ['weights', 'bias'] as const) {
      layer[part].forEach((value, i) => {
        most = Math.max(most, Math.abs(value - b[k]![part][i]!));
      });
    }
  }
  return most;
}

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

test('the same bits with one thread and two, with weights', async () => {
  const [one, two] = [await create({ layers: [4, 40, 3] }), await create({ layers: [4, 40, 3], threads: 2 })];
  for (const model of [one, two]) await model.fit(weighted, { epochs: 3, batchSize: 7 });
  expect(await bitsOf(two)).toBe(await bitsOf(one));
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

// Expected: "`details` holds the values of the message for programs" (docs/errors.md); they are empty.
test.fails('details name the row of a bad weight', async () => {
  const model = await create();
  const samples = { ...train, weights: weighted.weights!.with(7, -1) };
  await expect(model.fit(samples)).rejects.toMatchObject({ details: { row: 7 } });
});

test('balanced: samples / (classes x samples of the class), for each sample', async () => {
  const rows = Array.from({ length: 24 }, (_, row) => row).filter(
    (row) => train.labels[row] !== 1 || row % 2 === 0,
  );
  const uneven = rowsOf(train, rows);
  const counts = [0, 1, 2].map((label) => uneven.labels.filter((each) => each === label).length);
  expect(new Set(counts).size).toBeGreaterThan(1);
  const factors = counts.map((count) => uneven.count / (3 * count));
  const [balanced, listed, weighed, plain] = await Promise.all([create(), create(), create(), create()]);
  await balanced.fit(uneven, { epochs: 3, classWeight: 'balanced' });
  await listed.fit(uneven, { epochs: 3, classWeight: factors });
  await weighed.fit(
    withWeights(uneven, (row) => factors[uneven.labels[row]!]!),
    { epochs: 3 },
  );
  await plain.fit(uneven, { epochs: 3 });
  expect(await bitsOf(balanced)).toBe(await bitsOf(weighed));
  expect(await bitsOf(listed)).toBe(await bitsOf(weighed));
  expect(await bitsOf(plain)).not.toBe(await bitsOf(weighed));
});

test('balanced counts samples, not their weights, which are beside it', async () => {
  const [both, product] = [await create(), await create()];
  const counts = [0, 1, 2].map((label) => train.labels.filter((each) => each === label).length);
  await both.fit(weighted, { epochs: 2, classWeight: 'balanced' });
  const uneven = withWeights(
    train,
    (row) => weighted.weights![row]! * (24 / (3 * counts[train.labels[row]!]!)),
  );
  await product.fit(uneven, { epochs: 2 });
  expect(await distance(both, product)).toBeLessThan(1e-6);
});

test('classWeight counts beside the weights of the samples: their product', async () => {
  const [both, product] = [await create(), await create()];
  const classWeight = [2, 0, 0.5];
  await both.fit(weighted, { epochs: 3, classWeight });
  await product.fit(
    withWeights(train, (row) => weighted.weights![row]! * classWeight[train.labels[row]!]!),
    { epochs: 3 },
  );
  expect(await bitsOf(both)).toBe(await bitsOf(product));
});

test('a class weight is of the loss of training, not of the samples held out', async () => {
  const [given, plain] = [await create(), await create()];
  const options = { ...oneStep, validation: points(30, { seed: 3 }), learningRate: 1e-30 };
  const [one, two] = [
    await given.fit(train, { ...options, classWeight: [3, 3, 3] }),
    await plain.fit(train, options),
  ];
  expect(one.epochs[0]!.trainLoss).toBeCloseTo(3 * two.epochs[0]!.trainLoss, 5);
  expect(one.epochs[0]!.validationLoss).toBeCloseTo(two.epochs[0]!.validationLoss!, 6);
});

const badClassWeights: [string, unknown][] = [
  ['too few', [1, 1]],
  ['too many', [1, 1, 1, 1]],
  ['negative', [1, -1, 1]],
  ['NaN', [1, Number.NaN, 1]],
  ['infinite', [1, Number.POSITIVE_INFINITY, 1]],
  ['a word', 'even'],
  ['an object by class', { 0: 1, 1: 2, 2: 1 }],
  ['null', null],
];

test.each(badClassWeights)('classWeight %s is refused before anything is trained', async (_, wrong) => {
  const model = await create();
  const before = await bitsOf(model);
  const options = { classWeight: wrong as ClassWeight };
  await expect(model.fit(train, options)).rejects.toMatchObject({
    code: 'ERR_INVALID_ARGUMENT',
    details: { option: 'classWeight' },
  });
  expect(await bitsOf(model)).toBe(before);
});

test('figures other than the loss count samples, whatever their weights', async () => {
  const model = await create();
  await model.fit(train, { epochs: 3 });
  const { loss: plainLoss, ...plain } = await model.evaluate(train);
  const { loss, ...given } = await model.evaluate(weighted);
  expect(given).toEqual(plain);
  expect(loss).not.toBe(plainLoss);
});

test('of one output there are two classes, each with its weight', async () => {
  const two: Samples = { ...train, labels: train.labels.map((label) => (label === 0 ? 1 : 0)) };
  const kind = { layers: [4, 6, 1], loss: 'sigmoid-binary-cross-entropy' as const };
  const [listed, weighed, balanced, factored] = await Promise.all([1, 2, 3, 4].map(() => create(kind)));
  await listed!.fit(two, { epochs: 2, classWeight: [0.5, 3] });
  await weighed!.fit(
    withWeights(two, (row) => [0.5, 3][two.labels[row]!]!),
    { epochs: 2 },
  );
  expect(await bitsOf(listed!)).toBe(await bitsOf(weighed!));
  const ones = two.labels.filter((label) => label === 1).length;
  await balanced!.fit(two, { epochs: 2, classWeight: 'balanced' });
  await factored!.fit(two, { epochs: 2, classWeight: [24 / (2 * (24 - ones)), 24 / (2 * ones)] });
  expect(await bitsOf(balanced!)).toBe(await bitsOf(factored!));
  await expect(listed!.fit(two, { classWeight: [1] })).rejects.toEqual(failing('ERR_INVALID_ARGUMENT'));
});

test('balanced, where a class has no samples: the others are balanced all the same', async () => {
  const [balanced, listed] = [await create(), await create()];
  const rows = Array.from({ length: 24 }, (_, row) => row).filter((row) => train.labels[row] !== 1);
  const without = rowsOf(train, rows);
  const { epochs } = await balanced.fit(without, { classWeight: 'balanced' });
  expect(epochs[0]!.trainLoss).toBeGreaterThan(0);
  const counts = [0, 1, 2].map((label) => without.labels.filter((each) => each === label).length);
  const classWeight = counts.map((count) => (count === 0 ? 1 : without.count / (2 * count)));
  await listed.fit(without, { classWeight });
  expect(await bitsOf(balanced)).toBe(await bitsOf(listed));
});

test('classWeight for samples with targets, which have no classes, is refused', async () => {
  const model = await create();
  const { labels, ...rest } = train;
  const targets = Float32Array.from({ length: 72 }, (_, i) => (labels[Math.floor(i / 3)] === i % 3 ? 1 : 0));
  for (const classWeight of ['balanced', [1, 2, 1]] as const) {
    await expect(model.fit({ ...rest, targets }, { classWeight })).rejects.toEqual(
      failing('ERR_INVALID_ARGUMENT', 'classWeight'),
    );
  }
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
