import { spawnSync } from 'node:child_process';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { datasetSum } from '../../../src/datasets/sum.js';
import { follow } from '../../../src/events.js';
import { type CheckpointOf, readCheckpoint, sealed } from '../../../src/experiment/checkpoint.js';
import type { ExperimentConfig } from '../../../src/experiment/config.js';
import { experimentEvents, resumeExperiment, runExperiment } from '../../../src/experiment/experiment.js';
import { ExperimentFolder } from '../../../src/experiment/folder.js';
import { groupsOf } from '../../../src/experiment/plan.js';
import { readExperiment } from '../../../src/experiment/read.js';
import type { BenchRun } from '../../../src/experiment/results.js';
import { trialName } from '../../../src/experiment/trial.js';
import { writeAtomically } from '../../../src/files/output.js';
import { readSafetensors, type Tensor, type TensorFile } from '../../../src/files/safetensors.js';
import { loadDataset, SparseMLP } from '../../../src/index.js';
import { idxFile } from '../../support/idxFile.js';

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
    const clock = vi.spyOn(performance, 'now').mockReturnValue(0); // no snapshot takes long: one for every round
    await stoppedAfter(epochs).finally(() => clock.mockRestore());
    let trained = 0;
    const resumed = await resumeExperiment(out, { threads: 1 }, { onEpoch: () => void trained++ });
    expect(untimed(resumed.runs)).toBe(untimed(whole.runs));
    expect(untimed(readExperiment(out).runs)).toBe(untimed(whole.runs));
    const turn = epochs > 42 ? 6 : 7; // trainings of a group, of which those of the round under way are done again
    expect(trained).toBeLessThan(whole.runs.length * 6 - epochs + turn);
    expect(readExperiment(out).experiment.complete).toBe(true);
  },
);

test('one that takes no more events stops the experiment: its checkpoint is written, the lock is gone', async () => {
  const whole = await runExperiment(tiny);
  let epochs = 0;
  for await (const { kind } of experimentEvents(tiny, { out })) {
    if (kind === 'epoch') epochs += 1;
    if (epochs === 10) break;
  }
  expect(readdirSync(out).sort()).toEqual(['checkpoints', 'experiment.json']);
  expect(checkpoints()).toHaveLength(1);
  expect(untimed((await resumeExperiment(out)).runs)).toBe(untimed(whole.runs));
});

test('the events of an experiment: its plan, every epoch, and results when they are in the folder', async () => {
  const config = { ...tiny, methods: ['set' as const], motifSize: [2], epochs: 2 };
  const seen: string[] = [];
  const results = await follow(experimentEvents(config, { out }), (event) => {
    if (event.kind === 'plan') seen.push(`plan of ${event.groups.length}`);
    if (event.kind === 'start') seen.push(`start ${trialName(event.run)}`);
    if (event.kind === 'epoch') seen.push(`epoch ${event.run.epochs.indexOf(event.report) + 1}`);
    if (event.kind !== 'finished') return;
    const { runs } = readExperiment(out);
    seen.push(`${event.runs.map((run) => trialName(run))} is line ${runs.length}`);
    expect(runs.at(-1)).toEqual(event.runs[0]);
  });
  expect(seen).toEqual([
    'plan of 2',
    ...['start set at epsilon 2, seed 0', 'epoch 1', 'epoch 2', 'set at epsilon 2, seed 0 is line 1'],
    ...['start set at epsilon 4, seed 0', 'epoch 1', 'epoch 2', 'set at epsilon 4, seed 0 is line 2'],
  ]);
  expect(results.runs).toHaveLength(2);
});

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
    code: 'ERR_IN_USE',
    message: expect.stringContaining('holds experiment.json, which can be resumed'),
    details: { option: 'out', dir: out, begun: out },
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

/** The files of the checkpoints that a stop has left. */
function checkpoints(): string[] {
  return readdirSync(path.join(out, 'checkpoints')).map((name) => path.join(out, 'checkpoints', name));
}

