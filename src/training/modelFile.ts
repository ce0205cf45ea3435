import { readFile, stat } from 'node:fs/promises';
import { URL } from 'node:url';
import { describe } from '../checks.js';
import { machineMemory } from '../datasets/bytes.js';
import { checkEncoding, type Encoding } from '../datasets/encoding.js';
import { aborted, SetNativeError } from '../errors.js';
import { type Dtype, readSafetensors, safetensorsPieces, type Tensor } from '../files/safetensors.js';
import type { NativeLayer, NativeModelSpec } from '../native.js';
import { type ActivationName, type OptimizerName, piecewiseActivations } from '../vocabulary.js';
import { type AveragedArray, averagedArrays, type WeightSums } from './average.js';
import { type ModelOptions, modelSpec, networkKeys } from './options.js';

/*
 * Files of models, in the format safetensors.
 *
 * `layers.<k>.indptr`, `.indices` and `.data` are the links of layer k, CSR by source, I32 as SciPy and
 * PyTorch have it; a dense layer has `.data` of shape inputs x outputs alone. `.bias` has one number per
 * target, `.pieces` four of an activation of straight pieces. What training goes on from stands under
 * `optimizer.layers.<k>`, and may be left out: momentum (or first moment), second moment, the birth of each
 * link. So does, under `average.layers.<k>`, what is being averaged: `.data`, `.bias` and `.pieces` of srelu
 * in double precision, summed over as many epochs as the metadata say. The metadata name the format and hold
 * the options of the model and how far it was trained.
 */

const format = 'set-native';
const formatVersion = 1;

/** A model between two calls: all that decides what comes of it. */
export interface SavedModel {
  spec: NativeModelSpec;
  layers: NativeLayer[];
  /** Epochs that it was trained for. */
  epochs: number;
  /** The epoch after which its links have yet to evolve. */
  evolutionDue?: number | undefined;
  /** What is to become the mean of its last epochs. */
  average?: WeightSums | undefined;
  encoding?: Encoding | undefined;
}

/** An array of a layer: its name in a file, how it is stored, and its shape. */
interface ArrayForm {
  key: Exclude<keyof NativeLayer, 'inputs' | 'outputs' | 'dense' | 'activation'>;
  name: string;
  dtype: Dtype & ('I32' | 'F32' | 'U16');
  shape: number[];
}

/** Arrays that a layer has in a file. */
function arraysOf(
  { inputs, outputs, dense }: Pick<NativeLayer, 'inputs' | 'outputs' | 'dense'>,
  links: number,
  activation: ActivationName,
  optimizer: OptimizerName | undefined,
): ArrayForm[] {
  const cells = dense ? [inputs, outputs] : [links];
  const hasPieces = piecewiseActivations.some((name) => name === activation);
  const form = (
    name: string,
    key: ArrayForm['key'],
    dtype: ArrayForm['dtype'],
    shape: number[],
    has = true,
  ) => (has ? [{ key, name, dtype, shape }] : []);
  const state = (name: string, key: ArrayForm['key'], shape: number[], has = true) =>
    form(`optimizer.${name}`, key, name === 'birth' ? 'U16' : 'F32', shape, has && optimizer !== undefined);
  const adamw = optimizer === 'adamw';
  const learnt = activation === 'srelu';
  return [
    ...form('indptr', 'rowOffsets', 'I32', [inputs + 1], !dense),
    ...form('indices', 'colIndices', 'I32', cells, !dense),
    ...form('data', 'weights', 'F32', cells),
    ...form('bias', 'bias', 'F32', [outputs]),
    ...form('pieces', 'pieces', 'F32', [4, outputs], hasPieces),
    ...state('birth', 'birth', cells, !dense),
    ...state('momentum', 'momentum', cells),
    ...state('second_moment', 'secondMoment', cells, adamw),
    ...state('bias_momentum', 'biasMomentum', [outputs]),
    ...state('bias_second_moment', 'biasSecondMoment', [outputs], adamw),
    ...state('pieces_momentum', 'piecesMomentum', [4, outputs], learnt),
    ...state('pieces_second_moment', 'piecesSecondMoment', [4, outputs], learnt && adamw),
  ];
}

/** Arrays that a layer has among the sums of epochs. */
function sumsOf(layer: NativeLayer): { key: AveragedArray; name: string; shape: number[] }[] {
  const learnt: readonly string[] = averagedArrays(layer);
  return arraysOf(layer, layer.weights.length, layer.activation, undefined)
    .filter(({ key }) => learnt.includes(key))
    .map(({ key, name, shape }) => ({ key: key as AveragedArray, name: `average.${name}`, shape }));
}

