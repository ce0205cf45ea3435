import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { bitsOf, failing, points, testModels } from './networks.js';

/* Iterations of `train` that meet on one model, that are never begun, or that are gone through twice. */

const { create } = testModels();
const train = points(60);
const kind = { layers: [4, 12, 12, 3] };

test('a loop that is made and never begun takes nothing and hinders nobody', async () => {
  const [model, other] = [await create(kind), await create(kind)];
  model.train(train, { epochs: 100 });
  await model.fit(train, { epochs: 2 });
  await other.fit(train, { epochs: 2 });
  expect(await bitsOf(model)).toBe(await bitsOf(other));
  for await (const { epoch } of model.train(train)) expect(epoch).toBe(3);
  await model.close();
});

test('a second loop and a fit are refused while a first is not done, which goes on', async () => {
  const [model, other] = [await create(kind), await create(kind)];
  const first = model.train(train, { epochs: 2 });
  const second = model.train(train, { epochs: 2 });
  expect((await first.next()).value).toMatchObject({ epoch: 1 });
  await expect(second.next()).rejects.toEqual(failing('ERR_BUSY', '[train]'));
  await expect(model.fit(train)).rejects.toEqual(failing('ERR_BUSY', '[fit]'));
  expect((await first.next()).value).toMatchObject({ epoch: 2 });
  expect((await first.next()).done).toBe(true);
  await other.fit(train, { epochs: 2 });
  expect(await bitsOf(model)).toBe(await bitsOf(other));
});

test('a loop that was refused is done; another one may follow the first', async () => {
  const model = await create(kind);
  const first = model.train(train, { epochs: 2 });
  await first.next();
  const second = model.train(train);
  await expect(second.next()).rejects.toEqual(failing('ERR_BUSY'));
  await first.return(undefined as never);
  expect(await second.next()).toEqual({ done: true, value: undefined });
  expect((await model.train(train).next()).value).toMatchObject({ epoch: 2 });
});

test('a loop that was made while another one ran, and begun when that was done, trains', async () => {
  const model = await create(kind);
  const [first, second] = [model.train(train, { epochs: 2 }), model.train(train, { epochs: 2 })];
  const epochs: number[] = [];
  for await (const { epoch } of first) epochs.push(epoch);
  for await (const { epoch } of second) epochs.push(epoch);
  expect(epochs).toEqual([1, 2, 3, 4]);
});

test('two loops begun in the same moment: one trains, the other is refused', async () => {
  const model = await create(kind);
  const both = await Promise.allSettled([1, 2].map(() => model.train(train, { epochs: 2 }).next()));
  expect(both.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  expect(both.find(({ status }) => status === 'rejected')).toMatchObject({ reason: failing('ERR_BUSY') });
  expect(model.epochs).toBe(1);
});

test('a loop that is gone through a second time is done at once, as of any generator', async () => {
  const model = await create(kind);
  const iterator = model.train(train, { epochs: 2 });
  let seen = 0;
  for await (const _ of iterator) seen++;
  for await (const _ of iterator) seen++;
  expect(seen).toBe(2);
  expect(model.epochs).toBe(2);
});

test('several epochs asked for at once come in their order', async () => {
  const [model, other] = [await create(kind), await create(kind)];
  const iterator = model.train(train, { epochs: 3 });
  const results = await Promise.all([1, 2, 3, 4].map(() => iterator.next()));
  expect(results.map(({ done }) => done)).toEqual([false, false, false, true]);
  expect(results.slice(0, 3).map(({ value }) => (value as { epoch: number }).epoch)).toEqual([1, 2, 3]);
  await other.fit(train, { epochs: 3 });
  expect(await bitsOf(model)).toBe(await bitsOf(other));
});

test('a loop begun while a fit runs waits for it, and goes on from there', async () => {
  const [model, other] = [await create(kind), await create(kind)];
  const fitting = model.fit(train, { epochs: 2 });
  const epochs: number[] = [];
  for await (const { epoch } of model.train(train, { epochs: 2 })) epochs.push(epoch);
  await fitting;
  expect(epochs).toEqual([3, 4]);
  await other.fit(train, { epochs: 4 });
  expect(await bitsOf(model)).toBe(await bitsOf(other));
});

test('inside a callback of fit it is refused', async () => {
  const model = await create(kind);
  let checked = 0;
  await model.fit(train, {
    onEpoch: async () => {
      await expect(model.train(train).next()).rejects.toEqual(failing('ERR_BUSY', '[train]'));
      checked++;
    },
  });
  expect(checked).toBe(1);
  expect(model.epochs).toBe(1);
});

test('a timer of onEpoch is no callback of fit: fit, train and close may be called in it', async () => {
  const model = await create(kind);
  let later: Promise<unknown> | undefined;
  await model.fit(train, {
    onEpoch: () => {
      later = (async () => {
        await sleep(20);
        await model.fit(train);
        for await (const { epoch } of model.train(train)) expect(epoch).toBe(3);
        await model.close();
      })();
    },
  });
  await later;
  expect(model.epochs).toBe(3);
});

test('a loop that failed leaves the model free', async () => {
  const model = await create(kind);
  const bad = { ...train, labels: train.labels.map(() => 9) };
  await expect(model.train(bad).next()).rejects.toEqual(failing('ERR_OUT_OF_RANGE'));
  await expect(model.train(train, { epochs: -1 }).next()).rejects.toEqual(failing('ERR_OUT_OF_RANGE'));
  await expect(model.train(train, { epoch: 1 } as never).next()).rejects.toEqual(
    failing('ERR_INVALID_ARGUMENT'),
  );
  await model.fit(train);
  expect(model.epochs).toBe(1);
});

test('a checkpoint that cannot be written rejects the loop, and leaves the model free', async () => {
  const model = await create(kind);
  const checkpoint = { file: '/nonexistent/model.safetensors' };
  await expect(model.train(train, { epochs: 2, checkpoint }).next()).rejects.toEqual(failing('ERR_IO'));
  await model.fit(train, { until: 2 });
  const other = await create(kind);
  await other.fit(train, { epochs: 2 });
  expect(await bitsOf(model)).toBe(await bitsOf(other));
});

test('onEpoch is no option of train, which has a body', async () => {
  const model = await create(kind);
  const options = { onEpoch: () => {} } as never;
  await expect(model.train(train, options).next()).rejects.toEqual(
    failing('ERR_INVALID_ARGUMENT', 'onEpoch'),
  );
});
