import { createHash } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { types } from 'node:util';
import { deserialize, serialize } from 'node:v8';
import { z } from 'zod';
import type { Dataset } from '../datasets/types.js';
import { SetNativeError } from '../errors.js';
import { writeAtomically } from '../files/output.js';
import type { NativeLayer } from '../native.js';
import { activationOf } from '../thesis/readings.js';
import { type ActivationName, activations, piecewiseActivations } from '../vocabulary.js';
import type { ExperimentConfig } from './config.js';
import type { Group } from './plan.js';
import { runSchema } from './read.js';
import type { BenchRun, LayerDegrees } from './results.js';
import { runCheck } from './runCheck.js';
import { trialKey, trialNameInFull } from './trial.js';

/*
 * A checkpoint is a file with the state of a group between two epochs: enough to go on to the same bits.
 *
 * It begins with a line of text that names the format and a line with the SHA-256 of the rest in hexadecimal.
 * The rest, serialised by node:v8, says which group of which experiment it belongs to, and holds the state.
 * The content of a file that was cut or changed is not read, because its sum is wrong; that of a file that
 * was renamed, copied from elsewhere or made up is checked like all input. In version 1 only the trainings
 * themselves said what they belong to.
 */

export interface GroupState {
  /** Epochs that every trial has behind it. */
  epoch: number;
  /** The trainings, in the order of the group. */
  trials: {
    run: BenchRun;
    /** Absent when the training has failed. */
    layers?: NativeLayer[];
  }[];
}

/** What a checkpoint belongs to. */
export interface CheckpointOf {
  /** SHA-256 of what decides the bits of the experiment. */
  experiment: string;
  /** The id of the group. */
  group: string;
}

const heading = 'set-native checkpoint ';
const version = 2;
/** Bytes before the serialised part. */
const headLength = `${heading}${version}\n`.length + 65;

export function writeCheckpoint(file: string, of: CheckpointOf, state: GroupState): void {
  const body = serialize({ of, state });
  writeAtomically(file, [`${heading}${version}\n${sumOf(body)}\n`, body]);
}

/**
 * Reads the state in `file`, which must belong to `of`, and be one that this group of this experiment can
 * have.
 *
 * @throws SetNativeError ERR_IO (cannot be read), ERR_DATA_FORMAT (damaged, no checkpoint, or one of
 * something else)
 */
export function readCheckpoint(
  file: string,
  of: CheckpointOf,
  {
    config,
    group,
    dataset,
  }: { config: ExperimentConfig; group: Group; dataset: Pick<Dataset, 'features' | 'classes'> },
): GroupState {
  let bytes: Buffer;
  try {
    if (!statSync(file).isFile()) throw new Error('it is not a regular file'); // a pipe would be waited for
    bytes = readFileSync(file);
  } catch (cause) {
    throw new SetNativeError('ERR_IO', `[bench] could not read ${file}: ${(cause as Error).message}`, {
      cause,
    });
  }
  const refuse = (what: string, cause?: unknown) =>
    new SetNativeError(
      'ERR_DATA_FORMAT',
      `[bench] ${file} ${what}; delete it, and the trainings of ${group.id} start again`,
      { details: { file }, cause },
    );
  const body = bytes.subarray(headLength);
  const written = [1, version].find((number) => {
    const expected = `${heading}${number}\n${sumOf(body)}\n`;
    return bytes.subarray(0, headLength).toString('latin1') === expected;
  });
  if (written === undefined) throw refuse('is damaged or not a checkpoint of this version');
  let content: unknown;
  try {
    content = deserialize(body);
  } catch (cause) {
    throw refuse(`cannot be read back (${(cause as Error).message})`, cause);
  }
  const state = written === version ? stateOf(content, of, refuse) : content;
  const { error } = stateSchema.safeParse(state);
  if (error !== undefined) {
    const { path: keys, message } = error.issues[0]!;
    throw refuse(
      `is no checkpoint: its ${keys.length > 0 ? keys.join('.') : 'content'} has ${message}`,
      error,
    );
  }
  const sound = state as GroupState;
  const wrong = wrongState(sound, config, group, dataset);
  if (wrong !== undefined) throw refuse(wrong);
  return sound;
}

/** Takes the state out of what a file holds, if that belongs to `of`. */
function stateOf(content: unknown, of: CheckpointOf, refuse: (what: string) => Error): unknown {
  const named = z
    .object({ of: z.object({ experiment: z.string(), group: z.string() }) })
    .safeParse(content).data;
  if (named === undefined) throw refuse('does not say what it is of');
  if (named.of.group !== of.group) throw refuse(`is a checkpoint of ${named.of.group}, not of ${of.group}`);
  if (named.of.experiment !== of.experiment) {
    throw refuse('is a checkpoint of another experiment: of other options or other data');
  }
  return (content as { state: unknown }).state;
}

const float32s = z.custom<Float32Array>(types.isFloat32Array, 'what is not a Float32Array');
const uint32s = z.custom<Uint32Array>(types.isUint32Array, 'what is not a Uint32Array');
const uint16s = z.custom<Uint16Array>(types.isUint16Array, 'what is not a Uint16Array');

const layerSchema = z.object({
  inputs: z.number(),
  outputs: z.number(),
  dense: z.boolean(),
  activation: z.enum(activations),
  rowOffsets: uint32s,
  colIndices: uint32s,
  weights: float32s,
  momentum: float32s,
  secondMoment: float32s.optional(),
  birth: uint16s,
  bias: float32s,
  biasMomentum: float32s,
  biasSecondMoment: float32s.optional(),
  pieces: float32s,
  piecesMomentum: float32s,
  piecesSecondMoment: float32s.optional(),
});

