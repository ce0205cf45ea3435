import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { inspect } from 'node:util';
import { afterAll, afterEach, expect, test } from 'vitest';
import {
  type FitOptions,
  fromArrays,
  type ModelOptions,
  prepare,
  readCsv,
  SparseMLP,
  splitSamples,
  uploadSamples,
} from '../../../src/index.js';
import { blobs } from './blobs.js';

/*
 * What a service needs of a training: schedules, ends, checkpoints, numbers to predict, and other calls in
 * between.
 */

const train = blobs(300);
const validation = blobs(100, { seed: 2 });
const folder = mkdtempSync(path.join(os.tmpdir(), 'service-'));
afterAll(() => rmSync(folder, { recursive: true }));

const models: SparseMLP[] = [];
const kept = (model: SparseMLP) => {
  models.push(model);
  return model;
};
async function create(options: Partial<ModelOptions> = {}): Promise<SparseMLP> {
  return kept(await SparseMLP.create({ layers: [20, 40, 24, 4], epsilon: 3, backend: 'cpu', ...options }));
}
afterEach(() => {
  for (const model of models.splice(0)) model.dispose();
});
const failing = (code: string, text = '') =>
  expect.objectContaining({ code, message: expect.stringContaining(text) });

const runs: [string, Partial<ModelOptions>, FitOptions][] = [
  ['linear', {}, { learningRate: { schedule: 'linear', warmup: 1 } }],
  [
    'cosine and AdamW',
    { optimizer: 'adamw' },
    { learningRate: { schedule: 'cosine', warmup: { steps: 5 } } },
  ],
  [
    'step and set-motif',
    { topology: 'motif' },
    { learningRate: { schedule: 'step', every: 2 }, evolution: { method: 'set-motif' } },
  ],
];

test.each(runs)(
  '%s: a training that ends early goes on from its checkpoint to the same bits',
  async (name, model, options) => {
    const whole = await create(model);
    await whole.fit(train, { ...options, until: 6 });
    const file = path.join(folder, `${name}.safetensors`);
    const begun = await create(model);
    await begun.fit(train, { ...options, until: 6, checkpoint: { file }, onEpoch: ({ epoch }) => epoch < 3 });
    expect(begun.epochs).toBe(3);
    const gone = kept(await SparseMLP.load(file));
    await gone.fit(train, { ...options, until: 6 });
    expect(await gone.toBuffer()).toEqual(await whole.toBuffer());
    expect((await gone.fit(train, { ...options, until: 6 })).epochs).toEqual([]);
  },
);

test('a schedule has the rates of its formula, step by step', async () => {
  // Batches as large as the set: an epoch is a step, so the same rates can be given epoch by epoch.
  const one = { batchSize: 300, epochs: 8, evolution: { method: 'static' } } as const;
  const cosine = (epoch: number) =>
    epoch <= 2 ? (0.1 * epoch) / 2 : 0.01 + (0.09 * (1 + Math.cos((Math.PI * (epoch - 3)) / 6))) / 2;
  const [named, given] = [await create(), await create()];
  await named.fit(train, { ...one, learningRate: { schedule: 'cosine', rate: 0.1, end: 0.01, warmup: 2 } });
  // Decay does not follow the rate in the mode `thesis`, the default of sgd.
  await given.fit(train, { ...one, learningRate: cosine });
  expect(await named.toBuffer()).toEqual(await given.toBuffer());
});

test('early stopping ends with the best network, and fit goes on from there', async () => {
  const options = { validation, learningRate: 0.2, epochs: 40 };
  const model = await create();
  const { epochs, bestEpoch } = await model.fit(train, {
    ...options,
    earlyStopping: { patience: 3, restoreBest: true },
  });
  const losses = epochs.map(({ validationLoss }) => validationLoss!);
  expect(bestEpoch).toBe(losses.indexOf(Math.min(...losses)) + 1);
  expect(epochs.length).toBe(Math.min(40, bestEpoch! + 3));
  expect(model.epochs).toBe(bestEpoch);
  const straight = await create();
  await straight.fit(train, { learningRate: 0.2, epochs: bestEpoch! });
  expect(await model.toBuffer()).toEqual(await straight.toBuffer());
  for (const each of [model, straight]) await each.fit(train, { learningRate: 0.2 });
  expect(await model.toBuffer()).toEqual(await straight.toBuffer());
  await expect(model.fit(train, { earlyStopping: {} })).rejects.toEqual(
    failing('ERR_INVALID_ARGUMENT', 'validation'),
  );
});

