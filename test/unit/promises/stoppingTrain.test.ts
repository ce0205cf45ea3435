import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { isSetNativeError, type SparseMLP, type TrainOptions } from '../../../src/index.js';
import { bitsOf, failing, figures, points, testModels } from './networks.js';

/* What stops a loop over `train` from outside: a signal, `dispose`, `close`, an error of a callback. */

const { create } = testModels();
const train = points(60);
const kind = { layers: [4, 12, 12, 3] };
const reason = new Error('enough');

/** The error that a loop ends with, and the epochs that it reported. */
async function endOf(
  model: SparseMLP,
  options: TrainOptions,
  body: (epoch: number) => unknown,
  samples = train,
) {
  const seen: number[] = [];
  try {
    for await (const { epoch } of model.train(samples, options)) {
      seen.push(epoch);
      await body(epoch);
    }
  } catch (error) {
    return { error, seen };
  }
  return { error: undefined, seen };
}

test('a signal that fires in the body ends the loop when the next epoch is asked for', async () => {
  const [model, other] = [await create(kind), await create(kind)];
  const controller = new AbortController();
  const { error, seen } = await endOf(model, { epochs: 5, signal: controller.signal }, (epoch) => {
    if (epoch === 2) controller.abort(reason);
  });
  const fitted = await other.fit(train, { epochs: 5, onEpoch: ({ epoch }) => epoch !== 2 });
  expect(error).toMatchObject({ code: 'ERR_ABORTED', name: 'AbortError', cause: reason });
  expect(seen).toEqual([1, 2]);
  if (!isSetNativeError(error, 'ERR_ABORTED')) throw error;
  expect(error.details.history!.epochs.map(figures)).toEqual(fitted.epochs.map(figures));
  expect(await bitsOf(model)).toBe(await bitsOf(other));
  await model.fit(train, { until: 5 });
  await other.fit(train, { until: 5 });
  expect(await bitsOf(model)).toBe(await bitsOf(other));
});

test('a signal that fires in the last body changes nothing', async () => {
  const [model, other] = [await create(kind), await create(kind)];
  const controller = new AbortController();
  const { error, seen } = await endOf(model, { epochs: 2, signal: controller.signal }, (epoch) => {
    if (epoch === 2) controller.abort(reason);
  });
  expect({ error, seen }).toEqual({ error: undefined, seen: [1, 2] });
  await other.fit(train, { epochs: 2 });
  expect(await bitsOf(model)).toBe(await bitsOf(other));
});

test('a signal that fires in the last body leaves the best network, where that is asked for', async () => {
  const options = { epochs: 40, learningRate: 1, earlyStopping: { patience: 2, restoreBest: true } };
  const held = { validation: points(40, { seed: 2 }) };
  const [model, other] = [await create(kind), await create(kind)];
  const { epochs, bestEpoch } = await other.fit(train, { ...options, ...held });
  const controller = new AbortController();
  const loop = { ...options, ...held, signal: controller.signal };
  await endOf(model, loop, (epoch) => {
    if (epoch === epochs.length) controller.abort();
  });
  expect(bestEpoch).toBeLessThan(epochs.length);
  expect(model.epochs).toBe(bestEpoch);
});

test('a signal that fires in the body, and the loop left: nothing is thrown', async () => {
  const [model, other] = [await create(kind), await create(kind)];
  const controller = new AbortController();
  for await (const _ of model.train(train, { epochs: 5, signal: controller.signal })) {
    controller.abort();
    break;
  }
  await other.fit(train, { epochs: 5, onEpoch: () => false });
  expect(await bitsOf(model)).toBe(await bitsOf(other));
});

test('a signal that has fired before trains nothing', async () => {
  const [model, other] = [await create(kind), await create(kind)];
  const { error, seen } = await endOf(model, { signal: AbortSignal.abort(reason) }, () => {});
  expect(error).toMatchObject({ code: 'ERR_ABORTED', cause: reason });
  expect(seen).toEqual([]);
  expect(await bitsOf(model)).toBe(await bitsOf(other));
});

test('a signal that fires within an epoch stops it soon, and leaves a sound model', async () => {
  const many = points(200_000);
  const model = await create({ layers: [4, 1000, 3] });
  const before = await bitsOf(model);
  const controller = new AbortController();
  let fired = 0;
  const options: TrainOptions = {
    epochs: 3,
    batchSize: 1,
    signal: controller.signal,
    onWarning: () => {},
    onProgress: ({ epoch, samples, of }) => {
      if (epoch === 1 && samples > 0 && samples < of && fired === 0) {
        fired = Date.now();
        controller.abort(reason);
      }
    },
  };
  const { error, seen } = await endOf(model, options, () => {}, many);
  expect(fired).toBeGreaterThan(0);
  expect(Date.now() - fired).toBeLessThan(5000);
  expect(error).toMatchObject({ code: 'ERR_ABORTED', cause: reason, details: { history: { epochs: [] } } });
  expect(seen).toEqual([]);
  expect(model.epochs).toBe(0);
  expect(await bitsOf(model)).not.toBe(before); // the batches trained so far are in it
  expect((await model.evaluate(train)).loss).toBeGreaterThan(0);
  expect((await model.fit(train, { onWarning: () => {} })).epochs.map(({ epoch }) => epoch)).toEqual([1]);
});

