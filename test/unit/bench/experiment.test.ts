import { expect, test } from 'vitest';
import { type BenchResults, type ExperimentConfig, runExperiment } from '../../../src/index.js';

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
      expect(set).toMatchObject({ topology: 'erdos-renyi', motifSize: null, nnz: still.nnz });
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
  expect(error).toMatchObject({ name: 'SetNativeError', code: 'ERR_ABORTED' });
  const results = error.details.results as BenchResults;
  expect(results.complete).toBe(false);
  expect(results.runs.map((run) => run.epochs.length)).toEqual([1, 2, 1, 1, 1, 1, 1]);
  expect(results.summary).toHaveLength(7);
});

test('a training that diverges fails the experiment, naming it', async () => {
  const error = await runExperiment({ ...tiny, learningRate: 1e30 }).catch((reason) => reason);
  expect(error).toMatchObject({
    code: 'ERR_NON_FINITE',
    message: expect.stringMatching(/\[bench\] set at epsilon 2, seed 0/),
  });
  expect(error.details).toMatchObject({ method: 'set', epsilon: 2, seed: 0 });
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
  expect(notes[0]).toMatch(/motif-printed at epsilon 1, seed 0: no path leads from any input to any output/);
});

test('an unknown data set is refused', async () => {
  await expect(runExperiment({ dataset: 'cifar' })).rejects.toMatchObject({ name: 'SetNativeError' });
});

test('a sparse network learns the procedural data better than chance, quickly', async () => {
  const { summary } = await runExperiment({
    dataset: 'procedural',
    methods: ['set'],
    hidden: [300, 300],
    epsilon: [13],
    train: 2000,
    test: 500,
    epochs: 8,
  });
  expect(summary[0]!.finalAccuracy.mean).toBeGreaterThan(0.4);
});
