import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import { type History, type ModelOptions, SparseMLP } from '../../../src/index.js';
import { native } from '../../../src/native.js';
import { modelSpec, trainingPlan } from '../../../src/training/options.js';
import { sgd } from '../../support/models.js';
import { blobs } from './blobs.js';

const train = blobs(400);
const validation = blobs(100, { seed: 2 });
/** Enough work for an epoch of about a second. */
const long = blobs(10_000);
const longLayers = [20, 1500, 1500, 4];

const models: SparseMLP[] = [];
async function create(options: Partial<ModelOptions> = {}): Promise<SparseMLP> {
  const model = await SparseMLP.create({ layers: [20, 60, 60, 4], epsilon: 4, ...options });
  models.push(model);
  return model;
}
afterEach(() => {
  for (const model of models.splice(0)) model.dispose();
});

const failing = (code: string, message = '') => {
  const name = code === 'ERR_ABORTED' ? 'AbortError' : 'SetNativeError';
  return expect.objectContaining({ name, code, message: expect.stringContaining(message) });
};

/** Every asynchronous method, ready to be called. */
const methods: [string, (model: SparseMLP) => Promise<unknown>][] = [
  ['fit', (model) => model.fit(train)],
  ['evaluate', (model) => model.evaluate(validation)],
  ['predict', (model) => model.predict(validation.x)],
  ['layers', (model) => model.layers()],
  ['download', (model) => model.download()],
];

/** A history without its times. */
function untimed({ epochs }: History) {
  return epochs.map(({ trainMs, evolveMs, evaluateMs, ...rest }) => rest);
}

test.each(methods)('%s works on a new model, and again', async (_, call) => {
  const model = await create();
  await call(model);
  await call(model);
});

test.each(methods)('%s on a disposed model is ERR_DISPOSED', async (name, call) => {
  const model = await create();
  model.dispose();
  model[Symbol.dispose]();
  await expect(call(model)).rejects.toEqual(failing('ERR_DISPOSED', `[${name}]`));
});

test.each(methods)('%s works after an aborted fit', async (_, call) => {
  const model = await create();
  const controller = new AbortController();
  const onEpoch = () => controller.abort();
  await expect(model.fit(train, { epochs: 5, onEpoch, signal: controller.signal })).rejects.toEqual(
    failing('ERR_ABORTED'),
  );
  await call(model);
});

test('an abort ends an epoch at its next batch', async () => {
  const model = await create({ layers: longLayers });
  const controller = new AbortController();
  const training = model.fit(blobs(60_000), { epochs: 100, signal: controller.signal });
  training.catch(() => {});
  await sleep(30);
  const aborted = performance.now();
  controller.abort();
  await expect(training).rejects.toEqual(
    failing('ERR_ABORTED', '[fit] stopped by the signal after 0 complete epochs'),
  );
  expect(performance.now() - aborted).toBeLessThan(500);
  expect(model.epochs).toBe(0);
});

test('an abort between epochs hands back the history', async () => {
  const model = await create();
  const controller = new AbortController();
  const error = await model
    .fit(train, {
      epochs: 5,
      signal: controller.signal,
      onEpoch: ({ epoch }) => {
        if (epoch === 2) controller.abort();
      },
    })
    .catch((reason) => reason);
  expect(error).toEqual(failing('ERR_ABORTED'));
  expect(error.details.history.epochs.map(({ epoch }: { epoch: number }) => epoch)).toEqual([1, 2]);
  expect(model.epochs).toBe(2);
});

test('a signal that has fired already trains nothing', async () => {
  const model = await create();
  await expect(model.fit(train, { signal: AbortSignal.abort() })).rejects.toEqual(failing('ERR_ABORTED'));
  expect(model.epochs).toBe(0);
});

test.each(['during an epoch', 'between epochs'])('dispose %s ends fit with ERR_ABORTED', async (when) => {
  const model = await create({ layers: longLayers });
  const onEpoch = () => model.dispose();
  const training = model.fit(when === 'between epochs' ? blobs(40) : long, { epochs: 3, onEpoch });
  training.catch(() => {});
  if (when === 'during an epoch') {
    await sleep(50);
    model.dispose();
  }
  await expect(training).rejects.toEqual(failing('ERR_ABORTED', 'dispose()'));
});

test('an error thrown by onEpoch ends the training and comes out unchanged', async () => {
  const model = await create();
  const error = new Error('enough');
  const thrower = () => {
    throw error;
  };
  await expect(model.fit(train, { epochs: 5, onEpoch: thrower })).rejects.toBe(error);
  await expect(model.fit(train, { epochs: 5, onEpoch: async () => thrower() })).rejects.toBe(error);
  expect(model.epochs).toBe(2);
  expect((await model.evaluate(validation)).accuracy).toBeGreaterThan(0.3);
});

