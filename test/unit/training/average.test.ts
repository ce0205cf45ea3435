import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import {
  type Dtype,
  readSafetensors,
  safetensorsPieces,
  type Tensor,
} from '../../../src/files/safetensors.js';
import {
  type FitOptions,
  type History,
  type LayerData,
  type ModelOptions,
  SetNativeError,
  SparseMLP,
} from '../../../src/index.js';
import type { NativeModel, NativeSamples } from '../../../src/native.js';
import { trainingPlan } from '../../../src/training/options.js';
import { TrainingRun } from '../../../src/training/run.js';
import { sgd } from '../../support/models.js';
import { blobs } from './blobs.js';

/*
 * Averaging: a training that ends leaves the mean of its last networks, as a test computes it from what it
 * downloads after each epoch; and however it was interrupted, it is the same mean.
 */

const train = blobs(128, { noise: 3 });
const validation = blobs(60, { noise: 3, seed: 2 });
const onWarning = () => {}; // the small output layer is dense
const base = { layers: [20, 30, 24, 4], epsilon: 4, backend: 'cpu', threads: 1, seed: 3 } as const;
const folder = mkdtempSync(path.join(os.tmpdir(), 'average-'));
afterAll(() => rmSync(folder, { recursive: true }));

const models: SparseMLP[] = [];
const kept = (model: SparseMLP) => {
  models.push(model);
  return model;
};
const create = async (options: Partial<ModelOptions> = {}) =>
  kept(await SparseMLP.create({ ...base, ...options }));
const load = async (source: string | Uint8Array, threads = 2) =>
  kept(await SparseMLP.load(source, { backend: 'cpu', threads }));
afterEach(() => {
  for (const model of models.splice(0)) model.dispose();
});
const bytesOf = async (model: SparseMLP) => Buffer.from(await model.toBuffer());
const still = { method: 'static' } as const;

/** Eight steps an epoch. */
const options: FitOptions = { batchSize: 16, onWarning, validation };

/** Trains, and keeps the layers after each epoch. */
async function watched(model: SparseMLP, given: FitOptions) {
  const seen: LayerData[][] = [];
  const onEpoch = async () => void seen.push(await model.download());
  const history = await model.fit(train, { ...options, ...given, onEpoch });
  return { seen, history, layers: await model.download() };
}

/** The mean of several networks: of what they learn, each number by itself. */
function meanOf(networks: LayerData[][]): LayerData[] {
  return networks.at(-1)!.map((last, k) => {
    const mean = (name: 'weights' | 'bias' | 'pieces') =>
      last[name].map((_, i) => networks.reduce((sum, each) => sum + each[k]![name][i]!, 0) / networks.length);
    const pieces = last.activation === 'srelu' ? mean('pieces') : last.pieces;
    return { ...last, weights: mean('weights'), bias: mean('bias'), pieces };
  });
}

describe.each(['sgd', 'adamw'] as const)('%s', (optimizer) => {
  test.each(['relu', 'srelu', 'all-relu'] as const)(
    '%s: the mean by hand, momenta as they are',
    async (activation) => {
      const evolution = { until: 0.5 };
      const model = await create({ optimizer, activation });
      const { seen, history, layers } = await watched(model, { epochs: 8, average: 0.5, evolution });
      expect(history).toMatchObject({ averagedEpochs: 4, epochs: { length: 8 } });
      expect(history.epochs.map(({ grown }) => grown > 0)).toEqual([1, 1, 1, 1, 0, 0, 0, 0].map(Boolean));
      const wanted = meanOf(seen.slice(4));
      expect(layers).toEqual(wanted);
      expect(layers).not.toEqual(seen[7]);
      if (activation === 'srelu') expect(layers[0]!.pieces).not.toEqual(seen[7]![0]!.pieces);
      expect(model.epochs).toBe(8);
    },
  );
});

test('the mean is rounded once, from sums in double precision', async () => {
  const model = await create();
  const { seen, layers } = await watched(model, { epochs: 3, average: 0, evolution: still });
  for (const [k, { weights }] of layers.entries()) {
    for (const [i, weight] of weights.entries()) {
      const sum = seen.reduce((total, each) => total + each[k]!.weights[i]!, 0);
      expect(weight).toBe(Math.fround(sum / 3));
    }
  }
});

