import { type Estimate, estimate } from '../bench/statistics.js';
import { checkHooks, checkKeys, checkNumber, type NumberRange, wholeNumber } from '../checks.js';
import { loadDataset } from '../datasets/registry.js';
import { prepare } from '../datasets/transform.js';
import type { Samples } from '../datasets/types.js';
import { checkSignal, SetNativeError } from '../errors.js';
import { native } from '../native.js';
import { SparseMLP } from '../training/model.js';
import { type MethodName, ranges } from '../training/options.js';
import { jaccard, strengths, strongest } from './strength.js';

export interface SelectionConfig {
  dataset: string;
  dataDir?: string;
  /** Percent of the features to keep, each above 0 and at most 100. */
  keep: number[];
  method: MethodName;
  epsilon: number;
  hidden: number[];
  epochs: number;
  batchSize: number;
  learningRate: number;
  weightDecay: number;
  zeta: number;
  /** Default: all there are, of Fashion-MNIST and the like 5000 and 1000 suffice. */
  train?: number;
  test?: number;
  runs: number;
  seed: number;
  threads: number;
}

export const selectionDefaults: Omit<SelectionConfig, 'dataset'> = {
  keep: [5, 10, 20, 30, 50, 100],
  method: 'set',
  epsilon: 13,
  hidden: [200],
  epochs: 40,
  batchSize: 40,
  learningRate: 0.05,
  weightDecay: 0.001,
  zeta: 0.3,
  runs: 3,
  seed: 0,
  threads: 0,
};

/** One seed and share of features. Accuracies are those of networks trained anew on these features alone. */
export interface SelectionRun {
  seed: number;
  keep: number;
  /** The features kept, ascending. */
  features: number[];
  accuracy: number;
  /** The same with as many features drawn at random. */
  randomAccuracy: number;
}

export interface SelectionSummary {
  keep: number;
  features: number;
  accuracy: Estimate;
  randomAccuracy: Estimate;
  /** Mean Jaccard index over pairs of seeds; null for a single one. Random sets of a share k share about k / (2 - k). */
  stability: number | null;
}

export interface SelectionResults {
  config: SelectionConfig;
  dataset: {
    name: string;
    features: number;
    classes: number;
    train: number;
    test: number;
    note?: string;
    image?: { width: number; height: number };
  };
  /** Mean over the seeds, of every input. */
  strength: number[];
  runs: SelectionRun[];
  summary: SelectionSummary[];
}

export interface SelectionHooks {
  onRun?: (run: SelectionRun) => void;
  signal?: AbortSignal;
}

const share: NumberRange = { text: 'a number above 0, at most 100', accepts: (value) => value > 0 && value <= 100 };

/**
 * Which features a task needs, and how well the strongest of them do alone: trains a network on all features, ranks them by the
 * strength of its first layer, and for each share of `keep` trains a new network on the strongest features and another on
 * as many random ones. Features are ranked on the training samples only; accuracies are of the test samples. All draws depend
 * on the seed alone.
 *
 * Rejects with ERR_INVALID_ARGUMENT and ERR_OUT_OF_RANGE naming the option, with the errors of `loadDataset`, `prepare` and `fit`, and with
 * ERR_ABORTED when the signal fires.
 */