test('JavaScript goes on while a model trains', async () => {
  const model = await create({ layers: longLayers });
  const gaps: number[] = [];
  let last = performance.now();
  const timer = setInterval(() => {
    const now = performance.now();
    gaps.push(now - last);
    last = now;
  }, 10);
  const started = performance.now();
  do await model.fit(long);
  while (performance.now() - started < 1000);
  clearInterval(timer);
  const seconds = (performance.now() - started) / 1000;
  // Of 100 ticks a second a busy machine may lose many; a blocked thread would give one or two.
  expect(gaps.length).toBeGreaterThan(20 * seconds);
  expect(Math.max(...gaps)).toBeLessThan(400);
});

test('the same seed gives the same bits, on repeat and for any number of threads', async () => {
  const train3 = async (threads: number) => {
    const model = await create({ threads, topology: 'motif' });
    const evolution = { method: 'set-motif' as const };
    const history = await model.fit(train, { epochs: 3, validation, evolution });
    return { history: untimed(history), layers: await model.download() };
  };
  const one = await train3(1);
  expect(one.history[2]!.linksByBirth).toHaveLength(3);
  expect(await train3(1)).toEqual(one);
  expect(await train3(2)).toEqual(one);
  expect(await train3(3)).toEqual(one);
});

test.each(['all-relu', 'srelu', 'leaky-relu'] as const)(
  '%s trains, and goes on from layers that were downloaded',
  async (activation) => {
    const spec = modelSpec('test', { layers: [20, 60, 60, 4], epsilon: 4, activation, alpha: 0.5 });
    const samples = new (native().Samples)(train.x, 20, { labels: train.labels });
    const plan = trainingPlan('test', {}, sgd(2));
    const options = (epoch: number) => plan.epoch({ epoch, epochs: epoch, steps: 10 });
    const straight = await native().createModel(spec);
    await straight.trainEpoch(samples, options(1));
    const middle = await straight.download();
    const momenta = activation === 'srelu' ? 240 : 0;
    expect(middle.map(({ pieces }) => pieces.length)).toEqual([240, 240, 0]);
    expect(middle.map(({ piecesMomentum }) => piecesMomentum.length)).toEqual([momenta, momenta, 0]);
    const restored = await native().createModel(spec, middle);
    for (const model of [straight, restored]) await model.trainEpoch(samples, options(2));
    const end = await straight.download();
    expect(await restored.download()).toEqual(end);
    const learned = end[0]!.pieces.some((piece, k) => piece !== middle[0]!.pieces[k]);
    expect(learned).toBe(activation === 'srelu');
    expect((await straight.evaluate(samples)).accuracy).toBeGreaterThan(0.8);
    for (const model of [straight, restored]) model.dispose();
    samples.dispose();
  },
);

test('another seed gives another network', async () => {
  const [a] = await (await create({ seed: 1 })).download();
  const [b] = await (await create({ seed: 2 })).download();
  expect(a!.weights).not.toEqual(b!.weights);
});

test('links are replaced between the epochs of a call, and their ages are kept', async () => {
  const model = await create();
  const { epochs } = await model.fit(train, { epochs: 3 });
  const nnz = epochs[0]!.nnz;
  for (const report of epochs) expect(report).toMatchObject({ nnz, pruned: report.grown });
  expect(epochs.map(({ pruned }) => pruned > 0)).toEqual([true, true, false]);
  expect(epochs.map(({ evolveMs }) => evolveMs > 0)).toEqual([true, true, false]);
  expect(epochs[0]!.linksByBirth[1]).toBe(epochs[0]!.grown);
  const layers = await model.layers();
  expect(layers.reduce((sum, layer) => sum + layer.nnz, 0)).toBe(nnz);
  for (const { density, inputs, outputs, nnz: links } of layers)
    expect(density).toBe(links / (inputs * outputs));
});

test('static and dense models never change a link', async () => {
  const still = await (await create()).fit(train, { epochs: 3, evolution: { method: 'static' } });
  const dense = await (await create({ topology: 'dense' })).fit(train, { epochs: 3 });
  for (const report of [...still.epochs, ...dense.epochs]) {
    expect(report).toMatchObject({ pruned: 0, grown: 0, evolveMs: 0 });
  }
  expect(dense.epochs[2]).toMatchObject({ nnz: 20 * 60 + 60 * 60 + 60 * 4, linksByBirth: [] });
});