/** Name of an array of layer k: `optimizer.momentum` becomes `optimizer.layers.0.momentum`. */
function tensorName(k: number, name: string): string {
  const [, state = '', own = ''] = /^(optimizer\.|average\.)?(.*)$/.exec(name)!;
  return `${state}layers.${k}.${own}`;
}

const float32 = Float32Array;
const views = {
  I32: [Int32Array, Uint32Array],
  F32: [float32, float32],
  U16: [Uint16Array, Uint16Array],
} as const;

/** The arrays of layers by their names; without what only training needs where `optimizer` is undefined. */
export function layerTensors(
  layers: NativeLayer[],
  optimizer: OptimizerName | undefined,
): Map<string, Tensor> {
  const tensors = new Map<string, Tensor>();
  for (const [k, layer] of layers.entries()) {
    const links = layer.weights.length;
    for (const { key, name, dtype, shape } of arraysOf(layer, links, layer.activation, optimizer)) {
      const { buffer, byteOffset, length } = layer[key]!;
      const data = new views[dtype][0](buffer as ArrayBuffer, byteOffset, length);
      tensors.set(tensorName(k, name), { dtype, shape, data } as Tensor);
    }
  }
  return tensors;
}

/** The sums of epochs by their names, each of which begins with `average.`. */
export function sumTensors(layers: NativeLayer[], { layers: sums }: WeightSums): Map<string, Tensor> {
  const tensors = new Map<string, Tensor>();
  for (const [k, layer] of layers.entries()) {
    for (const { key, name, shape } of sumsOf(layer))
      tensors.set(tensorName(k, name), { dtype: 'F64', shape, data: sums[k]![key]! });
  }
  return tensors;
}

/** Whether a tensor of this name is one of `sumTensors`. */
export function isSum(name: string): boolean {
  return name.startsWith('average.');
}

/** The options of a model that decide its bits, by name. */
export function configOf(spec: NativeModelSpec): Record<string, unknown> {
  return Object.fromEntries(networkKeys.map((key) => [key, key === 'layers' ? spec.sizes : spec[key]]));
}

/** The bytes of a file of `model`, in pieces; without what only training needs where `optimizer` is false. */
export function modelPieces(
  { spec, layers, epochs, evolutionDue, average, encoding }: SavedModel,
  { optimizer }: { optimizer: boolean },
): Uint8Array[] {
  const tensors = layerTensors(layers, optimizer ? spec.optimizer : undefined);
  const metadata = new Map([
    ['format', format],
    ['formatVersion', String(formatVersion)],
    ['config', JSON.stringify(configOf(spec))],
    ['epochs', String(epochs)],
    ['seed', String(spec.seed)],
  ]);
  if (encoding !== undefined) metadata.set('encoding', JSON.stringify(encoding));
  if (optimizer && evolutionDue !== undefined) metadata.set('evolutionDue', String(evolutionDue));
  if (optimizer && average !== undefined) {
    metadata.set('averagedEpochs', String(average.epochs));
    for (const [name, tensor] of sumTensors(layers, average)) tensors.set(name, tensor);
  }
  return safetensorsPieces({ tensors, metadata });
}

/**
 * Reads the file of a model. What the links of a layer must be, the addon checks.
 *
 * @param file     its name, for messages
 * @param options  the rest of the options, which depend on the machine
 * @throws SetNativeError ERR_DATA_FORMAT for anything but such a file; of `options`, what `modelSpec` throws
 */
