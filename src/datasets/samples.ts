import { types } from 'node:util';
import { checkKeys, checkNumber, describe, isArrayLike, type NumberRange, show } from '../checks.js';
import { SetNativeError } from '../errors.js';
import type { AnySamples, Samples, TargetSamples } from './types.js';

/*
 * Checks that given samples have the right kinds of values, before anything reads them; errors say what came
 * and what to do. The code that knows the expected lengths and values checks these.
 */

const sampleKeys = ['x', 'labels', 'targets', 'weights', 'count', 'features'];

const useWeights = 'what each sample counts are its weights';
const useClassWeight = 'it is an option of fit';

/** Advice for keys that samples of other libraries have. */
const notes: Record<string, string> = {
  sampleWeight: useWeights,
  sampleWeights: useWeights,
  sample_weight: useWeights,
  classWeight: useClassWeight,
  class_weight: useClassWeight,
};

const rowLength: NumberRange = {
  text: 'the length of a row of x, a whole number from 1 to 4294967295',
  accepts: (value) => Number.isInteger(value) && value >= 1 && value < 2 ** 32,
};

/**
 * Throws ERR_INVALID_ARGUMENT (and ERR_OUT_OF_RANGE for `features`) unless `samples` have a Float32Array,
 * labels in a Uint32Array or targets in a Float32Array, the number of features, and nothing else but a count
 * and weights.
 *
 * @param name name of the samples in messages: "validation", "train"; none for those that the call itself
 * takes
 */
export function checkSampleKinds(operation: string, samples: AnySamples, name?: string): void {
  checkObject(operation, samples, name);
  checkKeys(operation, samples, sampleKeys, { of: name ?? 'samples', notes });
  const part = (key: string) => (name === undefined ? key : `${name}.${key}`);
  checkX(operation, part('x'), samples.x);
  checkNumber(operation, part('features'), samples.features, rowLength);
  const { labels, targets, weights } = samples as Partial<Samples & TargetSamples>;
  if (weights !== undefined) checkFloats(operation, part('weights'), weights, 'count numbers, one per row');
  if (targets === undefined) {
    checkLabels(operation, part('labels'), labels);
    return;
  }
  checkFloats(operation, part('targets'), targets, 'count × outputs numbers, row by row');
  if (labels === undefined) return;
  throw new SetNativeError(
    'ERR_INVALID_ARGUMENT',
    `[${operation}] ${name ?? 'samples'} must have labels or targets, got both`,
    { details: { option: part('targets') } },
  );
}

function checkObject(operation: string, samples: unknown, name: string | undefined): void {
  const fail = (text: string) => {
    const what = name === undefined ? '' : `${name} must be samples: `;
    return new SetNativeError('ERR_INVALID_ARGUMENT', `[${operation}] ${what}${text}`, {
      details: { option: name ?? 'samples' },
    });
  };
  if (isArrayLike(samples) || isTensor(samples)) {
    throw fail(`expected one samples object, { x, labels, features }, got ${describe(samples)}`);
  }
  if (typeof samples !== 'object' || samples === null || types.isPromise(samples)) {
    throw fail(`expected a samples object, { x, labels, features }, got ${describe(samples)}`);
  }
  if ('train' in samples && !('x' in samples)) {
    throw fail(
      'scaling' in samples
        ? 'expected samples, got a data set; prepare(dataset) gives its train and test samples'
        : 'expected samples, got train and test together; hand in one of them',
    );
  }
}

/** Throws ERR_INVALID_ARGUMENT for anything but a Float32Array, with advice to convert it. */
export function checkX(operation: string, option: string, x: unknown): void {
  checkFloats(operation, option, x, 'count × features numbers, row by row');
}

function checkFloats(operation: string, option: string, x: unknown, numbers: string): void {
  if (types.isFloat32Array(x)) return;
  const advice = adviceForX(x);
  throw new SetNativeError(
    'ERR_INVALID_ARGUMENT',
    `[${operation}] ${option} must be a Float32Array of ${numbers}, got ${describe(x)}${advice && `; ${advice}`}`,
    { details: { option, value: x } },
  );
}