test.each([
  [0, 3, 3],
  [0.5, 5, 3],
  [0.75, 8, 2],
  [0.7, 10, 3], // 0.7 * 10 is less than 7 in float64
  [0.1 + 0.2, 10, 7], // and this times 10 more than 3
  [0.99, 10, 1],
  [0.99, 1, 1],
  [0, 1, 1],
])('average %d of %d epochs: the last %d', async (average, epochs, count) => {
  const model = await create();
  const { seen, history, layers } = await watched(model, { epochs, average, evolution: still });
  expect(history.averagedEpochs).toBe(count);
  expect(layers).toEqual(meanOf(seen.slice(-count)));
});

describe('links that evolve', () => {
  test('every epoch: the last epoch alone, byte for byte', async () => {
    const [model, other] = [await create(), await create()];
    expect(await model.fit(train, { ...options, epochs: 4, average: 0 })).toMatchObject({
      averagedEpochs: 1,
    });
    await other.fit(train, { ...options, epochs: 4 });
    expect((await bytesOf(model)).equals(await bytesOf(other))).toBe(true);
  });

  test.each([
    ['after epochs 3 and 6', { every: 3 }, 7, 1],
    ['after epoch 4', { every: 4 }, 7, 3],
    ['after the last epoch, which is left to the next call', { every: 4 }, 4, 4],
    ['after steps 12 (in epoch 2), 24 (after epoch 3) and 36 (in epoch 5)', { every: { steps: 12 } }, 5, 1],
    ['after step 12, in epoch 2', { every: { steps: 12 }, until: 0.5 }, 5, 4],
    ['never', { zeta: () => 0 }, 5, 5],
  ])('%s: a new average', async (_, evolution, epochs, count) => {
    const { seen, history, layers } = await watched(await create(), { epochs, average: 0, evolution });
    expect(history.averagedEpochs).toBe(count);
    expect(layers).toEqual(meanOf(seen.slice(-count)));
  });

  test('dense layers do not', async () => {
    const { history } = await watched(await create({ topology: 'dense' }), { epochs: 4, average: 0.25 });
    expect(history.averagedEpochs).toBe(3);
  });

  test.each([
    ['ERR_NON_FINITE', 0],
    ['ERR_OUT_OF_MEMORY', 1],
  ])('an evolution that ends with %s is told of %d times', async (code, times) => {
    let told = 0;
    const fake = {
      evolve: async () => {
        throw Object.assign(new Error('[evolve] no'), { code });
      },
    } as unknown as NativeModel;
    const evolved = () => {
      told += 1;
    };
    const past = { epochsBefore: 1, evolutionDue: 1, evolved };
    const run = new TrainingRun(fake, trainingPlan('fit', {}, sgd(2)), { train: {} as NativeSamples }, past);
    await expect(run.next()).rejects.toMatchObject({ code });
    expect(told).toBe(times);
  });
});

test.each([1, 2, 3])('the same bits on %d threads', async (threads) => {
  const given = { ...options, epochs: 4, average: 0.25, evolution: { until: 0.25 } };
  const [model, other] = [await create({ threads }), await create()];
  await model.fit(train, given);
  await other.fit(train, given);
  expect((await bytesOf(model)).equals(await bytesOf(other))).toBe(true);
});

test('the reference ends with the mean, too', async () => {
  const model = await create({ backend: 'reference', activation: 'srelu', optimizer: 'adamw' });
  const { seen, layers } = await watched(model, { epochs: 4, average: 0.5, evolution: { until: 0.5 } });
  expect(layers).toEqual(meanOf(seen.slice(2)));
});

