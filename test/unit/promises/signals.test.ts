import os from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';
import { fromArrays, prepare, SparseMLP, uploadSamples } from '../../../src/index.js';
import { bitsOf, failing, points, testModels } from './networks.js';

/* An AbortSignal gives up each long call: ERR_ABORTED, the reason its cause, the model sound. */

const { create } = testModels();
const train = points(60);
const row = train.x.slice(0, 4);
const large = points(300_000);
const reason = { my: 'reason' };
const data = fromArrays(
  Array.from({ length: 60 }, (_, i) => train.x.subarray(i * 4, i * 4 + 4)),
  train.labels,
);
const { encoding } = prepare(data);
const numbersOf = prepare(
  fromArrays(
    Array.from({ length: 60 }, (_, i) => train.x.subarray(i * 4, i * 4 + 4)),
    Array.from({ length: 60 }, (_, i) => i),
    { targets: ['y'] },
  ),
).encoding;
const nowhere = path.join(os.tmpdir(), 'never-written');

const calls: [string, (model: SparseMLP, signal: AbortSignal) => Promise<unknown>][] = [
  ['fit', (model, signal) => model.fit(train, { signal })],
  ['train', (model, signal) => model.train(train, { signal }).next()],
  ['evaluate', (model, signal) => model.evaluate(train, { signal })],
  ['predict', (model, signal) => model.predict(row, { signal })],
  ['classify', (model, signal) => model.classify([[1, 2, 3, 4]], { signal })],
  ['toBuffer', (model, signal) => model.toBuffer({ signal })],
  ['save', (model, signal) => model.save(nowhere, { signal })],
  ['exportNpz', (model, signal) => model.exportNpz(nowhere, { signal })],
  ['replicate', (model, signal) => model.replicate({ signal })],
];

test.each(calls)('%s, by a signal that has fired before', async (name, call) => {
  const model = await create({ encoding });
  const before = await bitsOf(model);
  const error = await call(model, AbortSignal.abort(reason)).catch((caught: unknown) => caught);
  expect(error).toEqual(failing('ERR_ABORTED', `[${name}]`));
  expect(error).toMatchObject({ name: 'AbortError', cause: reason });
  expect(await bitsOf(model)).toBe(before);
});

test.each(calls)(
  '%s, by a signal that fires while it waits: at once, and the others go on',
  async (name, call) => {
    const [model, other] = [await create({ encoding }), await create({ encoding })];
    const controller = new AbortController();
    let fitted = false;
    const fitting = model.fit(train, { epochs: 100 }).then(() => {
      fitted = true;
    });
    const given = call(model, controller.signal);
    const behind = model.predict(row);
    controller.abort(reason);
    const error = await given.catch((caught: unknown) => caught);
    expect(fitted).toBe(false);
    expect(error).toEqual(failing('ERR_ABORTED', name === 'classify' ? '' : `[${name}]`));
    expect(error).toMatchObject({ cause: reason });
    await fitting;
    await other.fit(train, { epochs: 100 });
    expect(await behind).toEqual(await other.predict(row));
    expect(await bitsOf(model)).toBe(await bitsOf(other));
  },
);

test('estimate, before and while it waits', async () => {
  const model = await create({ layers: [4, 6, 1], loss: 'mse', encoding: numbersOf });
  const rows = [[1, 2, 3, 4]];
  await expect(model.estimate(rows, { signal: AbortSignal.abort(reason) })).rejects.toMatchObject({
    code: 'ERR_ABORTED',
    cause: reason,
  });
  const controller = new AbortController();
  const first = model.evaluate({ x: train.x, count: 60, features: 4, targets: new Float32Array(60) });
  const given = model.estimate(rows, { signal: controller.signal });
  controller.abort(reason);
  await expect(given).rejects.toMatchObject({ code: 'ERR_ABORTED', cause: reason });
  await first;
});

test('a classification that is given up while it waits is told of as such', async () => {
  const model = await create({ encoding });
  const controller = new AbortController();
  const first = model.evaluate(train);
  const given = model
    .classify([[1, 2, 3, 4]], { signal: controller.signal })
    .catch((error: unknown) => error);
  controller.abort();
  await first;
  expect(await given).toEqual(failing('ERR_ABORTED', '[classify]'));
});

