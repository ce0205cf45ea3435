import { afterEach, describe, expect, test } from 'vitest';
import { encodeRows } from '../../../src/datasets/encoding.js';
import {
  type AugmentOptions,
  type FitOptions,
  type ImageShape,
  loadDataset,
  type ModelOptions,
  type ModelSamples,
  prepare,
  type Samples,
  SparseMLP,
  uploadSamples,
} from '../../../src/index.js';
import { type NativeAugmentation, type NativeModelSpec, native } from '../../../src/native.js';
import { upload } from '../../../src/training/upload.js';
import type { BackendName } from '../../../src/vocabulary.js';
import { blobs } from './blobs.js';

/*
 * The option `augment` as a user has it, and what a model is fed. Draws and shapes are for the native tests.
 */

const shape: ImageShape = [6, 4];
const pixels = 24;
const train: Samples = blobs(300, { features: pixels });
const validation = blobs(100, { features: pixels, seed: 2 });
const augment: AugmentOptions = { shift: 1, flip: true, shape };

const models: SparseMLP[] = [];
const keep = (model: SparseMLP) => {
  models.push(model);
  return model;
};
const create = async (options: Partial<ModelOptions> = {}) =>
  keep(await SparseMLP.create({ layers: [pixels, 30, 4], epsilon: 4, backend: 'cpu', ...options }));
afterEach(() => {
  for (const model of models.splice(0)) model.dispose();
});

const onWarning = () => {};

/** The layers of a model that was trained. */
async function trained(
  model: Partial<ModelOptions>,
  options: FitOptions,
  samples: ModelSamples = train,
): Promise<unknown> {
  const made = await create(model);
  await made.fit(samples, { onWarning, ...options });
  return made.download();
}

/** What a back end is fed of an epoch: the outputs of a layer that gives its inputs. */
async function fed(
  { x, features }: Pick<Samples, 'x' | 'features'>,
  options: NativeAugmentation,
  { epoch = 1, threads = 1, backend = 'cpu' as BackendName } = {},
): Promise<Float32Array> {
  const none = new Uint32Array();
  const weights = new Float32Array(features ** 2);
  for (let k = 0; k < features; k++) weights[k * (features + 1)] = 1;
  const identity = {
    ...{ inputs: features, outputs: features, dense: true, activation: 'linear' as const, weights },
    ...{ rowOffsets: none, colIndices: none, birth: new Uint16Array(), momentum: new Float32Array() },
    ...{ bias: new Float32Array(features), biasMomentum: new Float32Array() },
    ...{ pieces: new Float32Array(), piecesMomentum: new Float32Array() },
  };
  const spec: NativeModelSpec = {
    ...{ sizes: [features, features], topology: 'dense', epsilon: 1, motifSize: 2, init: 'he-fan-in' },
    ...{ activation: 'relu', alpha: 0, optimizer: 'sgd', loss: 'mse', seed: 0, backend, threads: 1 },
  };
  const given = upload('fit', { x, features });
  const samples = await given.augmented(options, epoch, threads);
  const model = await native().createModel(spec, [identity]);
  try {
    return await model.predict(samples);
  } finally {
    model.dispose();
    samples.dispose();
    given.dispose();
  }
}

const optionsOf = (
  { shift = 0, flip = false, shape: [rows, columns, channels = 1] = shape }: AugmentOptions,
  seed = 0,
): NativeAugmentation => ({ seed, rows, columns, channels, shift, flip, padding: 0 });

interface Move {
  down: number;
  right: number;
  mirrored: boolean;
}

/** Moves an image pixel by pixel. */
function moved(raw: Float32Array, [rows, columns]: Readonly<ImageShape>, move: Move) {
  return raw.map((_, k) => {
    const [column, row] = [k % columns, Math.floor(k / columns) % rows];
    const plane = Math.floor(k / columns / rows);
    const [r, c] = [row + move.down, (move.mirrored ? columns - 1 - column : column) + move.right];
    return r >= 0 && r < rows && c >= 0 && c < columns ? raw[(plane * rows + r) * columns + c]! : 0;
  });
}

/** All moves of a shift. */
function movesOf({ shift = 0, flip = false }: AugmentOptions): Move[] {
  const steps = Array.from({ length: 2 * shift + 1 }, (_, i) => i - shift);
  const ways = flip ? [false, true] : [false];
  return steps.flatMap((down) =>
    steps.flatMap((right) => ways.map((mirrored) => ({ down, right, mirrored }))),
  );
}

const rowOf = (x: Float32Array, row: number, features: number) =>
  x.subarray(row * features, (row + 1) * features);