test('what fit reports is what evaluate and predict say', async () => {
  const model = await create();
  const { epochs } = await model.fit(train, { epochs: 5, validation });
  const { loss, accuracy } = await model.evaluate(validation);
  expect(epochs.at(-1)).toMatchObject({ validationLoss: loss, validationAccuracy: accuracy });
  expect(epochs.at(-1)!.evaluateMs).toBeGreaterThan(0);
  expect(Object.keys(epochs[0]!)).not.toContain('testAccuracy');
  expect(accuracy).toBeGreaterThan(0.9);
  const outputs = await model.predict(validation.x);
  expect(outputs).toHaveLength(100 * 4);
  const correct = [...validation.labels].filter((label, i) => {
    const row = outputs.subarray(4 * i, 4 * i + 4);
    expect(row.reduce((sum, p) => sum + p, 0)).toBeCloseTo(1, 5);
    return row.indexOf(Math.max(...row)) === label;
  });
  expect(correct.length / 100).toBeCloseTo(accuracy, 12);
  expect(Object.keys((await model.fit(train)).epochs[0]!)).not.toContain('validationAccuracy');
});

test('a loss that stops being a number is ERR_NON_FINITE, naming the epoch', async () => {
  const model = await create();
  const huge = { ...train, x: train.x.map((value) => value * 1e30) };
  await expect(model.fit(huge, { epochs: 3, learningRate: 1e6 })).rejects.toEqual(
    failing('ERR_NON_FINITE', 'epoch'),
  );
});

const bad = (x: number[], labels: number[], features = 20) => ({
  x: Float32Array.from(x),
  labels: Uint32Array.from(labels),
  count: labels.length,
  features,
});
const row = Array.from({ length: 20 }, () => 0.5);

test.each([
  ['undefined', undefined, 'ERR_INVALID_ARGUMENT'],
  ['no samples', bad([], []), 'ERR_SHAPE'],
  ['half a row', bad(row.slice(1), [0]), 'ERR_SHAPE'],
  ['a label too few', bad([...row, ...row], [0]), 'ERR_SHAPE'],
  ['other features', bad(row, [0, 1], 10), 'ERR_SHAPE'],
  ['a label beyond the outputs', bad(row, [4]), 'ERR_OUT_OF_RANGE'],
  ['NaN', bad([Number.NaN, ...row.slice(1)], [0]), 'ERR_NON_FINITE'],
  ['another count', { ...bad(row, [0]), count: 2 }, 'ERR_SHAPE'],
  ['a plain array', { ...bad(row, [0]), x: row }, 'ERR_INVALID_ARGUMENT'],
])('samples with %s are refused', async (_, samples, code) => {
  const model = await create();
  await expect(model.fit(samples as never)).rejects.toEqual(failing(code));
  await expect(model.evaluate(samples as never)).rejects.toEqual(failing(code));
  await model.evaluate(validation);
});

test.each([
  ['onEpoch', { onEpoch: 5 }, 'ERR_INVALID_ARGUMENT', 'onEpoch must be a function, got 5'],
  ['signal', { signal: { aborted: false } }, 'ERR_INVALID_ARGUMENT', 'signal must be an AbortSignal'],
  ['learningRate', { learningRate: 1e39 }, 'ERR_OUT_OF_RANGE', 'learningRate'],
  [
    'validation without labels',
    { validation: { ...validation, labels: undefined } },
    'ERR_INVALID_ARGUMENT',
    'labels',
  ],
  ['validation labels', { validation: bad([...row, ...row], [0, 4]) }, 'ERR_OUT_OF_RANGE', 'got 4 in row 1'],
  ['validation features', { validation: bad(row, [0, 1], 10) }, 'ERR_SHAPE', 'must have 20 features'],
  ['validation count', { validation: { ...validation, count: 7 } }, 'ERR_SHAPE', 'count'],
])('bad %s is found before anything is trained', async (_, options, code, message) => {
  const model = await create();
  const before = await model.download();
  await expect(model.fit(train, { epochs: 2, ...options } as never)).rejects.toEqual(failing(code, message));
  expect(model.epochs).toBe(0);
  expect(await model.download()).toEqual(before);
});

test('a single output takes labels 0 and 1 as validation', async () => {
  const model = await create({ layers: [20, 30, 1], loss: 'sigmoid-binary-cross-entropy' });
  const binary = blobs(100, { classes: 2 });
  await model.fit(binary, { validation: binary });
  await expect(model.fit(binary, { validation: bad(row, [2]) })).rejects.toEqual(
    failing('ERR_OUT_OF_RANGE', 'below 2'),
  );
});

test('a back end that is not there is refused with its reason', async () => {
  await expect(create({ backend: process.platform === 'darwin' ? 'cuda' : 'metal' })).rejects.toEqual(
    failing('ERR_BACKEND_UNAVAILABLE', 'not available'),
  );
});

test('a model larger than the memory is refused before it is allocated', async () => {
  await expect(create({ layers: [2e6, 2e6, 2e6], topology: 'dense' })).rejects.toEqual(
    failing('ERR_OUT_OF_MEMORY', 'use smaller layers'),
  );
});
