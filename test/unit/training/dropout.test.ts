import { afterEach, expect, test } from 'vitest';
import { type ModelOptions, SparseMLP, type TrainingOptions } from '../../../src/index.js';
import { trainingPlan } from '../../../src/training/options.js';
import { activations } from '../../../src/vocabulary.js';
import { sgd } from '../../support/models.js';
import { blobs } from './blobs.js';

/*
 * The option `dropout` as a user has it. What is dropped, and that steps are right, is for the native tests.
 */

const train = blobs(400);
const validation = blobs(200, { seed: 2 });

const models: SparseMLP[] = [];
async function create(options: Partial<ModelOptions> = {}): Promise<SparseMLP> {
  const model = await SparseMLP.create({ layers: [20, 60, 60, 4], epsilon: 4, ...options });
  models.push(model);
  return model;
}
afterEach(() => {
  for (const model of models.splice(0)) model.dispose();
});

/** The layers of a model that was trained. */
async function trained(model: Partial<ModelOptions>, ...calls: TrainingOptions[]) {
  const made = await create(model);
  for (const options of calls) await made.fit(train, options);
  return made.download();
}

test('reaches the steps, 0 unless given', () => {
  const epoch = (options: TrainingOptions) =>
    trainingPlan('fit', options, sgd(2)).epoch({ epoch: 1, epochs: 1, steps: 1 }).dropout;
  expect(epoch({})).toBe(0);
  expect(epoch({ dropout: 0.25 })).toBe(0.25);
});

test.each([1, -0.1, 1 - 1e-12, Number.NaN, Number.POSITIVE_INFINITY])('%d is refused', (dropout) => {
  expect(() => trainingPlan('fit', { dropout }, sgd(2))).toThrow(
    expect.objectContaining({
      code: 'ERR_OUT_OF_RANGE',
      message: `[fit] dropout must be a number from 0 to below 1 (in float32), got ${dropout}`,
      details: { option: 'dropout', value: dropout },
    }),
  );
});

test('a word is refused, and a name of other libraries answered', () => {
  const plan = (options: object) => () => trainingPlan('fit', options as TrainingOptions, sgd(2));
  expect(plan({ dropout: '0.5' })).toThrow('[fit] dropout must be a number from 0 to below 1');
});

test('misspelt, it is suggested', async () => {
  const model = await create();
  await expect(model.fit(train, { dropoutRate: 0.5 } as never)).rejects.toThrow('did you mean dropout?');
});

test.each(['cpu', 'reference'] as const)('0 is none, and more trains otherwise (%s)', async (backend) => {
  const none = await trained({ backend }, { epochs: 2 });
  expect(await trained({ backend }, { epochs: 2, dropout: 0 })).toEqual(none);
  expect(await trained({ backend }, { epochs: 2, dropout: 0.3 })).not.toEqual(none);
});

test.each(activations)(
  'calls give the bits of one, for any number of threads, with %s',
  async (activation) => {
    const dropout = 0.3;
    const once = await trained({ activation, threads: 1 }, { epochs: 3, dropout });
    const evolving = { evolution: { every: 1 } };
    expect(await trained({ activation, threads: 1 }, { epochs: 3, dropout, ...evolving })).toEqual(once);
    expect(await trained({ activation, threads: 2 }, { epochs: 1, dropout }, { epochs: 2, dropout })).toEqual(
      once,
    );
    expect(await trained({ activation, threads: 3 }, { epochs: 2, dropout }, { until: 3, dropout })).toEqual(
      once,
    );
  },
);

test('evolution by steps cuts epochs in parts, to the same bits on any number of threads', async () => {
  const options = { epochs: 2, dropout: 0.3, evolution: { every: { steps: 3 } } };
  expect(await trained({ threads: 3 }, options)).toEqual(await trained({ threads: 1 }, options));
});

test('drops what the reference drops', async () => {
  const [layers, wanted] = await Promise.all(
    (['cpu', 'reference'] as const).map((backend) =>
      trained({ backend, activation: 'tanh' }, { epochs: 2, dropout: 0.3 }),
    ),
  );
  for (const [l, layer] of layers!.entries()) {
    expect(layer.colIndices).toEqual(wanted![l]!.colIndices);
    const off = layer.weights.map((weight, k) => Math.abs(weight - wanted![l]!.weights[k]!));
    expect(Math.max(...off)).toBeLessThan(1e-4);
  }
});

test('learns; nothing is dropped where a model evaluates or predicts', async () => {
  const model = await create({ layers: [20, 120, 120, 4] });
  const history = await model.fit(train, { epochs: 12, dropout: 0.3, validation });
  expect(history.epochs.at(-1)!.validationAccuracy).toBeGreaterThan(0.9);
  // The loss of training, with outputs dropped, is above that of the whole network.
  const { loss } = await model.evaluate(train);
  expect(history.epochs.at(-1)!.trainLoss).toBeGreaterThan(loss);
  expect(await model.evaluate(train)).toMatchObject({ loss });
  expect(await model.predict(train.x)).toEqual(await model.predict(train.x));
});