describe('the history', () => {
  test('has the figures of the mean, by the samples held out', async () => {
    const model = await create();
    const { history, seen } = await watched(model, { epochs: 6, average: 0.5, evolution: still });
    const { loss, accuracy } = await model.evaluate(validation);
    expect(history.averaged).toEqual({ validationLoss: loss, validationAccuracy: accuracy });
    expect(history.averaged!.validationLoss).not.toBe(history.epochs.at(-1)!.validationLoss);
    expect(seen).toHaveLength(6);
  });

  test('has none without such samples, and of targets no accuracy', async () => {
    const { validation: _, ...rest } = options;
    const bare = await (await create()).fit(train, { ...rest, epochs: 2, average: 0 });
    expect(bare).toMatchObject({ averagedEpochs: 1 });
    expect(bare).not.toHaveProperty('averaged');
    const model = await create({ loss: 'mse', layers: [20, 10, 1] });
    const numbers = ({ x, count, features, labels }: typeof train) => ({
      ...{ x, count, features },
      targets: Float32Array.from(labels),
    });
    const held = numbers(validation);
    const given = { ...options, validation: held, epochs: 3, average: 0, learningRate: 0.001 };
    const history = await model.fit(numbers(train), { ...given, evolution: still });
    expect(history.averaged).toEqual({ validationLoss: (await model.evaluate(held)).loss });
  });

  test('says nothing of it where nothing is averaged', async () => {
    const history = await (await create()).fit(train, options);
    expect(Object.keys(history)).toEqual(['epochs', 'warnings']);
  });

  test('says 0 where early stopping ends the run before the average begins', async () => {
    const given = { ...options, epochs: 10, earlyStopping: { monitor: 'trainLoss', minDelta: 100 } } as const;
    const [model, other] = [await create(), await create()];
    const history = await model.fit(train, { ...given, average: 0.5 });
    expect(history).toMatchObject({ averagedEpochs: 0, bestEpoch: 1, epochs: { length: 2 } });
    expect(history).not.toHaveProperty('averaged');
    await other.fit(train, given);
    expect((await bytesOf(model)).equals(await bytesOf(other))).toBe(true);
  });

  test('and early stopping later on ends with the mean of the epochs there were', async () => {
    const earlyStopping = { monitor: 'trainLoss', minDelta: 100, patience: 4 } as const;
    const given = { epochs: 10, average: 0.2, earlyStopping, evolution: still };
    const { seen, history, layers } = await watched(await create(), given);
    expect(history).toMatchObject({ averagedEpochs: 3, epochs: { length: 5 } });
    expect(layers).toEqual(meanOf(seen.slice(2)));
  });
});

describe('runs of several calls', () => {
  test('a call that ends leaves the mean, from which the next one trains on', async () => {
    const model = await create();
    const given = { ...options, average: 0.5, evolution: still };
    expect(await model.fit(train, { ...given, until: 3 })).toMatchObject({ averagedEpochs: 2 });
    expect(await model.fit(train, { ...given, until: 6 })).toMatchObject({ averagedEpochs: 3 });
    expect(await model.fit(train, { ...given, until: 6 })).toEqual({
      ...{ epochs: [], warnings: [], averagedEpochs: 0 },
    });
  });

  test('false from onEpoch ends with the mean so far, as leaving a loop of train does', async () => {
    const [model, looped, whole] = [await create(), await create(), await create()];
    const given = { ...options, epochs: 8, average: 0.25, evolution: still };
    const ended = await model.fit(train, { ...given, onEpoch: ({ epoch }) => epoch !== 5 });
    expect(ended.averagedEpochs).toBe(3);
    for await (const { epoch } of looped.train(train, given)) if (epoch === 5) break;
    expect((await bytesOf(looped)).equals(await bytesOf(model))).toBe(true);
    const { seen } = await watched(whole, { epochs: 5, evolution: still });
    expect(await model.download()).toEqual(meanOf(seen.slice(2)));
  });

  test('a loop of train ends as fit does', async () => {
    const [model, looped] = [await create(), await create()];
    const given = { ...options, epochs: 6, average: 0.5, evolution: { until: 0.5 } };
    const fitted = await model.fit(train, given);
    const loop = looped.train(train, given);
    let step = await loop.next();
    while (!step.done) step = await loop.next();
    const { averagedEpochs, averaged } = fitted;
    expect(step.value).toMatchObject({ averagedEpochs, averaged });
    expect((await bytesOf(looped)).equals(await bytesOf(model))).toBe(true);
  });

  test('epochs before the share of this call are not in its mean', async () => {
    const model = await create();
    const stop = new AbortController();
    const onEpoch = ({ epoch }: { epoch: number }) => void (epoch === 7 && stop.abort());
    const given = { ...options, until: 10, evolution: still };
    const first = model.fit(train, { ...given, average: 0.2, signal: stop.signal, onEpoch });
    await expect(first).rejects.toMatchObject({ code: 'ERR_ABORTED' });
    expect(await model.fit(train, { ...given, average: 0.6 })).toMatchObject({ averagedEpochs: 3 });
  });

  test('a call without average drops what was summed', async () => {
    const model = await create();
    const given = { ...options, until: 6, average: 0, evolution: still };
    const stop = new AbortController();
    const onEpoch = ({ epoch }: { epoch: number }) => void (epoch === 3 && stop.abort());
    await expect(model.fit(train, { ...given, signal: stop.signal, onEpoch })).rejects.toThrow();
    expect(contentOf(await bytesOf(model)).metadata.get('averagedEpochs')).toBe('3');
    await model.fit(train, { ...options, epochs: 1, evolution: still });
    expect(contentOf(await bytesOf(model)).metadata.has('averagedEpochs')).toBe(false);
    expect(await model.fit(train, given)).toMatchObject({ averagedEpochs: 2 });
  });
});

