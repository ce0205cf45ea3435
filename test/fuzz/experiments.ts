import { readFileSync } from 'node:fs';
import os from 'node:os';
import { type GroupState, readCheckpoint, sealed, writeCheckpoint } from '../../src/experiment/checkpoint.js';
import { experimentConfig } from '../../src/experiment/config.js';
import { groupsOf } from '../../src/experiment/plan.js';
import { type BenchRun, type Experiment, schemaVersion } from '../../src/experiment/results.js';
import { summarize } from '../../src/experiment/summary.js';
import type { Trial } from '../../src/experiment/trial.js';
import { checkHeld, isLock } from '../../src/files/lock.js';
import {
  readSafetensors,
  safetensorsPieces,
  type Tensor,
  type TensorFile,
} from '../../src/files/safetensors.js';
import { compareKernels } from '../../src/kernels/compare.js';
import { readKernelResults } from '../../src/kernels/results.js';
import type { NativeLayer } from '../../src/native.js';
import { summaryCsv } from '../../src/report/csv.js';
import { figuresOf } from '../../src/report/figures/experiment.js';
import { reportSource } from '../../src/report/index.js';
import { selectionConfig } from '../../src/selection/config.js';
import { readSelection, names as selectionNames } from '../../src/selection/read.js';
import { results as kernelResults, timed } from '../unit/kernels/results.js';
import type { Target } from './engine.js';
import { joined, ScratchFolder, SEPARATOR, separated } from './folder.js';
import { mutateValue } from './mutate.js';
import type { Random } from './random.js';

/*
 * What the program reads of its own making, which strangers may have made: folders of experiments and of
 * selections, their locks, checkpoints, results of kernels.
 */

const scratch = new ScratchFolder();

const config = experimentConfig({
  ...{
    dataset: 'procedural',
    methods: ['set', 'static', 'dense'],
    epsilon: [1],
    motifSize: [1],
    hidden: [3],
  },
  ...{ runs: 2, epochs: 2, seed: 1, train: 5, test: 4, validation: 0, average: 0 },
});
const sizes = { features: 4, classes: 2 };
const group = groupsOf(config)[0]!;

const epoch = (number: number, nnz: number): BenchRun['epochs'][0] => ({
  epoch: number,
  trainLoss: 2 / number,
  testLoss: 2,
  testAccuracy: 0.5,
  trainMs: 3,
  evolveMs: 1,
  evaluateMs: 1,
  nnz,
  pruned: 1,
  grown: 1,
  linksByBirth: [nnz - 1, 1],
});
const run = (trial: Trial, epochs = 2): BenchRun => {
  const dense = trial.method === 'dense';
  const nnz = dense ? 18 : 9;
  const degrees = [
    { inputs: 4, outputs: 3, dense, in: dense ? [] : [0, 0, 3], out: dense ? [] : [0, 2, 2] },
    { inputs: 3, outputs: 2, dense, in: dense ? [] : [0, 1, 1], out: dense ? [] : [0, 3] },
  ];
  return {
    ...trial,
    topology: dense ? 'dense' : 'erdos-renyi',
    nnz,
    density: nnz / 18,
    epochs: Array.from({ length: epochs }, (_, i) => epoch(i + 1, nnz)),
    degrees: { start: degrees, end: epochs < 2 ? [] : degrees },
    ...(!dense && epochs === 2 && { inputDegree: [1, 1, 2, 2] }),
    ...(epochs === 2 && { averaged: { testAccuracy: 0.5, testLoss: 2, epochs: 1 } }),
  };
};
const experiment = {
  schemaVersion,
  command: 'set-native bench',
  complete: true,
  environment: {
    ...{
      version: '0.1.0',
      node: 'v20.19.0',
      platform: 'linux-x64',
      cpu: 'CPU',
      cores: 2,
      isa: 'avx2',
      threads: 2,
    },
    ...{ backend: 'cpu', date: '2025-01-01T00:00:00.000Z' },
  },
  config,
  dataset: {
    ...{ name: 'procedural', source: 'embedded', ...sizes, available: 9, train: 5, validation: 0, test: 4 },
    image: { width: 2, height: 2 },
  },
  notes: ['a note'],
} as Experiment;
const lines = (records: object[]) => records.map((each) => `${JSON.stringify(each)}\n`).join('');
const trials = group.trials;

