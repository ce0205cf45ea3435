import {
  checkBoolean,
  checkChoice,
  checkKeys,
  checkNumber,
  describe,
  invalid,
  type NumberRange,
  show,
  wholeNumber,
} from '../checks.js';
import { SetNativeError } from '../errors.js';
import { native } from '../native.js';
import { type Encoding, encodingOf } from './encoding.js';
import { type InputOrder, orderOf } from './inputOrder.js';
import { checkFinite, checkSampleKinds, checkSamples, checkShape, type Naming } from './samples.js';
import { applyScaling, fitScaling } from './scaling.js';
import type { AnySamples, Dataset, Samples, Scaling, TargetDataset, TargetSamples } from './types.js';

/*
 * Transforms samples: checks, subsets, splits and scaling; `prepare` does all of it in one call. Nothing here
 * changes its input. Random draws depend on the seed alone.
 */

/** Copies the given rows, in the given order. */
function takeRows<S extends AnySamples>(samples: S, rows: Uint32Array): S {
  const take = <T extends Float32Array | Uint32Array>(values: T, width: number, taken: T): T => {
    rows.forEach((row, i) => {
      taken.set(values.subarray(row * width, (row + 1) * width), i * width);
    });
    return taken;
  };
  const { labels, targets } = samples as Partial<Samples & TargetSamples>;
  const { x, features, count, weights } = samples;
  const floats = (values: Float32Array, width: number) =>
    take(values, width, new Float32Array(rows.length * width));
  return {
    x: floats(x, features),
    ...(labels && { labels: take(labels, 1, new Uint32Array(rows.length)) }),
    ...(targets && { targets: floats(targets, targets.length / count) }),
    ...(weights && { weights: floats(weights, 1) }),
    count: rows.length,
    features,
  } as unknown as S;
}

function checkSeed(seed: number): void {
  if (Number.isSafeInteger(seed) && seed >= 0) return;
  throw new SetNativeError(
    'ERR_OUT_OF_RANGE',
    `[data] expected a seed of 0 .. 2^53 - 1, came ${show(seed)}`,
    {
      details: { seed },
    },
  );
}

/**
 * Draws `count` of the samples without replacement: the first `count` of the random order of the seed.
 *
 * @throws SetNativeError ERR_OUT_OF_RANGE: count is no whole number in 1 .. samples.count, or a bad seed;
 * ERR_INVALID_ARGUMENT, ERR_SHAPE: `samples` are not samples
 */
export function subsetSamples<S extends AnySamples>(samples: S, count: number, seed: number): S {
  checkSampleKinds('subset', samples);
  checkShape(samples, { where: 'samples', operation: 'subset' });
  return takeRows(samples, subsetRows(samples.count, count, seed));
}

/** Draws `count` of 0 .. available - 1. */
function subsetRows(available: number, count: number, seed: number): Uint32Array {
  checkSeed(seed);
  if (!Number.isSafeInteger(count) || count < 1 || count > available) {
    throw new SetNativeError(
      'ERR_OUT_OF_RANGE',
      `[data] expected a subset of 1 .. ${available} samples (all there are), came ${show(count)}; ask for fewer`,
      { details: { count, available } },
    );
  }
  return native().permutation(seed, available).subarray(0, count);
}

/** Options of a split. */
export interface SplitOptions {
  /** Seed of the split; default 0. */
  seed?: number;
  /** Share of the samples that becomes the test set, above 0 and below 1; default 1/3. */
  testFraction?: number;
  /**
   * Whether each class is split by itself, so that both parts have the same mix. Default true where samples
   * have labels.
   */
  stratified?: boolean;
}

/**
 * Splits samples into train and test. Rows keep their order within each part. round(testFraction · n) samples
 * go to the test set, of each class when stratified; a class of two or more then has at least one sample on
 * either side.
 *
 * @throws SetNativeError ERR_OUT_OF_RANGE: testFraction outside (0, 1), a bad seed, or so few samples that a
 * part would be empty; ERR_INVALID_ARGUMENT: an unknown option, or `samples` are not samples; ERR_SHAPE
 */
