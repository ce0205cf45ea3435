import { createRequire } from 'node:module';

/*
 * Means over seeds, their confidence intervals and paired t-tests, with Student's t from jStat. Runs of
 * different seeds are independent. Methods are compared within a seed, so that what two of them share
 * (samples, their order, the drawn network) cancels.
 */

interface StudentT {
  studentt: { inv(p: number, degrees: number): number; cdf(t: number, degrees: number): number };
}

const { jStat } = createRequire(import.meta.url)('jstat') as { jStat: StudentT };

/** Mean over runs. The other numbers are null for a single run. */
export interface Estimate {
  mean: number;
  /** Sample standard deviation. */
  spread: number | null;
  /**
   * Ends of the 95 % confidence interval of the mean, by Student's t: mean ± t(0.975, runs - 1) · spread /
   * √runs.
   */
  low: number | null;
  high: number | null;
}

/** Mean difference within pairs. */
export interface Difference extends Estimate {
  /**
   * p-value of the two-sided paired t-test that the true difference is 0. Null for a single pair; 1 where all
   * pairs are equal.
   */
  pValue: number | null;
}

/**
 * Mean of values with its spread and confidence interval.
 *
 * @param values at least one
 */
export function estimate(values: number[]): Estimate {
  const center = mean(values);
  const count = values.length;
  if (count < 2) return { mean: center, spread: null, low: null, high: null };
  const squares = values.reduce((sum, value) => sum + (value - center) ** 2, 0);
  const spread = Math.sqrt(squares / (count - 1));
  const margin = (jStat.studentt.inv(0.975, count - 1) * spread) / Math.sqrt(count);
  return { mean: center, spread, low: center - margin, high: center + margin };
}

/**
 * Mean of differences with its confidence interval and p-value.
 *
 * @param differences at least one: the difference within each pair
 */
export function difference(differences: number[]): Difference {
  const all = estimate(differences);
  if (all.spread === null) return { ...all, pValue: null };
  if (all.spread === 0) return { ...all, pValue: all.mean === 0 ? 1 : 0 };
  const t = Math.abs(all.mean) / (all.spread / Math.sqrt(differences.length));
  return { ...all, pValue: 2 * jStat.studentt.cdf(-t, differences.length - 1) };
}

export function mean(values: number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

export function median(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  if (sorted.length === 0) return 0;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