/** What a checkpoint says, without its sum. */
function contentOf(file: string): TensorFile {
  const content = readSafetensors(readFileSync(file), file);
  content.metadata.delete('sha256');
  return content;
}

function ofContent({ metadata }: TensorFile): CheckpointOf {
  return { experiment: metadata.get('experiment')!, group: metadata.get('group')! };
}

/** Writes a checkpoint of anything, with a sum that fits. */
function put(file: string, content: TensorFile): void {
  writeFileSync(file, Buffer.concat(sealed(content)));
}

test('a checkpoint that was cut or changed is refused by name', async () => {
  await stoppedAfter(10);
  const [file] = checkpoints();
  const whole = readFileSync(file!);
  const { config } = readExperiment(out).experiment;
  const of = ofContent(contentOf(file!));
  const places = { config, group: groupsOf(config)[0]!, dataset: loadDataset('procedural') };
  for (const damage of [
    () => truncateSync(file!, whole.length - 1),
    () => writeFileSync(file!, ''),
    () => writeFileSync(file!, whole.with(whole.length >> 1, whole[whole.length >> 1]! ^ 1)),
    () =>
      writeFileSync(
        file!,
        Buffer.from(whole.toString('latin1').replace('"epoch":"', '"epoch":"1'), 'latin1'),
      ),
    () => put(file!, { ...contentOf(file!), metadata: new Map() }),
  ]) {
    writeFileSync(file!, whole);
    damage();
    expect(() => readCheckpoint(file!, of, places)).toThrow(
      expect.objectContaining({ code: 'ERR_DATA_FORMAT' }),
    );
    expect(() => readCheckpoint(file!, of, places)).toThrow(`${file} is damaged`);
  }
  await expect(resumeExperiment(out)).rejects.toMatchObject({
    message: expect.stringContaining(`${file} is damaged`),
  });
});

test('a device or pipe in the place of a checkpoint is refused, not read for as long as it gives', async () => {
  await stoppedAfter(10);
  const [file] = checkpoints();
  rmSync(file!);
  symlinkSync('/dev/null', file!);
  await expect(resumeExperiment(out)).rejects.toMatchObject({
    code: 'ERR_IO',
    message: expect.stringContaining(`${file}: it is not a regular file`),
  });
});

