import { expect, test } from 'vitest';
import type { ClassWeight, Samples } from '../../../src/index.js';
import { bitsOf, distance, failing, oneStep, points, rowsOf, testModels, withWeights } from './networks.js';

/* `classWeight`: what each class counts in the loss of training. */

const { create } = testModels();
const train = points(24);
const pattern = [2, 0, 1, 0.5, 3];
const weighted = withWeights(train, (row) => pattern[row % pattern.length]!);

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
