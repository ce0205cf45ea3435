import { npyBytes, parseNpy } from '../../src/files/npy.js';
import { npzPieces, readNpz } from '../../src/files/npz.js';
import type { NativeLayer } from '../../src/native.js';
import { configOf, modelPieces, readModel, type SavedModel } from '../../src/training/modelFile.js';
import { layerArrays, layerNames, layerOf, otherArrays } from '../../src/training/npzLayer.js';
import { parseManifest } from '../../src/training/npzManifest.js';
import { modelSpec } from '../../src/training/options.js';
import { type ZipPart, zipFile } from '../support/zipFile.js';
import type { Target } from './engine.js';
import { joined, separated } from './folder.js';
import { mutateValue } from './mutate.js';
import type { Random } from './random.js';

/*
 * Files of models: those of `save`, and layers as SciPy saves them.
 */

const machine = { backend: 'cpu', threads: 1 } as const;
const spec = modelSpec('load', { layers: [3, 2, 1], loss: 'mse', activation: 'srelu', ...machine });

const layers: NativeLayer[] = [
  {
    ...{ inputs: 3, outputs: 2, dense: false, activation: 'srelu' as const },
    rowOffsets: Uint32Array.of(0, 1, 1, 3),
    colIndices: Uint32Array.of(1, 0, 1),
    ...{
      weights: Float32Array.of(1, -2, 0.5),
      momentum: new Float32Array(3),
      birth: Uint16Array.of(0, 1, 0),
    },
    ...{ bias: Float32Array.of(0, 1), biasMomentum: new Float32Array(2) },
    ...{ pieces: new Float32Array(8), piecesMomentum: new Float32Array(8) },
  },
  {
    ...{ inputs: 2, outputs: 1, dense: true, activation: 'linear' as const },
    ...{ rowOffsets: new Uint32Array(), colIndices: new Uint32Array(), birth: new Uint16Array() },
    ...{ weights: Float32Array.of(1, 2), momentum: new Float32Array(2) },
    ...{ bias: Float32Array.of(0.25), biasMomentum: new Float32Array(1) },
    ...{ pieces: new Float32Array(), piecesMomentum: new Float32Array() },
  },
];
const saved: SavedModel = { spec, layers, epochs: 2, evolutionDue: 2 };
const average = {
  epochs: 2,
  layers: [
    { weights: Float64Array.of(2, -4, 1), bias: Float64Array.of(0, 2), pieces: new Float64Array(8) },
    { weights: Float64Array.of(2, 4), bias: Float64Array.of(0.5) },
  ],
};
const encoding = { columns: [], classNames: ['a', 'b'] } as unknown as NonNullable<SavedModel['encoding']>;
const models = [
  modelPieces(saved, { optimizer: true }),
  modelPieces({ ...saved, average }, { optimizer: true }),
  modelPieces({ ...saved, encoding }, { optimizer: false }),
].map((pieces) => Buffer.concat(pieces));

/** The file with one change of what its header, or a text of JSON in that, says. */
function mutateHeader(bytes: Buffer, random: Random): Buffer | undefined {
  try {
    const start = 8 + Number(bytes.readBigUInt64LE());
    const header = JSON.parse(bytes.toString('utf8', 8, start));
    const metadata = header.__metadata__;
    if (metadata !== undefined && random.once(2)) {
      const key = random.pick(Object.keys(metadata));
      const isJson = key === 'config' || key === 'encoding';
      const changed = mutateValue(isJson ? JSON.parse(metadata[key]) : metadata[key], random);
      metadata[key] = isJson ? JSON.stringify(changed) : changed;
    }
    const text = Buffer.from(JSON.stringify(random.once(2) ? mutateValue(header, random) : header));
    const front = Buffer.alloc(8);
    front.writeBigUInt64LE(BigInt(text.length));
    return Buffer.concat([front, text, bytes.subarray(start)]);
  } catch {
    return undefined;
  }
}

function checkModel({ spec: { sizes }, layers, epochs, average }: SavedModel): void {
  if (layers.length !== sizes.length - 1) throw new Error('broken promise: as many layers as sizes');
  for (const [k, { inputs, outputs, dense, weights, rowOffsets, bias }] of layers.entries()) {
    const ends = inputs === sizes[k] && outputs === sizes[k + 1] && bias.length === outputs;
    const links = dense ? weights.length === inputs * outputs : rowOffsets.length === inputs + 1;
    if (!ends || !links) throw new Error('broken promise: arrays of the sizes of the model');
    const sums = average?.layers[k] ?? { weights, bias };
    if (sums.weights?.length !== weights.length || sums.bias?.length !== bias.length)
      throw new Error('broken promise: sums of the sizes of the model');
  }
  if (average !== undefined && !(average.epochs >= 1 && average.epochs <= epochs))
    throw new Error('broken promise: sums of epochs that were trained');
}