/** Ways to stop a training when an epoch is done; each gives the model that goes on. */
const stops: [string, (model: SparseMLP, fit: FitOptions, at: number) => Promise<SparseMLP>][] = [
  [
    'an abort',
    async (model, fit, at) => {
      const controller = new AbortController();
      let last: LayerData[] | undefined;
      const onEpoch = async ({ epoch }: { epoch: number }) => {
        if (epoch !== at) return;
        last = await model.download();
        controller.abort();
      };
      const training = model.fit(train, { ...fit, onEpoch, signal: controller.signal });
      if (at === 6) await training;
      else {
        await expect(training).rejects.toMatchObject({ code: 'ERR_ABORTED' });
        expect(await model.download()).toEqual(last);
      }
      return model;
    },
  ],
  [
    'its bytes, taken in onEpoch',
    async (model, fit, at) => {
      let bytes: Uint8Array | undefined;
      const onEpoch = async ({ epoch }: { epoch: number }) => {
        if (epoch === at) bytes = await model.toBuffer();
      };
      await model.fit(train, { ...fit, onEpoch });
      const loaded = await load(bytes!);
      bytes!.fill(255); // the model has copies
      return loaded;
    },
  ],
  [
    'a copy, made in onEpoch',
    async (model, fit, at) => {
      let copy: SparseMLP | undefined;
      const onEpoch = async ({ epoch }: { epoch: number }) => {
        if (epoch === at) copy = await model.replicate();
      };
      await model.fit(train, { ...fit, onEpoch });
      return kept(copy!);
    },
  ],
  [
    'an error, and the checkpoint before',
    async (model, fit, at) => {
      const file = path.join(folder, 'thrown.safetensors');
      const onEpoch = ({ epoch }: { epoch: number }) => {
        if (epoch === Math.min(at + 1, 6)) throw new Error('the power fails');
      };
      const training = model.fit(train, { ...fit, onEpoch, checkpoint: { file } });
      await expect(training).rejects.toThrow('the power fails');
      return load(file);
    },
  ],
];

const whole = { ...options, until: 6, learningRate: { schedule: 'cosine', rate: 0.02 } } as const;
const kinds: [string, Partial<ModelOptions>, FitOptions, number][] = [
  ['sgd, links that stay from one half on', {}, { ...whole, average: 0.5, evolution: { until: 0.5 } }, 3],
  [
    'adamw and srelu, static, from the start',
    { optimizer: 'adamw', activation: 'srelu' },
    { ...whole, average: 0, evolution: still },
    6,
  ],
  ['a new average after epoch 4', {}, { ...whole, average: 0.25, evolution: { every: 4 } }, 2],
  [
    'and after step 20, in epoch 3',
    {},
    { ...whole, average: 0, evolution: { every: { steps: 20 }, until: 0.5 } },
    4,
  ],
  ['dense layers', { topology: 'dense' }, { ...whole, average: 0.1 }, 6],
];

