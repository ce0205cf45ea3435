import { expect, test } from 'vitest';
import type { BenchRun } from '../../../src/experiment/results.js';
import { summarize } from '../../../src/experiment/summary.js';

const zeros = { trainLoss: 1, testLoss: 1, nnz: 10, pruned: 0, grown: 0 };

/** A run whose epochs have these accuracies and times [train, evolve, evaluate]. */
function run(
  method: BenchRun['method'],
  epsilon: number | null,
  seed: number,
  epochs: [number, number[]][],
  motifSize = method === 'set-motif' ? 2 : 1,
): BenchRun {
  return {
    reading: 'plain',
    method,
    epsilon,
    motifSize: method === 'dense' ? null : motifSize,
    seed,
    topology: 'erdos-renyi',
    nnz: 10 + seed,
    density: 0.1,
    epochs: epochs.map(([testAccuracy, [trainMs, evolveMs, evaluateMs]], i) => ({
      ...zeros,
      epoch: i + 1,
      testAccuracy,
      trainMs: trainMs!,
      evolveMs: evolveMs!,
      evaluateMs: evaluateMs!,
      linksByBirth: method === 'dense' ? [] : [6, 4 * i],
    })),
  };
}

const set0 = run('set', 5, 0, [
  [0.5, [10, 4, 2]],
  [0.7, [10, 0, 2]],
]);
const set1 = run('set', 5, 1, [
  [0.9, [20, 8, 2]],
  [0.8, [20, 0, 2]],
]);
const static0 = run('static', 5, 0, [
  [0.4, [5, 0, 2]],
  [0.6, [5, 0, 2]],
]);
const static1 = run('static', 5, 1, [
  [0.5, [20, 0, 2]],
  [0.6, [20, 0, 2]],
]);

test('means and sample standard deviations over runs, computed by hand', () => {
  const [set] = summarize([set0, set1]);
  expect(set).toMatchObject({ method: 'set', epsilon: 5, runs: 2, epochs: 2, nnz: 10.5, density: 0.1 });
  expect(set!.finalAccuracy.mean).toBeCloseTo(0.75, 12);
  expect(set!.finalAccuracy.spread).toBeCloseTo(0.1 / Math.SQRT2, 12);
  expect(set!.bestAccuracy.mean).toBeCloseTo(0.8, 12);
  expect(set!.bestAccuracy.spread).toBeCloseTo(0.2 / Math.SQRT2, 12);
  expect(set).toMatchObject({ trainMs: 15, evolveMs: 6, evaluateMs: 2, initialLinks: 0.6 });
  expect(set!.ratioToSet).toMatchObject({ train: { mean: 1, low: 1, high: 1 }, total: { mean: 1 } });
});

test('times are medians, so that one disturbed epoch does not count', () => {
  const disturbed = run('set', 5, 0, [
    [0.5, [10, 4, 2]],
    [0.6, [900, 6, 70]],
    [0.7, [11, 0, 3]],
  ]);
  expect(summarize([disturbed])[0]).toMatchObject({ trainMs: 11, evolveMs: 5, evaluateMs: 3 });
});

test('ratios pair the runs of one seed before they are averaged', () => {
  const summary = summarize([set0, set1, static0, static1]);
  const { ratioToSet } = summary.find(({ method }) => method === 'static')!;
  expect(ratioToSet!.train.mean).toBeCloseTo((5 / 10 + 20 / 20) / 2, 12);
  expect(ratioToSet!.total.mean).toBeCloseTo((7 / 16 + 22 / 30) / 2, 12);
});

test('dense is compared with SET of the largest epsilon and has no surviving links to report', () => {
  const dense = run('dense', null, 0, [[0.9, [400, 0, 8]]]);
  const sparser = run('set', 1, 0, [[0.5, [4, 0, 1]]]);
  const entry = summarize([set0, sparser, dense]).find(({ method }) => method === 'dense')!;
  expect(entry.ratioToSet!.train.mean).toBeCloseTo(40, 12);
  expect(entry.initialLinks).toBeNull();
  expect(summarize([dense])[0]!.ratioToSet).toBeNull();
});

test('a single run has no spread', () => {
  expect(summarize([set0])[0]!.finalAccuracy).toEqual({ mean: 0.7, spread: null, low: null, high: null });
});

