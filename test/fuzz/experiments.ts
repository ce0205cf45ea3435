import { createHash } from 'node:crypto';
import { deserialize, serialize } from 'node:v8';
import { type GroupState, readCheckpoint } from '../../src/bench/checkpoint.js';
import { compareKernels } from '../../src/bench/kernels/compare.js';
import { readKernelResults } from '../../src/bench/kernels/results.js';
import type { BenchRun, Experiment } from '../../src/bench/results.js';
import { summarize } from '../../src/bench/summary.js';
import { summaryCsv } from '../../src/report/csv.js';
import { figuresOf } from '../../src/report/figures.js';
import { reportSource } from '../../src/report/index.js';
import { results as kernelResults, timed } from '../unit/bench/kernels/results.js';
import type { Target } from './engine.js';
import { joined, ScratchFolder, SEPARATOR, separated } from './folder.js';
import { mutateValue } from './mutate.js';
import type { Random } from './random.js';

/*
 * What the program reads of its own making, which strangers may have made: folders of experiments, checkpoints, results of kernels.
 */

const scratch = new ScratchFolder();

const epoch = (number: number): BenchRun['epochs'][0] => ({
  epoch: number,
  trainLoss: 2 / number,
  testLoss: 2,
  testAccuracy: 0.5,
  trainMs: 3,
  evolveMs: 1,
  evaluateMs: 1,
  nnz: 9,
  pruned: 1,
  grown: 1,
  linksByBirth: [8, 1],
});
const degrees = [{ inputs: 4, outputs: 2, dense: false, in: [0, 0, 0, 0, 1], out: [1, 2, 1] }];
const run: BenchRun = {
  reading: 'plain',
  method: 'set',
  epsilon: 2,
  motifSize: 1,
  seed: 1,
  topology: 'erdos-renyi',
  nnz: 9,
  density: 0.5,
  epochs: [epoch(1), epoch(2)],
  degrees: { start: degrees, end: degrees },
  inputDegree: [1, 2, 0, 1],
};
const experiment = {
  schemaVersion: 3,
  command: 'set-native bench',
  complete: true,
  environment: {
    ...{ version: '0.1.0', node: 'v20.19.0', platform: 'linux-x64', cpu: 'CPU', cores: 2, isa: 'avx2', threads: 2 },
    ...{ backend: 'cpu', date: '2025-01-01T00:00:00.000Z' },
  },
  config: { dataset: 'procedural', epsilon: [2] },
  dataset: {
    ...{
      name: 'procedural',
      source: 'embedded',
      features: 4,
      classes: 2,
      available: 9,
      train: 5,
      validation: 0,
      test: 4,
    },
    image: { width: 2, height: 2 },
  },
  notes: ['a note'],
} as unknown as Experiment;

const between = new RegExp(`([\n${SEPARATOR}])`);

/** Changes one of the JSON texts that lie between line ends and separators; none where that text is no JSON. */
function mutateJson(bytes: Buffer, random: Random): Buffer | undefined {
  const texts = bytes.toString('utf8').split(between);
  const at = 2 * random.below((texts.length + 1) / 2);
  if (random.once(8)) return Buffer.from([...texts, ...texts.slice(at - 1)].join(''));
  try {
    const changed = mutateValue(JSON.parse(texts[at]!), random);
    return Buffer.from([...texts.slice(0, at), JSON.stringify(changed) ?? '', ...texts.slice(at + 1)].join(''));
  } catch {
    return undefined;
  }
}

const layer = {
  inputs: 2,
  outputs: 2,
  dense: false,
  activation: 'relu',
  rowOffsets: Uint32Array.of(0, 1, 2),
  colIndices: Uint32Array.of(1, 0),
  weights: Float32Array.of(0.5, -0.5),
  momentum: new Float32Array(2),
  birth: new Uint16Array(2),
  bias: new Float32Array(2),
  biasMomentum: new Float32Array(2),
  pieces: new Float32Array(),
  piecesMomentum: new Float32Array(),
};
const state = { epoch: 2, trials: [{ run, layers: [layer] }] } as unknown as GroupState;

/** A checkpoint whose sum is right, whatever it holds: only then is it looked into. */
function sealed(body: Uint8Array): Buffer {
  const sum = createHash('sha256').update(body).digest('hex');
  return Buffer.concat([Buffer.from(`set-native checkpoint 1\n${sum}\n`), body]);
}

const files = { codes: ['ERR_DATA_FORMAT'], memory: 2 ** 24, short: 1000, file: scratch.path };

export const experimentTargets: Target[] = [
  {
    name: 'experiment',
    ...files,
    seeds: [
      joined(JSON.stringify(experiment), `${JSON.stringify(run)}\n`),
      joined(
        JSON.stringify(experiment),
        [2, 4, 4].map((epsilon, seed) => `${JSON.stringify({ ...run, epsilon, seed })}\n`).join(''),
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
    seeds: [serialize(state), serialize({ ...state, trials: [{ run }] })],
    mutate(bytes, random) {
      try {
        return serialize(mutateValue(deserialize(bytes), random));
      } catch {
        return undefined;
      }
    },
    read: (bytes) => readCheckpoint(scratch.file('fuzzed.checkpoint', sealed(bytes))),
  },
  {
    name: 'checkpoint-file',
    ...files,
    seeds: [sealed(serialize({ epoch: 1, trials: [] }))],
    read: (bytes) => readCheckpoint(scratch.file('fuzzed.checkpoint', bytes)),
  },
  {
    name: 'kernels',
    ...files,
    seeds: [Buffer.from(JSON.stringify(kernelResults())), Buffer.from(JSON.stringify(kernelResults({ cases: [] })))],
    tokens: ['{', '}', '[', ']', ',', '"', ':', 'null', '1e999', '-1', '"failure":"x"'],
    mutate: mutateJson,
    read(bytes) {
      const comparison = compareKernels(
        readKernelResults(scratch.file('kernels.json', bytes)),
        kernelResults({ cases: [timed()] }),
      );
      if (Number.isNaN(comparison.geometricMean)) throw new Error('broken promise: a mean that is a number, or none');
    },
  },
];
