import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { type ExperimentConfig, experimentConfig } from '../../../src/experiment/config.js';
import { resumeExperiment, runExperiment } from '../../../src/experiment/experiment.js';
import type { BenchRun } from '../../../src/experiment/results.js';
import { samplesOf } from '../../../src/experiment/samples.js';
import { readSafetensors } from '../../../src/files/safetensors.js';
import { type FitOptions, loadDataset, SparseMLP } from '../../../src/index.js';

/*
 * Options of an experiment that say how training changes over a run, and what keeps weights small: each
 * trains as `fit` does, over all epochs of the experiment, wherever it was stopped.
 */

const tiny = {
  ...{ dataset: 'procedural', hidden: [40, 40], train: 200, validation: 0, test: 100 },
  ...{ epochs: 5, epsilon: [4], motifSize: [2] },
} satisfies Partial<ExperimentConfig>;

const all: Partial<ExperimentConfig> = {
  ...{ rateSchedule: 'cosine', rateEnd: 0.001, warmup: 1, weightDecayMode: 'decoupled', dropout: 0.25 },
  ...{ zetaSchedule: 'cosine', evolveEvery: { steps: 3 }, evolveUntil: 0.8 },
  ...{ inputOrder: 'tiles', average: 0.5 },
};

/** What earlier versions did not have. */
const later = Object.keys(all);

function untimed(runs: BenchRun[]): string {
  return JSON.stringify(runs, (key, value) => (key.endsWith('Ms') ? undefined : value));
}

/** Losses and links of every epoch of an experiment, and the loss on the test samples after the last. */
async function ofBench(options: Partial<ExperimentConfig>, method: 'set' | 'set-motif') {
  const { runs } = await runExperiment({ ...tiny, ...options, methods: [method] });
  const { epochs } = runs[0]!;
  return {
    epochs: epochs.map(({ trainLoss, pruned, linksByBirth }) => ({ trainLoss, pruned, linksByBirth })),
    testLoss: epochs.at(-1)!.testLoss,
  };
}

/** The same of a training with `fit`. */
async function ofFit(
  options: Partial<ExperimentConfig>,
  method: 'set' | 'set-motif',
  fit: FitOptions,
): Promise<Awaited<ReturnType<typeof ofBench>>> {
  const dataset = loadDataset('procedural');
  const config = experimentConfig({ ...tiny, ...options });
  const { train, test } = samplesOf(config, 0, dataset);
  const { optimizer = 'sgd', hidden, epsilon } = config;
  const model = await SparseMLP.create({
    ...{ layers: [dataset.features, ...hidden, dataset.classes], epsilon: epsilon[0]!, optimizer },
    topology: method === 'set' ? 'erdos-renyi' : 'motif',
  });
  const evolution = { ...fit.evolution, method };
  const { epochs } = await model.fit(train, { ...fit, evolution, epochs: 5, onWarning: () => {} });
  const { loss } = await model.evaluate(test);
  model.dispose();
  return {
    epochs: epochs.map(({ trainLoss, pruned, linksByBirth }) => ({ trainLoss, pruned, linksByBirth })),
    testLoss: loss,
  };
}

const plain = { set: await ofBench({}, 'set'), 'set-motif': await ofBench({}, 'set-motif') };
const adamw = { optimizer: 'adamw' } as const;

test.each<[Partial<ExperimentConfig>, FitOptions]>([
  [{}, {}],
  [{ rateSchedule: 'linear' }, { learningRate: { schedule: 'linear' } }],
  [
    { rateSchedule: 'cosine', rateEnd: 0.01, learningRate: 0.1, warmup: 0.5 },
    { learningRate: { schedule: 'cosine', rate: 0.1, end: 0.01, warmup: 0.5 } },
  ],
  [{ warmup: 2 }, { learningRate: { schedule: 'constant', warmup: 2 } }],
  [{ ...adamw, rateSchedule: 'cosine' }, { learningRate: { schedule: 'cosine', rate: 0.001 } }],
  [
    { zetaSchedule: 'cosine', zeta: 0.5 },
    { evolution: { zeta: (progress) => 0.25 * (1 + Math.cos(Math.PI * progress)) } },
  ],
  [{ evolveEvery: 2 }, { evolution: { every: 2 } }],
  [{ evolveEvery: { steps: 3 }, evolveUntil: 0.7 }, { evolution: { every: { steps: 3 }, until: 0.7 } }],
  [{ dropout: 0.5 }, { dropout: 0.5 }],
  [{ weightDecayMode: 'l2' }, { weightDecayMode: 'l2' }],
  [{ weightDecayMode: 'decoupled' }, { weightDecayMode: 'decoupled' }],
  [{ ...adamw, weightDecayMode: 'thesis' }, { weightDecayMode: 'thesis' }],
  [
    all,
    {
      learningRate: { schedule: 'cosine', end: 0.001, warmup: 1 },
      ...{ weightDecayMode: 'decoupled', dropout: 0.25 },
      evolution: { zeta: { schedule: 'cosine' }, every: { steps: 3 }, until: 0.8 },
    },
  ],
])('%o trains as fit does', async (options, fit) => {
  for (const method of ['set', 'set-motif'] as const) {
    const bench = await ofBench(options, method);
    expect(bench).toEqual(await ofFit(options, method, fit));
    if (Object.keys(options).length > 0) expect(bench).not.toEqual(plain[method]);
  }
});