export function splitSamples<S extends AnySamples>(
  samples: S,
  options: SplitOptions = {},
): { train: S; test: S } {
  checkSampleKinds('split', samples);
  checkShape(samples, { where: 'samples', operation: 'split' });
  const rows = splitRows(samples, options);
  return { train: takeRows(samples, rows.train), test: takeRows(samples, rows.test) };
}

const openUnitInterval: NumberRange = {
  text: 'a number above 0 and below 1',
  accepts: (value) => value > 0 && value < 1,
};

/** Rows of either part, ascending. */
function splitRows(samples: AnySamples, options: SplitOptions): { train: Uint32Array; test: Uint32Array } {
  checkKeys('split', options, ['seed', 'testFraction', 'stratified']);
  const labels = 'labels' in samples ? samples.labels : undefined;
  const { seed = 0, testFraction = 1 / 3, stratified = labels !== undefined } = options;
  checkSeed(seed);
  checkNumber('split', 'testFraction', testFraction, openUnitInterval);
  checkBoolean('split', 'stratified', stratified);
  if (stratified && labels === undefined)
    throw invalid('split', 'stratified', 'false, or absent: the samples have no labels', stratified);
  // Number of samples of each group (a class, or all) that still go to the test set.
  const groupOf = (row: number) => (stratified ? labels![row]! : 0);
  const sizes = new Map<number, number>();
  for (let row = 0; row < samples.count; row++) sizes.set(groupOf(row), (sizes.get(groupOf(row)) ?? 0) + 1);
  const quota = new Map<number, number>();
  for (const [group, size] of sizes) {
    const wanted = Math.round(size * testFraction);
    quota.set(group, size < 2 ? 0 : Math.min(size - 1, Math.max(1, wanted)));
  }

  const inTest = new Uint8Array(samples.count);
  let testCount = 0;
  for (const row of native().permutation(seed, samples.count)) {
    const left = quota.get(groupOf(row))!;
    if (left === 0) continue;
    quota.set(groupOf(row), left - 1);
    inTest[row] = 1;
    testCount++;
  }
  if (testCount === 0) {
    throw new SetNativeError(
      'ERR_OUT_OF_RANGE',
      `[data] expected at least 2 samples ${stratified ? 'of a class ' : ''}to split, came ${samples.count} in all`,
      { details: { count: samples.count, testFraction } },
    );
  }
  const rows = Uint32Array.from(inTest.keys());
  return { train: rows.filter((row) => inTest[row] === 0), test: rows.filter((row) => inTest[row] === 1) };
}

/** Options of `prepare`. */
export interface PrepareOptions {
  /**
   * Seed of the split and of the subsets, and nothing else decides them: all methods of a paired run get the
   * same samples of one seed. Default 0.
   */
  seed?: number;
  /** Number of train samples; default all. */
  train?: number | undefined;
  /** Number of samples held out of the training set, none of them among the train samples; default 0. */
  validation?: number | undefined;
  /** Number of test samples; default all. */
  test?: number | undefined;
  /** Scaling; default: that of the data set. */
  scaling?: Scaling;
  /**
   * Scaling of targets: `standardise` to mean 0 and standard deviation 1 over the train samples, which large
   * numbers need; `estimate` of a model with the `encoding` gives them as they were. Default `none`.
   */
  targetScaling?: 'none' | 'standardise';
  /**
   * Order of the inputs: feature k of what is prepared is feature order[k] of the data set. The `encoding`
   * has it, and a model with that takes raw rows in the order that they were given in. Default `given`.
   */
  inputOrder?: InputOrder;
}

/** Samples that `prepare` makes; `validation` is there where some were asked for. */
export interface Prepared<S extends AnySamples = Samples> {
  train: S;
  validation?: S;
  test: S;
  /** What was done to the data, for the option `encoding` of a model. It can be written as JSON. */
  encoding: Encoding;
}

const optionKeys = Object.keys({
  seed: 0,
  train: 0,
  validation: 0,
  test: 0,
  scaling: 0,
  targetScaling: 0,
  inputOrder: 0,
} satisfies Record<keyof PrepareOptions, 0>);