const stateSchema = z.object({
  epoch: z.number().int().positive(),
  trials: z.array(z.object({ run: runSchema, layers: z.array(layerSchema).optional() })),
});

function wrongState(
  { epoch, trials }: GroupState,
  config: ExperimentConfig,
  group: Group,
  dataset: Pick<Dataset, 'features' | 'classes'>,
): string | undefined {
  const expected = group.trials;
  if (trials.length !== expected.length)
    return `has ${trials.length} trainings, where ${expected.length} were expected`;
  const other = expected.findIndex((trial, i) => trialKey(trial) !== trialKey(trials[i]!.run));
  if (other >= 0)
    return `has a training ${trialNameInFull(trials[other]!.run)}, where ${trialNameInFull(expected[other]!)} was expected`;
  if (epoch >= group.epochs) return `is of epoch ${epoch}, where less than ${group.epochs} were expected`;
  const check = runCheck(config, dataset);
  const sizes = [dataset.features, ...config.hidden, dataset.classes];
  for (const { run, layers } of trials) {
    const activation = activationOf(config, run.reading, run.method);
    const wrong =
      check(run, run.failure === undefined ? epoch : epoch + 1) ??
      wrongLayers(run, layers, { sizes, activation, epoch });
    if (wrong !== undefined) return `has a training, ${trialNameInFull(run)}, that ${wrong}`;
  }
  return undefined;
}

function wrongLayers(
  { nnz, failure, degrees }: BenchRun,
  layers: NativeLayer[] | undefined,
  { sizes, activation, epoch }: { sizes: number[]; activation: ActivationName; epoch: number },
): string | undefined {
  if ((layers === undefined) !== (failure !== undefined)) return 'should have layers, unless it failed';
  if (layers === undefined) return undefined;
  if (layers.length !== sizes.length - 1)
    return `has ${layers.length} layers, where ${sizes.length - 1} were expected`;
  for (const [l, layer] of layers.entries()) {
    const expected = {
      inputs: sizes[l]!,
      outputs: sizes[l + 1]!,
      activation: l + 1 < layers.length ? activation : 'linear',
      drawn: degrees?.start[l],
    };
    const wrong = wrongLayer(layer, expected, epoch);
    if (wrong !== undefined) return `has a layer ${l} ${wrong}`;
  }
  const links = layers.reduce((total, { weights }) => total + weights.length, 0);
  return links === nnz ? undefined : `has ${links} links, where ${nnz} were expected`;
}

/** What the experiment's options and the start of the training make of a layer. */
interface ExpectedLayer {
  inputs: number;
  outputs: number;
  activation: ActivationName;
  /** The layer at the start; absent in runs that earlier versions wrote. */
  drawn: LayerDegrees | undefined;
}

function wrongLayer(
  layer: NativeLayer,
  { inputs, outputs, activation, drawn }: ExpectedLayer,
  epoch: number,
): string | undefined {
  if (layer.inputs !== inputs || layer.outputs !== outputs) {
    return `of ${layer.inputs} × ${layer.outputs} neurons, where ${inputs} × ${outputs} were expected`;
  }
  if (layer.activation !== activation)
    return `of activation ${layer.activation}, where ${activation} was expected`;
  if (drawn !== undefined && layer.dense !== drawn.dense)
    return `that is ${layer.dense ? 'dense' : 'sparse'}, where another was drawn`;
  const links = layer.dense ? inputs * outputs : layer.colIndices.length;
  const drawnLinks = drawn?.in.reduce((sum, targets, degree) => sum + targets * degree, 0);
  if (!layer.dense && drawnLinks !== undefined && links !== drawnLinks)
    return `of ${links} links, where ${drawnLinks} were drawn`;
  const pieces = piecewiseActivations.some((name) => name === layer.activation) ? 4 * outputs : 0;
  const lengths = {
    rowOffsets: layer.dense ? 0 : inputs + 1,
    colIndices: layer.dense ? 0 : links,
    weights: links,
    momentum: links,
    secondMoment: 0,
    birth: layer.dense ? 0 : links,
    bias: outputs,
    biasMomentum: outputs,
    biasSecondMoment: 0,
    pieces,
    piecesMomentum: layer.activation === 'srelu' ? pieces : 0,
    piecesSecondMoment: 0,
  };
  for (const [key, length] of Object.entries(lengths) as [keyof typeof lengths, number][]) {
    const got = layer[key]?.length ?? 0;
    if (got !== length) return `with ${got} ${key}, where ${length} were expected`;
  }
  for (const key of ['weights', 'momentum', 'bias', 'biasMomentum', 'pieces', 'piecesMomentum'] as const) {
    if (!layer[key].every(Number.isFinite)) return `with ${key} that are not finite`;
  }
  if (layer.birth.some((born) => born > epoch)) return 'with links born after the checkpoint';
  return layer.dense || isCsr(layer) ? undefined : 'whose links are not in the order of CSR';
}

/**
 * Whether offsets ascend from 0 to the number of links, and the columns of each row ascend below `outputs`.
 */
function isCsr({ inputs, outputs, rowOffsets, colIndices }: NativeLayer): boolean {
  if (rowOffsets[0] !== 0 || rowOffsets[inputs] !== colIndices.length) return false;
  for (let row = 0; row < inputs; row++) {
    const end = rowOffsets[row + 1]!;
    if (end < rowOffsets[row]! || end > colIndices.length) return false;
    for (let link = rowOffsets[row]!; link < end; link++) {
      if (colIndices[link]! >= outputs) return false;
      if (link > rowOffsets[row]! && colIndices[link]! <= colIndices[link - 1]!) return false;
    }
  }
  return true;
}

function sumOf(body: Uint8Array): string {
  return createHash('sha256').update(body).digest('hex');
}
