import { checkChoice, checkKeys, checkNumber, invalid, type NumberRange } from '../checks.js';
import { SetNativeError } from '../errors.js';
import { scalingKinds } from '../vocabulary.js';
import { checkFinite, type Naming } from './samples.js';
import type { AnySamples, Scaling } from './types.js';

/*
 * Scales features: a scaling is fitted to train samples, and applied to any.
 */

function checkScaling(scaling: Scaling): void {
  if (typeof scaling === 'string')
    throw invalid('data', 'scaling', 'an object as { kind: "min-max" }', scaling);
  checkChoice('data', 'scaling.kind', scaling?.kind, scalingKinds);
  checkKeys('data', scaling, scaling.kind === 'divide' ? ['kind', 'by'] : ['kind'], { of: 'scaling' });
  if (scaling.kind === 'divide') checkNumber('data', 'scaling.by', scaling.by, divisors);
}

const divisors: NumberRange = {
  text: 'a divisor above 0',
  accepts: (value) => value > 0 && Number.isFinite(value),
};

/**
 * A fitted scaling: scaled = (x - offset[feature]) / divisor[feature], computed in double, stored as float32.
 */
export interface FittedScaling {
  offset: Float64Array;
  divisor: Float64Array;
  /**
   * What takes the place of missing values: the mean over the train samples. Absent where none may be
   * missing.
   */
  fill?: Float64Array;
}

/**
 * Fits a scaling to the train samples only, so that nothing of the test set leaks in. A feature that is
 * constant in train gets divisor infinity: it carries no information and becomes 0 everywhere, in test as
 * well (`min-max` and `standardise`).
 *
 * @param gaps  whether NaN stands for a missing value, which counts for nothing
 * @throws SetNativeError ERR_NON_FINITE (naming row and feature), ERR_OUT_OF_RANGE (`divide` by zero or less,
 * or by a value that is not finite; no samples), ERR_INVALID_ARGUMENT (no such kind)
 */
export function fitScaling(
  train: Omit<AnySamples, 'labels' | 'targets'>,
  scaling: Scaling,
  gaps = false,
): FittedScaling {
  const { x, count, features } = train;
  checkScaling(scaling);
  if (count < 1)
    throw new SetNativeError('ERR_OUT_OF_RANGE', '[data] expected train samples to scale by, came none');
  checkFinite(train, { where: 'train samples', gaps });
  const offset = new Float64Array(features);
  const divisor = new Float64Array(features).fill(1);
  if (scaling.kind === 'divide') divisor.fill(scaling.by);
  const isFixed = scaling.kind === 'none' || scaling.kind === 'divide';
  if (isFixed && !gaps) return { offset, divisor };

  // Range and number of the values of each feature; a missing one compares with nothing.
  const low = new Float64Array(features).fill(Infinity);
  const high = new Float64Array(features).fill(-Infinity);
  const counts = new Float64Array(features).fill(count);
  for (let i = 0, feature = 0; i < x.length; i++) {
    if (x[i]! < low[feature]!) low[feature] = x[i]!;
    if (x[i]! > high[feature]!) high[feature] = x[i]!;
    if (Number.isNaN(x[i])) counts[feature]! -= 1;
    if (++feature === features) feature = 0;
  }
  const mean = new Float64Array(features);
  if (gaps || scaling.kind === 'standardise') {
    for (let i = 0; i < x.length; i++) {
      if (!Number.isNaN(x[i])) mean[i % features]! += x[i]! / counts[i % features]!;
    }
  }
  const fill = gaps && { fill: mean };
  if (isFixed) return { offset, divisor, ...fill };
  if (scaling.kind === 'min-max') {
    for (let f = 0; f < features; f++) {
      offset[f] = counts[f] === 0 ? 0 : low[f]!;
      divisor[f] = high[f]! > low[f]! ? high[f]! - low[f]! : Infinity;
    }
    return { offset, divisor, ...fill };
  }

  // A second pass, because the sum of squares of large values would swallow a small spread.
  const variance = new Float64Array(features);
  for (let i = 0; i < x.length; i++) {
    if (!Number.isNaN(x[i]))
      variance[i % features]! += (x[i]! - mean[i % features]!) ** 2 / counts[i % features]!;
  }
  for (let f = 0; f < features; f++) divisor[f] = high[f]! > low[f]! ? Math.sqrt(variance[f]!) : Infinity;
  return { offset: mean, divisor, ...fill };
}

/**
 * Scales samples, as a copy; labels, targets and weights are shared. Test values may leave 0 .. 1 under
 * `min-max`, because they may leave the range of the train samples.
 *
 * @param order feature that each of the copy is; default: the same
 * @throws SetNativeError ERR_SHAPE (features differ from those fitted), ERR_NON_FINITE (naming row and
 * feature)
 */
export function applyScaling<S extends Pick<AnySamples, 'x' | 'features'>>(
  samples: S,
  { offset, divisor, fill }: FittedScaling,
  naming: Naming = { where: 'samples' },
  order?: Uint32Array,
): S {
  const { features } = samples;
  if (offset.length !== features) {
    throw new SetNativeError(
      'ERR_SHAPE',
      `[data] expected ${offset.length} features as fitted, came ${features}`,
      {
        details: { fitted: offset.length, features },
      },
    );
  }
  const x = new Float32Array(samples.x.length);
  for (let row = 0; row < x.length; row += features) {
    for (let i = 0; i < features; i++) {
      const feature = order === undefined ? i : order[i]!;
      const given = samples.x[row + feature]!;
      const value = fill !== undefined && Number.isNaN(given) ? fill[feature]! : given;
      x[row + i] = (value - offset[feature]!) / divisor[feature]!;
    }
  }
  const scaled = { ...samples, x };
  checkFinite(scaled, { ...naming, where: `${naming.where}, scaled`, order });
  return scaled;
}
