import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, expect, test } from 'vitest';
import {
  type EpochReport,
  type History,
  type Progress,
  SparseMLP,
  type TrainOptions,
} from '../../../src/index.js';
import { bitsOf, failing, figures, points, testModels } from './networks.js';

/* `until`, `earlyStopping`, `checkpoint` and `onProgress` mean in `train` what they mean in `fit`. */

const { create, kept } = testModels();
const train = points(60);
const validation = points(40, { seed: 2 });
const kind = { layers: [4, 12, 12, 3] };
const folder = mkdtempSync(path.join(os.tmpdir(), 'options-'));
afterAll(() => rmSync(folder, { recursive: true }));

async function loop(
  model: SparseMLP,
  options: TrainOptions,
  body: (report: EpochReport) => unknown = () => {},
) {
  const iterator = model.train(train, options);
  const reports: EpochReport[] = [];
  for (;;) {
    const { done, value } = await iterator.next();
    if (done) return { reports, history: value as History };
    reports.push(value as EpochReport);
    await body(value as EpochReport);
  }
}

test('until counts all epochs of the model, and where they are reached there is nothing to do', async () => {
  const model = await create(kind);
  const epochs = async (options: TrainOptions) =>
    (await loop(model, options)).reports.map(({ epoch }) => epoch);
  expect(await epochs({ until: 2 })).toEqual([1, 2]);
  expect(await epochs({ until: 5 })).toEqual([3, 4, 5]);
  const before = await bitsOf(model);
  expect(await epochs({ until: 5 })).toEqual([]);
  expect(await epochs({ until: 3 })).toEqual([]);
  expect(await bitsOf(model)).toBe(before);
  await expect(loop(model, { until: 6, epochs: 1 })).rejects.toEqual(
    failing('ERR_INVALID_ARGUMENT', 'until'),
  );
});

const stopping = { epochs: 40, learningRate: 0.3, validation };

test('early stopping ends the loop as it ends fit', async () => {
  for (const earlyStopping of [
    { patience: 2 },
    { patience: 1, monitor: 'trainLoss' as const, minDelta: 0.02 },
  ]) {
    const [looped, fitted] = [await create(kind), await create(kind)];
    const expected = await fitted.fit(train, { ...stopping, earlyStopping });
    const { reports, history } = await loop(looped, { ...stopping, earlyStopping });
    expect(reports.map(figures)).toEqual(expected.epochs.map(figures));
    expect(reports.length).toBeLessThan(40);
    expect(history.bestEpoch).toBe(expected.bestEpoch);
    expect(await bitsOf(looped)).toBe(await bitsOf(fitted));
  }
});

test('restoreBest: a loop that came to its end leaves the best network, from which fit goes on', async () => {
  const earlyStopping = { patience: 3, restoreBest: true };
  const model = await create(kind);
  const { reports, history } = await loop(model, { ...stopping, earlyStopping });
  const losses = reports.map(({ validationLoss }) => validationLoss!);
  const best = losses.indexOf(Math.min(...losses)) + 1;
  expect(history.bestEpoch).toBe(best);
  expect(reports).toHaveLength(best + 3);
  expect(model.epochs).toBe(best);
  const straight = await create(kind);
  await straight.fit(train, { ...stopping, epochs: best });
  expect(await model.predict(train.x)).toEqual(await straight.predict(train.x));
  expect((await model.evaluate(validation)).loss).toBe(losses[best - 1]);
  for (const each of [model, straight]) await each.fit(train, { learningRate: 0.3 });
  expect(await bitsOf(model)).toBe(await bitsOf(straight));
});

test('restoreBest: a loop that is left ends with the best network so far, as a fit that onEpoch ends', async () => {
  const options = {
    epochs: 40,
    learningRate: 1,
    validation,
    earlyStopping: { patience: 40, restoreBest: true },
  };
  const [probe, looped, fitted] = [await create(kind), await create(kind), await create(kind)];
  const losses = (await probe.fit(train, options)).epochs.map(({ validationLoss }) => validationLoss!);
  // An epoch behind a better one.
  const worse = losses.findIndex((loss, k) => k > 1 && loss > losses[k - 1]!) + 1;
  expect(worse).toBeGreaterThan(1);
  for await (const { epoch } of looped.train(train, options)) if (epoch === worse) break;
  const { bestEpoch } = await fitted.fit(train, { ...options, onEpoch: ({ epoch }) => epoch !== worse });
  expect(looped.epochs).toBe(bestEpoch);
  expect(looped.epochs).toBeLessThan(worse);
  expect(await bitsOf(looped)).toBe(await bitsOf(fitted));
});

test('restoreBest: in the body it is the network of the epoch', async () => {
  const model = await create(kind);
  const seen: number[] = [];
  const { reports } = await loop(
    model,
    { ...stopping, earlyStopping: { patience: 2, restoreBest: true }, evolution: { method: 'static' } },
    async () => seen.push((await model.evaluate(validation)).loss),
  );
  expect(seen).toEqual(reports.map(({ validationLoss }) => validationLoss));
});

test('a checkpoint holds the epoch that the body sees, and the whole run goes on from it', async () => {
  const file = path.join(folder, 'epochs.safetensors');
  const [model, whole] = [await create(kind), await create(kind)];
  for await (const { epoch } of model.train(train, { until: 5, checkpoint: { file } }))
    if (epoch === 3) break;
  const loaded = kept(await SparseMLP.load(file, { backend: 'cpu' }));
  expect(loaded.epochs).toBe(3);
  expect(await bitsOf(loaded)).toBe(await bitsOf(model));
  await loop(loaded, { until: 5 });
  await whole.fit(train, { until: 5 });
  expect(await bitsOf(loaded)).toBe(await bitsOf(whole));
});

test('onProgress tells of every epoch to its end, counted over the life of the model', async () => {
  const model = await create(kind);
  await model.fit(train);
  const told: Progress[] = [];
  await loop(model, { epochs: 2, onProgress: (progress) => told.push(progress) }, ({ epoch }) => {
    expect(told.at(-1)).toMatchObject({ epoch, epochs: 3, samples: 60, of: 60 });
  });
  expect(new Set(told.map(({ epoch }) => epoch))).toEqual(new Set([2, 3]));
  for (const { samples, of, samplesPerSecond } of told) {
    expect(samples).toBeLessThanOrEqual(of);
    expect(samplesPerSecond).toBeGreaterThanOrEqual(0);
  }
});

test('onWarning and the warnings of the history, once in the life of the model', async () => {
  const model = await create(kind);
  const far = { ...train, x: train.x.map((value) => value * 1e4) };
  const warned: string[] = [];
  const options = { learningRate: 1e-9, onWarning: ({ code }: { code: string }) => warned.push(code) };
  const iterator = model.train(far, options);
  let result = await iterator.next();
  while (!result.done) result = await iterator.next();
  expect(warned).toContain('SET_NATIVE_LARGE_INPUTS');
  expect(result.value.warnings.map(({ code }) => code)).toEqual(warned);
  expect((await model.fit(far, options)).warnings).toEqual([]);
});