test('what a checkpoint holds is checked before anything is made of it', async () => {
  await stoppedAfter(10);
  const [file] = checkpoints();
  const { config } = readExperiment(out).experiment;
  const places = { config, group: groupsOf(config)[0]!, dataset: loadDataset('procedural') };
  const sound = contentOf(file!);
  const state = readCheckpoint(file!, ofContent(sound), places);
  const set = (name: string, change: Partial<Tensor>) => (content: TensorFile) => {
    content.tensors.set(name, { ...content.tensors.get(name)!, ...change } as Tensor);
  };
  const data = (name: string, change: (data: Float32Array) => unknown) => (content: TensorFile) =>
    change(content.tensors.get(name)!.data as Float32Array);
  const drop = (pattern: RegExp) => (content: TensorFile) => {
    for (const name of content.tensors.keys()) if (pattern.test(name)) content.tensors.delete(name);
  };
  const text = (name: string, text: string) => {
    const data = new Uint8Array(Buffer.from(text));
    return set(name, { shape: [data.length], data });
  };
  const run = (change: (run: BenchRun) => unknown) => {
    const changed = structuredClone(state.trials[0]!.run);
    change(changed);
    return text('trials.0.run', JSON.stringify(changed));
  };
  const first = 'trials.0.layers.0';
  const changes: [string, (content: TensorFile) => unknown][] = [
    ['not of', ({ metadata }) => metadata.delete('group')],
    ['another experiment', ({ metadata }) => metadata.delete('experiment')],
    ['its epoch is no number', ({ metadata }) => metadata.set('epoch', '0')],
    ['its epoch is no number', ({ metadata }) => metadata.delete('epoch')],
    ['epoch 6, where less than 6', ({ metadata }) => metadata.set('epoch', '6')],
    ['run 0 is no JSON', text('trials.0.run', '{')],
    ['run 0 is no JSON', set('trials.0.run', { shape: [1], data: Uint8Array.of(0xff) })],
    ['run 0 is I8, not U8', set('trials.0.run', { dtype: 'I8', shape: [1], data: new Int8Array(1) })],
    ['run 0 has reading', text('trials.0.run', '{}')],
    ['has 0 epochs', run((changed) => changed.epochs.pop())],
    ['5 trainings, where 6', drop(/^trials\.5/)],
    ['"trials.5.layers.0.bias" is of no training', drop(/^trials\.5\.run/)],
    ['"foreign" is of no training', set('foreign', { dtype: 'U8', shape: [0], data: new Uint8Array(0) })],
    [
      '"trials.00.x" is of no training',
      set('trials.00.x', { dtype: 'U8', shape: [0], data: new Uint8Array(0) }),
    ],
    [
      'layers.0.indices, I32 of [1] was expected',
      set(`${first}.data`, { shape: [1], data: new Float32Array(1) }),
    ],
    ['weights that are not finite', data(`${first}.data`, (weights) => weights.set([Number.NaN], 3))],
    [
      'momentum that are not finite',
      data('trials.0.optimizer.layers.0.momentum', (values) => values.set([Infinity], 3)),
    ],
    ['not in the order of CSR', data(`${first}.indices`, (columns) => columns.set([1e9], 0))],
    ['not in the order of CSR', data(`${first}.indptr`, (offsets) => offsets.fill(7))],
    ['F32 of [39], where', set(`${first}.bias`, { shape: [39], data: new Float32Array(39) })],
    ['none, where tensor optimizer.layers.0.birth', drop(/optimizer\.layers\.0\.birth/)],
    [
      'with "layers.0.pieces", where',
      set(`${first}.pieces`, { dtype: 'U8', shape: [0], data: new Uint8Array(0) }),
    ],
    [
      'with "layers.3.bias", where',
      set('trials.0.layers.3.bias', { dtype: 'U8', shape: [0], data: new Uint8Array(0) }),
    ],
    ['born after the checkpoint', data('trials.0.optimizer.layers.0.birth', (births) => births.fill(9))],
    ['tensor layers.2.', drop(/^trials\.0\.(optimizer\.)?layers\.2/)],
    [
      'that is dense, where another was drawn',
      (content) => {
        drop(/^trials\.0\.(layers\.0\.ind|optimizer\.layers\.0\.birth)/)(content);
        for (const name of [`${first}.data`, 'trials.0.optimizer.layers.0.momentum']) {
          set(name, { shape: [784, 40], data: new Float32Array(784 * 40) })(content);
        }
      },
    ],
    ['should have layers', drop(/^trials\.0\.(optimizer|layers)/)],
    ['degrees.start that do not fit', run((changed) => changed.degrees!.start[0]!.in.push(1))],
  ];
  for (const [message, change] of changes) {
    const content = structuredClone(sound);
    change(content);
    put(file!, content);
    const reading = () => readCheckpoint(file!, ofContent(sound), places);
    expect(reading, message).toThrow(expect.objectContaining({ code: 'ERR_DATA_FORMAT' }));
    expect(reading).toThrow(message);
    expect(reading).toThrow(file);
  }
});

test('a checkpoint of an earlier version is refused, with what to do', async () => {
  await stoppedAfter(10);
  const [file] = checkpoints();
  for (const version of [1, 2]) {
    writeFileSync(file!, `set-native checkpoint ${version}\n${'0'.repeat(64)}\nbytes of node:v8`);
    await expect(resumeExperiment(out)).rejects.toMatchObject({
      code: 'ERR_DATA_FORMAT',
      message: expect.stringMatching(
        /written by an earlier version of set-native, .* delete it, and the trainings of/,
      ),
    });
  }
  rmSync(file!);
  expect((await resumeExperiment(out)).complete).toBe(true);
});