const accuracies = { accuracy: 0.5, randomAccuracy: 0.25 };
const selection = {
  config: selectionConfig({ dataset: 'procedural', keep: [50, 100], hidden: [3], runs: 2, seed: 1 }),
  dataset: { name: 'procedural', ...sizes, train: 5, test: 4, source: 'embedded', sha256: '0'.repeat(64) },
  environment: { version: '0.1.0', cpu: 'CPU', isa: 'avx2' },
  notes: [],
  complete: false,
};
const nonce = 'a'.repeat(32);
const network = { seed: 1, accuracy: 0.5, strength: [1, 0, 0, 2] };

const between = new RegExp(`([\n${SEPARATOR}])`);

/**
 * Changes one of the JSON texts that lie between line ends and separators; none where that text is no JSON.
 */
function mutateJson(bytes: Buffer, random: Random): Buffer | undefined {
  const texts = bytes.toString('utf8').split(between);
  const at = 2 * random.below((texts.length + 1) / 2);
  if (random.once(8)) return Buffer.from([...texts, ...texts.slice(at - 1)].join(''));
  try {
    const changed = mutateValue(JSON.parse(texts[at]!), random);
    return Buffer.from(
      [...texts.slice(0, at), JSON.stringify(changed) ?? '', ...texts.slice(at + 1)].join(''),
    );
  } catch {
    return undefined;
  }
}

const layer = (inputs: number, outputs: number, rowOffsets: number[], colIndices: number[]): NativeLayer => ({
  inputs,
  outputs,
  dense: colIndices.length === 0,
  activation: outputs === sizes.classes ? 'linear' : 'relu',
  rowOffsets: Uint32Array.from(rowOffsets),
  colIndices: Uint32Array.from(colIndices),
  weights: new Float32Array(colIndices.length || inputs * outputs).fill(0.5),
  momentum: new Float32Array(colIndices.length || inputs * outputs),
  birth: new Uint16Array(colIndices.length),
  bias: new Float32Array(outputs),
  biasMomentum: new Float32Array(outputs),
  pieces: new Float32Array(),
  piecesMomentum: new Float32Array(),
});
const layersOf = ({ method }: Trial) =>
  method === 'dense'
    ? [layer(4, 3, [], []), layer(3, 2, [], [])]
    : [layer(4, 3, [0, 1, 2, 4, 6], [0, 1, 0, 2, 1, 2]), layer(3, 2, [0, 1, 2, 3], [0, 0, 1])];
const of = { experiment: '0'.repeat(64), group: group.id };
const sumsOf = (layers: NativeLayer[]) => ({
  epochs: 1,
  layers: layers.map(({ weights, bias }) => ({
    weights: Float64Array.from(weights),
    bias: Float64Array.from(bias),
  })),
});
const state: GroupState = {
  epoch: 1,
  trials: trials.map((trial) => {
    const layers = layersOf(trial);
    return { run: run(trial, 1), layers, average: sumsOf(layers) };
  }),
};
const failed: GroupState = {
  epoch: 1,
  trials: trials.map((trial, i) =>
    i > 0
      ? { run: run(trial, 1), layers: layersOf(trial) }
      : { run: { ...run(trial, 1), failure: { code: 'ERR_NON_FINITE', message: 'loss' } } },
  ),
};

/** The file of a checkpoint. */
function checkpointOf(groupState: GroupState): Buffer {
  const file = scratch.file('seed.checkpoint', '');
  writeCheckpoint(file, of, groupState, config);
  return readFileSync(file);
}

/** A checkpoint without its sum, which `resealed` adds, whatever it holds: only then is it looked into. */
function unsealed(bytes: Uint8Array): Buffer {
  const { tensors, metadata } = readSafetensors(bytes, 'seed');
  metadata.delete('sha256');
  return Buffer.concat(safetensorsPieces({ tensors, metadata }));
}

function resealed(bytes: Uint8Array): Uint8Array {
  let content: TensorFile;
  try {
    content = readSafetensors(bytes, 'f');
  } catch {
    return bytes;
  }
  content.metadata.delete('sha256');
  return Buffer.concat(sealed(content));
}

/** Changes the JSON of one run of a checkpoint, or what the metadata say, or an element of an array. */
function mutateCheckpoint(bytes: Buffer, random: Random): Buffer | undefined {
  try {
    const { tensors, metadata } = readSafetensors(bytes, 'f');
    const [name, { dtype, shape, data }] = random.pick([...tensors]);
    if (random.once(8)) {
      const [key, text] = random.pick([...metadata]);
      metadata.set(key, String(mutateValue(text, random)));
    } else if (dtype === 'U8') {
      const changed = mutateValue(JSON.parse(Buffer.from(data).toString('utf8')), random);
      const text = new Uint8Array(Buffer.from(JSON.stringify(changed) ?? ''));
      tensors.set(name, { dtype, shape: [text.length], data: text });
    } else if (random.once(4)) tensors.delete(name);
    else {
      const copy = data.slice() as Float32Array;
      if (copy.length > 0) copy[random.below(copy.length)] = random.pick([-1, 0, 1, 2, 3, 9, Number.NaN]);
      tensors.set(name, { dtype, shape, data: copy } as Tensor);
    }
    return Buffer.concat(safetensorsPieces({ tensors, metadata }));
  } catch {
    return undefined;
  }
}