test('readings of the thesis train as they did, whatever is asked for beside them', async () => {
  const config = { ...tiny, readings: ['published' as const, 'described' as const, 'improved' as const] };
  const asked = await runExperiment({ ...config, ...all });
  expect(untimed(asked.runs)).toBe(untimed((await runExperiment(config)).runs));
  for (const reading of config.readings) {
    const own = asked.notes.filter((note) => note.startsWith(`The reading ${reading} sets `));
    expect(own.map((note) => note.split(' ')[4])).toEqual(expect.arrayContaining(later));
  }
  expect(asked.config).toMatchObject(all);
});

let out: string;
beforeEach(() => {
  out = path.join(mkdtempSync(path.join(os.tmpdir(), 'set-native-schedules-')), 'out');
});
afterEach(() => rmSync(path.dirname(out), { recursive: true, force: true }));

/** Runs an experiment in `out` and stops it after so many epochs of all its trainings. */
async function stoppedAfter(epochs: number, config: Partial<ExperimentConfig> & { dataset: string }) {
  const clock = vi.spyOn(performance, 'now').mockReturnValue(0); // no snapshot takes long: one for every round
  const controller = new AbortController();
  let done = 0;
  const onEpoch = () => {
    done += 1;
    if (done === epochs) controller.abort();
  };
  const running = runExperiment(config, { out, onEpoch, signal: controller.signal });
  await expect(running.finally(() => clock.mockRestore())).rejects.toMatchObject({ code: 'ERR_ABORTED' });
}

test.each([
  [5, {}],
  [13, {}],
  [17, adamw],
  [30, { epsilon: [2, 4] }],
])('stopped after %i epochs and resumed, schedules span the run as if it never was, %o', async (at, more) => {
  const config = { ...tiny, ...all, ...more };
  const whole = await runExperiment(config);
  await stoppedAfter(at, config);
  let trained = 0;
  const resumed = await resumeExperiment(out, {}, { onEpoch: () => void trained++ });
  expect(untimed(resumed.runs)).toBe(untimed(whole.runs));
  expect(resumed.config).toMatchObject(all);
  expect(trained).toBeLessThan(whole.runs.length * 5);
});

test.each([{}, adamw])('an experiment of an earlier version goes on, with the defaults, %o', async (more) => {
  const config = { ...tiny, ...more };
  const whole = await runExperiment(config);
  await stoppedAfter(13, config);
  const file = path.join(out, 'experiment.json');
  const experiment = JSON.parse(readFileSync(file, 'utf8'));
  expect(Object.keys(experiment.config)).toEqual(
    expect.arrayContaining(later.filter((key) => key !== 'average')),
  );
  for (const key of later) delete experiment.config[key];
  writeFileSync(file, JSON.stringify(experiment));
  // Its checkpoints name the experiment by the options that there were.
  const { jobs: _jobs, threads: _threads, dataDir: _dataDir, ...decisive } = experiment.config;
  const sorted = Object.entries(decisive).sort(([a], [b]) => (a < b ? -1 : 1));
  const sum = createHash('sha256').update(JSON.stringify([sorted, experiment.dataset.sha256]));
  const [name] = readdirSync(path.join(out, 'checkpoints'));
  const checkpoint = path.join(out, 'checkpoints', name!);
  const { metadata } = readSafetensors(readFileSync(checkpoint), checkpoint);
  expect(metadata.get('experiment')).toBe(sum.digest('hex'));

  let trained = 0;
  const resumed = await resumeExperiment(out, {}, { onEpoch: () => void trained++ });
  expect(untimed(resumed.runs)).toBe(untimed(whole.runs));
  expect(resumed.config).toEqual({ ...whole.config, jobs: 1 });
  expect(trained).toBeLessThan(whole.runs.length * 5);
});

test('a checkpoint of other schedules is none of the experiment', async () => {
  await stoppedAfter(13, { ...tiny, ...all });
  const file = path.join(out, 'experiment.json');
  const experiment = JSON.parse(readFileSync(file, 'utf8'));
  experiment.config.evolveEvery = { steps: 4 };
  writeFileSync(file, JSON.stringify(experiment));
  await expect(resumeExperiment(out)).rejects.toMatchObject({
    code: 'ERR_DATA_FORMAT',
    message: expect.stringContaining('is a checkpoint of another experiment'),
  });
});

test('options that cannot be are refused where an experiment is read, with its file', async () => {
  await stoppedAfter(5, tiny);
  const file = path.join(out, 'experiment.json');
  const experiment = JSON.parse(readFileSync(file, 'utf8'));
  experiment.config.evolveEvery = { steps: -1 };
  writeFileSync(file, JSON.stringify(experiment));
  await expect(resumeExperiment(out)).rejects.toMatchObject({
    code: 'ERR_DATA_FORMAT',
    message: expect.stringMatching(/experiment\.json .*evolveEvery\.steps must be a whole number from 1/),
  });
});