test('the tensors of a training are those of a model file', async () => {
  await stoppedAfter(10);
  const [file] = checkpoints();
  const { tensors } = contentOf(file!);
  const model = await SparseMLP.create({
    layers: [64, 40, 40, 10],
    epsilon: 2,
    motifSize: 2,
    backend: 'cpu',
  });
  const saved = readSafetensors(await model.toBuffer(), 'model').tensors;
  model.dispose();
  const own = [...tensors.keys()].filter((name) => name.startsWith('trials.0.'));
  expect(own.sort()).toEqual(['run', ...saved.keys()].map((name) => `trials.0.${name}`).sort());
  for (const [name, { dtype }] of saved) expect(tensors.get(`trials.0.${name}`)!.dtype).toBe(dtype);
});

test('a checkpoint of another group or experiment is not taken for its own', async () => {
  await stoppedAfter(10);
  const [file] = checkpoints();
  const of = ofContent(contentOf(file!));
  const { config } = readExperiment(out).experiment;
  const [group, other] = groupsOf(config);
  const dataset = loadDataset('procedural');
  const read = (expected: CheckpointOf, places: object) =>
    readCheckpoint(file!, expected, { ...{ config, group: group!, dataset }, ...places });
  expect(() => read({ ...of, group: other!.id }, { group: other })).toThrow(
    `is a checkpoint of ${group!.id}, not of ${other!.id}; delete it`,
  );
  expect(() => read({ ...of, experiment: '0' }, {})).toThrow('is a checkpoint of another experiment');
  // What it is of does not replace a look at what it holds.
  expect(() => read(of, { config: { ...config, activation: 'srelu' } })).toThrow(
    'with none, where tensor layers.0.pieces, F32 of [4,40] was expected',
  );
  expect(() => read(of, { config: { ...config, hidden: [40, 41] } })).toThrow('layers.1.');
  const denser = group!.trials.map((trial) => ({ ...trial, epsilon: 4 }));
  expect(() => read(of, { group: { ...group, trials: denser } })).toThrow(
    'set at epsilon 2, seed 0, where plain, set at epsilon 4, seed 0 was expected',
  );
  const later = group!.trials.map((trial) => ({ ...trial, seed: 1 }));
  expect(() => read(of, { group: { ...group, seed: 1, trials: later } })).toThrow(
    'where plain, set at epsilon 2, seed 1 was expected',
  );
  expect((await resumeExperiment(out)).complete).toBe(true);
});

test('checkpoints come every five seconds by a clock that nobody sets', async () => {
  const begun = Math.floor(performance.now()); // a whole number, so that differences are exact
  let seconds = 0;
  const clocks = [
    vi.spyOn(performance, 'now').mockImplementation(() => begun + 1000 * seconds),
    vi.spyOn(Date, 'now').mockImplementation(() => 1e12 - 1000 * seconds),
  ];
  try {
    const seen: number[] = [];
    const count = () => {
      seconds += 1;
      if (existsSync(path.join(out, 'checkpoints')) && checkpoints().length > 0) seen.push(seconds);
    };
    await runExperiment({ ...tiny, methods: ['set'], epsilon: [2], motifSize: [2] }, { out, onEpoch: count });
    expect(seen).toEqual([6]);
  } finally {
    for (const clock of clocks) clock.mockRestore();
  }
});