describe.each(kinds)('%s: interrupted', (_, model, fit, count) => {
  let expected: { bytes: Buffer; history: History };
  beforeAll(async () => {
    const uninterrupted = await SparseMLP.create({ ...base, ...model });
    const history = await uninterrupted.fit(train, fit);
    expected = { bytes: await bytesOf(uninterrupted), history };
    uninterrupted.dispose();
    expect(history.averagedEpochs).toBe(count);
  });

  test.each(stops)('by %s after any epoch, and gone on with', async (way, stop) => {
    for (let at = 1; at <= 6; at++) {
      const going = await stop(await create({ ...model, threads: 2 }), fit, at);
      const { averagedEpochs, averaged, epochs } = await going.fit(train, fit);
      expect((await bytesOf(going)).equals(expected.bytes), `${way}, after epoch ${at}`).toBe(true);
      if (way === 'an abort' && at === 6) continue; // the call came to its end
      expect(epochs.map(({ epoch }) => epoch)).toEqual(
        [1, 2, 3, 4, 5, 6].slice(way.startsWith('an error') ? Math.min(at, 5) : at),
      );
      expect(averagedEpochs).toBe(count);
      expect(averaged).toEqual(expected.history.averaged);
    }
  });
});

/** A signal that has fired when it is asked for the nth time. */
function firesAt(n: number): AbortSignal {
  let asked = 0;
  const { signal } = new AbortController();
  return Object.defineProperty(signal, 'aborted', { get: () => ++asked >= n });
}

test('an abort between any two steps, and going on, are one training', async () => {
  const given = { ...options, until: 4, average: 0.2, evolution: { every: 2 } };
  const expected = await create();
  expect(await expected.fit(train, given)).toMatchObject({ averagedEpochs: 2 });
  const stops = new Set<number>();
  for (let n = 1; ; n++) {
    const model = await create();
    const stopped = await model.fit(train, { ...given, signal: firesAt(n) }).catch((error) => error);
    if (!(stopped instanceof Error)) break;
    expect(stopped).toMatchObject({ code: 'ERR_ABORTED' });
    stops.add(model.epochs);
    await model.fit(train, given);
    expect((await bytesOf(model)).equals(await bytesOf(expected))).toBe(true);
    model.dispose();
  }
  expect([...stops]).toEqual([0, 1, 2, 3, 4]); // 4: in the evaluation of the last epoch
});

type Content = ReturnType<typeof readSafetensors>;
const contentOf = (bytes: Uint8Array): Content => readSafetensors(bytes, 'x');
const sumsIn = ({ tensors }: Content) =>
  [...tensors.keys()].filter((name) => name.startsWith('average.')).sort();