describe('what a model is fed', () => {
  test.each<AugmentOptions>([
    { shift: 1, flip: true, shape: [6, 4] },
    { shift: 2, shape: [3, 8] },
    { shift: 1, flip: true, shape: [2, 4, 3] },
    { flip: true, shape: [24, 1, 1] },
  ])('each image moved in one of the possible ways, all of which occur: %j', async (given) => {
    const got = await fed(train, optionsOf(given));
    const moves = movesOf(given);
    const seen = new Set<number>();
    for (let row = 0; row < train.count; row++) {
      const [raw, result] = [rowOf(train.x, row, pixels), rowOf(got, row, pixels)];
      const move = moves.findIndex((each) =>
        moved(raw, given.shape!, each).every((value, k) => value === result[k]),
      );
      expect(move, `row ${row}`).toBeGreaterThanOrEqual(0);
      seen.add(move);
    }
    expect(seen.size).toBe(given.shape![1] === 1 ? 1 : moves.length);
  });

  test('the same bits on every back end and any number of threads, others in another epoch', async () => {
    const large = blobs(20_000, { features: pixels }); // so many that threads share them
    const bytesOf = async (options: NativeAugmentation, where = {}) =>
      Buffer.from((await fed(large, options, where)).buffer);
    const once = await bytesOf(optionsOf(augment));
    expect(once.equals(await bytesOf(optionsOf(augment), { backend: 'reference' }))).toBe(true);
    for (const threads of [0, 2, 5])
      expect(once.equals(await bytesOf(optionsOf(augment), { threads }))).toBe(true);
    expect(once.equals(await bytesOf(optionsOf(augment), { epoch: 2 }))).toBe(false);
    expect(once.equals(await bytesOf(optionsOf(augment, 1)))).toBe(false);
  });

  test.each(['min-max', 'standardise'] as const)(
    'scaling and order apply to the moved raw image: %s',
    async (kind) => {
      const images = loadDataset('procedural');
      const choice = { seed: 1, train: 60, test: 1 };
      const raw = prepare(images, { ...choice, scaling: { kind: 'none' } }).train;
      const data = prepare(images, { ...choice, scaling: { kind }, inputOrder: 'tiles' });
      const { scaling, order } = data.encoding;
      const given = { shift: 3, flip: true, shape: images.imageShape! };
      const plain = await fed(raw, optionsOf(given));
      const got = await fed(data.train, {
        ...optionsOf(given),
        offset: Float64Array.from(scaling.offset),
        divisor: Float64Array.from(scaling.divisor, (value) => value ?? Infinity),
        order: Uint32Array.from(order!),
      });
      const want = encodeRows('test', plain, { ...data.encoding });
      const off = want.map((value, k) => Math.abs(got[k]! - value) / (1 + Math.abs(value)));
      expect(off.reduce((most, value) => Math.max(most, value))).toBeLessThan(1e-4);
    },
  );

  test('fit feeds it, epoch by epoch', async () => {
    const [model, stepwise] = [await create({ seed: 5 }), await create({ seed: 5 })];
    await model.fit(train, { epochs: 3, augment, onWarning });
    for (const epoch of [1, 2, 3]) {
      const x = await fed(train, optionsOf(augment, 5), { epoch });
      await stepwise.fit({ ...train, x }, { epochs: 1, onWarning });
    }
    expect(await stepwise.download()).toEqual(await model.download());
  });
});

