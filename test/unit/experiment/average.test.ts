import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { readCheckpoint, sealed } from '../../../src/experiment/checkpoint.js';
import { type ExperimentConfig, experimentConfig } from '../../../src/experiment/config.js';
import { resumeExperiment, runExperiment } from '../../../src/experiment/experiment.js';
import { groupsOf } from '../../../src/experiment/plan.js';
import { readExperiment } from '../../../src/experiment/read.js';
import type { BenchRun } from '../../../src/experiment/results.js';
import { samplesOf } from '../../../src/experiment/samples.js';
import { readSafetensors, type TensorFile } from '../../../src/files/safetensors.js';
import { loadDataset, SparseMLP } from '../../../src/index.js';
import { summaryCsv } from '../../../src/report/csv.js';
import { renderPage } from '../../../src/report/html/page.js';
import { renderTable } from '../../../src/report/terminal/experiment.js';

/*
 * The mean of the last networks, evaluated beside the last one.
 */

const dataset = loadDataset('procedural');
const tiny = {
  ...{ dataset: 'procedural', hidden: [40, 40], train: 200, validation: 50, test: 100 },
  ...{ epochs: 6, epsilon: [4], motifSize: [2], evolveUntil: 0.5, average: 0.5 },
} satisfies Partial<ExperimentConfig>;

function untimed(runs: BenchRun[]): string {
  return JSON.stringify(runs, (key, value) => (key.endsWith('Ms') ? undefined : value));
}

const whole = await runExperiment(tiny);

test('the last networks stay what they are without an average', async () => {
  const { average: _average, ...without } = tiny;
  const plain = await runExperiment(without);
  const last = whole.runs.map(({ averaged: _averaged, ...run }) => run);
  expect(untimed(last)).toBe(untimed(plain.runs));
  expect(whole.runs.map(({ method, averaged }) => [method, averaged?.epochs])).toEqual([
    ...[
      ['set', 3],
      ['set-motif', 3],
      ['static', 3],
      ['dense', 3],
    ],
  ]);
  expect(plain.runs.every((run) => !('averaged' in run))).toBe(true);
  expect(plain.summary.every((row) => !('averagedAccuracy' in row))).toBe(true);
});

test.each(['set', 'set-motif', 'static'] as const)('the average of %s is that of fit', async (method) => {
  const config = experimentConfig(tiny);
  const { train, validation, test } = samplesOf(config, 0, dataset);
  const model = await SparseMLP.create({
    ...{ layers: [dataset.features, 40, 40, dataset.classes], epsilon: 4 },
    topology: method === 'set-motif' ? 'motif' : 'erdos-renyi',
  });
  const evolution = { method, until: 0.5 };
  const options = { epochs: 6, average: 0.5, evolution, validation: validation!, onWarning: () => {} };
  const { averaged, averagedEpochs } = await model.fit(train, options);
  const { loss, accuracy } = await model.evaluate(test);
  model.dispose();
  expect(whole.runs.find((run) => run.method === method)!.averaged).toEqual({
    ...{ testAccuracy: accuracy, testLoss: loss, epochs: averagedEpochs },
    validationAccuracy: averaged!.validationAccuracy,
  });
});

test('without samples held out there is no figure of them; an evolution begins the average anew', async () => {
  const { runs } = await runExperiment({ ...tiny, validation: 0, evolveUntil: 0.7, average: 0.2 });
  expect(runs.map(({ averaged }) => Object.keys(averaged!))).toEqual(
    runs.map(() => ['testAccuracy', 'testLoss', 'epochs']),
  );
  expect(runs.map(({ averaged }) => averaged!.epochs)).toEqual([2, 2, 5, 5]);
});

