import { applyScaling, fitScaling } from '../datasets/scaling.js';
import type { Dataset, Samples } from '../datasets/types.js';
import { SetNativeError } from '../errors.js';
import type { NativeLayer } from '../native.js';
import { type GeneratorState, Mt19937 } from './mt19937.js';

/*
 * The draws of the thesis' program for a run, in its order, from one generator. After `seed(run)` it shuffled
 * all training samples, then all test samples, and took the first of each; then, for one density after the
 * other, it drew the network and shuffled the training samples at the start of every epoch. Evolution drew
 * from the same generator between the epochs, in a way that depends on the weights. So a static network can
 * be reproduced through all densities, one that evolves only up to its first evolution at the lowest density,
 * and SET from there on in distribution.
 */

/** The densities that the program went through within a run, and the epochs of each. */
const densities = Array.from({ length: 16 }, (_, k) => 2 * k + 1);
const epochsEach = 100;

interface PublishedRun {
  train: Samples;
  test: Samples;
  layers: NativeLayer[];
  /** Training samples in the order of an epoch, 1-based. */
  trainOf(epoch: number): Samples;
}

/** Draws a run. Throws ERR_INVALID_ARGUMENT unless the data set has a test set, as the program's had. */
export function publishedRun(
  dataset: Dataset,
  {
    run,
    epsilon,
    hidden,
    counts,
  }: { run: number; epsilon: number; hidden: number[]; counts: { train: number; test: number } },
): PublishedRun {
  if (dataset.test === undefined) {
    throw new SetNativeError(
      'ERR_INVALID_ARGUMENT',
      `[bench] the reading published needs a data set with a test set of its own, as Fashion-MNIST has, not ${dataset.name}`,
      { details: { option: 'reading' } },
    );
  }
  const sizes = [dataset.features, ...hidden, dataset.classes];
  const generator = new Mt19937(run);
  const train = scaled(dataset, take(dataset.train, generator, counts.train));
  const test = scaled(dataset, take(dataset.test, generator, counts.test));
  skipDensities(generator, run, epsilon, sizes, [dataset.train.count, dataset.test.count, train.count]);
  const layers = drawNetwork(generator, sizes, epsilon);
  const orders: Uint32Array[] = [];
  return {
    train,
    test,
    layers,
    trainOf(epoch) {
      while (orders.length < epoch) orders.push(generator.shuffle(identity(train.count)));
      return rows(train, orders[epoch - 1]!);
    },
  };
}

const reached = new Map<string, GeneratorState>();

/**
 * Draws what the program drew for lower densities before this one, and keeps the states of the generator for
 * the next call.
 */
function skipDensities(
  generator: Mt19937,
  run: number,
  epsilon: number,
  sizes: number[],
  counts: number[],
): void {
  if (!densities.includes(epsilon)) return; // never in the program: as if it came first
  const key = (density: number) => [run, density, ...sizes, ...counts].join(' ');
  const lower = densities.filter((density) => density < epsilon);
  let begin = lower.findLastIndex((density) => reached.has(key(density)));
  if (begin >= 0) generator.state = reached.get(key(lower[begin]!))!;
  for (begin += 1; begin < lower.length; begin++) {
    drawNetwork(generator, sizes, lower[begin]!);
    for (let epoch = 0; epoch < epochsEach; epoch++) generator.shuffle(identity(counts[2]!));
    reached.set(key(lower[begin]!), generator.state);
  }
}

/**
 * Draws a network: for a layer n x m first n m uniform numbers, row by row, of which those from 1 - p on make
 * a link; then the weights of the links, in row order, uniform within ± sqrt(6 / n). Biases are 0. Computed
 * in float64, rounded to float32 at the end.
 */
function drawNetwork(generator: Mt19937, sizes: number[], epsilon: number): NativeLayer[] {
  return sizes.slice(1).map((outputs, l): NativeLayer => {
    const inputs = sizes[l]!;
    const least = 1 - (epsilon * (inputs + outputs)) / (inputs * outputs);
    const rowOffsets = new Uint32Array(inputs + 1);
    const targets: number[] = [];
    for (let source = 0; source < inputs; source++) {
      for (let target = 0; target < outputs; target++) {
        if (generator.random() >= least) targets.push(target);
      }
      rowOffsets[source + 1] = targets.length;
    }
    const limit = Math.sqrt(6 / inputs);
    const weights = new Float32Array(targets.length);
    for (let link = 0; link < weights.length; link++) weights[link] = generator.uniform(-limit, limit);
    const dense = targets.length === inputs * outputs;
    return {
      inputs,
      outputs,
      dense,
      activation: l + 2 < sizes.length ? 'relu' : 'linear',
      rowOffsets: dense ? new Uint32Array() : rowOffsets,
      colIndices: dense ? new Uint32Array() : Uint32Array.from(targets),
      weights,
      momentum: new Float32Array(weights.length),
      birth: new Uint16Array(dense ? 0 : weights.length),
      bias: new Float32Array(outputs),
      biasMomentum: new Float32Array(outputs),
      pieces: new Float32Array(),
      piecesMomentum: new Float32Array(),
    };
  });
}

/** The first `count` of a random order of all. */
function take(samples: Samples, generator: Mt19937, count: number): Samples {
  return rows(samples, generator.shuffle(identity(samples.count)).subarray(0, count));
}

function scaled(dataset: Dataset, samples: Samples): Samples {
  return applyScaling(samples, fitScaling(samples, dataset.scaling));
}

function identity(count: number): Uint32Array {
  return Uint32Array.from({ length: count }, (_, i) => i);
}

function rows({ x, labels, features }: Samples, order: Uint32Array): Samples {
  const taken = {
    x: new Float32Array(order.length * features),
    labels: new Uint32Array(order.length),
    count: order.length,
    features,
  };
  order.forEach((row, i) => {
    taken.x.set(x.subarray(row * features, (row + 1) * features), i * features);
    taken.labels[i] = labels[row]!;
  });
  return taken;
}
