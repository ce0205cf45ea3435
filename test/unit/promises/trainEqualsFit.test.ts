import { expect, test } from 'vitest';
import { type ModelOptions, type SparseMLP, type TrainOptions, uploadSamples } from '../../../src/index.js';
import { bitsOf, figures, points, testModels } from './networks.js';

/* A loop over `train` that is run to its end is the same training as a call of `fit`. */

const { create } = testModels();
const train = points(60);
const validation = points(30, { seed: 2 });

const trainings: [string, Partial<ModelOptions>, TrainOptions][] = [
  ['one epoch, all by default', {}, {}],
  ['set', { layers: [4, 12, 12, 3] }, { epochs: 4 }],
  [
    'set-motif and AdamW on two threads',
    { layers: [4, 12, 12, 3], topology: 'motif', optimizer: 'adamw', threads: 2 },
    { epochs: 4, evolution: { method: 'set-motif' } },
  ],
  ['static', {}, { epochs: 3, evolution: { method: 'static' } }],
  [
    'schedules by steps',
    { layers: [4, 12, 12, 3] },
    {
      until: 5,
      batchSize: 7,
      learningRate: { schedule: 'cosine', warmup: { steps: 4 } },
      evolution: { every: { steps: 5 }, zeta: (progress) => 0.5 * (1 - progress), until: 0.9 },
    },
  ],
  ['samples held out, and class weights', {}, { epochs: 4, validation, classWeight: [1, 2, 0.5] }],
  ['not shuffled', {}, { epochs: 3, shuffle: false, batchSize: 16 }],
];

async function loop(model: SparseMLP, options: TrainOptions) {
  const iterator = model.train(train, options);
  const reports = [];
  for (;;) {
    const { done, value } = await iterator.next();
    if (done) return { reports, history: value };
    reports.push(value);
  }
}

test.each(trainings)('%s: the same bits, reports and history', async (_, kind, options) => {
  const [fitted, looped] = [await create(kind), await create(kind)];
  const expected = await fitted.fit(train, options);
  const { reports, history } = await loop(looped, options);
  expect(reports.map(figures)).toEqual(expected.epochs.map(figures));
  expect(history.epochs).toEqual(reports);
  expect({ ...history, epochs: [] }).toEqual({ ...expected, epochs: [] });
  expect(looped.epochs).toBe(fitted.epochs);
  expect(await bitsOf(looped)).toBe(await bitsOf(fitted));
});

test('the same bits for any number of threads', async () => {
  const wide = { layers: [4, 40, 40, 3], epsilon: 3 };
  const [one, two] = [await create(wide), await create({ ...wide, threads: 2 })];
  await loop(one, { epochs: 4 });
  await loop(two, { epochs: 4 });
  expect(await bitsOf(two)).toBe(await bitsOf(one));
});

test('calls of train and fit in turn are one training', async () => {
  const [whole, parts] = [await create({ layers: [4, 12, 12, 3] }), await create({ layers: [4, 12, 12, 3] })];
  await whole.fit(train, { epochs: 7 });
  await loop(parts, { epochs: 2 });
  await parts.fit(train, { epochs: 1 });
  await loop(parts, { epochs: 1 });
  await loop(parts, { until: 6 });
  await parts.fit(train, { until: 7 });
  expect(await bitsOf(parts)).toBe(await bitsOf(whole));
});

test('uploaded samples are taken, and freed by their owner only', async () => {
  const [fitted, looped] = [await create(), await create()];
  await fitted.fit(train, { epochs: 2 });
  const uploaded = await uploadSamples(train);
  for await (const { epoch } of looped.train(uploaded, { epochs: 2 })) expect(epoch).toBe(looped.epochs);
  expect(await bitsOf(looped)).toBe(await bitsOf(fitted));
  expect(await looped.evaluate(uploaded)).toEqual(await fitted.evaluate(train));
  uploaded.dispose();
});

test('another network is trained by other options: what is compared can differ', async () => {
  const [one, two] = [await create(), await create()];
  await loop(one, { epochs: 2 });
  await loop(two, { epochs: 2, batchSize: 39 });
  expect(await bitsOf(one)).not.toBe(await bitsOf(two));
});