export async function selectFeatures(
  given: Partial<SelectionConfig> & Pick<SelectionConfig, 'dataset'>,
  hooks: SelectionHooks = {},
): Promise<SelectionResults> {
  const config = selectionConfig(given);
  checkKeys('select', hooks, ['onRun', 'signal']);
  checkHooks('select', { ...hooks });
  checkSignal('select', hooks.signal, 'before it began');
  const dataset = loadDataset(config.dataset, config.dataDir === undefined ? {} : { dataDir: config.dataDir });
  const runs: SelectionRun[] = [];
  const total = new Float64Array(dataset.features);
  const sizes = { train: 0, test: 0 };
  for (let run = 0; run < config.runs; run++) {
    const seed = config.seed + run;
    const { train, test } = prepare(dataset, { train: config.train, test: config.test, seed });
    Object.assign(sizes, { train: train.count, test: test.count });
    const whole = await trained(config, train, test, dataset.classes, seed, hooks.signal);
    for (const [feature, strength] of whole.strength.entries()) total[feature]! += strength / config.runs;
    const randomOrder = native().permutation(seed, dataset.features);
    const accuracyOf = async (features: Uint32Array) => {
      if (features.length === dataset.features) return whole.accuracy;
      const part = await trained(
        config,
        columns(train, features),
        columns(test, features),
        dataset.classes,
        seed,
        hooks.signal,
      );
      return part.accuracy;
    };
    for (const keep of config.keep) {
      const count = Math.max(1, Math.round((keep / 100) * dataset.features));
      const features = strongest(whole.strength, count);
      const accuracy = await accuracyOf(features);
      const randomAccuracy = await accuracyOf(randomOrder.slice(0, count).sort());
      const done = { seed, keep, features: Array.from(features), accuracy, randomAccuracy };
      runs.push(done);
      hooks.onRun?.(done);
    }
  }
  const { name, features, classes, note, imageShape } = dataset;
  const image = imageShape && { width: imageShape[1], height: imageShape[0] };
  return {
    config,
    dataset: { name, features, classes, ...sizes, ...(note !== undefined && { note }), ...(image && { image }) },
    strength: Array.from(total),
    runs,
    summary: config.keep.map((keep) => summarize(runs.filter((each) => each.keep === keep))),
  };
}

function selectionConfig(given: Partial<SelectionConfig> & Pick<SelectionConfig, 'dataset'>): SelectionConfig {
  checkKeys('select', given, ['dataset', 'dataDir', 'train', 'test', ...Object.keys(selectionDefaults)]);
  const config = { ...selectionDefaults, ...given };
  if (!Array.isArray(config.keep) || config.keep.length === 0) {
    throw new SetNativeError('ERR_INVALID_ARGUMENT', '[select] keep must be a list of at least one share in percent', {
      details: { option: 'keep', value: config.keep },
    });
  }
  for (const value of config.keep) checkNumber('select', 'keep', value, share);
  checkNumber('select', 'runs', config.runs, ranges.runs);
  checkNumber('select', 'seed', config.seed, wholeNumber(0, Number.MAX_SAFE_INTEGER - (config.runs - 1)));
  return config; // the network's options are checked where it is made
}

/** A network's accuracy on the test samples, and what its inputs are worth to it. */
async function trained(
  config: SelectionConfig,
  train: Samples,
  test: Samples,
  classes: number,
  seed: number,
  signal: AbortSignal | undefined,
): Promise<{ accuracy: number; strength: Float64Array }> {
  const { hidden, epsilon, threads, epochs, batchSize, learningRate, weightDecay, zeta, method } = config;
  const model = await SparseMLP.create({ layers: [train.features, ...hidden, classes], epsilon, threads, seed });
  try {
    const evolution = { method, zeta };
    await model.fit(train, { epochs, batchSize, learningRate, weightDecay, evolution, ...(signal && { signal }) });
    const { accuracy } = await model.evaluate(test);
    const [first] = await model.download();
    return { accuracy, strength: strengths(first!) };
  } finally {
    model.dispose();
  }
}

/** The samples with some of their features only. */
function columns({ x, labels, count, features }: Samples, kept: Uint32Array): Samples {
  const narrow = new Float32Array(count * kept.length);
  for (let row = 0; row < count; row++) {
    kept.forEach((feature, i) => {
      narrow[row * kept.length + i] = x[row * features + feature]!;
    });
  }
  return { x: narrow, labels, count, features: kept.length };
}

function summarize(runs: SelectionRun[]): SelectionSummary {
  const sets = runs.map(({ features }) => Uint32Array.from(features));
  const pairs = sets.flatMap((a, i) => sets.slice(i + 1).map((b) => jaccard(a, b)));
  return {
    keep: runs[0]!.keep,
    features: sets[0]!.length,
    accuracy: estimate(runs.map(({ accuracy }) => accuracy)),
    randomAccuracy: estimate(runs.map(({ randomAccuracy }) => randomAccuracy)),
    stability: pairs.length > 0 ? pairs.reduce((sum, each) => sum + each, 0) / pairs.length : null,
  };
}