describe('a training', () => {
  test('neither shift nor flip is none, and either trains otherwise', async () => {
    const none = await trained({}, { epochs: 2 });
    for (const nothing of [{}, { shift: 0 }, { flip: false, shape }, undefined] as AugmentOptions[])
      expect(await trained({}, { epochs: 2, augment: nothing })).toEqual(none);
    expect(await trained({}, { epochs: 2, augment: { shift: 1, shape } })).not.toEqual(none);
    expect(await trained({}, { epochs: 2, augment: { flip: true, shape } })).not.toEqual(none);
  });

  test('the same bits for any number of threads, and of samples that were uploaded', async () => {
    const once = await trained({ threads: 1 }, { epochs: 3, augment });
    expect(await trained({ threads: 3 }, { epochs: 3, augment })).toEqual(once);
    const uploaded = await uploadSamples(train);
    expect(await trained({ threads: 1 }, { epochs: 3, augment }, uploaded)).toEqual(once);
    // They are as they were.
    expect(await trained({}, { epochs: 2 }, uploaded)).toEqual(await trained({}, { epochs: 2 }));
    uploaded.dispose();
  });

  test.each<[string, FitOptions]>([
    ['set', {}],
    ['growth by gradient', { evolution: { grow: 'gradient' } }],
    ['evolution by steps', { evolution: { every: { steps: 3 }, grow: 'gradient' } }],
    ['the mean of epochs', { evolution: { until: 0.4 }, average: 0.4 }],
  ])('that was interrupted comes to the bits of one that was not: %s', async (_, options) => {
    const given: FitOptions = { ...options, until: 6, augment, onWarning };
    const whole = await create();
    await whole.fit(train, given);
    const model = await create();
    const stop = new AbortController();
    let bytes: Uint8Array | undefined;
    const onEpoch = async ({ epoch }: { epoch: number }) => {
      if (epoch !== 3) return;
      bytes = await model.toBuffer();
      stop.abort();
    };
    const stopped = model.fit(train, { ...given, signal: stop.signal, onEpoch });
    await expect(stopped).rejects.toMatchObject({ code: 'ERR_ABORTED' });
    const resumed = keep(await SparseMLP.load(bytes!, { backend: 'cpu', threads: 2 }));
    await resumed.fit(train, given);
    expect(await resumed.download()).toEqual(await whole.download());
    const looped = await create();
    for await (const _report of looped.train(train, given));
    expect(await looped.download()).toEqual(await whole.download());
  });

  test('samples held out stay as they are', async () => {
    const model = await create();
    const { epochs } = await model.fit(train, { epochs: 2, augment, validation, onWarning });
    const { loss, accuracy } = await model.evaluate(validation);
    expect(epochs.at(-1)).toMatchObject({ validationLoss: loss, validationAccuracy: accuracy });
  });

  test('labels, weights and targets are those of the samples', async () => {
    const model = await create();
    await model.fit(train, { epochs: 8, augment: { flip: true, shape: [24, 1] }, onWarning });
    expect((await model.evaluate(train)).accuracy).toBeGreaterThan(0.9); // a column mirrored is itself
    const weighed = { epochs: 2, augment, classWeight: [1, 2, 0, 1] };
    expect(await trained({}, weighed)).not.toEqual(await trained({}, { epochs: 2, augment }));
    const targets = Float32Array.from(train.labels, (label) => label / 4);
    const { x, count, features } = train;
    const one = await create({ layers: [pixels, 30, 1], loss: 'mse' });
    const { epochs } = await one.fit({ x, count, features, targets }, { epochs: 4, augment, onWarning });
    expect(epochs[3]!.trainLoss).toBeLessThan(epochs[0]!.trainLoss);
  });

  test('scaling and order come from the encoding of the model', async () => {
    const images = loadDataset('procedural');
    const choice = { seed: 1, train: 100, test: 1 };
    const { train: samples, encoding } = prepare(images, { ...choice, inputOrder: 'tiles' });
    const given = { epochs: 1, augment: { shift: 2, shape: images.imageShape! } };
    const layers = [784, 20, 10];
    const encoded = await trained({ layers, encoding }, given, samples);
    expect(encoded).not.toEqual(await trained({ layers }, given, samples));
  });
});

test.each<[object, string, string]>([
  [
    { shift: 1 },
    'ERR_INVALID_ARGUMENT',
    'augment takes the shape of an image of 24 pixels: give augment.shape',
  ],
  [{ flip: true }, 'ERR_INVALID_ARGUMENT', 'augment takes the shape of an image of 24 pixels'],
  [{ shift: 4, shape }, 'ERR_OUT_OF_RANGE', 'augment.shift must be a whole number from 0 to 3, below the'],
  [{ shift: -1, shape }, 'ERR_OUT_OF_RANGE', 'augment.shift must be'],
  [{ shift: 0.5, shape }, 'ERR_OUT_OF_RANGE', 'augment.shift must be'],
  [{ shift: '1', shape }, 'ERR_INVALID_ARGUMENT', 'augment.shift must be'],
  [{ flip: 1, shape }, 'ERR_INVALID_ARGUMENT', 'augment.flip must be true or false'],
  [{ flip: true, shape: [5, 5] }, 'ERR_SHAPE', 'augment.shape must be of 24 pixels'],
  [{ flip: true, shape: [24] }, 'ERR_INVALID_ARGUMENT', 'augment.shape must be [rows, columns]'],
  [{ flip: true, shape: [4, 2, 3, 1] }, 'ERR_INVALID_ARGUMENT', 'augment.shape must be [rows, columns]'],
  [{ flip: true, shape: [-6, -4] }, 'ERR_OUT_OF_RANGE', 'augment.shape[0] must be'],
  [{ shfit: 1 }, 'ERR_INVALID_ARGUMENT', 'did you mean shift?'],
  [[1], 'ERR_INVALID_ARGUMENT', 'augment must be an object of shift, flip, shape'],
  [null as never, 'ERR_INVALID_ARGUMENT', 'augment must be an object of shift, flip, shape'],
])('%j is refused before anything is trained', async (given, code, message) => {
  const model = await create();
  const fitting = model.fit(train, { augment: given as AugmentOptions });
  await expect(fitting).rejects.toMatchObject({
    code,
    message: expect.stringMatching(/^\[fit\] /),
  });
  await expect(fitting).rejects.toThrow(message);
  expect(model.epochs).toBe(0);
});

test('a pixel that overflows where it is scaled as another one is told of, and the model goes on', async () => {
  const scaling = {
    offset: Array(pixels).fill(0),
    divisor: Array.from({ length: pixels }, (_, k) => (k === 0 ? 1e-300 : 1)),
  };
  const model = await create({ encoding: { scaling, classNames: ['a', 'b', 'c', 'd'] } });
  await expect(model.fit(train, { augment, onWarning })).rejects.toMatchObject({
    code: 'ERR_NON_FINITE',
    message: expect.stringMatching(/^\[fit\] a pixel that is moved overflows/),
  });
  await model.fit(train, { onWarning });
  expect(model.epochs).toBe(1);
});
