import { expect, test } from 'vitest';
import { type ModelOptions, SparseMLP } from '../../../src/index.js';
import { blobs } from './blobs.js';

/* Numbers that overflow: in predictions, and in the weights of a training that diverged. */

const train = blobs(200);
const refusal = (message: string) =>
  expect.objectContaining({
    name: 'SetNativeError',
    code: 'ERR_NON_FINITE',
    message: expect.stringContaining(message),
  });

/**
 * So many rows, all but one of them small; 600 rows take more work than is done at once on the JavaScript
 * thread.
 */
function rows(count: number, large: number): Float32Array {
  const x = new Float32Array(20 * count).fill(0.5);
  for (let i = 0; i < 20; i++) x[20 * large + i] = i % 2 ? 3e38 : -3e38;
  return x;
}

const losses = ['softmax-cross-entropy', 'sigmoid-binary-cross-entropy', 'mse'] as const;

test.each(
  losses.flatMap((loss) =>
    [
      [1, 0],
      [3, 1],
      [600, 550],
    ].map(([count, row]) => ({ loss, count: count!, row: row! })),
  ),
)('predict refuses outputs that overflow: $loss, row $row of $count', async ({ loss, count, row }) => {
  const model = await SparseMLP.create({ layers: [20, 60, 4], activation: 'linear', loss });
  const message = `[predict] outputs must be finite numbers, but for row ${row}, the outputs of layer`;
  await expect(model.predict(rows(count, row))).rejects.toEqual(refusal(message));
  expect(await model.predict(new Float32Array(20).fill(0.5))).toHaveLength(4);
  model.dispose();
});

/** Trains for an epoch as it should, and then for one that diverges. */
async function diverged(options: Partial<ModelOptions> = {}): Promise<SparseMLP> {
  const model = await SparseMLP.create({ layers: [20, 60, 60, 4], epsilon: 4, ...options });
  await model.fit(train);
  await expect(model.fit(train, { epochs: 3, learningRate: 3e38 })).rejects.toEqual(refusal('in epoch 2'));
  return model;
}

test.each([
  ['predict one sample', 'predict', (model: SparseMLP) => model.predict(train.x.subarray(0, 20))],
  ['predict', 'predict', (model: SparseMLP) => model.predict(train.x)],
  ['evaluate', 'evaluate', (model: SparseMLP) => model.evaluate(train)],
  ['train on', 'fit', (model: SparseMLP) => model.fit(train)],
])('a model whose training diverged refuses to %s, naming the epoch', async (_, operation, call) => {
  for (const loss of losses) {
    const model = await diverged({ loss });
    const message = `[${operation}] the training of this model diverged in epoch 2; create a new one`;
    await expect(call(model)).rejects.toEqual(refusal(message));
    await expect(call(model)).rejects.toEqual(refusal(message));
    model.dispose();
  }
});

test('a model whose training diverged can be looked at and disposed of', async () => {
  const model = await diverged();
  expect(await model.layers()).toHaveLength(3);
  expect(await model.download()).toHaveLength(3);
  expect(model.epochs).toBe(1);
  model.dispose();
  await expect(model.predict(train.x)).rejects.toEqual(expect.objectContaining({ code: 'ERR_DISPOSED' }));
});

test('samples that overflow in evaluate or predict leave the model of use', async () => {
  const model = await SparseMLP.create({ layers: [20, 60, 60, 4], epsilon: 4 });
  const large = { ...train, x: rows(train.count, 7) };
  await expect(model.evaluate(large)).rejects.toEqual(refusal('[evaluate]'));
  await expect(model.predict(large.x)).rejects.toEqual(refusal('[predict]'));
  expect((await model.fit(train)).epochs).toHaveLength(1);
  model.dispose();
});