test('what some trainings of a group have left does not keep the others from being finished', async () => {
  const config = { ...tiny, epsilon: [2] };
  const whole = await runExperiment(config, { out });
  const file = path.join(out, 'results.jsonl');
  const lines = readFileSync(file, 'utf8').split('\n');
  writeFileSync(file, `${lines[4]}\n${lines[1]}\n${lines[0]!.slice(0, 100)}`);
  const kept = whole.runs.filter((_, i) => i === 1 || i === 4);
  const resumed = await resumeExperiment(out);
  expect(untimed(resumed.runs)).toBe(untimed(whole.runs));
  expect(resumed.runs.filter((_, i) => i === 1 || i === 4)).toEqual(kept);
  const { runs } = readExperiment(out);
  expect(runs.slice(0, 2)).toEqual(kept.toReversed());
  expect(runs).toHaveLength(whole.runs.length);
});

test('a training that is there twice, or that is not of the experiment, is refused with its line', async () => {
  await runExperiment({ ...tiny, epsilon: [2] }, { out });
  const file = path.join(out, 'results.jsonl');
  const lines = readFileSync(file, 'utf8').trimEnd().split('\n');
  const third = JSON.parse(lines[2]!);
  const changed = (change: (run: BenchRun) => void) => {
    const run = structuredClone(third);
    change(run);
    return JSON.stringify(run);
  };
  for (const [line, message] of [
    [
      lines[0]!,
      'line 3 is of the same training as line 1 (plain, set at epsilon 2, seed 0); delete one of them',
    ],
    [
      changed((run) => void Object.assign(run, { seed: 1 })),
      'line 3 is of a training that the experiment does not have',
    ],
    [
      changed((run) => void Object.assign(run, { epsilon: 3 })),
      'line 3 is of a training that the experiment does not have',
    ],
    [
      changed((run) => void Object.assign(run, { motifSize: 8 })),
      'line 3 is of a training that the experiment does not have',
    ],
    [
      changed((run) => void Object.assign(run, { reading: 'described' })),
      'line 3 is of a training that the experiment does not have',
    ],
    [
      changed((run) => void Object.assign(run, { topology: 'erdos-renyi' })),
      'line 3 has topology erdos-renyi, where the experiment has motif',
    ],
    [changed((run) => void run.epochs.pop()), 'line 3 has 5 epochs, where 6 were expected'],
    [changed((run) => void run.epochs.push({ ...run.epochs[5]!, epoch: 7 })), 'line 3 has 7 epochs'],
    [changed((run) => void run.epochs.reverse()), 'line 3 has epochs.0.epoch 6, where 1 was expected'],
    [
      changed((run) => void Object.assign(run.epochs[1]!, { epoch: 1 })),
      'line 3 has epochs.1.epoch 1, where 2 was expected',
    ],
    [
      changed((run) => void Object.assign(run.epochs[0]!, { linksByBirth: [1e9] })),
      'line 3 has epochs.0.linksByBirth',
    ],
    [changed((run) => void Object.assign(run, { nnz: 1e12 })), 'line 3 has nnz 1000000000000'],
    [changed((run) => void Object.assign(run, { density: 0.5 })), 'line 3 has nnz'],
    [
      changed((run) => void Object.assign(run.degrees!.start[0]!, { inputs: 99 })),
      'line 3 has degrees.start that do not fit',
    ],
    [changed((run) => void run.degrees!.end.pop()), 'line 3 has degrees.end that do not fit'],
    [
      changed((run) => void Object.assign(run.degrees!.end[0]!, { out: [1e9] })),
      'line 3 has degrees.end that do not fit',
    ],
    [changed((run) => void run.inputDegree!.pop()), 'line 3 has inputDegree that does not fit'],
  ] as const) {
    writeFileSync(file, `${[lines[0], lines[1], line, ...lines.slice(3)].join('\n')}\n`);
    expect(() => readExperiment(out)).toThrow(expect.objectContaining({ code: 'ERR_DATA_FORMAT' }));
    expect(() => readExperiment(out)).toThrow(message);
  }
  await expect(resumeExperiment(out)).rejects.toMatchObject({ code: 'ERR_DATA_FORMAT' });
  expect(readdirSync(out).sort()).toEqual(['experiment.json', 'results.jsonl']);
});