test('unfinished runs do not blur finished ones', () => {
  const cut = { ...set1, epochs: set1.epochs.slice(0, 1) };
  const empty = { ...set1, seed: 2, epochs: [] };
  expect(summarize([set0, cut, empty])).toMatchObject([{ runs: 1, epochs: 2, finalAccuracy: { mean: 0.7 } }]);
  expect(summarize([empty])).toEqual([]);
});

test('a failed run counts only where no other of its kind got further', () => {
  const failure = { code: 'ERR_NON_FINITE' as const, message: 'diverged' };
  const failed = { ...set1, epochs: set1.epochs.slice(0, 1), failure };
  expect(summarize([set0, failed])).toMatchObject([{ runs: 1, epochs: 2, finalAccuracy: { mean: 0.7 } }]);
  expect(summarize([failed])).toMatchObject([{ runs: 1, epochs: 1, finalAccuracy: { mean: 0.9 } }]);
  expect(summarize([{ ...failed, epochs: [] }])).toEqual([]);
});

test('ordered by epsilon, static beside SET-motif, dense last, whatever the order of the runs', () => {
  const runs = [
    run('dense', null, 0, [[0.9, [1, 0, 1]]]),
    ...[13, 1].flatMap((epsilon) =>
      (['static', 'set-motif', 'set'] as const).map((method) => run(method, epsilon, 0, [[0.9, [1, 0, 1]]])),
    ),
  ];
  expect(summarize(runs).map(({ method, epsilon }) => `${method} ${epsilon}`)).toEqual([
    'set 1',
    'set-motif 1',
    'static 1',
    'set 13',
    'set-motif 13',
    'static 13',
    'dense null',
  ]);
});

/** Runs of one epoch: accuracy and training time per seed. */
function seeds(motifSize: number, epochs: [accuracy: number, trainMs: number][], epsilon = 5): BenchRun[] {
  const method = motifSize === 1 ? 'set' : 'set-motif';
  return epochs.map(([accuracy, trainMs], seed) =>
    run(method, epsilon, seed, [[accuracy, [trainMs, 0, 1]]], motifSize),
  );
}

test('every motif size has an entry, in ascending order behind its method', () => {
  const runs = [
    ...seeds(16, [[0.5, 1]]),
    ...seeds(2, [[0.5, 1]]),
    ...seeds(4, [[0.5, 1]]),
    ...seeds(1, [[0.5, 1]]),
  ];
  expect(summarize(runs).map(({ method, motifSize, runs }) => `${method} ${motifSize} ${runs}`)).toEqual([
    ...['set 1 1', 'set-motif 2 1', 'set-motif 4 1', 'set-motif 16 1'],
  ]);
});

test('the difference to SET is taken within a seed and epsilon, then over the seeds', () => {
  const set = seeds(1, [
    [0.5, 10],
    [0.9, 10],
  ]); // far apart, so that unpaired spreads would show
  const motif = seeds(4, [
    [0.52, 5],
    [0.91, 5],
  ]);
  const otherEpsilon = seeds(
    1,
    [
      [0.1, 1],
      [0.1, 1],
    ],
    1,
  );
  const summary = summarize([...set, ...motif, ...otherEpsilon]);
  const { differenceToSet } = summary.find(({ motifSize }) => motifSize === 4)!;
  expect(differenceToSet!.mean).toBeCloseTo(0.015, 12);
  expect(differenceToSet!.spread).toBeCloseTo(0.01 / Math.SQRT2, 12);
  expect(summary.find(({ method }) => method === 'set')!.differenceToSet).toMatchObject({
    mean: 0,
    spread: 0,
    pValue: 1,
  });
  expect(summarize(motif)[0]!.differenceToSet).toBeNull();
  expect(summarize([...set, motif[1]!])[1]!.differenceToSet).toMatchObject({
    mean: expect.closeTo(0.01, 12),
    spread: null,
    pValue: null,
  });
});

test('only runs that got equally far are subtracted', () => {
  const set = run('set', 5, 0, [
    [0.5, [1, 0, 1]],
    [0.7, [1, 0, 1]],
  ]);
  const [cut] = seeds(2, [[0.6, 1]]);
  expect(summarize([set, cut!]).map(({ differenceToSet }) => differenceToSet)).toMatchObject([
    { mean: 0, spread: null },
    null,
  ]);
});

