import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import { type ModelOptions, SparseMLP } from '../../../src/index.js';
import { blobs } from './blobs.js';

/*
 * Calls of a model take turns: none is refused because another runs, and each sees what those before it left.
 */

const features = 20;
const train = blobs(400);
const validation = blobs(100, { seed: 2 });

const models: SparseMLP[] = [];
async function create(options: Partial<ModelOptions> = {}): Promise<SparseMLP> {
  const model = await SparseMLP.create({ layers: [features, 60, 60, 4], epsilon: 4, ...options });
  models.push(model);
  return model;
}
afterEach(() => {
  for (const model of models.splice(0)) model.dispose();
});

const code = (expected: string, message = '') =>
  expect.objectContaining({ code: expected, message: expect.stringContaining(message) });

/** `count` rows of validation, from `first` on, round and round. */
function rows(first: number, count: number): Float32Array {
  const x = new Float32Array(count * features);
  for (let row = 0; row < count; row++) {
    const at = ((first + row) % validation.count) * features;
    x.set(validation.x.subarray(at, at + features), row * features);
  }
  return x;
}

/** Every method that looks at a model and changes nothing. */
const looks: [string, (model: SparseMLP) => Promise<unknown>][] = [
  ['evaluate', (model) => model.evaluate(validation)],
  ['predict', (model) => model.predict(validation.x)],
  ['layers', (model) => model.layers()],
  ['download', (model) => model.download()],
];

test.each(looks)('%s during a fit waits, and sees what the fit leaves', async (_, look) => {
  const model = await create();
  const training = model.fit(train, { epochs: 3 });
  const during = look(model);
  await training;
  expect(await during).toEqual(await look(model));
  expect(model.epochs).toBe(3);
});

test('fits that are begun together train one after the other, as one', async () => {
  const [model, other] = [await create(), await create()];
  const histories = await Promise.all([model.fit(train, { epochs: 2 }), model.fit(train, { epochs: 3 })]);
  expect(histories.map(({ epochs }) => epochs.map(({ epoch }) => epoch))).toEqual([
    [1, 2],
    [3, 4, 5],
  ]);
  await other.fit(train, { epochs: 5 });
  expect(await model.download()).toEqual(await other.download());
});

test.each(looks)('%s works inside onEpoch, and sees the network of the epoch', async (_, look) => {
  const [model, other] = [await create(), await create()];
  const seen: unknown[] = [];
  await model.fit(train, {
    epochs: 2,
    onEpoch: async () => {
      seen.push(await look(model));
    },
  });
  for (const [i, got] of seen.entries()) {
    await other.fit(train); // its evolution is left to the next call, that of the first came in the epoch
    if (i === 1) expect(got).toEqual(await look(other));
  }
  expect(seen).toHaveLength(2);
});

test('a call inside onEpoch that nobody awaits has ended when the next epoch begins', async () => {
  const model = await create();
  const order: string[] = [];
  await model.fit(train, {
    epochs: 2,
    onEpoch: ({ epoch }) => {
      order.push(`epoch ${epoch}`);
      void model.evaluate(validation).then(() => order.push(`evaluated ${epoch}`));
    },
  });
  expect(order).toEqual(['epoch 1', 'evaluated 1', 'epoch 2', 'evaluated 2']);
});

test('a call from elsewhere, while onEpoch runs, waits for the fit', async () => {
  const model = await create();
  const order: string[] = [];
  let other: Promise<unknown> | undefined;
  const timer = setInterval(() => {
    other ??= model.predict(validation.x).then(() => order.push('predicted'));
  }, 1);
  await model.fit(train, {
    epochs: 2,
    onEpoch: async ({ epoch }) => {
      await sleep(20);
      order.push(`epoch ${epoch}`);
    },
  });
  clearInterval(timer);
  await other;
  expect(order).toEqual(['epoch 1', 'epoch 2', 'predicted']);
});

test('fit and close inside onEpoch would wait for themselves, and say so', async () => {
  const model = await create();
  await model.fit(train, {
    onEpoch: async () => {
      await expect(model.fit(train)).rejects.toEqual(code('ERR_BUSY', '[fit] a callback of fit'));
      await expect(model.close()).rejects.toEqual(code('ERR_BUSY', '[close] a callback of fit'));
    },
  });
  await model.fit(train);
  expect(model.epochs).toBe(2);
});

test('a callback of one model may train another', async () => {
  const [model, other] = [await create(), await create({ seed: 1 })];
  await model.fit(train, {
    onEpoch: async () => {
      await other.fit(train, {
        onEpoch: async () => {
          await model.predict(rows(0, 1));
          await other.predict(rows(0, 1));
        },
      });
    },
  });
  expect(other.epochs).toBe(1);
});

test.each([true, false])(
  '1,000 predictions at once get the bits of each alone (batching %s)',
  async (batching) => {
    const model = await create({ batching, threads: 2 });
    const alone = await create();
    const counts = Array.from({ length: 1000 }, (_, i) => [1, 3, 1, 2, i % 50 === 0 ? 1000 : 17][i % 5]!);
    const answers = await Promise.all(counts.map((count, i) => model.predict(rows(i, count))));
    for (const [i, count] of counts.entries())
      expect(answers[i]).toEqual(await alone.predict(rows(i, count)));
  },
);