const readState = (bytes: Uint8Array) =>
  readCheckpoint(scratch.file('fuzzed.checkpoint', bytes), of, { config, group, dataset: sizes });

const files = { codes: ['ERR_DATA_FORMAT'], memory: 2 ** 24, short: 1000, file: scratch.path };

export const experimentTargets: Target[] = [
  {
    name: 'experiment',
    ...files,
    seeds: [
      joined(JSON.stringify(experiment), lines(trials.map((trial) => run(trial)))),
      joined(
        JSON.stringify({ ...experiment, complete: false }),
        lines([1, 2].map((seed) => run({ ...trials[0]!, seed }))),
      ),
    ],
    tokens: ['{', '}', '[', ']', ',', '"', ':', 'null', '1e999', '-1', '0.5', '\n', '\x1c'],
    mutate: mutateJson,
    read(bytes) {
      const [head, lines] = separated(bytes, 2) as [Uint8Array, Uint8Array];
      scratch.file('experiment.json', head);
      scratch.file('results.jsonl', lines);
      const { experiment, runs } = reportSource(scratch.path);
      // All that a report makes of a folder but the drawing.
      const rows = summarize(runs);
      summaryCsv(rows.map((row) => ({ dataset: experiment.dataset.name, ...row })));
      for (const { reading } of rows) JSON.stringify(figuresOf(runs, experiment.dataset, reading, ''));
    },
  },
  {
    name: 'checkpoint',
    ...files,
    seeds: [unsealed(checkpointOf(state)), unsealed(checkpointOf(failed))],
    mutate: mutateCheckpoint,
    read: (bytes) => readState(resealed(bytes)),
  },
  {
    name: 'checkpoint-file',
    ...files,
    seeds: [checkpointOf(state), Buffer.from(`set-native checkpoint 2\n${'0'.repeat(64)}\n`)],
    read: (bytes) => readState(bytes),
  },
  {
    name: 'selection',
    ...files,
    seeds: [
      joined(
        JSON.stringify(selection),
        lines([network, { seed: 1, keep: 50, features: [0, 3], ...accuracies }]),
      ),
      joined(JSON.stringify({ ...selection, complete: true }), ''),
    ],
    mutate: mutateJson,
    read(bytes) {
      const [head, list] = separated(bytes, 2) as [Uint8Array, Uint8Array];
      scratch.file(selectionNames.results, head);
      scratch.file(selectionNames.runs, list);
      const { selection, finished } = readSelection(scratch.path);
      const known = ({ seed }: { seed: number }) => seed >= selection.config.seed;
      if (![...finished.networks, ...finished.runs].every(known))
        throw new Error('broken promise: seeds of the selection');
    },
  },
  {
    name: 'lock',
    ...files,
    seeds: [
      JSON.stringify({ nonce, host: 'h', boot: 'b', namespace: 'n', pid: 2 ** 22, started: '1' }),
      JSON.stringify({ nonce, host: os.hostname(), pid: 2 ** 22 }),
      JSON.stringify({ pid: 2 ** 22, host: os.hostname() }),
    ].map((text) => Buffer.from(text)),
    mutate: mutateJson,
    codes: ['ERR_IO'],
    read(bytes) {
      const file = scratch.file('lock', bytes);
      const known = isLock(file);
      checkHeld({ file, nonce });
      if (!known) throw new Error('broken promise: what is held is a lock');
    },
  },
  {
    name: 'kernels',
    ...files,
    seeds: [
      Buffer.from(JSON.stringify(kernelResults())),
      Buffer.from(JSON.stringify(kernelResults({ cases: [] }))),
    ],
    tokens: ['{', '}', '[', ']', ',', '"', ':', 'null', '1e999', '-1', '"failure":"x"'],
    mutate: mutateJson,
    read(bytes) {
      const comparison = compareKernels(
        readKernelResults(scratch.file('kernels.json', bytes)),
        kernelResults({ cases: [timed()] }),
      );
      if (Number.isNaN(comparison.geometricMean))
        throw new Error('broken promise: a mean that is a number, or none');
    },
  },
];