describe('the file', () => {
  /** Bytes of a model, taken after epoch 5 of 6, three of them averaged, and of the one in the end. */
  const files = async (given: Partial<ModelOptions> = {}) => {
    const model = await create({ activation: 'srelu', ...given });
    let [middle, small] = [new Uint8Array(), new Uint8Array()];
    const onEpoch = async ({ epoch }: { epoch: number }) => {
      if (epoch !== 5) return;
      middle = await model.toBuffer();
      small = await model.toBuffer({ optimizer: false });
    };
    await model.fit(train, { ...options, epochs: 6, average: 0.4, evolution: still, onEpoch });
    return { middle, small, end: await model.toBuffer() };
  };

  test('holds sums while a run is under way, with the state of the optimizer, and none after it', async () => {
    const { middle, small, end } = await files();
    const content = contentOf(middle);
    expect(content.metadata.get('averagedEpochs')).toBe('3');
    const arrays = (k: number, names: string[]) => names.map((name) => `average.layers.${k}.${name}`);
    const learned = ['bias', 'data', 'pieces'];
    expect(sumsIn(content)).toEqual([
      ...arrays(0, learned),
      ...arrays(1, learned),
      ...arrays(2, ['bias', 'data']),
    ]);
    for (const name of sumsIn(content)) {
      const { dtype, shape } = content.tensors.get(name)!;
      const of = content.tensors.get(name.replace('average.', ''))!;
      expect({ dtype, shape }).toEqual({ dtype: 'F64', shape: of.shape });
    }
    for (const other of [small, end].map(contentOf)) {
      expect(sumsIn(other)).toEqual([]);
      expect(other.metadata.has('averagedEpochs')).toBe(false);
    }
    const loaded = await load(middle);
    expect((await bytesOf(loaded)).equals(middle)).toBe(true);
  });

  const put = (content: Content, name: string, dtype: Dtype, shape: number[], data: unknown) => {
    content.tensors.set(name, { dtype, shape, data } as Tensor);
  };
  const data = (content: Content, name: string) => content.tensors.get(name)!.data as Float64Array;
  const count = (text: string) => (content: Content) => content.metadata.set('averagedEpochs', text);

  test.each<[string, (content: Content) => void, string]>([
    ['sums of no epoch', count('0'), 'averagedEpochs from 1 on, came 0'],
    ['sums of more epochs than were trained', count('6'), 'averagedEpochs from 0 to 5, came "6"'],
    ['sums of a number of epochs in words', count('three'), 'averagedEpochs from 0 to 5, came "three"'],
    ['sums of epochs below none', count('-1'), 'averagedEpochs from 0 to 5, came "-1"'],
    ['sums of half an epoch', count('0.5'), 'averagedEpochs from 0 to 5, came "0.5"'],
    [
      'sums of a number that is missing',
      (c) => c.metadata.delete('averagedEpochs'),
      'such a model alone, came "average.',
    ],
    [
      'no sums at all',
      (c) => {
        for (const name of sumsIn(c)) c.tensors.delete(name);
      },
      'tensor average.layers.0.data, F64',
    ],
    [
      'sums of weights that are missing',
      (c) => c.tensors.delete('average.layers.1.data'),
      'tensor average.layers.1.data, F64',
    ],
    [
      'sums of biases that are missing',
      (c) => c.tensors.delete('average.layers.2.bias'),
      'tensor average.layers.2.bias, F64 of [4], came none',
    ],
    [
      'sums of pieces that are missing',
      (c) => c.tensors.delete('average.layers.0.pieces'),
      'tensor average.layers.0.pieces, F64 of [4,30], came none',
    ],
    [
      'sums of pieces that nobody learns',
      (c) => put(c, 'average.layers.2.pieces', 'F64', [4, 4], new Float64Array(16)),
      'came "average.layers.2.pieces"',
    ],
    [
      'sums of a layer that is not there',
      (c) => put(c, 'average.layers.3.bias', 'F64', [1], new Float64Array(1)),
      'came "average.layers.3.bias"',
    ],
    [
      'sums of another shape',
      (c) => put(c, 'average.layers.0.bias', 'F64', [29], new Float64Array(29)),
      'F64 of [30], came F64 of [29]',
    ],
    [
      'sums in single precision',
      (c) => put(c, 'average.layers.0.bias', 'F32', [30], new Float32Array(30)),
      'F64 of [30], came F32 of [30]',
    ],
    [
      'a sum that is no number',
      (c) => data(c, 'average.layers.0.data').fill(Number.NaN, 3, 4),
      'layers.0.data, came NaN',
    ],
    [
      'a sum without end',
      (c) => data(c, 'average.layers.1.bias').fill(-Infinity, 0, 1),
      'layers.1.bias, came -Infinity',
    ],
    [
      'a sum whose mean no float32 holds',
      (c) => data(c, 'average.layers.0.pieces').fill(2e39, 0, 1),
      'came 2e+39',
    ],
  ])('that holds %s is refused', async (_, change, text) => {
    const content = contentOf((await files()).middle);
    change(content);
    const bytes = new Uint8Array(Buffer.concat(safetensorsPieces(content)));
    const error = await load(bytes).catch((reason) => reason);
    expect(error).toBeInstanceOf(SetNativeError);
    expect(error).toMatchObject({ code: 'ERR_DATA_FORMAT', message: expect.stringContaining(text) });
    expect(error.message).toMatch(/^\[load\] these bytes: expected /);
  });

  test('without sums loads as it did', async () => {
    const content = contentOf((await files()).middle);
    for (const name of sumsIn(content)) content.tensors.delete(name);
    content.metadata.delete('averagedEpochs');
    const model = await load(new Uint8Array(Buffer.concat(safetensorsPieces(content))));
    const given = { ...options, until: 6, average: 0.4, evolution: still };
    expect(await model.fit(train, given)).toMatchObject({ averagedEpochs: 1 });
  });

  test('with a bit that flips in it gives a model, or a typed error', async () => {
    const bytes = (await files({ layers: [20, 3, 4], epsilon: 0.5, activation: 'relu' })).middle;
    const model = { ...options, until: 6, average: 0.4, evolution: still };
    let refused = 0;
    for (let bit = 64; bit < 8 * bytes.length; bit += 29) {
      const flipped = bytes.slice();
      flipped[bit >> 3]! ^= 1 << (bit & 7);
      try {
        await (await load(flipped, 1)).fit(train, model);
      } catch (error) {
        if (!(error instanceof SetNativeError)) throw error;
        expect(['ERR_DATA_FORMAT', 'ERR_OUT_OF_MEMORY', 'ERR_NON_FINITE', 'ERR_SHAPE']).toContain(error.code);
        refused += 1;
      }
      for (const each of models.splice(0)) each.dispose();
    }
    expect(refused).toBeGreaterThan(0);
  });
});