test('a folder that holds anything else is refused by name, and left as it was', () => {
  const mine = {
    'report.html': 'my own',
    'summary.csv': 'my,own',
    lock: 'my own lock',
    '.env': 'x',
    'results.jsonl': '',
  };
  for (const [name, text] of Object.entries(mine)) {
    rmSync(out, { recursive: true, force: true });
    mkdirSync(out);
    writeFileSync(path.join(out, name), text);
    expect(() => ExperimentFolder.create(out)).toThrow(
      expect.objectContaining({
        ...{
          code: 'ERR_IN_USE',
          message: `[bench] out must name a new or empty folder, but ${out} holds ${name}`,
        },
        details: expect.objectContaining({ option: 'out' }),
      }),
    );
    expect(readdirSync(out)).toEqual([name]);
    expect(readFileSync(path.join(out, name), 'utf8')).toBe(text);
  }
  rmSync(out, { recursive: true });
  mkdirSync(path.join(out, 'checkpoints', 'deep'), { recursive: true });
  expect(() => ExperimentFolder.create(out)).toThrow(
    expect.objectContaining({
      message: expect.stringContaining('holds checkpoints'),
    }),
  );
  rmSync(path.join(out, 'checkpoints'), { recursive: true });
  symlinkSync(root, path.join(out, 'checkpoints'));
  expect(() => ExperimentFolder.create(out)).toThrow(
    expect.objectContaining({
      message: expect.stringContaining('holds checkpoints'),
    }),
  );
});

test('an empty folder is taken, and what a process leaves that is killed before its experiment begins', () => {
  mkdirSync(path.join(out, 'checkpoints'), { recursive: true });
  const record = JSON.stringify({ pid: 4_194_305, host: os.hostname() });
  const left = {
    lock: record,
    [`lock.${'a'.repeat(32)}.new`]: '',
    '.gitkeep': '',
    'experiment.json.12.tmp': '{',
  };
  for (const [name, text] of Object.entries(left)) writeFileSync(path.join(out, name), text);
  ExperimentFolder.create(out).close();
  expect(readdirSync(out).sort()).toEqual(['.gitkeep', 'experiment.json.12.tmp']);
});

test('what an experiment would write to must not be a link elsewhere', async () => {
  await stoppedAfter(3);
  for (const name of ['results.jsonl', 'checkpoints', 'experiment.json']) {
    const file = path.join(out, name);
    const elsewhere = path.join(root, name);
    if (existsSync(file)) renameSync(file, elsewhere);
    symlinkSync(elsewhere, file);
    await expect(resumeExperiment(out)).rejects.toMatchObject(
      existsSync(file) || name !== 'experiment.json'
        ? { code: 'ERR_INVALID_ARGUMENT', message: expect.stringContaining(`${name} in ${out} is no`) }
        : { code: 'ERR_INVALID_ARGUMENT' },
    );
    rmSync(file);
    if (existsSync(elsewhere)) renameSync(elsewhere, file);
  }
});

test('whose folder was taken over stops at its next write, and leaves it to the other', async () => {
  const lock = path.join(out, 'lock');
  const other = JSON.stringify({ nonce: 'b'.repeat(32), host: 'elsewhere', pid: 7 });
  let epochs = 0;
  const onEpoch = () => {
    if (epochs++ === 0) writeFileSync(lock, other);
  };
  const error = await runExperiment(tiny, { out, onEpoch }).catch((reason) => reason);
  expect(error).toMatchObject({
    code: 'ERR_IO',
    message: expect.stringContaining(`process 7 on elsewhere has taken ${out}`),
  });
  expect(epochs).toBe(6 * 6); // of the first group, which was to be written then
  expect(readFileSync(lock, 'utf8')).toBe(other);
  expect(existsSync(path.join(out, 'results.jsonl'))).toBe(false);
});

