import os from 'node:os';
import { expect, test, vi } from 'vitest';
import { type BenchResults, type ExperimentConfig, runExperiment } from '../../../src/bench.js';

const tiny: Partial<ExperimentConfig> & { dataset: string } = {
  dataset: 'procedural',
  hidden: [40, 40],
  train: 200,
  test: 100,
  epochs: 3,
  epsilon: [2, 4],
  runs: 2,
};

/** The runs without their times. */
function untimed({ runs }: BenchResults): string {
  return JSON.stringify(runs, (key, value) => (key.endsWith('Ms') ? undefined : value));
}

test('runs are the same bytes on repeat and for any number of threads', async () => {
  const one = untimed(await runExperiment({ ...tiny, threads: 1 }));
  expect(one).toContain('"linksByBirth"');
  expect(untimed(await runExperiment({ ...tiny, threads: 1 }))).toBe(one);
  expect(untimed(await runExperiment({ ...tiny, threads: 2 }))).toBe(one);
});

test('methods are paired: same samples, same order, and the same network where the topology is the same', async () => {
  const { runs } = await runExperiment(tiny);
  for (const seed of [0, 1]) {
    for (const epsilon of [2, 4]) {
      const find = (method: string) =>
        runs.find((r) => r.method === method && r.seed === seed && r.epsilon === epsilon)!;
      const [set, still, motif] = [find('set'), find('static'), find('set-motif')];
      expect(set).toMatchObject({ topology: 'erdos-renyi', motifSize: 1, nnz: still.nnz });
      expect(set.epochs[0]).toMatchObject({
        trainLoss: still.epochs[0]!.trainLoss,
        testAccuracy: still.epochs[0]!.testAccuracy,
      });
      expect(set.epochs[2]!.trainLoss).not.toBe(still.epochs[2]!.trainLoss);
      expect(motif).toMatchObject({ topology: 'motif', motifSize: 2 });
    }
  }
  expect(runs.filter(({ method }) => method === 'dense').map(({ seed }) => seed)).toEqual([0, 1]);
  expect(new Set(runs.map(({ epochs }) => epochs[0]!.trainLoss)).size).toBeGreaterThan(runs.length / 2);
});

test('every motif size has its own network, and static has the same one', async () => {
  const { runs, summary } = await runExperiment({ ...tiny, runs: 1, epsilon: [2], motifSize: [1, 2, 4] });
  expect(runs.map(({ method, motifSize, topology }) => [method, motifSize, topology])).toEqual([
    ['set', 1, 'erdos-renyi'],
    ...[2, 4].map((size) => ['set-motif', size, 'motif']),
    ['static', 1, 'erdos-renyi'],
    ...[2, 4].map((size) => ['static', size, 'motif']),
    ['dense', null, 'dense'],
  ]);
  const first = runs.map(({ epochs }) => epochs[0]!.trainLoss);
  const last = runs.map(({ epochs }) => epochs[2]!.trainLoss);
  expect(first.slice(3, 6)).toEqual(first.slice(0, 3));
  expect(new Set(first).size).toBe(4);
  for (const i of [0, 1, 2]) expect(last[i]).not.toBe(last[i + 3]);
  expect(summary.map(({ method, motifSize }) => `${method} ${motifSize}`)).toEqual([
    ...['set 1', 'set-motif 2', 'set-motif 4', 'static 1', 'static 2', 'static 4', 'dense null'],
  ]);
});

test('a motif size changes nothing for the others', async () => {
  const few = await runExperiment({ ...tiny, runs: 1, epsilon: [2], methods: ['set', 'set-motif'] });
  const many = await runExperiment({ ...tiny, runs: 1, epsilon: [2], motifSize: [8, 2, 1] });
  const both = many.runs.filter(
    ({ method, motifSize }) => method === 'set' || (method === 'set-motif' && motifSize === 2),
  );
  expect(untimed({ ...many, runs: both })).toBe(untimed(few));
});

test('one topology for all when it is asked for', async () => {
  const { runs } = await runExperiment({ ...tiny, runs: 1, epochs: 1, topology: 'motif' });
  expect(new Set(runs.map(({ topology }) => topology))).toEqual(new Set(['motif', 'dense']));
});

test('every method takes its turn in every epoch, each time another one first', async () => {
  const turns: string[] = [];
  await runExperiment(
    { ...tiny, runs: 1, epsilon: [2], epochs: 2 },
    { onEpoch: (run, { epoch }) => void turns.push(`${epoch} ${run.method}`) },
  );
  expect(turns).toEqual([
    ...['1 set', '1 set-motif', '1 static', '1 dense'],
    ...['2 set-motif', '2 static', '2 dense', '2 set'],
  ]);
});

test('stopped half way, it hands back what was done', async () => {
  const controller = new AbortController();
  let epochs = 0;
  const onEpoch = () => {
    epochs += 1;
    if (epochs === 8) controller.abort();
  };
  const error = await runExperiment(tiny, { onEpoch, signal: controller.signal }).catch((reason) => reason);
  expect(error).toMatchObject({ name: 'AbortError', code: 'ERR_ABORTED', cause: controller.signal.reason });
  const results = error.details.results as BenchResults;
  expect(results.complete).toBe(false);
  expect(results.runs.map((run) => run.epochs.length)).toEqual([3, 2, 3]);
  expect(results.summary).toHaveLength(3);
});

