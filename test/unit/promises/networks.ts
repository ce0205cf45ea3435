import { createHash } from 'node:crypto';
import { afterEach, expect } from 'vitest';
import {
  type EpochReport,
  type LayerData,
  type LossName,
  type ModelOptions,
  type Samples,
  SparseMLP,
} from '../../../src/index.js';

/** Models that are disposed of after each test. */
export function testModels() {
  const models: SparseMLP[] = [];
  afterEach(() => {
    for (const model of models.splice(0)) model.dispose();
  });
  const kept = (model: SparseMLP) => {
    models.push(model);
    return model;
  };
  return {
    kept,
    create: async (options: Partial<ModelOptions> = {}) =>
      kept(await SparseMLP.create({ layers: [4, 6, 3], epsilon: 2, backend: 'cpu', threads: 1, ...options })),
  };
}

/** Matches a SetNativeError with this code, whose message contains `text`. */
export const failing = (code: string, text = '') =>
  expect.objectContaining({ code, message: expect.stringContaining(text) });

/** Numbers from -0.5 to 0.5, the same for the same seed. */
export function numbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32 - 0.5;
  };
}

/** Noisy points around one corner for each class, the same for the same arguments. */
export function points(count: number, { features = 4, classes = 3, seed = 1, noise = 1 } = {}): Samples {
  const next = numbers(seed);
  const labels = Uint32Array.from({ length: count }, (_, row) => (row * 7 + (row >> 2)) % classes);
  const x = Float32Array.from({ length: count * features }, (_, i) => {
    const corner = (i % features) % classes === labels[Math.floor(i / features)] ? 1 : 0;
    return corner + noise * next();
  });
  return { x, labels, count, features };
}

/** A digest of all that `save` would write: equal for equal models only. */
export async function bitsOf(model: SparseMLP): Promise<string> {
  return createHash('sha256')
    .update(await model.toBuffer())
    .digest('hex');
}

/** What a report says of the network: all but the times that were measured. */
export function figures({ trainMs, evolveMs, evaluateMs, ...rest }: EpochReport) {
  return rest;
}

/** The sum of inputs of the output neurons of each row, in double precision, from what `download` gives. */
export function logitsOf(layers: LayerData[], x: ArrayLike<number>): number[][] {
  const { inputs } = layers[0]!;
  return Array.from({ length: x.length / inputs }, (_, row) =>
    layers.reduce<number[]>(
      (values, layer, k) => {
        const sums = Array.from(layer.bias);
        values.forEach((value, source) => {
          if (layer.dense) {
            for (let t = 0; t < layer.outputs; t++)
              sums[t]! += value * layer.weights[source * layer.outputs + t]!;
          } else {
            for (let at = layer.rowOffsets[source]!; at < layer.rowOffsets[source + 1]!; at++) {
              sums[layer.colIndices[at]!]! += value * layer.weights[at]!;
            }
          }
        });
        return k + 1 < layers.length ? sums.map((sum) => Math.max(0, sum)) : sums; // hidden layers of ReLU
      },
      Array.from({ length: inputs }, (_, i) => x[row * inputs + i]!),
    ),
  );
}

export function softmax(logits: number[]): number[] {
  const most = Math.max(...logits);
  const powers = logits.map((logit) => Math.exp(logit - most));
  const sum = powers.reduce((a, b) => a + b);
  return powers.map((power) => power / sum);
}

export const sigmoid = (logit: number) => 1 / (1 + Math.exp(-logit));

/** What `predict` gives for a row of logits. */
export function outputsOf(loss: LossName, logits: number[]): number[] {
  if (loss === 'mse') return logits;
  return loss === 'softmax-cross-entropy' ? softmax(logits) : logits.map(sigmoid);
}

/** One step over all samples at once, in their order: what it makes of the weights tells the gradient. */
export const oneStep = {
  epochs: 1,
  batchSize: 4096,
  shuffle: false,
  momentum: 0,
  weightDecay: 0,
  evolution: { method: 'static' },
} as const;

/** Samples, each with the weight of its row. */
export const withWeights = (samples: Samples, weightOf: (row: number) => number): Samples => ({
  ...samples,
  weights: Float32Array.from({ length: samples.count }, (_, row) => weightOf(row)),
});

/** Rows of samples, each as often as it is named. */
export function rowsOf({ x, labels, features }: Samples, rows: number[]): Samples {
  return {
    x: Float32Array.from(rows.flatMap((row) => [...x.subarray(row * features, (row + 1) * features)])),
    labels: Uint32Array.from(rows, (row) => labels[row]!),
    count: rows.length,
    features,
  };
}

/** The largest difference of a weight or bias of two models. */
export async function distance(one: SparseMLP, two: SparseMLP): Promise<number> {
  const [a, b] = [await one.download(), await two.download()];
  let most = 0;
  for (const [k, layer] of a.entries()) {
    for (const part of ['weights', 'bias'] as const) {
      layer[part].forEach((value, i) => {
        most = Math.max(most, Math.abs(value - b[k]![part][i]!));
      });
    }
  }
  return most;
}
