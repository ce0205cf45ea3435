import { expect, test } from 'vitest';
import { type SparseMLP, type UploadedSamples, uploadSamples } from '../../../src/index.js';
import { bitsOf, failing, points, testModels } from './networks.js';

/* Uploaded samples: copied once, for any number of calls of any models, until they are disposed of. */

const { create } = testModels();
const train = points(60);
const kind = { layers: [4, 12, 12, 3] };

test('fit, train, evaluate and predict take them, those of several models at once', async () => {
  const uploaded = await uploadSamples(train);
  const [one, two, other] = [await create(kind), await create(kind), await create(kind)];
  const loop = async () => {
    for await (const _ of two.train(uploaded, { epochs: 3, validation: uploaded }));
  };
  await Promise.all([one.fit(uploaded, { epochs: 3, validation: uploaded }), loop()]);
  await other.fit(train, { epochs: 3 });
  for (const model of [one, two]) expect(await bitsOf(model)).toBe(await bitsOf(other));
  expect(await one.evaluate(uploaded)).toEqual(await other.evaluate(train));
  expect(await one.predict(uploaded)).toEqual(await other.predict(train.x));
  uploaded.dispose();
});

test('what was handed in may change when the promise has settled', async () => {
  const mine = { ...train, x: train.x.slice(), labels: train.labels.slice() };
  const uploaded = await uploadSamples(mine);
  mine.x.fill(9);
  mine.labels.fill(0);
  const model = await create(kind);
  expect(await model.evaluate(uploaded)).toEqual(await model.evaluate(train));
  expect(uploaded.labels).toEqual(train.labels);
  expect(uploaded).toMatchObject({ count: 60, features: 4 });
  uploaded.dispose();
});

test('once they are disposed of every call that is made rejects', async () => {
  const model = await create(kind);
  const uploaded = await uploadSamples(train);
  uploaded.dispose();
  uploaded.dispose();
  for (const call of [
    () => model.fit(uploaded),
    () => model.train(uploaded).next(),
    () => model.evaluate(uploaded),
    () => model.predict(uploaded),
  ]) {
    await expect(call()).rejects.toEqual(failing('ERR_DISPOSED'));
  }
  expect(model.epochs).toBe(0);
});

test('held out samples that are disposed of are refused before an epoch', async () => {
  const model = await create(kind);
  const uploaded = await uploadSamples(train);
  uploaded.dispose();
  await expect(model.fit(train, { validation: uploaded })).rejects.toEqual(failing('ERR_DISPOSED'));
  expect(model.epochs).toBe(0);
});

test('samples of other sizes than the model are refused by it', async () => {
  const uploaded = await uploadSamples(points(20, { features: 5 }));
  const model = await create(kind);
  for (const call of [model.fit(uploaded), model.evaluate(uploaded), model.predict(uploaded)]) {
    await expect(call).rejects.toEqual(failing('ERR_SHAPE'));
  }
  uploaded.dispose();
});

test('labels beyond the outputs of the model are refused by evaluate and fit', async () => {
  const uploaded = await uploadSamples(points(30, { classes: 9 }));
  const model = await create(kind);
  for (const call of [model.evaluate(uploaded), model.fit(uploaded)]) {
    await expect(call).rejects.toEqual(failing('ERR_OUT_OF_RANGE'));
  }
  uploaded.dispose();
});

test('predict does not look at labels', async () => {
  const many = points(30, { classes: 9 });
  const model = await create(kind);
  expect(await model.predict(await uploadSamples(many))).toEqual(await model.predict(many.x));
});

const uses: [string, (model: SparseMLP, uploaded: UploadedSamples) => Promise<unknown>][] = [
  [
    'fit, in onEpoch',
    (model, uploaded) => model.fit(uploaded, { epochs: 3, onEpoch: () => uploaded.dispose() }),
  ],
  [
    'fit, held out, in onEpoch',
    (model, uploaded) =>
      model.fit(train, { epochs: 3, validation: uploaded, onEpoch: () => uploaded.dispose() }),
  ],
  [
    'train, in the body',
    async (model, uploaded) => {
      for await (const _ of model.train(uploaded, { epochs: 3 })) uploaded.dispose();
    },
  ],
  [
    'fit, as soon as it was called',
    (model, uploaded) => {
      const fitting = model.fit(uploaded, { epochs: 3 });
      uploaded.dispose();
      return fitting;
    },
  ],
  [
    'evaluate, as soon as it was called',
    (model, uploaded) => {
      const evaluating = model.evaluate(uploaded);
      uploaded.dispose();
      return evaluating;
    },
  ],
  [
    'predict, as soon as it was called',
    (model, uploaded) => {
      const predicting = model.predict(uploaded);
      uploaded.dispose();
      return predicting;
    },
  ],
];

test.each(uses)('disposed of while a call uses them: %s', async (_, use) => {
  const model = await create(kind);
  await use(model, await uploadSamples(train));
});