let out: string;
beforeEach(() => {
  out = path.join(mkdtempSync(path.join(os.tmpdir(), 'set-native-average-')), 'out');
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

/** The checkpoint in `out`. */
function checkpoint(): { file: string; content: TensorFile } {
  const folder = path.join(out, 'checkpoints');
  const file = path.join(folder, readdirSync(folder)[0]!);
  return { file, content: readSafetensors(readFileSync(file), file) };
}

// Four trainings of six epochs; those from epoch 4 on are averaged.
test.each([10, 14, 19, 23, 24])(
  'stopped after %i epochs and resumed, the averages are the same',
  async (at) => {
    await stoppedAfter(at, tiny);
    const sums = [...checkpoint().content.tensors.keys()].filter((name) => name.includes('average'));
    expect(sums.length > 0).toBe(at >= 17);
    const resumed = await resumeExperiment(out);
    expect(untimed(resumed.runs)).toBe(untimed(whole.runs));
    expect(untimed(readExperiment(out).runs)).toBe(untimed(whole.runs));
  },
);

test('without an average a checkpoint holds no sums, as in earlier versions', async () => {
  const { average: _average, ...without } = tiny;
  await stoppedAfter(22, without);
  const { tensors, metadata } = checkpoint().content;
  expect([...tensors.keys()].filter((name) => name.includes('average'))).toEqual([]);
  expect([...metadata.keys()].sort()).toEqual([
    'epoch',
    'experiment',
    'format',
    'group',
    'sha256',
    'version',
  ]);
});

test('sums of a checkpoint that cannot be are refused by name', async () => {
  await stoppedAfter(22, tiny);
  const { file, content: sound } = checkpoint();
  const { config } = readExperiment(out).experiment;
  const { metadata } = sound;
  const of = { experiment: metadata.get('experiment')!, group: metadata.get('group')! };
  metadata.delete('sha256');
  const sum = 'trials.0.average.layers.0.data';
  const changes: [string, (content: TensorFile) => unknown][] = [
    ['has sums of 3 epochs', (content) => content.metadata.set('trials.0.averagedEpochs', '3')],
    ['has sums of 6 epochs', (content) => content.metadata.set('trials.0.averagedEpochs', '6')],
    ['sums of no number of epochs', (content) => content.metadata.set('trials.0.averagedEpochs', '0')],
    ['sums of no number of epochs', (content) => content.metadata.set('trials.0.averagedEpochs', '1.5')],
    ['of no epochs, where no sum', (content) => content.metadata.delete('trials.0.averagedEpochs')],
    ['tensor average.layers.0.data, F64', (content) => content.tensors.delete(sum)],
    [
      'average.layers.9.data',
      ({ tensors }) => tensors.set('trials.0.average.layers.9.data', tensors.get(sum)!),
    ],
    ['finite numbers', ({ tensors }) => tensors.get(sum)!.data.set([Number.NaN] as never, 3)],
  ];
  for (const [message, change] of changes) {
    const content = structuredClone(sound);
    change(content);
    writeFileSync(file, Buffer.concat(sealed(content)));
    const reading = () => readCheckpoint(file, of, { config, group: groupsOf(config)[0]!, dataset });
    expect(reading, message).toThrow(expect.objectContaining({ code: 'ERR_DATA_FORMAT' }));
    expect(reading).toThrow(message);
    expect(reading).toThrow(file);
  }
  const group = groupsOf(config)[0]!;
  writeFileSync(file, Buffer.concat(sealed(sound)));
  const { average: _average, ...without } = config;
  expect(readCheckpoint(file, of, { config, group, dataset }).trials[0]!.average!.epochs).toBe(2);
  expect(() => readCheckpoint(file, of, { config: without, group, dataset })).toThrow('has sums of 2 epochs');
});

test('an average that nobody asked for, or of too many epochs, is refused where results are read', async () => {
  await runExperiment(tiny, { out });
  const file = path.join(out, 'results.jsonl');
  const [first, ...rest] = readFileSync(file, 'utf8').split('\n');
  const run = JSON.parse(first!) as BenchRun;
  run.averaged!.epochs = 4;
  writeFileSync(file, [JSON.stringify(run), ...rest].join('\n'));
  expect(() => readExperiment(out)).toThrow(/results\.jsonl, line 1 has an average of 4 epochs, where/);
});

test('tables, CSV and page have the average where it was asked for, and only there', async () => {
  const { average: _average, ...without } = tiny;
  const plain = await runExperiment({ ...without, epochs: 1 });
  const texts = ({ summary, runs, ...experiment }: typeof whole) => [
    renderTable({ ...experiment, summary, runs }),
    summaryCsv(summary.map((row) => ({ dataset: 'd', ...row }))),
    renderPage([{ dir: 'd', experiment, runs, summary, figures: [] }]),
  ];
  const [table, csv, page] = texts(whole);
  expect(table).toMatch(/ averaged /);
  expect(table).toContain('Averaged accuracy: of the mean of the networks after 50 % of the epochs.');
  expect(csv).toContain(',averagedAccuracyMean,');
  expect(page).toContain('averaged, %');
  expect(texts(plain).join('')).not.toMatch(/averaged/i);
  expect(whole.summary.map(({ averagedAccuracy }) => averagedAccuracy!.mean)).toEqual(
    whole.runs.map(({ averaged }) => averaged!.testAccuracy),
  );
});

test('the thesis has no averages', async () => {
  const { runs, notes } = await runExperiment({ ...tiny, readings: ['described'], epochs: 2 });
  expect(runs.every((run) => run.averaged === undefined)).toBe(true);
  expect(notes).toContain('The reading described sets average 0.5 aside and uses none.');
});