function adviceForX(x: unknown): string {
  const stored = (buffer: string) => `new Float32Array(${buffer}) reads stored float32 numbers`;
  const view = stored('x.buffer, x.byteOffset, x.byteLength / 4');
  if (Buffer.isBuffer(x)) return `${view}, Float32Array.from(x) makes a number of each byte`;
  if (types.isDataView(x)) return view;
  if (types.isAnyArrayBuffer(x)) return stored('x');
  if (isTensor(x)) return 'of a tensor, use await x.data()';
  if (Array.isArray(x) && x.some((row) => Array.isArray(row) && row.some(isArrayLike))) {
    return 'use Float32Array.from(x.flat(Infinity))';
  }
  if (Array.isArray(x) && x.some(isArrayLike)) return 'use Float32Array.from(x.flatMap((row) => [...row]))';
  if (hasBigInts(x)) return 'use Float32Array.from(x, Number)';
  if (isArrayLike(x)) return 'use Float32Array.from(x)';
  return '';
}

/** Throws ERR_INVALID_ARGUMENT for anything but a Uint32Array, with advice to convert it. */
function checkLabels(operation: string, option: string, labels: unknown): void {
  if (types.isUint32Array(labels)) return;
  throw new SetNativeError(
    'ERR_INVALID_ARGUMENT',
    `[${operation}] ${option} must be a Uint32Array, the class of each row, numbered from 0, got ` +
      `${describe(labels)}; ${adviceForLabels(labels)}`,
    { details: { option, value: labels } },
  );
}

function adviceForLabels(labels: unknown): string {
  if (labels === undefined) {
    return 'every row needs one, or targets, numbers to predict; for outputs alone there is predict(x)';
  }
  const convert = 'use Uint32Array.from(labels)';
  if (isTensor(labels)) return 'of a tensor, use Uint32Array.from(await labels.data())';
  if (hasBigInts(labels)) return 'use Uint32Array.from(labels, Number)';
  if (!isArrayLike(labels) || types.isDataView(labels)) return convert;
  const values = Array.from(labels as ArrayLike<unknown>);
  const missing = values.findIndex((value) => value === undefined || value === null);
  if (missing >= 0) return `row ${missing} has none: leave out such rows, and those of x`;
  if (values.some(isArrayLike))
    return 'of one-hot rows, use Uint32Array.from(labels, (row) => row.indexOf(1))';
  if (values.some((value) => typeof value === 'string')) {
    return (
      'number the classes: const names = [...new Set(labels)].sort(), then ' +
      'Uint32Array.from(labels, (name) => names.indexOf(name))'
    );
  }
  if (values.some((value) => typeof value !== 'number')) return 'use Uint32Array.from(labels, Number)';
  const row = values.findIndex((value) => !(Number.isInteger(value) && (value as number) >= 0));
  if (row < 0) return convert;
  const reason = Number.isInteger(values[row])
    ? 'classes -1 and 1 become 0 and 1'
    : 'hand in numbers to predict as targets, for the loss mse';
  return `${show(values[row])} in row ${row} is no class: ${reason}`;
}

/** Whether a value is a tensor of TensorFlow.js. */
export function isTensor(value: unknown): boolean {
  return typeof (value as { dataSync?: unknown } | null | undefined)?.dataSync === 'function';
}

function hasBigInts(value: unknown): boolean {
  if (types.isBigInt64Array(value) || types.isBigUint64Array(value)) return true;
  return Array.isArray(value) && value.some((each) => typeof each === 'bigint');
}

/**
 * First number that is NaN (unless it stands for a gap) or infinite, with its row and feature, both from 0.
 */
export function firstNonFinite(
  { x, features }: Pick<AnySamples, 'x' | 'features'>,
  gaps = false,
): { row: number; feature: number; value: number } | undefined {
  for (let i = 0; i < x.length; i++) {
    if (Number.isFinite(x[i]) || (gaps && Number.isNaN(x[i]))) continue;
    return { row: Math.floor(i / features), feature: i % features, value: x[i]! };
  }
  return undefined;
}

