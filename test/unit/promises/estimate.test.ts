import { expect, test } from 'vitest';
import { fromArrays, prepare, readCsv, SparseMLP } from '../../../src/index.js';
import { failing, testModels } from './networks.js';

/* `estimate`: numbers of raw rows in their own units. */

const { create, kept } = testModels();

const sizes = Array.from({ length: 120 }, (_, i) => ({
  size: (i * 7) % 23,
  kind: ['flat', 'house'][i % 2]!,
}));
const answers = sizes.map(({ size, kind }) => [
  20_000 + 1000 * size + (kind === 'house' ? 5000 : 0),
  size / 50,
]);
const data = fromArrays(sizes, answers, { targets: ['price', 'rooms'] });
const scaled = prepare(data, { seed: 2, targetScaling: 'standardise' });
const raw = prepare(data, { seed: 2 });

async function trained() {
  const model = await create({
    layers: [3, 16, 2],
    loss: 'mse',
    optimizer: 'adamw',
    encoding: scaled.encoding,
  });
  await model.fit(scaled.train, { epochs: 30, learningRate: 0.02, batchSize: 10 });
  return model;
}

test('estimate undoes the scaling of the targets, each by its own', async () => {
  const model = await trained();
  const { offset, divisor } = scaled.encoding.targets!;
  const outputs = await model.predict(scaled.test.x);
  // The raw rows of the test samples, by undoing the scaling of the features.
  const { offset: from, divisor: by } = scaled.encoding.scaling;
  const rows = Array.from({ length: scaled.test.count }, (_, row) => {
    const [size, flat] = [0, 1].map((k) => scaled.test.x[row * 3 + k]! * (by[k] ?? 0) + from[k]!);
    return { size: Math.round(size!), kind: Math.round(flat!) === 1 ? 'flat' : 'house' };
  });
  const estimates = await model.estimate(rows);
  expect(estimates).toHaveLength(scaled.test.count);
  estimates.forEach((estimate, row) => {
    expect(Object.keys(estimate)).toEqual(['price', 'rooms']);
    expect(estimate.price).toBeCloseTo(outputs[row * 2]! * divisor[0]! + offset[0]!, 0);
    expect(estimate.rooms).toBeCloseTo(outputs[row * 2 + 1]! * divisor[1]! + offset[1]!, 4);
    // The network has learned it: a wrong row or column would be far off.
    expect(Math.abs(estimate.price! - raw.test.targets[row * 2]!)).toBeLessThan(5000);
    expect(Math.abs(estimate.rooms! - raw.test.targets[row * 2 + 1]!)).toBeLessThan(0.1);
  });
});

test('lists of cells and objects, in any order of their keys, give the same numbers', async () => {
  const model = await trained();
  const byName = await model.estimate([
    { size: 4, kind: 'flat' },
    { kind: 'house', size: 9 },
  ]);
  const inOrder = await model.estimate([
    [4, 'flat'],
    [9, 'house'],
  ]);
  expect(inOrder).toEqual(byName);
  expect(inOrder[0]).not.toEqual(inOrder[1]);
});

test('the same numbers after toBuffer and load, and of a replica', async () => {
  const model = await trained();
  const rows = [
    { size: 4, kind: 'flat' },
    { size: 11, kind: 'house' },
  ];
  const expected = await model.estimate(rows);
  const others = [
    await SparseMLP.load(await model.toBuffer()),
    await SparseMLP.load(await model.toBuffer({ optimizer: false })),
    await model.replicate(),
  ];
  for (const other of others) {
    expect(await kept(other).estimate(rows)).toEqual(expected);
    expect(other.encoding).toEqual(scaled.encoding);
  }
});

test('of several labels it gives their probabilities', async () => {
  const flags = fromArrays(
    sizes,
    sizes.map(({ size, kind }) => [size > 11, kind === 'house']),
    { targets: ['large', 'house'] },
  );
  const { train, encoding } = prepare(flags);
  const model = await create({ layers: [3, 12, 2], loss: 'sigmoid-binary-cross-entropy', encoding });
  await model.fit(train, { epochs: 40, learningRate: 0.1, batchSize: 10 });
  const [estimate] = await model.estimate([{ size: 22, kind: 'flat' }]);
  expect(estimate!.large).toBeGreaterThan(0.8);
  expect(estimate!.large).toBeLessThanOrEqual(1);
  expect(estimate!.house).toBeGreaterThanOrEqual(0);
  expect(estimate!.house).toBeLessThan(0.2);
});

test('models of classes have no estimate, models of numbers no classes, others neither', async () => {
  const numbersOf = await trained();
  await expect(numbersOf.classify([[4, 'flat']])).rejects.toEqual(
    failing('ERR_INVALID_ARGUMENT', '[classify]'),
  );
  const { encoding } = prepare(readCsv('a,b,label\n1,2,x\n2,1,y\n3,2,x\n4,4,y\n', { label: 'label' }));
  const classes = await create({ layers: [2, 6, 2], encoding });
  await expect(classes.estimate([[1, 2]])).rejects.toEqual(failing('ERR_INVALID_ARGUMENT', '[estimate]'));
  const bare = await create();
  await expect(bare.estimate([[1, 2, 3, 4]])).rejects.toEqual(failing('ERR_INVALID_ARGUMENT', 'encoding'));
});

test('an encoding of other sizes is refused by create', async () => {
  await expect(create({ layers: [4, 6, 2], loss: 'mse', encoding: scaled.encoding })).rejects.toEqual(
    failing('ERR_SHAPE'),
  );
  await expect(create({ layers: [3, 6, 1], loss: 'mse', encoding: scaled.encoding })).rejects.toEqual(
    failing('ERR_SHAPE'),
  );
});