export function readModel(
  bytes: Uint8Array,
  file: string,
  options: Pick<ModelOptions, 'backend' | 'threads'>,
): SavedModel {
  const { tensors, metadata } = readSafetensors(bytes, file);
  const fail = (expected: string, came: string, cause?: unknown) =>
    new SetNativeError('ERR_DATA_FORMAT', `[load] ${file}: expected ${expected}, came ${came}`, {
      details: { file, expected, came },
      cause,
    });
  // Format: ours, of a version that this one knows.
  if (metadata.get('format') !== format) {
    const came = metadata.has('format') ? JSON.stringify(metadata.get('format')!.slice(0, 100)) : 'none';
    throw fail(
      `a model of ${format}, by the metadata "format"`,
      `${came}: other programs' models cannot be loaded`,
    );
  }
  const version = metadata.get('formatVersion');
  if (version !== String(formatVersion)) {
    throw fail(
      `formatVersion ${formatVersion}`,
      `${JSON.stringify(version?.slice(0, 100))}: update set-native`,
    );
  }
  // Options, and how far it was trained.
  const spec = readOptions(metadata.get('config'), options, fail);
  const whole = (key: string, most: number) => {
    const text = metadata.get(key) ?? '';
    const value = Number(text);
    if (!/^\d{1,16}$/.test(text) || value > most)
      throw fail(`${key} from 0 to ${most}`, JSON.stringify(text.slice(0, 100)));
    return value;
  };
  const epochs = whole('epochs', 2 ** 32 - 2);
  const evolutionDue = metadata.has('evolutionDue') ? whole('evolutionDue', epochs) : undefined;
  if (evolutionDue === 0) throw fail('evolutionDue from 1 on', '0');
  const withState = [...tensors.keys()].some((name) => name.startsWith('optimizer.'));
  const optimizer = withState ? spec.optimizer : undefined;
  const averaged = metadata.has('averagedEpochs') ? whole('averagedEpochs', epochs) : undefined;
  if (averaged === 0) throw fail('averagedEpochs from 1 on', '0');
  const isOwn = (name: string) => averaged === undefined || !isSum(name);
  const others = new Map([...tensors].filter(([name]) => isOwn(name)));
  const layers = layersOf(others, { ...spec, optimizer }, fail);
  const sums = new Map([...tensors].filter(([name]) => !isOwn(name)));
  const average = averaged === undefined ? undefined : readSums(sums, layers, averaged, fail);
  const encoding = readEncoding(metadata.get('encoding'), spec, fail);
  return { spec, layers, epochs, evolutionDue, average, encoding };
}

/** The sums of epochs, copied: every array that the layers have among them, and no other. */
export function readSums(
  tensors: Map<string, Tensor>,
  layers: NativeLayer[],
  epochs: number,
  fail: Fail,
): WeightSums {
  const sums = layers.map((layer, k) => {
    const arrays = sumsOf(layer).map(({ key, name: own, shape }) => {
      const name = tensorName(k, own);
      const tensor = takeTensor(tensors, name, 'F64', shape, fail);
      tensors.delete(name);
      const data = new Float64Array(tensor.data as Float64Array);
      const strange = data.find((sum) => !Number.isFinite(Math.fround(sum / epochs)));
      if (strange !== undefined)
        throw fail(`sums of ${epochs} finite numbers in tensor ${name}`, String(strange));
      return [key, data];
    });
    return Object.fromEntries(arrays);
  });
  checkTaken([...tensors.keys()], fail);
  return { epochs, layers: sums };
}

/** The tensor of a name, if it is there and of the type and shape that it must have. */
function takeTensor(
  tensors: ReadonlyMap<string, Tensor>,
  name: string,
  dtype: Dtype,
  shape: number[],
  fail: Fail,
): Tensor {
  const tensor = tensors.get(name);
  if (tensor?.dtype === dtype && JSON.stringify(tensor.shape) === JSON.stringify(shape)) return tensor;
  const came =
    tensor === undefined ? 'none' : `${tensor.dtype} of ${JSON.stringify(tensor.shape).slice(0, 100)}`;
  throw fail(`tensor ${name}, ${dtype} of ${JSON.stringify(shape)}`, came);
}

/** Throws where tensors are left. */
function checkTaken([foreign]: string[], fail: Fail): void {
  if (foreign !== undefined)
    throw fail('tensors of such a model alone', JSON.stringify(foreign.slice(0, 100)));
}

/** Makes the error of a file that holds something else than was expected. */
export type Fail = (expected: string, came: string, cause?: unknown) => Error;

/** What decides which arrays layers have. */
interface LayersForm {
  /** Neurons per layer, inputs first. */
  sizes: readonly number[];
  /** Activation of the hidden layers. */
  activation: ActivationName;
  /** Undefined where the state of the optimizer is not there. */
  optimizer: OptimizerName | undefined;
}

/** The layers of such arrays: every array that they have, and no other. */
export function layersOf(
  tensors: ReadonlyMap<string, Tensor>,
  { sizes, activation: hidden, optimizer }: LayersForm,
  fail: Fail,
): NativeLayer[] {
  const taken = new Set<string>();
  const layers = sizes.slice(1).map((outputs, k): NativeLayer => {
    const inputs = sizes[k]!;
    const activation = k + 2 < sizes.length ? hidden : 'linear';
    const dense = !tensors.has(tensorName(k, 'indptr'));
    const links = tensors.get(tensorName(k, 'data'))?.data.length ?? 0;
    const layer = emptyLayer(inputs, outputs, dense, activation);
    if (optimizer === undefined && !dense) layer.birth = new Uint16Array(links); // all from the start
    for (const { key, name, dtype, shape } of arraysOf(layer, links, activation, optimizer)) {
      const { data } = takeTensor(tensors, tensorName(k, name), dtype, shape, fail);
      taken.add(tensorName(k, name));
      const { buffer, byteOffset, length } = data;
      Object.assign(layer, { [key]: new views[dtype][1](buffer as ArrayBuffer, byteOffset, length) });
    }
    return layer;
  });
  checkTaken(
    [...tensors.keys()].filter((name) => !taken.has(name)),
    fail,
  );
  return layers;
}