test('the frontier: what no other size of this epsilon beats in both time and accuracy', () => {
  const frontier = (...runs: BenchRun[]) =>
    summarize(runs)
      .filter(({ onFrontier }) => onFrontier)
      .map(({ epsilon, motifSize }) => `${epsilon}: ${motifSize}`);
  const slowBest = seeds(1, [[0.8, 10]]);
  const beaten = seeds(2, [[0.7, 9]]);
  const middle = seeds(4, [[0.7, 8]]); // as accurate and faster
  const fastWorst = seeds(8, [[0.6, 5]]);
  const still = run('static', 5, 0, [[0.99, [1, 0, 1]]]);
  const otherEpsilon = [...seeds(1, [[0.9, 1]], 13), ...seeds(2, [[0.95, 0.5]], 13)];
  expect(frontier(...slowBest, ...beaten, ...middle, ...fastWorst, still, ...otherEpsilon)).toEqual([
    ...['5: 1', '5: 4', '5: 8', '13: 2'],
  ]);
  expect(frontier(...slowBest, ...seeds(2, [[0.8, 10]]))).toEqual(['5: 1', '5: 2']);
  expect(frontier(...beaten, ...middle, ...fastWorst)).toEqual(['5: 4', '5: 8']); // without SET
  // Ratios within a seed decide, not the mean time, in which a slow spell of the machine weighs most.
  const paired = [
    ...seeds(1, [
      [0.8, 10],
      [0.8, 100],
    ]),
    ...seeds(2, [
      [0.8, 8],
      [0.8, 104],
    ]),
  ];
  expect(frontier(...paired)).toEqual(['5: 2']);
});

test('no frontier without another size, for static and dense, or between runs of different length', () => {
  const still = run('static', 5, 0, [[0.9, [1, 0, 1]]], 2);
  const dense = run('dense', null, 0, [[0.9, [1, 0, 1]]]);
  const onFrontier = (...runs: BenchRun[]) => summarize(runs).map((entry) => entry.onFrontier);
  expect(onFrontier(set0, still, dense)).toEqual([null, null, null]);
  expect(onFrontier(set0, ...seeds(2, [[0.9, 1]]))).toEqual([null, null]);
  expect(
    onFrontier(
      ...seeds(1, [
        [0.5, 1],
        [0.5, 1],
      ]),
      ...seeds(2, [[0.9, 1]]),
    ),
  ).toEqual([null, null]);
});

test('the epoch that the validation samples choose: their best, the first of several; its test accuracy', () => {
  const chosen = (accuracies: [validation: number, test: number][]): BenchRun => {
    const base = run(
      'set',
      5,
      0,
      accuracies.map(([, test]) => [test, [1, 1, 1]]),
    );
    return {
      ...base,
      epochs: base.epochs.map((epoch, i) => ({ ...epoch, validationAccuracy: accuracies[i]![0] })),
    };
  };
  const { selectedAccuracy, bestAccuracy } = summarize([
    chosen([
      [0.5, 0.9],
      [0.8, 0.6],
      [0.8, 0.7],
    ]),
  ])[0]!;
  expect(selectedAccuracy!.mean).toBe(0.6);
  expect(bestAccuracy.mean).toBe(0.9);
  expect(summarize([set0])[0]!.selectedAccuracy).toBeNull();
});

test('readings are summed up apart, each beside its own SET; published by the best epochs', () => {
  const of = (reading: BenchRun['reading'], run: BenchRun): BenchRun => ({ ...run, reading });
  const summary = summarize([
    ...[set0, static0].map((each) => of('described', each)),
    ...[set1, static1].map((each) => of('published', each)),
  ]);
  expect(summary.map(({ reading, method }) => `${reading} ${method}`)).toEqual([
    ...['published set', 'published static', 'described set', 'described static'],
  ]);
  expect(summary[1]!.differenceToSet!.mean).toBeCloseTo(0.6 - 0.9, 12);
  expect(summary[3]!.differenceToSet!.mean).toBeCloseTo(0.6 - 0.7, 12);
});