/** A small data set of the form of Fashion-MNIST. */
function writeData(folder: string, shift: number): void {
  mkdirSync(folder);
  for (const [part, count] of [
    ['train', 60],
    ['t10k', 30],
  ] as const) {
    const pixels = Array.from({ length: count * 16 }, (_, i) => (i * 31 + shift * (i >> 4)) % 256);
    const labels = Array.from({ length: count }, (_, i) => (i + shift) % 10);
    writeFileSync(path.join(folder, `${part}-images-idx3-ubyte`), idxFile([count, 4, 4], pixels));
    writeFileSync(path.join(folder, `${part}-labels-idx1-ubyte`), idxFile([count], labels));
  }
}

test('resuming with other data of the same sizes is refused, naming both; with the same from elsewhere it goes on', async () => {
  const [one, two, copy] = ['one', 'two', 'copy'].map((name) => path.join(root, name)) as [
    string,
    string,
    string,
  ];
  writeData(one, 1);
  writeData(two, 7);
  writeData(copy, 1);
  const controller = new AbortController();
  const config = {
    ...tiny,
    dataset: 'fashion-mnist',
    dataDir: path.relative('.', one),
    train: 50,
    test: 30,
    methods: ['set' as const],
  };
  await expect(
    runExperiment(
      { ...config, motifSize: [2] },
      { out, onEpoch: () => controller.abort(), signal: controller.signal },
    ),
  ).rejects.toMatchObject({ code: 'ERR_ABORTED' });
  const begun = readExperiment(out).experiment;
  const sums = [one, two].map((dataDir) => datasetSum(loadDataset('fashion-mnist', { dataDir })));
  expect(begun).toMatchObject({ config: { dataDir: one }, dataset: { source: one, sha256: sums[0] } });
  await expect(resumeExperiment(out, { dataDir: two })).rejects.toMatchObject({
    code: 'ERR_DATA_FORMAT',
    message: expect.stringMatching(
      new RegExp(
        `${one} \\(SHA-256 ${sums[0]!.slice(0, 12)}\\), but ${two} has others \\(${sums[1]!.slice(0, 12)}\\)`,
      ),
    ),
  });
  expect(readExperiment(out).experiment).toEqual(begun);
  // As an earlier version kept it, and seen from another folder.
  const file = path.join(out, 'experiment.json');
  writeFileSync(file, JSON.stringify({ ...begun, config: { ...begun.config, dataDir: 'no such folder' } }));
  const away = new AbortController();
  const stop = { onEpoch: () => away.abort(), signal: away.signal };
  await expect(resumeExperiment(out, {}, stop)).rejects.toMatchObject({ code: 'ERR_ABORTED' });
  const resumed = await resumeExperiment(out, { dataDir: copy });
  expect(resumed).toMatchObject({
    complete: true,
    config: { dataDir: copy },
    dataset: { source: copy, sha256: sums[0] },
  });
});

test('where an earlier version kept no sum, data of other sizes are refused, others go on', async () => {
  await stoppedAfter(3);
  const file = path.join(out, 'experiment.json');
  const { dataset, ...rest } = JSON.parse(readFileSync(file, 'utf8'));
  const { sha256, ...old } = dataset;
  expect(sha256).toMatch(/^[0-9a-f]{64}$/);
  writeFileSync(file, JSON.stringify({ ...rest, dataset: { ...old, available: 9999 } }));
  await expect(resumeExperiment(out)).rejects.toMatchObject({ code: 'ERR_SHAPE' });
  writeFileSync(file, JSON.stringify({ ...rest, dataset: old }));
  expect((await resumeExperiment(out)).complete).toBe(true);
});

test('a folder without an experiment cannot be resumed, one that cannot be made is refused', async () => {
  await expect(resumeExperiment(root)).rejects.toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
  writeFileSync(path.join(root, 'file'), '');
  await expect(runExperiment(tiny, { out: path.join(root, 'file', 'out') })).rejects.toMatchObject({
    code: 'ERR_IO',
  });
});