test('a training that diverges leaves no mean, and rejects as it does without', async () => {
  const model = await create({ activation: 'linear' });
  const given = { ...options, learningRate: 1e6, epochs: 3, average: 0 };
  await expect(model.fit(train, given)).rejects.toMatchObject({ code: 'ERR_NON_FINITE' });
  await expect(model.toBuffer()).rejects.toMatchObject({ code: 'ERR_NON_FINITE' });
});

test('a model that is disposed of in the last onEpoch is left alone', async () => {
  const model = await create();
  const onEpoch = () => model.dispose();
  const history = await model.fit(train, { ...options, epochs: 1, average: 0, onEpoch });
  expect(history).toMatchObject({ epochs: { length: 1 }, averagedEpochs: 1 });
});

test('learns at least as well as the last epoch, where that is unsteady', async () => {
  const given = { ...options, epochs: 24, learningRate: 0.08, batchSize: 8 };
  const { epochs, averaged } = await (await create()).fit(train, {
    ...given,
    average: 0.5,
    evolution: { until: 0.5 },
  });
  expect(averaged!.validationLoss).toBeLessThan(epochs.at(-1)!.validationLoss!);
});

test.each([
  [1, 'ERR_OUT_OF_RANGE'],
  [1 - 1e-12, 'ERR_OUT_OF_RANGE'],
  [-0.1, 'ERR_OUT_OF_RANGE'],
  [Number.NaN, 'ERR_OUT_OF_RANGE'],
  [Number.POSITIVE_INFINITY, 'ERR_OUT_OF_RANGE'],
  ['0.5', 'ERR_INVALID_ARGUMENT'],
  [null, 'ERR_INVALID_ARGUMENT'],
  [true, 'ERR_INVALID_ARGUMENT'],
])('%j is refused before anything is trained', async (average, code) => {
  const model = await create();
  await expect(model.fit(train, { ...options, average: average as number })).rejects.toMatchObject({
    code,
    message: expect.stringContaining('[fit] average must be a number from 0 to below 1'),
    details: { option: 'average', value: average },
  });
  expect(model.epochs).toBe(0);
});

test('restoreBest beside it is refused, with what to do', async () => {
  const model = await create();
  const earlyStopping = { restoreBest: true };
  await expect(model.fit(train, { ...options, average: 0, earlyStopping })).rejects.toMatchObject({
    code: 'ERR_INVALID_ARGUMENT',
    message: expect.stringMatching(
      /^\[fit\] average .* earlyStopping\.restoreBest .*; leave one of them out$/,
    ),
    details: { option: 'average' },
  });
  expect(model.epochs).toBe(0);
});

test.each(['swa', 'averageWeights', 'avarage'])('%s is answered with its name', async (name) => {
  const model = await create();
  await expect(model.fit(train, { [name]: 0.5 } as never)).rejects.toThrow('did you mean average?');
});
