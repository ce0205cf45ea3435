import { afterEach, expect, test } from 'vitest';
import { type ModelOptions, SparseMLP } from '../../../src/index.js';
import { native } from '../../../src/native.js';
import { modelSpec, trainingPlan } from '../../../src/training/options.js';
import { blobs } from './blobs.js';

/* The optimizer AdamW as a user has it. That its steps are right is for the native tests. */

const train = blobs(400);
const validation = blobs(200, { seed: 2 });

const models: SparseMLP[] = [];
async function create(options: Partial<ModelOptions> = {}): Promise<SparseMLP> {
  const model = await SparseMLP.create({
    layers: [20, 60, 60, 4],
    epsilon: 4,
    optimizer: 'adamw',
    ...options,
  });
  models.push(model);
  return model;
}
afterEach(() => {
  for (const model of models.splice(0)) model.dispose();
});

test.each(['cpu', 'reference'] as const)('learns, and evolves (%s)', async (backend) => {
  const model = await create({ backend });
  const evolution = { method: 'set-motif' as const };
  const history = await model.fit(train, { epochs: 6, learningRate: 0.005, validation, evolution });
  expect(history.epochs.at(-1)!.validationAccuracy).toBeGreaterThan(0.9);
  const [layer] = await model.download();
  expect(layer!.secondMoment).toHaveLength(layer!.weights.length);
  expect(layer!.biasSecondMoment).toHaveLength(60);
  expect(layer!.secondMoment!.every((moment) => moment >= 0)).toBe(true);
});

test('follows the reference closely, with the same links', async () => {
  const [layers, wanted] = await Promise.all(
    (['cpu', 'reference'] as const).map(async (backend) => {
      const model = await create({ backend, activation: 'tanh' });
      await model.fit(train, { epochs: 2, tiny: 1e-3 });
      return model.download();
    }),
  );
  for (const [l, layer] of layers!.entries()) {
    expect(layer.colIndices).toEqual(wanted![l]!.colIndices);
    const off = layer.weights.map((weight, k) => Math.abs(weight - wanted![l]!.weights[k]!));
    expect(Math.max(...off)).toBeLessThan(1e-4);
  }
});

test('calls of one epoch give the bits of one call, for any number of threads', async () => {
  const trained = async (calls: number[], threads: number) => {
    const model = await create({ threads, activation: 'srelu' });
    for (const epochs of calls) await model.fit(train, { epochs });
    return model.download();
  };
  const once = await trained([4], 1);
  expect(await trained([1, 1, 1, 1], 2)).toEqual(once);
  expect(await trained([3, 1], 3)).toEqual(once);
});

test('layers without moments start from moments of zero', async () => {
  const spec = modelSpec('test', { layers: [20, 60, 4], epsilon: 4, optimizer: 'adamw' });
  const samples = new (native().Samples)(train.x, 20, { labels: train.labels });
  const plan = trainingPlan('test', {}, spec);
  const first = plan.epoch({ epoch: 1, epochs: 1, steps: 10 });
  const drawn = await native().createModel(spec);
  const bare = (await drawn.download()).map(({ secondMoment, biasSecondMoment, ...rest }) => rest);
  const made = await native().createModel(spec, bare);
  for (const model of [drawn, made]) await model.trainEpoch(samples, first);
  expect(await made.download()).toEqual(await drawn.download());
  for (const model of [drawn, made]) model.dispose();
  samples.dispose();
});

test('defaults are those of the optimizer', () => {
  const plan = (optimizer: 'sgd' | 'adamw', options = {}) =>
    trainingPlan('fit', options, { optimizer, motifSize: 2 }).epoch({ epoch: 1, epochs: 1, steps: 1 });
  expect(plan('sgd')).toMatchObject({ learningRate: 0.05, momentum: 0.9, decay: 0.0002, l2: 0 });
  expect(plan('adamw')).toMatchObject({
    learningRate: 0.001,
    momentum: 0.9,
    beta2: 0.999,
    tiny: 1e-8,
    decay: 0.001 * 0.01,
    l2: 0,
  });
  expect(plan('adamw', { beta1: 0.5, weightDecayMode: 'l2' })).toMatchObject({
    momentum: 0.5,
    l2: 0.01,
    decay: 0,
  });
});

test.each([
  [{ momentum: 0.5 }, 'adamw', "[fit] momentum is no option of adamw, the model's optimizer; use beta1"],
  [{ beta1: 0.5 }, 'sgd', "[fit] beta1 is no option of sgd, the model's optimizer; use momentum"],
  [{ beta2: 0.5 }, 'sgd', '[fit] beta2 is no option of sgd'],
  [{ tiny: 1 }, 'sgd', '[fit] tiny is no option of sgd'],
  [{ beta1: 1 }, 'adamw', '[fit] beta1 must be a number from 0 to below 1'],
  [{ beta2: 1 - 1e-12 }, 'adamw', '[fit] beta2 must be a number from 0 to below 1'],
  [{ tiny: 0 }, 'adamw', '[fit] tiny must be a number above 0'],
] as const)('%o is refused by %s', async (options, optimizer, message) => {
  const model = await create({ optimizer });
  await expect(model.fit(train, options)).rejects.toThrow(message);
});

test('an unknown optimizer is refused with the known ones', async () => {
  await expect(create({ optimizer: 'rmsprop' as never })).rejects.toThrow(/optimizer must be .*sgd.*adamw/);
});

test('a model takes four bytes more per link', () => {
  const bytes = (optimizer: 'sgd' | 'adamw') =>
    native().modelBytes(
      modelSpec('test', { layers: [100, 5000, 5000], epsilon: 10, optimizer, backend: 'cpu' }),
    );
  const links = 10 * (100 + 5000) + 10 * (5000 + 5000);
  expect(bytes('adamw') - bytes('sgd')).toBeGreaterThan(4 * links);
  expect(bytes('adamw') - bytes('sgd')).toBeLessThan(4 * (links + 10_100));
});
