import { expect, test } from 'vitest';
import { SparseMLP } from '../../../src/index.js';
import { failing, points, testModels } from './networks.js';

/* `close` lets calls come to their end, `dispose` stops them; afterwards everything rejects. */

const { create } = testModels();
const train = points(60);
const kind = { layers: [4, 12, 12, 3] };
const row = train.x.slice(0, 4);

test('close: fit, evaluate and 100 predictions come to their end, what comes later is refused', async () => {
  const [model, other] = [await create(kind), await create(kind)];
  const calls = [model.fit(train, { epochs: 3 }), model.evaluate(train), model.toBuffer()] as const;
  const predictions = Array.from({ length: 100 }, () => model.predict(row));
  const closing = model.close();
  const late = [
    model.predict(row),
    model.fit(train),
    model.evaluate(train),
    model.toBuffer(),
    model.replicate(),
  ];
  for (const call of late) await expect(call).rejects.toEqual(failing('ERR_DISPOSED'));
  await closing;
  const [history, evaluation, bytes] = await Promise.all(calls);
  await other.fit(train, { epochs: 3 });
  expect(history.epochs).toHaveLength(3);
  expect(evaluation).toEqual(await other.evaluate(train));
  expect(bytes).toEqual(await other.toBuffer());
  for (const answer of await Promise.all(predictions)) expect(answer).toEqual(await other.predict(row));
});

test('close resolves when the last call has ended, not before', async () => {
  const model = await create(kind);
  let ended = 0;
  const calls = [model.fit(train, { epochs: 20 }), model.predict(row), model.evaluate(train)];
  for (const call of calls) {
    void call.then(() => {
      ended++;
    });
  }
  await model.close();
  await Promise.resolve();
  expect(ended).toBe(3);
});

test('close rejects no call, though one of them fails', async () => {
  const model = await create(kind);
  const bad = model.predict(row.with(1, Number.NaN));
  const good = model.predict(row);
  const refused = expect(bad).rejects.toEqual(failing('ERR_NON_FINITE'));
  await model.close();
  await refused;
  expect(await good).toHaveLength(3);
});

test('dispose: what runs is stopped, what waits is refused, at once', async () => {
  const model = await create({ layers: [4, 200, 3] });
  const running = model.fit(points(20_000), { epochs: 1000, batchSize: 1, onWarning: () => {} });
  const predictions = Array.from({ length: 100 }, () => model.predict(row));
  const others = [
    model.evaluate(train),
    model.toBuffer(),
    model.layers(),
    model.replicate(),
    model.fit(train),
  ];
  const results = Promise.allSettled([running, ...predictions, ...others]);
  await new Promise((resolve) => setTimeout(resolve, 30));
  const begun = Date.now();
  model.dispose();
  const codes = (await results).map((result) => (result as PromiseRejectedResult).reason.code as string);
  expect(Date.now() - begun).toBeLessThan(5000);
  expect(codes[0]).toBe('ERR_ABORTED');
  expect(new Set(codes.slice(1))).toEqual(new Set(['ERR_DISPOSED']));
});

test('dispose tells of the epochs that fit completed', async () => {
  const model = await create(kind);
  const fitting = model.fit(train, {
    epochs: 60_000,
    onEpoch: ({ epoch }) => {
      if (epoch === 3) model.dispose();
    },
  });
  const error = await fitting.catch((caught: unknown) => caught);
  expect(error).toMatchObject({ code: 'ERR_ABORTED', name: 'AbortError' });
  const { history } = (error as { details: { history: { epochs: { epoch: number }[] } } }).details;
  expect(history.epochs.map(({ epoch }) => epoch)).toEqual([1, 2, 3]);
});

const everyCall: [string, (model: SparseMLP) => Promise<unknown>][] = [
  ['fit', (model) => model.fit(train)],
  ['train', (model) => model.train(train).next()],
  ['evaluate', (model) => model.evaluate(train)],
  ['predict', (model) => model.predict(row)],
  ['classify', (model) => model.classify([[1, 2, 3, 4]])],
  ['estimate', (model) => model.estimate([[1, 2, 3, 4]])],
  ['layers', (model) => model.layers()],
  ['save', (model) => model.save('/nonexistent/model.safetensors')],
  ['toBuffer', (model) => model.toBuffer()],
  ['exportNpz', (model) => model.exportNpz('/nonexistent/model')],
  ['replicate', (model) => model.replicate()],
  ['download', (model) => model.download()],
];

test.each(everyCall)('%s after dispose, and after close: ERR_DISPOSED', async (name, call) => {
  const [disposed, closed] = [await create(), await create()];
  disposed.dispose();
  await closed.close();
  for (const model of [disposed, closed]) {
    await expect(call(model)).rejects.toEqual(failing('ERR_DISPOSED', `[${name}]`));
  }
});

test('summary after dispose: ERR_DISPOSED, as an error of summary', async () => {
  const model = await create();
  model.dispose();
  await expect(model.summary()).rejects.toEqual(failing('ERR_DISPOSED', '[summary]'));
});

test('summary after dispose, and after close', async () => {
  const [disposed, closed] = [await create(), await create()];
  disposed.dispose();
  await closed.close();
  for (const model of [disposed, closed])
    await expect(model.summary()).rejects.toEqual(failing('ERR_DISPOSED'));
});

test('dispose and close may be called again, in any order', async () => {
  const model = await create();
  await Promise.all([model.close(), model.close()]);
  model.dispose();
  model.dispose();
  await model.close();
  const other = await create();
  other.dispose();
  await other.close();
  await other[Symbol.asyncDispose]();
  other[Symbol.dispose]();
});

test('dispose while close waits stops what close waits for, and close resolves', async () => {
  const model = await create({ layers: [4, 200, 3] });
  const fitting = model.fit(points(20_000), { epochs: 1000, batchSize: 1, onWarning: () => {} });
  const refused = expect(fitting).rejects.toEqual(failing('ERR_ABORTED'));
  const closing = model.close();
  model.dispose();
  await refused;
  await closing;
});

test('what was got of a model outlives it', async () => {
  const model = await create(kind);
  const [outputs, bytes, layers] = [await model.predict(row), await model.toBuffer(), await model.download()];
  const copy = outputs.slice();
  const weights = layers[0]!.weights.slice();
  model.dispose();
  expect(outputs).toEqual(copy);
  expect(layers[0]!.weights).toEqual(weights);
  const loaded = await SparseMLP.load(bytes, { backend: 'cpu', threads: 1 });
  expect(await loaded.predict(row)).toEqual(copy);
  loaded.dispose();
});