test.each(['fit', 'train'] as const)(
  '%s: a signal that fires at the end of an epoch: the history has the epochs of the model',
  async (call) => {
    const model = await create(kind);
    const controller = new AbortController();
    const options: TrainOptions = {
      epochs: 3,
      signal: controller.signal,
      onProgress: ({ epoch, samples, of }) => {
        if (epoch === 2 && samples === of) controller.abort(reason);
      },
    };
    const error =
      call === 'fit'
        ? await model.fit(train, options).catch((caught: unknown) => caught)
        : (await endOf(model, options, () => {})).error;
    if (!isSetNativeError(error, 'ERR_ABORTED')) throw error;
    expect(error.details.history!.epochs).toHaveLength(model.epochs);
  },
);

test('a signal of AbortSignal.timeout stops it, too', async () => {
  const model = await create({ layers: [4, 100, 3] });
  const signal = AbortSignal.timeout(60);
  const options = { epochs: 65_535, signal, onWarning: () => {} };
  const { error, seen } = await endOf(model, options, () => {});
  expect(error).toMatchObject({ code: 'ERR_ABORTED', cause: { name: 'TimeoutError' } });
  expect([seen.length, seen.length + 1]).toContain(model.epochs); // see above
  await model.predict(train.x);
});

test('dispose in the body: the loop rejects, and so does everything after', async () => {
  const model = await create(kind);
  const { error, seen } = await endOf(model, { epochs: 5 }, (epoch) => {
    if (epoch === 2) model.dispose();
  });
  expect(seen).toEqual([1, 2]);
  expect(error).toEqual(failing('ERR_ABORTED', '[train] stopped by dispose() after 2'));
  await expect(model.predict(train.x)).rejects.toEqual(failing('ERR_DISPOSED'));
  await expect(model.train(train).next()).rejects.toEqual(failing('ERR_DISPOSED'));
});

test('dispose within an epoch stops it with ERR_ABORTED', async () => {
  const model = await create({ layers: [4, 1000, 3] });
  const loop = endOf(
    model,
    { batchSize: 1, onWarning: () => {}, onProgress: () => model.dispose() },
    () => {},
    points(200_000),
  );
  expect(await loop).toEqual({ error: failing('ERR_ABORTED', '[train]'), seen: [] });
});

test('dispose in the body and break: nothing is thrown', async () => {
  const model = await create(kind);
  for await (const _ of model.train(train, { epochs: 5 })) {
    model.dispose();
    break;
  }
  await expect(model.fit(train)).rejects.toEqual(failing('ERR_DISPOSED'));
});

test('close in the body, awaited: it comes to its end, and the loop ends with ERR_ABORTED', async () => {
  const model = await create(kind);
  const { error, seen } = await endOf(model, { epochs: 5 }, async (epoch) => {
    if (epoch === 2)
      await Promise.race([model.close(), sleep(5000).then(() => Promise.reject(new Error('late')))]);
  });
  expect(seen).toEqual([1, 2]);
  expect(error).toEqual(failing('ERR_ABORTED', '[train] stopped by close() after 2'));
});

test('close while an epoch of the loop is trained lets that one come to its end', async () => {
  const model = await create(kind);
  const iterator = model.train(train, { epochs: 3 });
  const next = iterator.next();
  await model.close();
  expect((await next).value).toMatchObject({ epoch: 1 });
  await expect(iterator.next()).rejects.toEqual(failing('ERR_ABORTED', '[train]'));
  expect(await iterator.next()).toEqual({ done: true, value: undefined });
});

test('an error of onProgress rejects the loop with itself, and the model trains on', async () => {
  const model = await create(kind);
  const mine = new Error('mine');
  const onProgress = () => {
    throw mine;
  };
  const { error, seen } = await endOf(model, { onProgress }, () => {});
  expect(error).toBe(mine);
  expect(seen).toEqual([]);
  for await (const { epoch } of model.train(train)) expect(epoch).toBe(model.epochs);
});

test('a loop that diverges rejects with ERR_NON_FINITE, and so does what follows, but not a look at it', async () => {
  const model = await create(kind);
  const options = {
    epochs: 5,
    learningRate: (epoch: number) => (epoch < 3 ? 0.01 : 1e30),
    onWarning: () => {},
  };
  const { error, seen } = await endOf(model, options, () => {});
  expect(error).toEqual(failing('ERR_NON_FINITE', 'in epoch 3'));
  expect((error as Error).message).toMatch(/layer \d/);
  expect(seen).toEqual([1, 2]);
  await expect(model.train(train).next()).rejects.toEqual(failing('ERR_NON_FINITE'));
  await expect(model.predict(train.x)).rejects.toEqual(failing('ERR_NON_FINITE'));
  expect(await model.layers()).toHaveLength(3);
  expect(await model.download()).toHaveLength(3);
});