/** Names of samples in messages. */
export interface Naming {
  /** Name of the samples: a file, or "train samples". */
  where: string;
  /** Operation in front of the message; default `data`. */
  operation?: string;
  /** Rows of `where` that they are; default: its first, in order. */
  rows?: Uint32Array | undefined;
  /** Features of `where` that theirs are; default: the same, in order. */
  order?: Uint32Array | undefined;
  /** Whether NaN stands for a missing value. */
  gaps?: boolean | undefined;
}

/**
 * Checks that samples are sound.
 *
 * @param classes labels must be below this
 * @throws SetNativeError ERR_OUT_OF_RANGE (no samples, no features, a label out of range), ERR_SHAPE (lengths
 * that do not fit), ERR_NON_FINITE (NaN or infinity, naming row and feature, both from 0)
 */
export function checkSamples(samples: Samples, { classes, ...naming }: Naming & { classes: number }): void {
  const { where, operation = 'data' } = naming;
  const { labels } = samples;
  checkShape(samples, naming);
  const badLabel = labels.findIndex((label) => label >= classes);
  if (badLabel >= 0) {
    throw new SetNativeError(
      'ERR_OUT_OF_RANGE',
      `[${operation}] ${where}: expected labels below ${classes}, came ${labels[badLabel]} in row ${badLabel}`,
      { details: { where, row: badLabel, label: labels[badLabel], classes } },
    );
  }
  checkFinite(samples, naming);
}

/** Throws ERR_OUT_OF_RANGE without samples or features, ERR_SHAPE where lengths do not fit. */
export function checkShape(samples: AnySamples, { where, operation = 'data' }: Naming): void {
  const { x, count, features, weights } = samples;
  for (const [name, value] of [
    ['count', count],
    ['features', features],
  ] as const) {
    if (!Number.isSafeInteger(value) || value < 1) {
      throw new SetNativeError(
        'ERR_OUT_OF_RANGE',
        `[${operation}] ${where}: expected at least 1 as ${name}, came ${show(value)}`,
        { details: { where, [name]: value } },
      );
    }
  }
  const [kind, length, fits] =
    'labels' in samples && samples.labels !== undefined
      ? ['labels', samples.labels.length, samples.labels.length === count]
      : ['targets', targetsOf(samples).length, isWhole(targetsOf(samples).length / count)];
  if (x.length !== count * features || !fits || (weights !== undefined && weights.length !== count)) {
    const weighed = (number: number) => (weights === undefined ? '' : `, ${number} weights`);
    throw new SetNativeError(
      'ERR_SHAPE',
      `[${operation}] ${where}: expected ${count} × ${features} values and ${count} ` +
        `${kind === 'labels' ? kind : '× outputs targets'}${weighed(count)}, ` +
        `came ${x.length} values and ${length} ${kind}${weighed(weights?.length ?? 0)}`,
      { details: { where, count, features, values: x.length, [kind]: length } },
    );
  }
}

function targetsOf(samples: AnySamples): Float32Array {
  return (samples as TargetSamples).targets;
}

function isWhole(value: number): boolean {
  return Number.isInteger(value) && value >= 1;
}

/** Throws ERR_NON_FINITE, naming the first row and feature (from 0) that is NaN or infinite in float32. */
export function checkFinite(
  samples: Pick<AnySamples, 'x' | 'features'>,
  { where, operation = 'data', rows, order, gaps }: Naming,
): void {
  const found = firstNonFinite(samples, gaps);
  if (found === undefined) return;
  const { value } = found;
  const row = rows?.[found.row] ?? found.row;
  const feature = order?.[found.feature] ?? found.feature;
  throw new SetNativeError(
    'ERR_NON_FINITE',
    `[${operation}] ${where}: expected finite numbers, came ${value} in row ${row}, feature ${feature}; ` +
      'fill or drop such rows first',
    { details: { where, row, feature, value } },
  );
}