const datasetKeys = Object.keys({
  name: 0,
  source: 0,
  features: 0,
  classes: 0,
  classNames: 0,
  targetNames: 0,
  train: 0,
  test: 0,
  imageShape: 0,
  scaling: 0,
  columns: 0,
  gaps: 0,
  note: 0,
} satisfies Record<keyof Dataset | keyof TargetDataset, 0>);

/** Throws unless a value is a data set with sound samples. */
function checkDataset(dataset: Dataset | TargetDataset): void {
  const operation = 'prepare';
  if (typeof dataset !== 'object' || dataset === null || !('train' in dataset)) {
    const isSamples = typeof dataset === 'object' && dataset !== null && 'x' in dataset;
    throw new SetNativeError(
      'ERR_INVALID_ARGUMENT',
      `[prepare] expected a data set, as loadDataset gives it, got ${isSamples ? 'samples' : describe(dataset)}` +
        `${isSamples ? '; fit takes them as they are, splitSamples(samples) parts them into train and test' : ''}`,
      { details: { option: 'dataset' } },
    );
  }
  checkKeys(operation, dataset, datasetKeys, { of: 'the data set' });
  const classes = hasTargets(dataset)
    ? undefined
    : checkNumber(operation, 'classes', dataset.classes, wholeNumber(1, 2 ** 32));
  for (const part of ['train', 'test'] as const) {
    const samples = dataset[part];
    if (samples === undefined && part === 'test') continue;
    checkSampleKinds(operation, samples!, part);
    const naming = { operation, where: `${part} samples`, gaps: dataset.gaps };
    if (classes !== undefined) checkSamples(samples as Samples, { ...naming, classes });
    else checkTargets(samples as TargetSamples, dataset as TargetDataset, naming);
    checkFeatures(samples!.features, part, dataset);
  }
}

/** Whether a data set has numbers to predict. */
function hasTargets(dataset: Dataset | TargetDataset): dataset is TargetDataset {
  return 'targetNames' in dataset;
}

/** Throws unless samples are sound, and have as many targets in a row as the data set has names of them. */
function checkTargets(samples: TargetSamples, { targetNames }: TargetDataset, naming: Naming): void {
  checkShape(samples, naming);
  checkFinite(samples, naming);
  const outputs = samples.targets.length / samples.count;
  if (Array.isArray(targetNames) && targetNames.length === outputs) {
    const where = `targets of ${naming.where}`;
    checkFinite({ x: samples.targets, features: outputs }, { ...naming, where, gaps: false });
    return;
  }
  throw new SetNativeError(
    'ERR_SHAPE',
    `[prepare] targetNames must be an Array of ${outputs} names, one for each target of a row, got ${show(targetNames)}`,
    { details: { option: 'targetNames' } },
  );
}

/**
 * Throws unless samples have as many features as the data set states or, where it states none, as the train
 * samples.
 */
function checkFeatures(
  features: number,
  part: 'train' | 'test',
  { features: said, train }: Dataset | TargetDataset,
): void {
  const expected = said ?? train.features;
  if (features === expected) return;
  throw new SetNativeError(
    'ERR_SHAPE',
    `[prepare] ${part} samples: expected ${expected} features, as the ${said === undefined ? 'train samples have' : 'data set says'}, ` +
      `came ${features}`,
    { details: { option: `${part}.features`, expected, features } },
  );
}

/** Some rows of the train or test samples of a data set. */
interface Part {
  of: 'train' | 'test';
  /** Rows of the part; undefined: all, in their order. */
  rows: Uint32Array | undefined;
}

/**
 * Makes train and test samples of a data set: splits it 2/3 to 1/3, each class by itself, where it has no
 * test set of its own; draws the subsets; scales all by the train subset; puts the features in the order of
 * `inputOrder`. Where `train` is given, the train samples do not depend on how many are held out. All samples
 * of the data set are checked, drawn or not; rows and features in messages are those of the data set.
 *
 * @throws SetNativeError ERR_OUT_OF_RANGE (a subset larger than the samples, or empty; a label beyond the
 * classes; a bad seed; an order of features that there are not), ERR_NON_FINITE, ERR_SHAPE,
 * ERR_INVALID_ARGUMENT (an option, or a key of the data set, that is unknown or of the wrong kind; tiles
 * without the shape of an image)
 */
