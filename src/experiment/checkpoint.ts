import { createHash } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { types } from 'node:util';
import type { Dataset } from '../datasets/types.js';
import { SetNativeError } from '../errors.js';
import { boundedBytes } from '../files/bounded.js';
import { writeAtomically } from '../files/output.js';
import { readSafetensors, safetensorsPieces, type Tensor, type TensorFile } from '../files/safetensors.js';
import type { NativeLayer } from '../native.js';
import { activationOf } from '../thesis/readings.js';
import type { WeightSums } from '../training/average.js';
import { isSum, layersOf, layerTensors, readSums, sumTensors } from '../training/modelFile.js';
import type { ExperimentConfig } from './config.js';
import type { Group } from './plan.js';
import { runSchema } from './read.js';
import type { BenchRun, LayerDegrees } from './results.js';
import { mayAverage, runCheck } from './runCheck.js';
import { trialKey, trialNameInFull } from './trial.js';

/*
 * A checkpoint is a file with the state of a group between two epochs: enough to go on to the same bits.
 *
 * It has the format safetensors. The tensors of training i are those of a model file with `trials.<i>.` in
 * front, and `trials.<i>.run`, what its line of results is so far, as bytes of JSON; a training that has
 * failed has that alone. The metadata say which group of which experiment it belongs to, the epoch, over how
 * many epochs a training that is averaged has sums (`trials.<i>.averagedEpochs`), and the SHA-256 of all that
 * the file says without it.
 *
 * The content of a file that was cut or changed is not read, because its sum is wrong; that of a file that
 * was renamed, copied from elsewhere or made up is checked like all input.
 */

export interface GroupState {
  /** Epochs that every trial has behind it. */
  epoch: number;
  /** The trainings, in the order of the group. */
  trials: {
    run: BenchRun;
    /** Absent when the training has failed. */
    layers?: NativeLayer[];
    /** What is to become the mean of its last epochs. */
    average?: WeightSums;
  }[];
}

/** What a checkpoint belongs to. */
export interface CheckpointOf {
  /** SHA-256 of what decides the bits of the experiment. */
  experiment: string;
  /** The id of the group. */
  group: string;
}

const format = 'set-native checkpoint';
const version = '3';

export function writeCheckpoint(
  file: string,
  of: CheckpointOf,
  { epoch, trials }: GroupState,
  { optimizer = 'sgd' }: Pick<ExperimentConfig, 'optimizer'>,
): void {
  const tensors = new Map<string, Tensor>();
  const { experiment, group } = of;
  const metadata = new Map(Object.entries({ format, version, experiment, group, epoch: String(epoch) }));
  for (const [i, { run, layers = [], average }] of trials.entries()) {
    const text = new Uint8Array(Buffer.from(JSON.stringify(run)));
    tensors.set(tensorName(i, 'run'), { dtype: 'U8', shape: [text.length], data: text });
    for (const [name, tensor] of layerTensors(layers, optimizer)) tensors.set(tensorName(i, name), tensor);
    if (average === undefined) continue;
    metadata.set(tensorName(i, 'averagedEpochs'), String(average.epochs));
    for (const [name, tensor] of sumTensors(layers, average)) tensors.set(tensorName(i, name), tensor);
  }
  writeAtomically(file, sealed({ tensors, metadata }));
}

const tensorName = (trial: number, name: string) => `trials.${trial}.${name}`;

/** The bytes of a checkpoint with its sum, in pieces. */
export function sealed(content: TensorFile): Uint8Array[] {
  return safetensorsPieces({
    ...content,
    metadata: new Map([...content.metadata, ['sha256', sumOf(content)]]),
  });
}

function sumOf(content: TensorFile): string {
  const hash = createHash('sha256');
  for (const piece of safetensorsPieces(content)) hash.update(piece);
  return hash.digest('hex');
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
  const { tensors, metadata } = openSealed(bytes, file, refuse);
  if (metadata.get('group') !== of.group) {
    throw refuse(`is a checkpoint of ${metadata.get('group')?.slice(0, 100)}, not of ${of.group}`);
  }
  if (metadata.get('experiment') !== of.experiment) {
    throw refuse('is a checkpoint of another experiment: of other options or other data');
  }
  const epoch = Number(metadata.get('epoch'));
  if (!Number.isInteger(epoch) || epoch < 1)
    throw refuse('is no checkpoint: its epoch is no number from 1 on');
  // Trainings: what they have been so far, then their links.
  const own = byTrial(tensors, refuse);
  const { trials: expected } = group;
  if (own.length !== expected.length)
    throw refuse(`has ${own.length} trainings, where ${expected.length} were expected`);
  const sizes = [dataset.features, ...config.hidden, dataset.classes];
  const trials = own.map(({ run: text, layers: arrays, sums }, i) => {
    const run = runOf(text, i, refuse);
    const averaged = averagedEpochs(metadata.get(tensorName(i, 'averagedEpochs')), i, refuse);
    if (arrays.size === 0 && sums.size === 0 && averaged === undefined) return { run };
    const activation = activationOf(config, run.reading, run.method);
    const { optimizer = 'sgd' } = config;
    const fail = (wanted: string, came: string) =>
      refuse(`has a training, ${trialNameInFull(run)}, with ${came}, where ${wanted} was expected`);
    const layers = layersOf(arrays, { sizes, activation, optimizer }, fail);
    if (averaged !== undefined) return { run, layers, average: readSums(sums, layers, averaged, fail) };
    if (sums.size > 0) throw fail('no sum', `${[...sums.keys()][0]} of no epochs`);
    return { run, layers };
  });
  const state = { epoch, trials };
  const wrong = wrongState(state, config, group, dataset);
  if (wrong !== undefined) throw refuse(wrong);
  return state;
}