export function readEncoding(
  text: string | undefined,
  { sizes }: NativeModelSpec,
  fail: Fail,
): Encoding | undefined {
  if (text === undefined) return undefined;
  try {
    return checkEncoding('load', JSON.parse(text), { inputs: sizes[0]!, outputs: sizes.at(-1)! });
  } catch (cause) {
    throw fail('the encoding of data in the metadata "encoding"', said(cause), cause);
  }
}

/** What an error says of a part of the file. */
function said(error: unknown): string {
  return `another: ${(error as Error).message.replace('[load] ', '').slice(0, 300)}`;
}

export function readOptions(
  text: string | undefined,
  options: Pick<ModelOptions, 'backend' | 'threads'>,
  fail: Fail,
): NativeModelSpec {
  modelSpec('load', { layers: [1, 1], ...options }); // errors of the caller's own options stay as they are
  try {
    const config = JSON.parse(text ?? '') as Record<string, unknown>;
    const missing = networkKeys.filter((key) => !Object.hasOwn(config, key));
    if (missing.length > 0) throw new Error(`it has no ${missing.join(', ')}`);
    const foreign = Object.keys(config).filter((key) => !networkKeys.some((known) => known === key));
    if (foreign.length > 0) throw new Error(`it has ${foreign.join(', ')}`);
    return modelSpec('load', { ...(config as unknown as ModelOptions), ...options });
  } catch (cause) {
    throw fail('the options of a model in the metadata "config"', said(cause), cause);
  }
}

/** A layer whose arrays are still to come. */
export function emptyLayer(
  inputs: number,
  outputs: number,
  dense: boolean,
  activation: ActivationName,
): NativeLayer {
  const [floats, indices] = [new Float32Array(0), new Uint32Array(0)];
  return {
    ...{
      inputs,
      outputs,
      dense,
      activation,
      rowOffsets: indices,
      colIndices: indices,
      birth: new Uint16Array(0),
    },
    ...{
      weights: floats,
      momentum: floats,
      bias: floats,
      biasMomentum: floats,
      pieces: floats,
      piecesMomentum: floats,
    },
  };
}

/** The error of a model that could not be made of what `file` holds, where its content is at fault. */
export function asFileError(file: string, error: unknown, operation = 'load'): unknown {
  const codes = [
    'ERR_INVALID_CSR',
    'ERR_SHAPE',
    'ERR_NON_FINITE',
    'ERR_OUT_OF_RANGE',
    'ERR_INVALID_ARGUMENT',
  ];
  if (!(error instanceof SetNativeError) || !codes.includes(error.code)) return error;
  const came = error.message.replace(/^\[create\] /, '');
  return new SetNativeError('ERR_DATA_FORMAT', `[${operation}] ${file}: expected a model, came ${came}`, {
    details: { file, came },
    cause: error,
  });
}

/** The bytes of a file, as far as there is memory for a model of them. */
export async function readModelFile(
  source: string | URL,
  signal: AbortSignal | undefined,
  operation = 'load',
): Promise<Uint8Array> {
  if (typeof source !== 'string' && !(source instanceof URL)) {
    throw new SetNativeError(
      'ERR_INVALID_ARGUMENT',
      `[${operation}] expected the name of a file or its bytes, a Uint8Array, got ${describe(source)}`,
    );
  }
  try {
    const stats = await stat(source);
    if (!stats.isFile()) throw new Error('it is not a regular file'); // a pipe would be waited for
    const limit = Math.floor(machineMemory() / 3); // the model takes as many bytes again, and more
    if (stats.size > limit) {
      throw new SetNativeError(
        'ERR_OUT_OF_MEMORY',
        `[${operation}] ${source} has ${stats.size} bytes, and a third of the memory here has room for ${limit}`,
        { details: { file: String(source), bytes: stats.size, available: limit } },
      );
    }
    return await readFile(source, { signal });
  } catch (cause) {
    if (signal?.aborted) throw aborted(operation, signal, 'before it was done');
    if (cause instanceof SetNativeError) throw cause;
    throw new SetNativeError(
      'ERR_IO',
      `[${operation}] could not read ${source}: ${(cause as Error).message}`,
      {
        details: { file: String(source) },
        cause,
      },
    );
  }
}