export function prepare(dataset: Dataset, options?: PrepareOptions): Prepared;
export function prepare(dataset: TargetDataset, options?: PrepareOptions): Prepared<TargetSamples>;
export function prepare(
  dataset: Dataset | TargetDataset,
  options: PrepareOptions = {},
): Prepared<AnySamples> {
  checkKeys('prepare', options, optionKeys);
  for (const part of ['train', 'validation', 'test'] as const) {
    const least = part === 'validation' ? 0 : 1;
    if (options[part] !== undefined)
      checkNumber('prepare', part, options[part], wholeNumber(least, 2 ** 31 - 1));
  }
  checkDataset(dataset);
  const {
    seed = 0,
    validation = 0,
    scaling = dataset.scaling,
    targetScaling = 'none',
    inputOrder = 'given',
  } = options;
  checkChoice('prepare', 'targetScaling', targetScaling, ['none', 'standardise']);
  if (targetScaling !== 'none' && !hasTargets(dataset))
    throw invalid('prepare', 'targetScaling', 'absent: the data set has classes', targetScaling);
  const { imageShape } = dataset;
  const order = orderOf('prepare', inputOrder, { features: dataset.train.features, imageShape });
  const whole = partsOf(dataset, seed);
  const countOf = ({ of, rows }: Part) => rows?.length ?? dataset[of]!.count;
  const draw = (part: Part, count: number | undefined): Part => {
    if (count === undefined) return part;
    const drawn = subsetRows(countOf(part), count, seed);
    return { of: part.of, rows: part.rows === undefined ? drawn : drawn.map((row) => part.rows![row]!) };
  };
  const trainCount = options.train ?? Math.max(1, countOf(whole.train) - validation);
  // Validation samples are drawn behind the train samples, which therefore do not depend on their number.
  const drawn = draw(whole.train, validation === 0 ? options.train : trainCount + validation);
  const parts = {
    train: validation === 0 ? drawn : { of: drawn.of, rows: drawn.rows!.subarray(0, trainCount) },
    ...(validation > 0 && { validation: { of: drawn.of, rows: drawn.rows!.subarray(trainCount) } }),
    test: draw(whole.test, options.test),
  };
  const samplesOf = ({ of, rows }: Part): AnySamples =>
    rows === undefined ? dataset[of]! : takeRows(dataset[of]!, rows);
  const train = samplesOf(parts.train);
  const fitted = fitScaling(train, scaling, dataset.gaps);
  const targetsFitted = hasTargets(dataset) ? fitTargets(train as TargetSamples, targetScaling) : undefined;
  const scaled = ({ of, rows }: Part, samples: AnySamples) => {
    const naming = { operation: 'prepare', where: `${of} samples`, rows };
    const some = applyScaling(samples, fitted, naming, order);
    if (targetsFitted === undefined || !('targets' in some)) return some;
    const targets = { x: some.targets, features: some.targets.length / some.count };
    return { ...some, targets: applyScaling(targets, targetsFitted, naming).x };
  };
  return {
    train: scaled(parts.train, train),
    ...(parts.validation && { validation: scaled(parts.validation, samplesOf(parts.validation)) }),
    test: scaled(parts.test, samplesOf(parts.test)),
    encoding: encodingOf(dataset, fitted, { targetScaling: targetsFitted, order }),
  };
}

/** The scaling of targets; one that is constant in the train samples keeps its unit. */
function fitTargets(
  { targets, count }: TargetSamples,
  kind: 'none' | 'standardise',
): { offset: Float64Array; divisor: Float64Array } {
  const { offset, divisor } = fitScaling({ x: targets, count, features: targets.length / count }, { kind });
  return { offset, divisor: divisor.map((value) => (Number.isFinite(value) ? value : 1)) };
}

/** The train and test parts of a data set, which has a test set or gives a third of its samples. */
function partsOf(dataset: Dataset | TargetDataset, seed: number): { train: Part; test: Part } {
  if (dataset.test !== undefined)
    return { train: { of: 'train', rows: undefined }, test: { of: 'test', rows: undefined } };
  const { train, test } = splitRows(dataset.train, { seed });
  return { train: { of: 'train', rows: train }, test: { of: 'train', rows: test } };
}
