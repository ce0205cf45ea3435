import { expect, test } from 'vitest';
import { difference, estimate, median } from '../../src/statistics.js';

test('interval and p value of a worked example: 4 values, 3 degrees of freedom', () => {
  const values = [1, 2, 3, 6]; // mean 3, standard deviation √(14/3), t(0.975, 3) = 3.18245, t = 3/(√(14/3)/2) = 2.77746
  const { mean, spread, low, high } = estimate(values);
  expect(mean).toBe(3);
  expect(spread).toBeCloseTo(Math.sqrt(14 / 3), 12);
  expect(high! - 3).toBeCloseTo((3.182446305 * Math.sqrt(14 / 3)) / 2, 6);
  expect(3 - low!).toBeCloseTo(high! - 3, 12);
  expect(difference(values).pValue).toBeCloseTo(0.06914, 4);
  expect(difference(values.map((value) => -value)).pValue).toBeCloseTo(0.06914, 4);
});

test('what a single value, equal values and no difference say', () => {
  expect(difference([0.3])).toEqual({ mean: 0.3, spread: null, low: null, high: null, pValue: null });
  expect(difference([0, 0, 0])).toMatchObject({ mean: 0, spread: 0, pValue: 1 });
  expect(difference([2, 2])).toMatchObject({ low: 2, high: 2, pValue: 0 });
});

test('median', () => {
  expect([median([]), median([3]), median([3, 1]), median([9, 1, 2])]).toEqual([0, 3, 2, 2]);
});

/** Standard normal draws by Box and Muller from a small generator, the same in every run of the test. */
function normal(): () => number {
  let state = 12345;
  const uniform = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state + 0.5) / 2 ** 32;
  };
  return () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
}

test.each([2, 4, 5, 16])('95 %% intervals of %i runs cover the truth in 95 %% of experiments', (runs) => {
  const draw = normal();
  const experiments = 20_000;
  let covered = 0;
  let rejected = 0;
  for (let i = 0; i < experiments; i++) {
    const { low, high, pValue } = difference(Array.from({ length: runs }, () => 0.02 * draw()));
    if (low! <= 0 && high! >= 0) covered += 1;
    if (pValue! < 0.05) rejected += 1;
  }
  // four standard errors of a share of 0.95 over 20,000 experiments: 0.0062
  expect(Math.abs(covered / experiments - 0.95)).toBeLessThan(0.0062);
  expect(rejected).toBe(experiments - covered);
});