test('train gives the epochs of fit, and lets other calls in between', async () => {
  const [fitted, model] = [await create(), await create()];
  const history = await fitted.fit(train, { epochs: 4 });
  const losses: number[] = [];
  for await (const { epoch, trainLoss } of model.train(train, { epochs: 4 })) {
    losses.push(trainLoss);
    expect(model.epochs).toBe(epoch);
    const outputs = await model.predict(validation.x);
    const replica = kept(await model.replicate());
    expect(await replica.predict(validation.x)).toEqual(outputs);
    await expect(model.fit(train)).rejects.toEqual(failing('ERR_BUSY', 'iteration'));
  }
  expect(losses).toEqual(history.epochs.map(({ trainLoss }) => trainLoss));
  expect(await model.toBuffer()).toEqual(await fitted.toBuffer());
  for await (const { epoch } of model.train(train, { epochs: 9 })) if (epoch === 6) break;
  expect(model.epochs).toBe(6);
  await model.fit(train);
  const open = model.train(train, { epochs: 2 });
  await open.next();
  model.dispose();
  await expect(open.next()).rejects.toEqual(failing('ERR_ABORTED'));
});

test('an epoch of train that was asked for before close comes to its end', async () => {
  const model = await create();
  const first = model.train(train, { epochs: 2 }).next();
  await model.close();
  expect((await first).value).toMatchObject({ epoch: 1 });
});

test('weights count as often as samples are repeated, and classes as they are told', async () => {
  const few = splitSamples(train, { testFraction: 0.1 }).test;
  const once = { batchSize: 4096, evolution: { method: 'static' } } as const;
  const [balanced, weighed] = [await create(), await create()];
  const counts = [0, 0, 0, 0];
  for (const label of few.labels) counts[label]! += 1;
  const weights = Float32Array.from(few.labels, (label) => few.count / (4 * counts[label]!));
  await balanced.fit(few, { ...once, classWeight: 'balanced' });
  await weighed.fit({ ...few, weights }, once);
  expect(await balanced.toBuffer()).toEqual(await weighed.toBuffer());
  const wrong = { ...few, weights: weights.with(2, -1) };
  await expect(weighed.fit(wrong)).rejects.toEqual(failing('ERR_OUT_OF_RANGE', 'row 2'));
  for (const classWeight of [
    [1, 2],
    ['1', 1, 1, 1],
    [null, 1, 1, 1],
    [1, 1, 1, -1],
  ]) {
    await expect(weighed.fit(few, { classWeight: classWeight as number[] })).rejects.toEqual(
      failing('ERR_INVALID_ARGUMENT', 'classWeight'),
    );
  }
});

test('numbers are predicted in their own units, also by a loaded model', async () => {
  const rows = Array.from({ length: 600 }, (_, i) => [(i % 23) - 11, (i % 31) - 15, i % 2 === 0 ? 'a' : 'b']);
  const price = (row: (number | string)[]) =>
    5000 + 100 * Number(row[0]) - 50 * Number(row[1]) + (row[2] === 'a' ? 300 : 0);
  const data = fromArrays(rows, rows.map(price), { targets: ['price'] });
  const prepared = prepare(data, { targetScaling: 'standardise' });
  const { encoding } = prepared;
  const model = await create({ layers: [4, 32, 1], loss: 'mse', optimizer: 'adamw', encoding });
  await model.fit(prepared.train, { epochs: 60, learningRate: 0.01 });
  const { r2, mae, loss } = await model.evaluate(prepared.test);
  expect(r2).toBeGreaterThan(0.95);
  expect(mae).toBeLessThan(Math.sqrt(loss) + 1e-6);
  const [estimate] = await model.estimate([[5, -5, 'a']]);
  expect(Math.abs(estimate!.price! - 6050)).toBeLessThan(300);
  const loaded = kept(await SparseMLP.load(await model.toBuffer({ optimizer: false })));
  expect(await loaded.estimate([[5, -5, 'a']])).toEqual([estimate]);
  await expect(loaded.classify([[5, -5, 'a']])).rejects.toEqual(failing('ERR_INVALID_ARGUMENT', 'estimate'));
});

