import { spawnSync } from 'node:child_process';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { readCheckpoint, writeCheckpoint } from '../../../src/bench/checkpoint.js';
import type { ExperimentConfig } from '../../../src/bench/config.js';
import { resumeExperiment, runExperiment } from '../../../src/bench/experiment.js';
import { ExperimentFolder } from '../../../src/bench/folder.js';
import { readExperiment } from '../../../src/bench/read.js';
import type { BenchRun } from '../../../src/bench/results.js';
import { writeAtomically } from '../../../src/files.js';

const tiny: Partial<ExperimentConfig> & { dataset: string } = {
  dataset: 'procedural',
  hidden: [40, 40],
  train: 200,
  test: 100,
  epochs: 6,
  epsilon: [2, 4],
  motifSize: [2, 4],
};

let root: string;
let out: string;
beforeEach(() => {
  root = mkdtempSync(path.join(os.tmpdir(), 'set-native-folder-'));
  out = path.join(root, 'out');
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function untimed(runs: BenchRun[]): string {
  return JSON.stringify(runs, (key, value) => (key.endsWith('Ms') ? undefined : value));
}

/** Runs `tiny` and stops it after so many epochs of all its trainings. */
async function stoppedAfter(epochs: number): Promise<void> {
  const controller = new AbortController();
  let done = 0;
  const onEpoch = () => {
    done += 1;
    if (done === epochs) controller.abort();
  };
  await expect(runExperiment(tiny, { out, onEpoch, signal: controller.signal })).rejects.toMatchObject({
    code: 'ERR_ABORTED',
  });
}

test('the folder holds what the experiment hands back, and no lock or checkpoint when it is done', async () => {
  const results = await runExperiment(tiny, { out, command: 'a test' });
  const { experiment, runs } = readExperiment(out);
  expect(untimed(runs)).toBe(untimed(results.runs));
  expect(experiment).toMatchObject({ command: 'a test', complete: true, dataset: { train: 200, test: 100 } });
  expect(readdirSync(out).sort()).toEqual(['experiment.json', 'results.jsonl']);
});

test.each([1, 10, 14, 33, 60])(
  'stopped after %i epochs and resumed, results are those of one that never was',
  async (epochs) => {
    const whole = await runExperiment(tiny);
    await stoppedAfter(epochs);
    let trained = 0;
    const resumed = await resumeExperiment(out, { threads: 1 }, { onEpoch: () => void trained++ });
    expect(untimed(resumed.runs)).toBe(untimed(whole.runs));
    expect(untimed(readExperiment(out).runs)).toBe(untimed(whole.runs));
    const turn = epochs > 42 ? 6 : 7; // trainings of a group, of which those of the round under way are done again
    expect(trained).toBeLessThan(whole.runs.length * 6 - epochs + turn);
    expect(readExperiment(out).experiment.complete).toBe(true);
  },
);

test('what a kill has left of files half written is gone when the experiment has been resumed', async () => {
  await stoppedAfter(33);
  let name = '';
  const look = function* () {
    name = readdirSync(root).find((each) => each.endsWith('.tmp'))!;
    yield '';
  };
  writeAtomically(path.join(root, 'x'), look());
  const dead = name.replace(`-${process.pid}-`, `-${spawnSync(process.execPath, ['-v']).pid}-`);
  for (const place of [out, path.join(out, 'checkpoints')]) writeFileSync(path.join(place, dead), 'half');
  await resumeExperiment(out);
  expect(readdirSync(out).sort()).toEqual(['experiment.json', 'results.jsonl']);
});

test('a folder that cannot be handed back does not hide why the experiment ended', async () => {
  const onEpoch = () => {
    rmSync(path.join(out, 'lock'), { force: true });
    mkdirSync(path.join(out, 'lock', 'full'), { recursive: true });
    throw new Error('the real one');
  };
  await expect(runExperiment(tiny, { out, onEpoch })).rejects.toThrow('the real one');
});

test('a finished experiment resumes to itself, training nothing', async () => {
  const whole = await runExperiment(tiny, { out });
  const again = await resumeExperiment(out, {}, { onEpoch: () => expect.unreachable() });
  expect(again.runs).toEqual(whole.runs);
});

test('a training that failed stays failed when the others go on', async () => {
  const failing = { ...tiny, methods: ['set' as const], epsilon: [2], motifSize: [2], learningRate: 1e12 };
  const whole = await runExperiment(failing, { out });
  expect(whole.runs[0]!.failure).toMatchObject({ code: 'ERR_NON_FINITE' });
  const again = await resumeExperiment(out);
  expect(again.complete).toBe(false);
  expect(again.runs).toEqual(whole.runs);
});

test('a folder that holds an experiment is refused, and nothing in it is touched', async () => {
  await stoppedAfter(3);
  const before = readFileSync(path.join(out, 'experiment.json'), 'utf8');
  await expect(runExperiment(tiny, { out })).rejects.toMatchObject({
    code: 'ERR_USAGE',
    message: expect.stringContaining(`go on with --resume ${out}`),
  });
  expect(readFileSync(path.join(out, 'experiment.json'), 'utf8')).toBe(before);
  expect(existsSync(path.join(out, 'lock'))).toBe(false);
});

test('a second process is told who is there; the lock of a dead one is taken over', async () => {
  await stoppedAfter(3);
  const lock = path.join(out, 'lock');
  const holder = (pid: number, host = os.hostname()) => writeFileSync(lock, JSON.stringify({ pid, host }));
  for (const [pid, host] of [[process.pid, os.hostname()] as const, [4_000_000, 'elsewhere'] as const]) {
    holder(pid, host);
    expect(() => ExperimentFolder.resume(out)).toThrow(`process ${pid} on ${host} uses ${out}`);
    expect(existsSync(lock)).toBe(true);
  }
  holder(4_000_001); // above the largest process id
  ExperimentFolder.resume(out).folder.close();
  writeFileSync(lock, '{"pi');
  ExperimentFolder.resume(out).folder.close();
  expect(existsSync(lock)).toBe(false);
});

test('half a last line is dropped; any other damage is named with its line', async () => {
  await runExperiment({ ...tiny, epsilon: [2] }, { out });
  const file = path.join(out, 'results.jsonl');
  const { runs } = readExperiment(out);
  appendFileSync(file, '{"reading":"pla');
  expect(readExperiment(out).runs).toEqual(runs);
  ExperimentFolder.resume(out).folder.close();
  expect(readFileSync(file, 'utf8').endsWith('}\n')).toBe(true);
  const lines = readFileSync(file, 'utf8').split('\n');
  for (const [damage, message] of [
    ['{"reading":"plain"}', 'line 2 has method'],
    [lines[1]!.replace('"testAccuracy":0', '"testAccuracy":7'), 'line 2 has epochs.0.testAccuracy'],
    [lines[1]!.slice(1), 'line 2 is not JSON'],
  ] as const) {
    writeFileSync(file, [lines[0], damage, ...lines.slice(2)].join('\n'));
    expect(() => readExperiment(out)).toThrow(expect.objectContaining({ code: 'ERR_DATA_FORMAT' }));
    expect(() => readExperiment(out)).toThrow(message);
  }
});

test('a checkpoint that was cut or changed is refused by name', async () => {
  await stoppedAfter(10);
  const [name] = readdirSync(path.join(out, 'checkpoints'));
  const file = path.join(out, 'checkpoints', name!);
  const state = readCheckpoint(file);
  expect(state.epoch).toBe(1);
  const whole = readFileSync(file);
  for (const damage of [
    () => truncateSync(file, whole.length - 1),
    () => writeFileSync(file, ''),
    () => writeFileSync(file, whole.with(whole.length >> 1, whole[whole.length >> 1]! ^ 1)),
  ]) {
    damage();
    expect(() => readCheckpoint(file)).toThrow(expect.objectContaining({ code: 'ERR_DATA_FORMAT' }));
  }
  await expect(resumeExperiment(out)).rejects.toMatchObject({ message: expect.stringContaining(file) });
  writeCheckpoint(file, state);
  expect(readCheckpoint(file)).toEqual(state);
});

test('resuming with other data is refused', async () => {
  await stoppedAfter(3);
  const file = path.join(out, 'experiment.json');
  writeFileSync(file, readFileSync(file, 'utf8').replace('"available": 10000', '"available": 9999'));
  await expect(resumeExperiment(out)).rejects.toMatchObject({ code: 'ERR_SHAPE' });
});

test('a folder without an experiment cannot be resumed, one that cannot be made is refused', async () => {
  await expect(resumeExperiment(root)).rejects.toMatchObject({ code: 'ERR_USAGE' });
  writeFileSync(path.join(root, 'file'), '');
  await expect(runExperiment(tiny, { out: path.join(root, 'file', 'out') })).rejects.toMatchObject({
    code: 'ERR_USAGE',
  });
});