test('a signal that fires while a network is drawn stops before anything is trained', async () => {
  const controller = new AbortController();
  const running = runExperiment(tiny, { signal: controller.signal }).catch((reason) => reason);
  controller.abort();
  const error = await running;
  expect(error).toMatchObject({ code: 'ERR_ABORTED' });
  expect(error.details.results).toMatchObject({ complete: false, runs: [], summary: [] });
});

test('a training that diverges leaves the experiment, and the others are what they are without it', async () => {
  const notes: string[] = [];
  // So high a rate throws a network off that has paths from input to output, not one that has none.
  const high: typeof tiny = { ...tiny, methods: ['set'], runs: 1, learningRate: 1e12 };
  const results = await runExperiment({ ...high, epsilon: [2, 0.2] }, { onNote: (note) => notes.push(note) });
  const [diverged, other] = results.runs;
  const message = expect.stringContaining('[bench] set at epsilon 2, seed 0: ');
  expect(diverged).toMatchObject({ epochs: [], failure: { code: 'ERR_NON_FINITE', message } });
  expect(results).toMatchObject({ complete: false, notes, summary: [{ epsilon: 0.2, runs: 1, epochs: 3 }] });
  expect(notes).toContainEqual(message);
  const alone = await runExperiment({ ...high, epsilon: [0.2] });
  expect(alone.complete).toBe(true);
  expect(untimed({ ...results, runs: [other!] })).toBe(untimed(alone));
});

test('networks that together need more than the machine has are refused before the first is built', async () => {
  const totalmem = vi.spyOn(os, 'totalmem').mockReturnValue(3e6);
  try {
    const error = await runExperiment({ ...tiny, hidden: [400, 400] }).catch((reason) => reason);
    expect(error).toMatchObject({ name: 'SetNativeError', code: 'ERR_OUT_OF_MEMORY' });
    expect(error.message).toMatch(
      /4 networks \(set at epsilon 4, .*, dense\).* fewer methods, motif sizes or jobs at once/,
    );
    expect(error.details).not.toHaveProperty('results');
    const sizes = await runExperiment({ ...tiny, hidden: [400, 400], motifSize: [2, 4, 8] }).catch(
      (reason) => reason,
    );
    expect(sizes.message).toMatch(/9 networks \(.*, set-motif at epsilon 4 and motif size 8, /);
  } finally {
    totalmem.mockRestore();
  }
});

test('a network that no machine can hold is refused by name', async () => {
  const error = await runExperiment({ ...tiny, hidden: [2e6, 2e6] }).catch((reason) => reason);
  expect(error).toMatchObject({
    code: 'ERR_OUT_OF_MEMORY',
    message: expect.stringContaining('[bench] dense: '),
  });
});

test.each([
  ['onEpoch', { onEpoch: 'x' }],
  ['onNote', { onNote: {} }],
  ['signal', { signal: new AbortController() }],
  ['onEpochs', { onEpochs() {} }],
  ['options', null],
])('a bad hook is refused: %s', async (name, hooks) => {
  await expect(runExperiment(tiny, hooks as never)).rejects.toMatchObject({
    code: 'ERR_INVALID_ARGUMENT',
    message: expect.stringContaining(name),
  });
});

test('the printed motif topology comes with a warning that nothing can be learned', async () => {
  const notes: string[] = [];
  const results = await runExperiment(
    {
      ...tiny,
      methods: ['static', 'set'],
      hidden: [400, 400],
      epsilon: [1],
      runs: 1,
      epochs: 1,
      topology: 'motif-printed',
    },
    { onNote: (note) => notes.push(note) },
  );
  expect(results.notes).toEqual(notes);
  expect(notes).toHaveLength(1);
  expect(notes[0]).toMatch(
    /motif-printed at epsilon 1 and motif size 2, seed 0: no path leads from any input to any output/,
  );
});

test('an unknown data set is refused', async () => {
  await expect(runExperiment({ dataset: 'cifar' })).rejects.toMatchObject({ name: 'SetNativeError' });
});

test('a sparse network learns what softmax regression cannot (0.455)', async () => {
  const { summary } = await runExperiment({
    ...{ dataset: 'procedural', methods: ['set'], hidden: [300, 300], epsilon: [13] },
    ...{ train: 4000, test: 1000, epochs: 10 },
  });
  expect(summary[0]!.finalAccuracy.mean).toBeGreaterThan(0.7);
});

test('at epsilon 1 weights scaled as if dense learn nothing, those scaled by fan-in train', async () => {
  const sparsest = async (init: 'he-dense' | 'he-fan-in') => {
    const { runs } = await runExperiment({
      ...{ dataset: 'procedural', methods: ['set', 'static'], hidden: [500, 500, 500], epsilon: [1], init },
      ...{ train: 4000, test: 1000, epochs: 10 },
    });
    return runs.map(({ epochs }) => epochs.at(-1)!);
  };
  for (const { testAccuracy, trainLoss } of await sparsest('he-dense')) {
    expect(testAccuracy).toBeLessThan(0.13);
    expect(trainLoss).toBeCloseTo(Math.log(10), 1);
  }
  for (const { testAccuracy, trainLoss } of await sparsest('he-fan-in')) {
    expect(testAccuracy).toBeGreaterThan(0.2);
    expect(trainLoss).toBeLessThan(2.1);
  }
});