test('figures of classes are those of their confusion matrix', async () => {
  const model = await create();
  await model.fit(train, { epochs: 2 });
  const { accuracy, classes, confusion } = await model.evaluate(validation);
  const outputs = await model.predict(validation.x);
  const counts = Array.from({ length: 4 }, () => [0, 0, 0, 0]);
  validation.labels.forEach((label, row) => {
    const own = [...outputs.subarray(4 * row, 4 * row + 4)];
    counts[label]![own.indexOf(Math.max(...own))]! += 1;
  });
  expect(confusion).toEqual(counts);
  expect(accuracy).toBeCloseTo(counts.reduce((sum, row, c) => sum + row[c]!, 0) / 100);
  for (const [c, { precision, recall, support }] of classes.entries()) {
    const taken = counts.reduce((sum, row) => sum + row[c]!, 0);
    expect(support).toBe(counts[c]!.reduce((sum, count) => sum + count));
    expect(precision).toBeCloseTo(taken === 0 ? 0 : counts[c]![c]! / taken);
    expect(recall).toBeCloseTo(counts[c]![c]! / support);
  }
});

test('columns of targets are read, and stay with their rows', () => {
  const table = readCsv('a,b,y,z\n1,x,2.5,1\n2,y,3.5,0\n3,x,,1\n4,y,2,1\n', {
    target: ['y', 'z'],
    missing: 'drop',
  });
  expect(table.targetNames).toEqual(['y', 'z']);
  expect([...table.train.targets]).toEqual([2.5, 1, 3.5, 0, 2, 1]);
  const { train: most, test: rest } = splitSamples(table.train, { testFraction: 0.4 });
  for (const part of [most, rest]) {
    for (let row = 0; row < part.count; row++) {
      const y = [...part.targets.subarray(2 * row, 2 * row + 2)];
      expect({ 1: [2.5, 1], 2: [3.5, 0], 4: [2, 1] }[part.x[row * 3]!]).toEqual(y);
    }
  }
  expect(() => readCsv('a,y\n1,x\n', { target: 'y' })).toThrow(failing('ERR_DATA_FORMAT', 'a number in y'));
  expect(() => fromArrays([[1]], [[1, 2]], { targets: ['y'] })).toThrow(failing('ERR_SHAPE'));
});

test('uploaded samples give the same figures again and again, until they are disposed of', async () => {
  const model = await create();
  const uploaded = await uploadSamples(train);
  await model.fit(uploaded, { epochs: 2 });
  const straight = await create();
  await straight.fit(train, { epochs: 2 });
  expect(await model.evaluate(uploaded)).toEqual(await straight.evaluate(train));
  expect(await model.predict(uploaded)).toEqual(await straight.predict(train.x));
  uploaded.dispose();
  await expect(model.evaluate(uploaded)).rejects.toEqual(failing('ERR_DISPOSED'));
  const wrong = { ...train, x: train.x.with(45, Number.NaN) };
  await expect(uploadSamples(wrong)).rejects.toEqual(failing('ERR_NON_FINITE', 'row 2, feature 5'));
});

test('progress comes to the end of each epoch, and its errors end the training', async () => {
  const model = await create();
  const seen: number[][] = [];
  await model.fit(train, {
    epochs: 2,
    onProgress: ({ epoch, epochs, samples, of }) => seen.push([epoch, epochs, samples, of]),
  });
  expect(seen).toContainEqual([1, 2, 300, 300]);
  expect(seen.at(-1)).toEqual([2, 2, 300, 300]);
  const onProgress = () => {
    throw new Error('mine');
  };
  await expect(model.fit(train, { onProgress })).rejects.toThrow('mine');
  await model.fit(train);
});

test('a model shows what it is', async () => {
  const model = await create();
  expect(inspect(model)).toMatch(/SparseMLP \{.*layers: \[ 20, 40, 24, 4 \].*epochs: 0/s);
  const summary = await model.summary();
  expect(summary).toContain('20 × 40');
  expect(summary.split('\n')).toHaveLength(5);
  await model.close();
  expect(inspect(model)).toMatch(/state: '(closed|disposed)'/);
});

test('a checkpoint that cannot be written is an error, and nothing is left half-written', async () => {
  const model = await create();
  const file = path.join(folder, 'missing', 'm.safetensors');
  await expect(model.fit(train, { checkpoint: { file } })).rejects.toEqual(failing('ERR_IO'));
  expect(existsSync(file)).toBe(false);
});