type Refuse = (what: string, cause?: unknown) => Error;

/** What a file holds, if it is of this version and its sum is right. */
function openSealed(bytes: Uint8Array, file: string, refuse: Refuse): TensorFile {
  if (Buffer.from(bytes.subarray(0, format.length)).toString('latin1') === format) {
    throw refuse('was written by an earlier version of set-native, and this one does not read it');
  }
  let content: TensorFile;
  try {
    content = readSafetensors(bytes, file);
  } catch (cause) {
    throw refuse('is damaged or not a checkpoint of this version', cause);
  }
  const { tensors, metadata } = content;
  const sum = metadata.get('sha256');
  metadata.delete('sha256');
  const isOurs = metadata.get('format') === format && metadata.get('version') === version;
  if (!isOurs || sum !== sumOf(content)) throw refuse('is damaged or not a checkpoint of this version');
  return { tensors, metadata };
}

interface TrialTensors {
  run: Uint8Array;
  /** Those of a model file, by their names there. */
  layers: Map<string, Tensor>;
  /** Those of them that are sums of epochs. */
  sums: Map<string, Tensor>;
}

function byTrial(tensors: ReadonlyMap<string, Tensor>, refuse: Refuse): TrialTensors[] {
  const trials: TrialTensors[] = [];
  for (;;) {
    const run = tensors.get(tensorName(trials.length, 'run'));
    if (run === undefined) break;
    if (run.dtype !== 'U8') throw refuse(`is no checkpoint: run ${trials.length} is ${run.dtype}, not U8`);
    trials.push({ run: run.data, layers: new Map(), sums: new Map() });
  }
  for (const [name, tensor] of tensors) {
    const [, trial = '', rest = ''] = /^trials\.(\d{1,6})\.(.*)$/s.exec(name) ?? [];
    if (rest === 'run') continue;
    const own = trials[Number(trial)];
    if (own === undefined || tensorName(Number(trial), rest) !== name) {
      throw refuse(`is no checkpoint: its tensor ${JSON.stringify(name.slice(0, 100))} is of no training`);
    }
    (isSum(rest) ? own.sums : own.layers).set(rest, tensor);
  }
  return trials;
}

/** The number of epochs that a training has sums over; undefined where it has none. */
function averagedEpochs(text: string | undefined, trial: number, refuse: Refuse): number | undefined {
  if (text === undefined) return undefined;
  const epochs = Number(text);
  if (!/^\d{1,16}$/.test(text) || epochs === 0)
    throw refuse(`is no checkpoint: run ${trial} has sums of no number of epochs`);
  return epochs;
}

function runOf(text: Uint8Array, trial: number, refuse: Refuse): BenchRun {
  let content: unknown;
  try {
    content = JSON.parse(boundedBytes(text));
  } catch (cause) {
    throw refuse(`is no checkpoint: run ${trial} is no JSON (${(cause as Error).message})`, cause);
  }
  const { data, error } = runSchema.safeParse(content);
  if (error !== undefined) {
    const { path: keys, message } = error.issues[0]!;
    throw refuse(`is no checkpoint: run ${trial} has ${[...keys, message].join('.')}`, error);
  }
  return data as BenchRun;
}

function wrongState(
  { epoch, trials }: GroupState,
  config: ExperimentConfig,
  group: Group,
  dataset: Pick<Dataset, 'features' | 'classes'>,
): string | undefined {
  const expected = group.trials;
  const other = expected.findIndex((trial, i) => trialKey(trial) !== trialKey(trials[i]!.run));
  if (other >= 0)
    return `has a training ${trialNameInFull(trials[other]!.run)}, where ${trialNameInFull(expected[other]!)} was expected`;
  if (epoch >= group.epochs) return `is of epoch ${epoch}, where less than ${group.epochs} were expected`;
  const check = runCheck(config, dataset);
  for (const { run, layers, average } of trials) {
    const wrong =
      check(run, run.failure === undefined ? epoch : epoch + 1) ??
      wrongLayers(run, layers, epoch) ??
      (average && !mayAverage(config, run.reading, average.epochs, epoch)
        ? `has sums of ${average.epochs} epochs, where the experiment has none such`
        : undefined);
    if (wrong !== undefined) return `has a training, ${trialNameInFull(run)}, that ${wrong}`;
  }
  return undefined;
}

function wrongLayers(
  { nnz, failure, degrees }: BenchRun,
  layers: NativeLayer[] | undefined,
  epoch: number,
): string | undefined {
  if ((layers === undefined) !== (failure !== undefined)) return 'should have layers, unless it failed';
  if (layers === undefined) return undefined;
  for (const [l, layer] of layers.entries()) {
    const wrong = wrongLayer(layer, degrees?.start[l], epoch);
    if (wrong !== undefined) return `has a layer ${l} ${wrong}`;
  }
  const links = layers.reduce((total, { weights }) => total + weights.length, 0);
  return links === nnz ? undefined : `has ${links} links, where ${nnz} were expected`;
}

/** @param drawn the layer at the start; absent in runs that earlier versions wrote */
function wrongLayer(layer: NativeLayer, drawn: LayerDegrees | undefined, epoch: number): string | undefined {
  if (drawn !== undefined && layer.dense !== drawn.dense)
    return `that is ${layer.dense ? 'dense' : 'sparse'}, where another was drawn`;
  const links = layer.weights.length;
  const drawnLinks = drawn?.in.reduce((sum, targets, degree) => sum + targets * degree, 0);
  if (!layer.dense && drawnLinks !== undefined && links !== drawnLinks)
    return `of ${links} links, where ${drawnLinks} were drawn`;
  for (const [key, values] of Object.entries(layer)) {
    if (types.isFloat32Array(values) && !values.every(Number.isFinite))
      return `with ${key} that are not finite`;
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
