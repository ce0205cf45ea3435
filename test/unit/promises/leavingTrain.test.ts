import { expect, test } from 'vitest';
import { SparseMLP } from '../../../src/index.js';
import { bitsOf, figures, points, testModels } from './networks.js';

/* A loop over `train` that is left early leaves the model of a `fit` which ended after that epoch. */

const { create, kept } = testModels();
const train = points(60);
const kind = { layers: [4, 12, 12, 3] };

/** The model of a fit of at most `epochs` epochs that ends after epoch `last`. */
async function fitted(epochs: number, last: number) {
  const model = await create(kind);
  await model.fit(train, { epochs, onEpoch: ({ epoch }) => epoch !== last });
  return model;
}

const leave: [string, (model: SparseMLP, last: number) => Promise<unknown>][] = [
  [
    'break',
    async (model, last) => {
      for await (const { epoch } of model.train(train, { epochs: 4 })) if (epoch === last) break;
    },
  ],
  [
    'return',
    async (model, last) => {
      const found = async () => {
        for await (const { epoch } of model.train(train, { epochs: 4 })) if (epoch === last) return epoch;
        return undefined;
      };
      expect(await found()).toBe(last);
    },
  ],
  [
    'throw',
    async (model, last) => {
      const mine = new Error('mine');
      const thrown = (async () => {
        for await (const { epoch } of model.train(train, { epochs: 4 })) if (epoch === last) throw mine;
      })();
      await expect(thrown).rejects.toBe(mine);
    },
  ],
  [
    'continue of a loop around',
    async (model, last) => {
      outer: for (const round of [1, 2]) {
        if (round === 2) break;
        for await (const { epoch } of model.train(train, { epochs: 4 })) if (epoch === last) continue outer;
      }
    },
  ],
  [
    'return() of the iterator',
    async (model, last) => {
      const iterator = model.train(train, { epochs: 4 });
      for (let epoch = 1; epoch <= last; epoch++) await iterator.next();
      await iterator.return(undefined as never);
      expect(await iterator.next()).toEqual({ done: true, value: undefined });
    },
  ],
  [
    'throw() of the iterator',
    async (model, last) => {
      const iterator = model.train(train, { epochs: 4 });
      for (let epoch = 1; epoch <= last; epoch++) await iterator.next();
      const mine = new Error('mine');
      await expect(iterator.throw(mine)).rejects.toBe(mine);
      expect(await iterator.next()).toEqual({ done: true, value: undefined });
    },
  ],
];

test.each(leave)(
  '%s: the model is that of the epoch, and goes on as if nothing had been',
  async (_, leaving) => {
    for (const last of [1, 3, 4]) {
      const model = await create(kind);
      await leaving(model, last);
      const other = await fitted(4, last);
      expect(model.epochs).toBe(last);
      expect(await bitsOf(model)).toBe(await bitsOf(other));
      expect(await model.predict(train.x)).toEqual(await other.predict(train.x));
      const whole = await create(kind);
      await whole.fit(train, { epochs: 6 });
      const rest = await model.fit(train, { until: 6 });
      expect(rest.epochs.map(({ epoch }) => epoch)).toEqual([1, 2, 3, 4, 5, 6].slice(last));
      expect(await bitsOf(model)).toBe(await bitsOf(whole));
    }
  },
);

test('left before its first epoch it has trained nothing', async () => {
  const [model, untouched] = [await create(kind), await create(kind)];
  const iterator = model.train(train, { epochs: 3 });
  await iterator.return(undefined as never);
  expect(model.epochs).toBe(0);
  expect(await bitsOf(model)).toBe(await bitsOf(untouched));
  await model.fit(train, { epochs: 2 });
  expect(await bitsOf(model)).toBe(await bitsOf(await fitted(2, 2)));
});

test('left and gone on with, by train, from a saved file', async () => {
  const model = await create(kind);
  for await (const { epoch } of model.train(train, { until: 5 })) if (epoch === 2) break;
  const loaded = kept(await SparseMLP.load(await model.toBuffer(), { backend: 'cpu', threads: 1 }));
  const reports = [];
  for await (const report of loaded.train(train, { until: 5 })) reports.push(report);
  const whole = await create(kind);
  const { epochs } = await whole.fit(train, { until: 5 });
  expect(reports.map(({ trainLoss }) => trainLoss)).toEqual(
    epochs.slice(2).map(({ trainLoss }) => trainLoss),
  );
  expect(reports.map(({ nnz }) => nnz)).toEqual(epochs.slice(2).map(({ nnz }) => nnz));
  expect(await bitsOf(loaded)).toBe(await bitsOf(whole));
});

test('nothing of a loop that was left is trained in the background', async () => {
  const model = await create(kind);
  for await (const _ of model.train(train, { epochs: 1000 })) break;
  const before = await bitsOf(model);
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(model.epochs).toBe(1);
  expect(await bitsOf(model)).toBe(before);
});

test('nothing is trained between two reports before the next one is asked for', async () => {
  const [model, other] = [await create(kind), await create(kind)];
  const iterator = model.train(train, { epochs: 3 });
  const first = (await iterator.next()).value;
  const before = await model.predict(train.x);
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(model.epochs).toBe(1);
  expect(await model.predict(train.x)).toEqual(before);
  await iterator.return(undefined as never);
  const { epochs } = await other.fit(train, { epochs: 3, onEpoch: () => false });
  expect(figures(first as (typeof epochs)[0])).toEqual(figures(epochs[0]!));
});