const arrays = layerArrays(layers[0]!);
const names = [...arrays.keys()];
const archive = { operation: 'fromNpz', file: 'f.npz', most: 2 ** 20 };
const parts = [...arrays].map(([name, array]): ZipPart => ({ name: `${name}.npy`, data: npyBytes(array) }));
const npz = [
  zipFile(parts),
  zipFile(parts.slice(0, 2).map((part) => ({ ...part, deflate: true }))),
  Buffer.concat(await npzPieces(new Map([...arrays].slice(0, 1)))),
];

const manifest = {
  ...{
    format: 'set-native-npz',
    formatVersion: 1,
    complete: true,
    config: configOf(spec),
    dense: [false, true],
    epochs: 2,
  },
  encoding,
};

const refused = { codes: ['ERR_DATA_FORMAT'], memory: 2 ** 22 };

export const modelTargets: Target[] = [
  {
    name: 'model',
    ...refused,
    short: 5000,
    seeds: models,
    tokens: [
      ...[
        '"config"',
        '"epochs"',
        '"evolutionDue"',
        '"averagedEpochs"',
        '"encoding"',
        '"layers.0.data"',
        '"F32"',
        '[2,1]',
      ],
      ...['\\"layers\\":[3,2,1]', '\\"srelu\\"', '\\"relu\\"', '1', '-1', '1e9', 'null'],
    ],
    mutate: mutateHeader,
    read(bytes) {
      const model = readModel(bytes, 'f.safetensors', machine);
      checkModel(model);
      const again = readModel(
        Buffer.concat(modelPieces(model, { optimizer: false })),
        'f.safetensors',
        machine,
      );
      const kept = ({ layers }: SavedModel) => layers.map(({ weights, bias }) => [[...weights], [...bias]]);
      if (JSON.stringify(kept(again)) !== JSON.stringify(kept(model)))
        throw new Error('broken promise: what is read is kept');
    },
    file: 'f.safetensors',
  },
  {
    name: 'npz',
    ...refused,
    codes: [...refused.codes, 'ERR_OUT_OF_MEMORY'],
    memory: 2 ** 23,
    short: 3000,
    seeds: npz,
    tokens: [
      'PK\x01\x02',
      'PK\x03\x04',
      'PK\x05\x06',
      'PK\x06\x06',
      'PK\x06\x07',
      '../',
      'data.npy',
      Buffer.of(255, 255),
    ],
    async read(bytes) {
      const found = await readNpz(bytes, archive, layerNames, otherArrays);
      if (found.size > layerNames.length) throw new Error('broken promise: arrays of a layer alone');
    },
    file: 'f.npz',
  },
  {
    name: 'npz-layer',
    ...refused,
    short: 5000,
    seeds: [joined(...parts.map(({ data }) => data))],
    tokens: ['<i8', '<f8', '<i4', '|S3', '<U3', 'csr', 'csc', '(2,)', '(3,)', '()', Buffer.alloc(8, 255)],
    read(bytes) {
      const found = separated(bytes, names.length).map((part) => parseNpy(part, 'f.npz'));
      const layer = layerOf('fromNpz', new Map(names.map((name, i) => [name, found[i]!])), 'f.npz');
      const { inputs, outputs, rowOffsets, colIndices, weights } = layer;
      for (let row = 0; row < inputs; row++) {
        const own = colIndices.subarray(rowOffsets[row], rowOffsets[row + 1]);
        const ascend = own.every((column, i) => column < outputs && (i === 0 || column > own[i - 1]!));
        if (!ascend) throw new Error('broken promise: targets of a source ascend');
      }
      if (rowOffsets[inputs] !== weights.length) throw new Error('broken promise: a weight for each link');
    },
    file: 'f.npz',
  },
  {
    name: 'npz-folder',
    ...refused,
    short: 2000,
    seeds: [manifest, { ...manifest, encoding: undefined }].map((each) => Buffer.from(JSON.stringify(each))),
    tokens: ['{', '}', '[', ']', ',', '"', ':', 'null', '1e999', '-1', 'true', '"srelu"'],
    mutate(bytes, random) {
      try {
        return Buffer.from(JSON.stringify(mutateValue(JSON.parse(bytes.toString('utf8')), random)) ?? '');
      } catch {
        return undefined;
      }
    },
    read(bytes) {
      const { spec, dense } = parseManifest(Buffer.from(bytes).toString('utf8'), 'model.json', machine);
      if (dense.length !== spec.sizes.length - 1) throw new Error('broken promise: a truth for each layer');
    },
    file: 'model.json',
  },
];
