import { readdirSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath, URL } from 'node:url';
import { types } from 'node:util';
import { checkKeys, describe } from '../checks.js';
import { machineMemory } from '../datasets/bytes.js';
import { checkEncoding, copyEncoding, type Encoding } from '../datasets/encoding.js';
import { checkSignal, SetNativeError } from '../errors.js';
import { npzPieces, readNpz } from '../files/npz.js';
import { makeFolder, notWritable, writeInBackground } from '../files/output.js';
import { fromNative, type NativeLayer, type NativeModelSpec, native, ofThisRealm } from '../native.js';
import { piecewiseActivations } from '../vocabulary.js';
import type { CallOptions } from './calls.js';
import { LiveModel } from './live.js';
import { asFileError, emptyLayer, readModelFile } from './modelFile.js';
import { layerArrays, layerNames, layerOf, type NpzLayer, otherArrays } from './npzLayer.js';
import {
  begunManifest,
  failure,
  isManifest,
  layerName,
  layerPattern,
  manifestBytes,
  manifestName,
  operation,
  readManifest,
} from './npzManifest.js';
import { type ModelOptions, modelSpec, networkKeys } from './options.js';

/*
 * Models as folders that Python reads: `layer<k>.npz` for each layer, a file of SciPy's `save_npz` with the
 * bias beside, and `model.json` (npzManifest.ts). What training goes on from is not in it.
 */

/** A folder that `exportNpz` wrote; or the files of the layers, or their bytes, in order. */
export type NpzSource = string | URL | readonly (string | URL | Uint8Array)[];

/** Options of `fromNpz`. Those of the network, and `encoding`, are for given layers: a folder has its own. */
export type NpzOptions = Omit<ModelOptions, 'layers'> & CallOptions;

/**
 * Writes the files of a model into a folder, which is made where there is none; files of a former export are
 * replaced, all others stay.
 */
export async function exportNpz(
  folder: string,
  live: LiveModel,
  signal: AbortSignal | undefined,
): Promise<void> {
  live.checkSound('exportNpz');
  const layers = ofThisRealm(await live.network.download());
  let former: string[];
  try {
    makeFolder(folder);
    former = checkOwn(folder);
  } catch (cause) {
    throw cause instanceof SetNativeError ? cause : notWritable('exportNpz', 'folder', folder, cause);
  }
  const write = (name: string, pieces: Uint8Array[]) => writeInBackground(path.join(folder, name), pieces);
  await write(manifestName, [begunManifest()]);
  for (const [k, layer] of layers.entries()) {
    checkSignal('exportNpz', signal, 'before it was done');
    await write(layerName(k), await npzPieces(layerArrays(layer)));
  }
  try {
    const deeper = former.filter((name) => !layers.some((_, k) => layerName(k) === name));
    for (const name of deeper) await rm(path.join(folder, name), { force: true });
  } catch (cause) {
    throw notWritable('exportNpz', 'folder', folder, cause);
  }
  const { spec, encoding, point } = live;
  const dense = layers.map((layer) => layer.dense);
  await write(manifestName, [manifestBytes({ spec, dense, epochs: point.epochs, encoding })]);
}

/** The layers of a former export in a folder. Throws ERR_IN_USE where files of their names are of others. */
function checkOwn(folder: string): string[] {
  const names = readdirSync(folder).filter((name) => layerPattern.test(name) || name === manifestName);
  if (names.length === 0 || isManifest(path.join(folder, manifestName))) {
    return names.filter((name) => name !== manifestName);
  }
  const [name] = names;
  throw new SetNativeError(
    'ERR_IN_USE',
    `[exportNpz] folder must hold no ${manifestName} and no layers but those of a former export, but ${folder} holds ` +
      `${name}, and ${manifestName} says of none; name another folder, or move these files away`,
    { details: { option: 'folder', dir: folder, foreign: names } },
  );
}

/** The model of a folder, or of layers. */
export async function readNpzModel(
  source: NpzSource,
  { signal, backend, threads, encoding, ...network }: Omit<NpzOptions, 'batching'>,
): Promise<LiveModel> {
  const machine = { ...(backend !== undefined && { backend }), ...(threads !== undefined && { threads }) };
  modelSpec(operation, { layers: [1, 1], ...network, ...machine }); // errors of options come first
  if (Array.isArray(source) && source.length > 0) {
    const layers = await readLayers(source, signal);
    const spec = modelSpec(operation, { layers: sizesOf(layers), ...network, ...machine });
    const ends = { inputs: spec.sizes[0]!, outputs: spec.sizes.at(-1)! };
    const checked = encoding && copyEncoding(checkEncoding(operation, encoding, ends));
    const isFull = ({ layer: { inputs, outputs, weights } }: Named) => weights.length === inputs * outputs;
    return makeModel(layers, spec, layers.map(isFull), { encoding: checked }, signal);
  }
  const folder = source instanceof URL ? fileURLToPath(source) : source;
  if (typeof folder !== 'string' || folder === '') {
    throw new SetNativeError(
      'ERR_INVALID_ARGUMENT',
      `[${operation}] expected a folder that exportNpz wrote, or a list of the files of layers, or of their bytes, ` +
        `got ${describe(source)}; give [file] for one layer`,
    );
  }
  const foreign = Object.entries({ ...network, encoding }).find(([, value]) => value !== undefined)?.[0];
  if (foreign !== undefined) {
    throw new SetNativeError(
      'ERR_INVALID_ARGUMENT',
      `[${operation}] ${foreign} stands in ${manifestName} of a folder; change it there, or give a list of the ` +
        'files of layers',
      { details: { option: foreign } },
    );
  }
  const { spec, dense, epochs, encoding: kept } = readManifest(folder, machine);
  const files = dense.map((_, k) => path.join(folder, layerName(k)));
  const layers = await readLayers(files, signal);
  const sizes = sizesOf(layers);
  if (String(sizes) !== String(spec.sizes)) {
    throw failure(folder)(`layers of ${spec.sizes.join(', ')} neurons, as ${manifestName} says`, `${sizes}`);
  }
  return makeModel(layers, spec, dense, { epochs, encoding: kept }, signal);
}