test('load, uploadSamples and fromNpz, by a signal that has fired', async () => {
  const signal = AbortSignal.abort(reason);
  const bytes = await (await create()).toBuffer();
  for (const call of [
    () => SparseMLP.load(bytes, { signal }),
    () => SparseMLP.fromNpz(nowhere, { signal }),
    () => uploadSamples(train, { signal }),
  ]) {
    await expect(call()).rejects.toMatchObject({ code: 'ERR_ABORTED', name: 'AbortError', cause: reason });
  }
});

const long: [string, (model: SparseMLP, signal: AbortSignal) => Promise<unknown>][] = [
  ['fit', (model, signal) => model.fit(large, { batchSize: 1, signal, onWarning: () => {} })],
  ['evaluate', (model, signal) => model.evaluate(large, { signal })],
  ['predict', (model, signal) => model.predict(large.x, { signal })],
];

test.each(long)('%s, by a signal that fires while it runs: soon, and the model goes on', async (_, call) => {
  const model = await create({ layers: [4, 400, 400, 3], epsilon: 5 });
  const controller = new AbortController();
  const given = call(model, controller.signal);
  const settled = given.catch((caught: unknown) => caught);
  await new Promise((resolve) => setTimeout(resolve, 20));
  const begun = Date.now();
  controller.abort(reason);
  expect(await settled).toMatchObject({ code: 'ERR_ABORTED', cause: reason });
  expect(Date.now() - begun).toBeLessThan(5000);
  expect(await model.predict(row)).toHaveLength(3);
});

test('a signal that fires when the call is done changes nothing', async () => {
  const model = await create();
  const controller = new AbortController();
  const { signal } = controller;
  await model.fit(train, { signal });
  const answers = await Promise.all([model.predict(row, { signal }), model.evaluate(train, { signal })]);
  controller.abort();
  expect(answers[0]).toEqual(await model.predict(row));
  expect(answers[1]).toEqual(await model.evaluate(train));
});

test('one signal gives up many calls, and no others', async () => {
  const model = await create();
  const controller = new AbortController();
  const fitting = model.fit(train, { epochs: 20 });
  const calls = Array.from({ length: 60 }, (_, i) =>
    model.predict(row, i % 3 === 0 ? { signal: controller.signal } : undefined),
  );
  controller.abort();
  const results = await Promise.allSettled(calls);
  await fitting;
  const expected = await model.predict(row);
  results.forEach((result, i) => {
    if (i % 3 === 0) expect(result).toMatchObject({ reason: { code: 'ERR_ABORTED' } });
    else expect(result).toEqual({ status: 'fulfilled', value: expected });
  });
});

test('predictions that are given up while they are computed leave the others to their bits', async () => {
  const model = await create({ layers: [4, 400, 400, 3], epsilon: 5, threads: 2 });
  const requests = Array.from({ length: 24 }, (_, i) =>
    large.x.subarray(i * 400, i * 400 + 4 * [1, 7, 90][i % 3]!),
  );
  const expected: Float32Array[] = [];
  for (const request of requests) expected.push(await model.predict(request));
  for (const delay of [0, 1, 2, 4]) {
    const controller = new AbortController();
    const calls = requests.map((request, i) =>
      model.predict(request, i % 4 === 1 ? { signal: controller.signal } : undefined),
    );
    const settled = Promise.allSettled(calls);
    await new Promise((resolve) => setTimeout(resolve, delay));
    controller.abort(reason);
    for (const [i, result] of (await settled).entries()) {
      if (result.status === 'fulfilled') expect(result.value).toEqual(expected[i]);
      else expect({ i: i % 4, reason: result.reason }).toMatchObject({ i: 1, reason: { cause: reason } });
    }
  }
});

test('what is no signal, or an unknown option, is refused', async () => {
  const model = await create();
  for (const signal of [null, 'now', {}, new AbortController()]) {
    await expect(model.predict(row, { signal: signal as never })).rejects.toEqual(
      failing('ERR_INVALID_ARGUMENT', 'signal'),
    );
  }
  await expect(model.evaluate(train, { timeout: 5 } as never)).rejects.toEqual(
    failing('ERR_INVALID_ARGUMENT', 'timeout'),
  );
});