test('of predictions that are computed together one that fails leaves the others', async () => {
  const model = await create({ layers: [features, 300, 300, 4], epsilon: 200 });
  const bad = rows(0, 3).fill(Number.NaN, 25, 26);
  const overflowing = rows(0, 2).fill(3.4e38);
  const results = await Promise.allSettled([
    model.predict(rows(0, 900)), // so long that the others wait
    model.predict(rows(1, 2)),
    model.predict(bad),
    model.predict(overflowing),
    model.predict(rows(1, 1).subarray(1)),
    model.predict(rows(2, 2)),
  ]);
  expect(results.map(({ status }) => status)).toEqual([
    'fulfilled',
    'fulfilled',
    'rejected',
    'rejected',
    'rejected',
    'fulfilled',
  ]);
  const reasons = results.flatMap((result) => (result.status === 'rejected' ? [result.reason] : []));
  expect(reasons).toEqual([
    code('ERR_NON_FINITE', 'row 1, feature 5'),
    code('ERR_NON_FINITE', 'row 0'),
    code('ERR_SHAPE'),
  ]);
  expect((results[5] as PromiseFulfilledResult<unknown>).value).toEqual(await model.predict(rows(2, 2)));
});

test('what is handed to predict may change as soon as the call has returned', async () => {
  const model = await create();
  const x = rows(0, 5);
  const training = model.fit(train);
  const during = model.predict(x);
  x.fill(0);
  await training;
  expect(await during).toEqual(await model.predict(rows(0, 5)));
});

test.each<[string, (model: SparseMLP, signal: AbortSignal) => Promise<unknown>]>([
  ['predict', (model, signal) => model.predict(validation.x, { signal })],
  ['evaluate', (model, signal) => model.evaluate(validation, { signal })],
  ['fit', (model, signal) => model.fit(train, { signal })],
])('a signal gives %s up before its turn, while it waits, and the others go on', async (operation, call) => {
  const model = await create({ layers: [features, 1000, 1000, 4] });
  const reason = new Error('enough');
  const early = AbortSignal.abort(reason);
  await expect(call(model, early)).rejects.toMatchObject({
    code: 'ERR_ABORTED',
    name: 'AbortError',
    cause: reason,
  });
  const controller = new AbortController();
  let trained = false;
  const training = model.fit(blobs(2000), { epochs: 2 }).then(() => {
    trained = true;
  });
  const waiting = call(model, controller.signal);
  const last = model.predict(rows(0, 1));
  controller.abort(reason);
  await expect(waiting).rejects.toMatchObject({
    code: 'ERR_ABORTED',
    cause: reason,
    message: expect.stringContaining(`[${operation}] stopped by the signal`),
  });
  expect(trained).toBe(false);
  await training;
  expect(await last).toEqual(await model.predict(rows(0, 1)));
});

test('a signal stops an evaluation, and a prediction, that runs', async () => {
  const model = await create({ layers: [features, 2000, 2000, 4], epsilon: 50 });
  const many = blobs(20_000);
  for (const call of [
    (signal: AbortSignal) => model.evaluate(many, { signal }),
    (signal: AbortSignal) => model.predict(many.x, { signal }),
  ]) {
    const controller = new AbortController();
    const running = call(controller.signal);
    const next = model.predict(rows(0, 1));
    await sleep(5);
    controller.abort();
    await expect(running).rejects.toEqual(code('ERR_ABORTED'));
    expect((await next).length).toBe(4);
  }
});

test('dispose stops what runs and what waits', async () => {
  const model = await create({ layers: [features, 1000, 1000, 4] });
  const calls = [
    model.fit(blobs(5000), { epochs: 100 }),
    model.predict(rows(0, 1)),
    model.evaluate(validation),
    model.fit(train),
    model.layers(),
  ];
  setTimeout(() => model.dispose(), 10);
  const results = await Promise.allSettled(calls);
  expect(results.map((result) => (result as PromiseRejectedResult).reason.code)).toEqual([
    'ERR_ABORTED',
    'ERR_DISPOSED',
    'ERR_DISPOSED',
    'ERR_DISPOSED',
    'ERR_DISPOSED',
  ]);
});

test('close lets what was asked for come to its end, and takes no more', async () => {
  const model = await create();
  const training = model.fit(train, { epochs: 2 });
  const predicting = model.predict(rows(0, 2));
  const closed = Promise.all([model.close(), model.close()]);
  await expect(model.predict(rows(0, 2))).rejects.toEqual(code('ERR_DISPOSED', '[predict]'));
  await closed;
  expect((await training).epochs).toHaveLength(2);
  expect(await predicting).toHaveLength(8);
  await expect(model.layers()).rejects.toEqual(code('ERR_DISPOSED', '[layers]'));
  await model.close();
});

test('close of an idle model, and by await using', async () => {
  const model = await create();
  await model[Symbol.asyncDispose]();
  await expect(model.fit(train)).rejects.toEqual(code('ERR_DISPOSED', '[fit]'));
});

test('more predictions than anybody could answer are refused, and those before them answered', async () => {
  const model = await create();
  const training = model.fit(train, { epochs: 3 });
  const waiting = Array.from({ length: 10_000 }, (_, i) => model.predict(rows(i, 1)));
  await expect(model.predict(rows(0, 1))).rejects.toEqual(code('ERR_BUSY', '10000 predictions wait'));
  await training;
  expect(await Promise.all(waiting)).toHaveLength(10_000);
  await model.predict(rows(0, 1));
});

test('batching must be true or false', async () => {
  await expect(create({ batching: 1 as never })).rejects.toEqual(code('ERR_INVALID_ARGUMENT', 'batching'));
});