/** A layer and the name of its file. */
interface Named {
  file: string;
  layer: NpzLayer;
}

async function readLayers(
  sources: readonly (string | URL | Uint8Array)[],
  signal: AbortSignal | undefined,
): Promise<Named[]> {
  const layers: Named[] = [];
  const most = Math.floor(machineMemory() / 3); // as for the files themselves
  for (const [k, source] of sources.entries()) {
    const isBytes = types.isUint8Array(source);
    const bytes = isBytes ? source : await readModelFile(source, signal, operation);
    const file = isBytes ? `the bytes of layer ${k}` : String(source);
    const arrays = await readNpz(bytes, { operation, file, most }, layerNames, otherArrays);
    checkSignal(operation, signal, 'before it was done');
    layers.push({ file, layer: layerOf(operation, arrays, file) });
  }
  // Biases and pieces that a file has not are made; the addon's own check of memory comes later.
  const made = layers.reduce((sum, { layer: { outputs } }) => sum + 20 * outputs, 0);
  if (made > most) {
    throw new SetNativeError(
      'ERR_OUT_OF_MEMORY',
      `[${operation}] the neurons of the layers take at least ${made} bytes, and there is memory for ${most} of them`,
      { details: { bytes: made, available: most } },
    );
  }
  return layers;
}

/** Neurons of a network of such layers, inputs first. */
function sizesOf(layers: Named[]): number[] {
  for (const [k, { file, layer }] of layers.entries()) {
    const before = layers[k - 1]?.layer;
    if (before === undefined || before.outputs === layer.inputs) continue;
    const turned = layers.every(({ layer }, i) => i === 0 || layers[i - 1]!.layer.inputs === layer.outputs);
    throw failure(file)(
      `a matrix of ${before.outputs} rows, the outputs of the layer before`,
      `one of ${layer.inputs} x ${layer.outputs}: rows are inputs, columns outputs` +
        (turned ? '; save the transpose of each, W.T.tocsr()' : ''),
    );
  }
  return [layers[0]!.layer.inputs, ...layers.map(({ layer }) => layer.outputs)];
}

async function makeModel(
  named: Named[],
  spec: NativeModelSpec,
  dense: boolean[],
  state: { epochs?: number; encoding?: Encoding | undefined },
  signal: AbortSignal | undefined,
): Promise<LiveModel> {
  const started = await startedPieces(named, spec);
  const layers = named.map(({ file, layer }, k): NativeLayer => {
    const { inputs, outputs, bias, pieces, rowOffsets, colIndices, weights } = layer;
    const activation = k + 1 < named.length ? spec.activation : 'linear';
    if (dense[k] && weights.length !== inputs * outputs) {
      throw failure(file)(`all ${inputs * outputs} cells of a dense layer`, `${weights.length}`);
    }
    if (pieces !== undefined && !isPiecewise(activation)) {
      throw failure(file)(
        `no pieces with activation ${activation}`,
        `some: leave them out, or name the activation, ${piecewiseActivations.join(', ')}`,
      );
    }
    return {
      ...emptyLayer(inputs, outputs, dense[k]!, activation),
      ...{ weights, bias: bias ?? new Float32Array(outputs) },
      ...(!dense[k] && { rowOffsets, colIndices, birth: new Uint16Array(weights.length) }),
      ...(isPiecewise(activation) && { pieces: pieces ?? spread(started[k]!, outputs) }),
    };
  });
  const file = named.length === 1 ? named[0]!.file : `${named[0]!.file} and the layers behind it`;
  const network = await native()
    .createModel(spec, layers)
    .catch((error) => {
      throw asFileError(file, fromNative(error), operation);
    });
  const live = new LiveModel(network, spec, state);
  try {
    checkSignal(operation, signal, 'before it was done');
  } catch (error) {
    live.dispose();
    throw error;
  }
  return live;
}

const isPiecewise = (activation: string) => piecewiseActivations.some((name) => name === activation);

/** The four pieces of a neuron of each layer as `create` starts them, where a file has none. */
async function startedPieces(named: Named[], spec: NativeModelSpec): Promise<Float32Array[]> {
  if (!isPiecewise(spec.activation) || named.slice(0, -1).every(({ layer }) => layer.pieces)) return [];
  // The addon knows them: a network of single neurons.
  const small = { loss: 'mse', topology: 'dense', backend: 'reference', threads: 1 } as const;
  const network = await native().createModel({ ...spec, ...small, sizes: spec.sizes.map(() => 1) });
  try {
    return ofThisRealm(await network.download()).map(({ pieces }) => pieces);
  } finally {
    network.dispose();
  }
}

/** Each of four numbers, `count` times. */
function spread(pieces: Float32Array, count: number): Float32Array {
  return new Float32Array(4 * count).map((_, i) => pieces[Math.floor(i / count)]!);
}

/** Throws for unknown options of `fromNpz`, beside those of the call. */
export function checkNpzKeys(options: object): void {
  const network = networkKeys.filter((key) => key !== 'layers');
  checkKeys(operation, options, [...network, 'encoding', 'backend', 'threads', 'batching', 'signal']);
}
