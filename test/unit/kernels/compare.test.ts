import { expect, test } from 'vitest';
import { compareKernels } from '../../../src/kernels/compare.js';
import { results, timed } from './results.js';

const { name } = timed();

function ratioOf(old: Parameters<typeof timed>[0], current: Parameters<typeof timed>[0]) {
  return compareKernels(results({ cases: [timed(old)] }), results({ cases: [timed(current)] })).cases.get(
    name,
  )!;
}

test('above 1 is faster', () => {
  expect(ratioOf({ medianMs: 200 }, { medianMs: 100 })).toEqual({ ratio: 2, beyondNoise: true });
  expect(ratioOf({ medianMs: 100 }, { medianMs: 200 })).toEqual({ ratio: 0.5, beyondNoise: true });
});

test.each([
  ['a few percent mean nothing, however steady the runs', 100, 104, 0, false],
  ['more than that do', 100, 106, 0, true],
  ['and those of runs that scatter do not', 100, 130, 8, false],
  ['unless they are larger than the scatter', 100, 200, 8, true],
])('%s', (_, old, current, deviationMs, beyondNoise) => {
  expect(ratioOf({ medianMs: old, deviationMs }, { medianMs: current, deviationMs }).beyondNoise).toBe(
    beyondNoise,
  );
});

test('only cases timed both times are compared; their ratios are averaged geometrically', () => {
  const named = (names: Record<string, number>) =>
    results({ cases: Object.entries(names).map(([each, medianMs]) => timed({ name: each, medianMs })) });
  const { epsilon, batch, motifSize, samples, threads, op, shape } = timed();
  const failed = { name: 'c', op, shape, epsilon, batch, motifSize, samples, threads, failure: 'wrong' };
  const old = named({ a: 100, b: 100, old: 1 });
  const current = named({ a: 50, b: 800, new: 1 });
  current.cases.push(failed);
  old.cases.push({ ...timed({ name: 'c' }) });
  const comparison = compareKernels(old, current);
  expect([...comparison.cases.keys()]).toEqual(['a', 'b']);
  expect(comparison.geometricMean).toBeCloseTo(0.5);
  expect(compareKernels(named({ a: 1 }), named({ b: 1 })).geometricMean).toBeNull();
});

test('what tells the machines apart is said', () => {
  const old = results();
  const current = results({ machine: { ...old.machine, cpu: 'Other', compiler: '13' } });
  expect(compareKernels(old, old).differences).toEqual([]);
  expect(compareKernels(old, current).differences).toEqual([
    'CPU Other, then CPU',
    'compiler 13, then 12.2.0',
  ]);
});
