import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import type { NpyArray } from '../../../src/files/npy.js';
import { npzPieces, readNpz } from '../../../src/files/npz.js';
import {
  type FitOptions,
  type LayerData,
  type ModelOptions,
  type NpzOptions,
  type NpzSource,
  SetNativeError,
  SparseMLP,
} from '../../../src/index.js';
import { layerNames } from '../../../src/training/npzLayer.js';
import { blobs } from './blobs.js';

const train = blobs(300);
const folder = mkdtempSync(path.join(os.tmpdir(), 'npz-model-'));
afterAll(() => rmSync(folder, { recursive: true }));
const inFolder = (...names: string[]) => path.join(folder, ...names);

const models: SparseMLP[] = [];
const kept = (model: SparseMLP) => {
  models.push(model);
  return model;
};
async function create(options: Partial<ModelOptions> = {}): Promise<SparseMLP> {
  return kept(await SparseMLP.create({ layers: [20, 30, 24, 4], epsilon: 3, backend: 'cpu', ...options }));
}
async function fromNpz(source: NpzSource, options: NpzOptions = {}): Promise<SparseMLP> {
  return kept(await SparseMLP.fromNpz(source, { backend: 'cpu', ...options }));
}
afterEach(() => {
  for (const model of models.splice(0)) model.dispose();
});

const failing = (code: string, text = '') =>
  expect.objectContaining({ code, message: expect.stringContaining(text) });

type Content = Map<string, NpyArray>;
const bytesOf = async (content: Content) =>
  Buffer.concat(await npzPieces(content as Parameters<typeof npzPieces>[0]));
const readLayer = (name: string) =>
  readNpz(readFileSync(name), { operation: 'x', file: name, most: 1e9 }, layerNames, '');

/** What a model computes with, and what training would go on from. */
const weightsOf = (layers: LayerData[]) =>
  layers.map(({ rowOffsets, colIndices, weights, bias, pieces, dense, activation }) => ({
    ...{ rowOffsets, colIndices, weights, bias, pieces, dense, activation },
  }));

const kinds: [string, Partial<ModelOptions>, FitOptions][] = [
  ['SET', {}, {}],
  ['SET-motif', { topology: 'motif', motifSize: 4 }, { evolution: { method: 'set-motif' } }],
  ['dense', { topology: 'dense' }, {}],
  ['srelu and AdamW', { activation: 'srelu', optimizer: 'adamw' }, {}],
  ['leaky ReLU, its slope', { activation: 'leaky-relu', alpha: 0.25 }, {}],
  ['all-relu', { activation: 'all-relu' }, {}],
  ['tanh and mse', { activation: 'tanh', loss: 'mse' }, {}],
  ['full, and not dense', { layers: [20, 3, 4], epsilon: 2.5, seed: 5 }, {}],
];

test.each(kinds)('what is exported comes back: %s', async (name, options, fit) => {
  const model = await create(options);
  await model.fit(train, { ...fit, epochs: 2, onWarning: () => {} });
  const to = inFolder('back', name);
  mkdirSync(inFolder('back'), { recursive: true });
  await model.exportNpz(to);
  const again = await fromNpz(to, { threads: 2 });
  expect(await again.predict(train.x)).toEqual(await model.predict(train.x));
  expect(weightsOf(await again.download())).toEqual(weightsOf(await model.download()));
  const same = ['epochs', 'seed', 'loss', 'optimizer', 'sizes'] as const;
  for (const key of same) expect(again[key], key).toEqual(model[key]);
  // It is the model that a file without the optimizer gives, which can be trained on.
  const other = kept(await SparseMLP.load(await model.toBuffer({ optimizer: false }), { backend: 'cpu' }));
  for (const each of [again, other]) await each.fit(train, { ...fit, epochs: 2, onWarning: () => {} });
  expect(await again.toBuffer()).toEqual(await other.toBuffer());
});

test('the same model gives the same bytes; a folder, its URL, files and bytes are the same model', async () => {
  const model = await create();
  await model.fit(train, { epochs: 2 });
  const [one, two] = [inFolder('one'), inFolder('two ä')];
  await model.exportNpz(one);
  await model.exportNpz(pathToFileURL(two));
  const names = ['layer0.npz', 'layer1.npz', 'layer2.npz', 'model.json'];
  expect(readdirSync(one).sort()).toEqual(names);
  for (const name of names)
    expect(readFileSync(path.join(two, name))).toEqual(readFileSync(path.join(one, name)));
  const files = names.slice(0, 3).map((name) => path.join(one, name));
  const bytes = files.map((file) => readFileSync(file));
  const want = await model.predict(train.x);
  for (const source of [one, pathToFileURL(two), files, files.map((file) => pathToFileURL(file)), bytes]) {
    expect(await (await fromNpz(source)).predict(train.x)).toEqual(want);
  }
});

test('the encoding of data is kept, and may come with layers', async () => {
  const columns = Array.from({ length: 20 }, (_, i) => ({ name: `c${i}`, kind: 'number' as const }));
  const scaling = { offset: new Array(20).fill(1), divisor: new Array(20).fill(2) };
  const encoding = { columns, scaling, classNames: ['a', 'b', 'c', 'd'] } as unknown as NonNullable<
    ModelOptions['encoding']
  >;
  const plain = await create();
  await plain.exportNpz(inFolder('plain'));
  expect((await fromNpz(inFolder('plain'))).encoding).toBeUndefined();
  const files = [0, 1, 2].map((k) => inFolder('plain', `layer${k}.npz`));
  await expect(fromNpz(files, { encoding: { ...encoding, classNames: ['a'] } })).rejects.toEqual(
    failing('ERR_SHAPE', '[fromNpz]'),
  );
  const model = await fromNpz(files, { encoding });
  await model.exportNpz(inFolder('encoded'));
  expect((await fromNpz(inFolder('encoded'))).encoding).toEqual(encoding);
});

test('an export takes the place of a former one, and leaves other files', async () => {
  const to = inFolder('again');
  await (await create()).exportNpz(to);
  writeFileSync(path.join(to, 'notes.txt'), 'mine');
  writeFileSync(path.join(to, 'layers.npz'), 'mine');
  const small = await create({ layers: [20, 4] });
  await small.exportNpz(to);
  expect(readdirSync(to).sort()).toEqual(['layer0.npz', 'layers.npz', 'model.json', 'notes.txt']);
  expect((await fromNpz(to)).sizes).toEqual([20, 4]);
});

test('what others wrote is not written over', async () => {
  const model = await create();
  for (const [name, text] of [
    ['model.json', '{"format":"layers-model"}'], // a model of TensorFlow.js
    ['model.json', 'null'],
    ['model.json', 'no JSON'],
    ['layer0.npz', 'from Python'],
    ['layer17.npz', 'from Python'],
  ] as const) {
    const to = mkdtempSync(inFolder('others-'));
    writeFileSync(path.join(to, name), text);
    const error = await model.exportNpz(to).catch((reason) => reason);
    expect(error).toEqual(failing('ERR_IN_USE', `${to} holds ${name}, and model.json says of none`));
    expect(error.details).toEqual({ option: 'folder', dir: to, foreign: [name] });
    expect(readdirSync(to)).toEqual([name]);
    expect(readFileSync(path.join(to, name), 'utf8')).toBe(text);
  }
});

test('an export that was stopped is none', async () => {
  const [model, to] = [await create(), inFolder('half')];
  await model.exportNpz(to);
  mkdirSync(path.join(to, 'layer3.npz')); // cannot be written
  const deeper = await create({ layers: [20, 8, 8, 8, 4] });
  await expect(deeper.exportNpz(to)).rejects.toEqual(failing('ERR_IO', 'layer3.npz'));
  await expect(fromNpz(to)).rejects.toEqual(
    failing('ERR_DATA_FORMAT', 'a whole export, came one that was not'),
  );
  // Nor can it be removed; without it the next export is whole.
  await expect(model.exportNpz(to)).rejects.toEqual(failing('ERR_IO', '[exportNpz] folder must name'));
  rmSync(path.join(to, 'layer3.npz'), { recursive: true });
  await model.exportNpz(to);
  expect((await fromNpz(to)).sizes).toEqual(model.sizes);
  const signal = AbortSignal.abort(new Error('enough'));
  await expect(model.exportNpz(inFolder('never'), { signal })).rejects.toEqual(failing('ERR_ABORTED'));
  expect(existsSync(inFolder('never'))).toBe(false);
  await expect(SparseMLP.fromNpz(to, { signal })).rejects.toEqual(failing('ERR_ABORTED', '[fromNpz]'));
});

test.each<[string, unknown, NpzOptions, string, string]>([
  ['nothing', undefined, {}, 'ERR_INVALID_ARGUMENT', 'a folder that exportNpz wrote'],
  ['no layers', [], {}, 'ERR_INVALID_ARGUMENT', 'a folder that exportNpz wrote'],
  ['bytes', new Uint8Array(3), {}, 'ERR_INVALID_ARGUMENT', 'give [file] for one layer'],
  ['a number for a file', [3], {}, 'ERR_INVALID_ARGUMENT', 'the name of a file or its bytes'],
  ['no folder', '/no/such', {}, 'ERR_IO', '[fromNpz] could not read /no/such/model.json'],
  ['no file', ['/no/such.npz'], {}, 'ERR_IO', '[fromNpz] could not read /no/such.npz'],
  ['a folder for a file', [os.tmpdir()], {}, 'ERR_IO', 'not a regular file'],
  [
    'no .npz',
    [Buffer.from('no zip')],
    {},
    'ERR_DATA_FORMAT',
    '[fromNpz] the bytes of layer 0: expected a zip',
  ],
  ['an unknown option', [], { layers: [1, 2] } as never, 'ERR_INVALID_ARGUMENT', 'unknown option "layers"'],
  ['a wrong option', [], { alpha: 2 }, 'ERR_OUT_OF_RANGE', '[fromNpz] alpha'],
  ['a wrong back end', [], { backend: 'gpu' } as never, 'ERR_INVALID_ARGUMENT', '[fromNpz] backend'],
  [
    'a network for a folder',
    '/no/such',
    { activation: 'tanh' },
    'ERR_INVALID_ARGUMENT',
    'activation stands in',
  ],
])('fromNpz of %s', async (_, source, options, code, text) => {
  await expect(fromNpz(source as string, options)).rejects.toEqual(failing(code, text));
});

test('exportNpz of a model that diverged, and to no folder', async () => {
  const model = await create({ activation: 'linear' });
  await expect(model.exportNpz('')).rejects.toEqual(failing('ERR_INVALID_ARGUMENT', '[exportNpz] folder'));
  writeFileSync(inFolder('file'), '');
  await expect(model.exportNpz(inFolder('file'))).rejects.toEqual(failing('ERR_IO', 'folder must name'));
  await expect(model.fit(train, { epochs: 3, learningRate: 1e6 })).rejects.toEqual(failing('ERR_NON_FINITE'));
  await expect(model.exportNpz(inFolder('diverged'))).rejects.toEqual(
    failing('ERR_NON_FINITE', '[exportNpz]'),
  );
  model.dispose();
  await expect(model.exportNpz(inFolder('gone'))).rejects.toEqual(failing('ERR_DISPOSED'));
});

describe('layers that Python may make', () => {
  /** A layer of 3 x 4, targets of source 1 out of order. */
  const layer = (change: Record<string, Partial<NpyArray> | undefined> = {}): Content => {
    const content: Record<string, unknown> = {
      format: { dtype: 'S', shape: [], data: ['csr'] },
      shape: { dtype: 'i8', shape: [2], data: BigInt64Array.of(3n, 4n) },
      indptr: { dtype: 'i4', shape: [4], data: Int32Array.of(0, 1, 4, 5) },
      indices: { dtype: 'i4', shape: [5], data: Int32Array.of(2, 3, 0, 1, 3) },
      data: { dtype: 'f4', shape: [5], data: Float32Array.of(1, 2, 3, 4, 5) },
    };
    for (const [name, part] of Object.entries(change)) {
      content[name] = part && { ...(content[name] as object), ...part };
    }
    const arrays = Object.entries(content).filter(([, value]) => value !== undefined);
    return new Map(arrays as [string, NpyArray][]);
  };
  const modelOf = async (content: Content, options: NpzOptions = { loss: 'mse' }) =>
    fromNpz([await bytesOf(content)], options);

  test('targets are put in order, biases are 0, weights of 64 bits become 32', async () => {
    const wide = {
      indptr: { dtype: 'i8', data: BigInt64Array.of(0n, 1n, 4n, 5n) },
      indices: { dtype: 'i8', data: BigInt64Array.of(2n, 3n, 0n, 1n, 3n) },
      data: { dtype: 'f8', data: Float64Array.of(1, 2, 3, 4, 5) },
      _is_array: { dtype: 'b1', shape: [], data: Uint8Array.of(1) },
    } as const;
    for (const content of [layer(), layer(wide)]) {
      const model = await modelOf(content);
      const [got] = await model.download();
      expect(got).toMatchObject({
        ...{ inputs: 3, outputs: 4, dense: false, activation: 'linear' },
        rowOffsets: Uint32Array.of(0, 1, 4, 5),
        colIndices: Uint32Array.of(2, 0, 1, 3, 3),
        weights: Float32Array.of(1, 3, 4, 2, 5),
        bias: new Float32Array(4),
        birth: new Uint16Array(5),
      });
      expect(await model.predict(Float32Array.of(1, 10, 100))).toEqual(Float32Array.of(30, 40, 1, 520));
    }
  });

  test('a layer of all cells is dense', async () => {
    const indices = { shape: [12], data: Int32Array.from({ length: 12 }, (_, i) => 3 - (i % 4)) };
    const model = await modelOf(
      layer({
        indptr: { data: Int32Array.of(0, 4, 8, 12) },
        ...{ indices, data: { shape: [12], data: Float32Array.from({ length: 12 }, (_, i) => i) } },
        bias: { dtype: 'f4', shape: [4], data: Float32Array.of(1, 2, 3, 4) },
      }),
    );
    const [got] = await model.download();
    expect(got!.dense).toBe(true);
    expect(got!.weights).toEqual(Float32Array.of(3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8));
    expect(await model.predict(Float32Array.of(1, 0, 0))).toEqual(Float32Array.of(4, 4, 4, 4));
  });

  test('options are those of create, pieces start as there', async () => {
    const second = layer({
      shape: { data: BigInt64Array.of(4n, 3n) },
      indptr: { shape: [5], data: Int32Array.of(0, 1, 2, 3, 5) },
      indices: { data: Int32Array.of(0, 1, 2, 0, 2) },
    });
    const both = [await bytesOf(layer()), await bytesOf(second)];
    for (const activation of ['leaky-relu', 'all-relu', 'srelu'] as const) {
      const options = { activation, alpha: 0.3, loss: 'mse', optimizer: 'adamw', seed: 7 } as const;
      const model = await fromNpz(both, options);
      const created = kept(await SparseMLP.create({ layers: [3, 4, 3], ...options, backend: 'cpu' }));
      expect((await model.download()).map(({ pieces }) => pieces)).toEqual(
        (await created.download()).map(({ pieces }) => pieces),
      );
      expect([model.loss, model.optimizer, model.seed]).toEqual(['mse', 'adamw', 7]);
    }
    const pieces = { dtype: 'f4', shape: [4, 4], data: new Float32Array(16).fill(0.5) } as const;
    const withPieces = [await bytesOf(layer({ pieces })), both[1]!];
    const model = await fromNpz(withPieces, { activation: 'srelu' });
    expect((await model.download())[0]!.pieces).toEqual(pieces.data);
    await expect(fromNpz(withPieces)).rejects.toEqual(
      failing('ERR_DATA_FORMAT', 'no pieces with activation relu, came some: leave them out, or name'),
    );
    // Shapes that do not chain; the second message knows matrices of outputs x inputs.
    await expect(fromNpz([both[0]!, both[0]!])).rejects.toEqual(
      failing('ERR_DATA_FORMAT', 'the bytes of layer 1: expected a matrix of 4 rows'),
    );
    const turned = layer({
      shape: { data: BigInt64Array.of(2n, 3n) },
      indptr: { shape: [3], data: Int32Array.of(0, 2, 5) },
      indices: { data: Int32Array.of(0, 1, 0, 1, 2) },
    });
    await expect(fromNpz([both[0]!, await bytesOf(turned)])).rejects.toEqual(
      failing('ERR_DATA_FORMAT', 'save the transpose of each, W.T.tocsr()'),
    );
  });

  const i4 = (...values: number[]) => ({ data: Int32Array.from(values) });
  test.each<[string, Record<string, Partial<NpyArray> | undefined>, string]>([
    ['no format', { format: undefined }, 'format.npy: expected an array, came none; save it with scipy'],
    ['columns', { format: { data: ['csc'] } }, 'expected csr, came "csc"; save its tocsr()'],
    ['a list of formats', { format: { shape: [1] } }, 'expected one text, came S of [1]'],
    ['a format in numbers', { format: { dtype: 'i4', data: Int32Array.of(1) } }, 'one text, came i4'],
    ['no shape', { shape: undefined }, 'shape.npy'],
    [
      'three sizes',
      { shape: { shape: [3], data: BigInt64Array.of(1n, 2n, 3n) } },
      '2 numbers, came an array of [3]',
    ],
    ['no inputs', { shape: { data: BigInt64Array.of(0n, 4n) } }, 'at least one input and one output'],
    ['negative outputs', { shape: { data: BigInt64Array.of(3n, -4n) } }, '-4 at 1'],
    [
      'outputs beyond all',
      { shape: { data: BigInt64Array.of(3n, 2n ** 62n) } },
      'numbers from 0 to 2147483647',
    ],
    ['other inputs', { shape: { data: BigInt64Array.of(4n, 4n) } }, 'indptr.npy: expected 5 numbers'],
    [
      'offsets that are real',
      { indptr: { dtype: 'f4', data: new Float32Array(4) } },
      'int32 or int64, came f4',
    ],
    ['offsets from 1', { indptr: i4(1, 1, 4, 5) }, '0 first, came 1'],
    ['offsets that descend', { indptr: i4(0, 4, 1, 5) }, 'offsets that ascend, came 1 behind 4'],
    ['offsets beyond the links', { indptr: i4(0, 9, 4, 5) }, 'offsets that ascend, came 9'],
    ['negative offsets', { indptr: i4(0, -1, 4, 5) }, '-1 at 1'],
    ['more links than offsets', { indptr: i4(0, 1, 3, 4) }, 'sum_duplicates() drops'],
    ['targets beyond the outputs', { indices: i4(2, 4, 0, 1, 3) }, 'numbers from 0 to 3, came 4 at 1'],
    ['negative targets', { indices: i4(2, 3, 0, -1, 3) }, '-1 at 3'],
    ['a link twice', { indices: i4(2, 3, 0, 3, 3) }, 'column 3 twice in row 1; call sum_duplicates()'],
    [
      'fewer weights',
      { data: { shape: [4], data: new Float32Array(4) } },
      'data.npy: expected an array of [5]',
    ],
    ['weights as a matrix', { data: { shape: [5, 1] } }, 'data.npy: expected an array of [5], came [5,1]'],
    [
      'whole numbers as weights',
      { data: { dtype: 'i4', ...i4(1, 2, 3, 4, 5) } },
      'float32 or float64, came i4',
    ],
    ['weights that are no numbers', { data: { data: Float32Array.of(1, 2, Number.NaN, 4, 5) } }, 'finite'],
    [
      'weights beyond single precision',
      { data: { dtype: 'f8', data: Float64Array.of(1, 2, 3, 4, 1e39) } },
      '1e+39 at 4; scale',
    ],
    [
      'biases of another layer',
      { bias: { dtype: 'f4', shape: [3], data: new Float32Array(3) } },
      '[4], came [3]',
    ],
    [
      'biases that are infinite',
      { bias: { dtype: 'f4', shape: [4], data: new Float32Array(4).fill(Infinity) } },
      'finite',
    ],
    [
      'another array',
      { biases: { dtype: 'f4', shape: [0], data: new Float32Array(0) } },
      'came "biases.npy"',
    ],
  ])('%s', async (_, change, text) => {
    const error = await modelOf(layer(change)).catch((reason) => reason);
    expect(error).toBeInstanceOf(SetNativeError);
    expect(error).toEqual(failing('ERR_DATA_FORMAT', text));
    expect(error.message).toMatch(/^\[fromNpz\] the bytes of layer 0/);
  });

  test('a small file of a huge layer takes no memory', async () => {
    const content = layer({
      shape: { data: BigInt64Array.of(1n, 2n ** 31n - 1n) },
      indptr: { shape: [2], data: Int32Array.of(0, 0) },
      indices: { shape: [0], data: new Int32Array(0) },
      data: { shape: [0], data: new Float32Array(0) },
    });
    const before = process.memoryUsage().rss;
    await expect(modelOf(content)).rejects.toEqual(failing('ERR_OUT_OF_MEMORY', '[fromNpz]'));
    expect(process.memoryUsage().rss - before).toBeLessThan(2 ** 27);
  });
});

describe('model.json', () => {
  const valid = async (name: string, options: Partial<ModelOptions> = {}) => {
    const to = mkdtempSync(inFolder(name));
    await (await create(options)).exportNpz(to);
    const file = path.join(to, 'model.json');
    return { to, file, record: JSON.parse(readFileSync(file, 'utf8')) };
  };
  type Manifest = Awaited<ReturnType<typeof valid>>['record'];

  test.each<[string, (record: Manifest) => unknown, string]>([
    ['no JSON', () => '{', 'a text in JSON'],
    ['null', () => null, 'what exportNpz writes'],
    ['another format', (r) => ({ ...r, format: 'other' }), 'format: '],
    ['a later version', (r) => ({ ...r, formatVersion: 2 }), 'formatVersion: '],
    ['an export under way', (r) => ({ format: r.format, formatVersion: 1, complete: false }), 'not finished'],
    ['a key more', (r) => ({ ...r, more: 1 }), 'more'],
    ['no options', ({ config: _, ...r }) => r, 'config: '],
    ['options of another kind', (r) => ({ ...r, config: { ...r.config, loss: 'x' } }), 'loss must be one of'],
    ['a layer less', (r) => ({ ...r, dense: [false] }), 'dense of 3 layers, came 1'],
    [
      'a dense layer that is none',
      (r) => ({ ...r, dense: [true, false, false] }),
      'all 600 cells of a dense layer',
    ],
    ['other sizes', (r) => ({ ...r, config: { ...r.config, layers: [20, 30, 25, 4] } }), '20,30,24,4'],
    ['half an epoch', (r) => ({ ...r, epochs: 0.5 }), 'epochs: '],
    ['an encoding of others', (r) => ({ ...r, encoding: { classNames: [] } }), 'the encoding of data'],
    ['an encoding that is null', (r) => ({ ...r, encoding: null }), 'the encoding of data'],
  ])('%s', async (_, change, text) => {
    const { to, file, record } = await valid('manifest');
    const content = change(record);
    writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content));
    const error = await fromNpz(to).catch((reason) => reason);
    expect(error).toEqual(failing('ERR_DATA_FORMAT', text));
    expect(error.message).toContain(`[fromNpz] ${to}`);
  });

  test('a file that Python changed is read', async () => {
    const { to } = await valid('changed');
    const name = path.join(to, 'layer1.npz');
    const content = await readLayer(name);
    (content.get('data')!.data as Float32Array).fill(0.25);
    writeFileSync(name, await bytesOf(content));
    expect((await (await fromNpz(to)).download())[1]!.weights[0]).toBe(0.25);
  });
});

const scipy = (() => {
  try {
    execFileSync('python3', ['-c', 'import numpy, scipy.sparse'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
})();

describe.skipIf(!scipy)('SciPy (needs python3 with it)', () => {
  const page = () => readFileSync(path.join(import.meta.dirname, '../../../docs/model-files.md'), 'utf8');
  const python = (program: string, ...args: string[]) =>
    execFileSync('python3', ['-c', program, ...args], { encoding: 'utf8' });
  const close = (got: ArrayLike<number>, want: ArrayLike<number>) => {
    expect(got).toHaveLength(want.length);
    for (let i = 0; i < want.length; i++) expect(Math.abs(got[i]! - want[i]!)).toBeLessThan(1e-5);
  };

  test.each(['erdos-renyi', 'motif', 'dense'] as const)(
    'the short Python program of docs/model-files.md predicts the same, topology %s',
    async (topology) => {
      const model = await create({ topology, loss: 'mse', epsilon: 2 });
      await model.fit(train, { epochs: 3, evolution: { method: 'static' }, onWarning: () => {} });
      const to = inFolder('python', topology);
      mkdirSync(inFolder('python'), { recursive: true });
      await model.exportNpz(to);
      const program = /```python\n([^`]*load_npz[^`]*def predict[^`]*)```/.exec(page())![1]!;
      expect(program.trim().split('\n').length).toBeLessThanOrEqual(10);
      writeFileSync(inFolder('x.f32'), train.x);
      const main = `
import sys
x = np.fromfile(sys.argv[2], "<f4").reshape(-1, 20)
print(json.dumps(np.asarray(predict(sys.argv[1], x)).ravel().tolist()))`;
      close(JSON.parse(python(program + main, to, inFolder('x.f32'))), await model.predict(train.x));
    },
  );

  test('load_npz reads each layer as it is', async () => {
    const model = await create();
    const to = inFolder('loaded');
    await model.exportNpz(to);
    for (const [k, layer] of (await model.download()).entries()) {
      const program = `
import json, sys
from scipy.sparse import load_npz
w = load_npz(sys.argv[1])
assert w.format == "csr" and w.dtype == "float32" and w.has_canonical_format
print(json.dumps([w.shape, w.indptr.tolist(), w.indices.tolist(), w.data.astype("f8").tolist()]))`;
      const [shape, indptr, indices, data] = JSON.parse(python(program, path.join(to, `layer${k}.npz`)));
      expect(shape).toEqual([layer.inputs, layer.outputs]);
      expect([indptr, indices, data]).toEqual([
        [...layer.rowOffsets],
        [...layer.colIndices],
        [...layer.weights],
      ]);
    }
  });

  test('layers of save_npz, of matrices and arrays, packed or not, predict what SciPy does', async () => {
    const program = `
import json, sys
import numpy as np
import scipy.sparse as s
folder, kind = sys.argv[1:]
w = [s.random(6, 9, 0.4, "csr", np.float64, 1), s.random(9, 5, 0.5, "csr", np.float64, 2)]
if kind == "array":
    w = [s.csr_array(each) for each in w]
for each in w:
    each.indices, each.indptr = each.indices.astype(np.int64), each.indptr.astype(np.int64)
for k, each in enumerate(w):
    s.save_npz(f"{folder}/{kind}{k}.npz", each, compressed=kind != "array")
x = np.arange(12).reshape(2, 6) / 10 - 0.4
print(json.dumps((np.maximum(x @ w[0], 0) @ w[1]).ravel().tolist()))`;
    const x = Float32Array.from({ length: 12 }, (_, i) => i / 10 - 0.4);
    for (const kind of ['matrix', 'array']) {
      const want = JSON.parse(python(program, folder, kind)) as number[];
      const model = await fromNpz(
        [0, 1].map((k) => inFolder(`${kind}${k}.npz`)),
        { loss: 'mse' },
      );
      expect(model.sizes).toEqual([6, 9, 5]);
      close(await model.predict(x), want);
    }
  });

  test('the Python lines of docs/model-files.md that save layers with biases make a model', async () => {
    const program = /```python\n([^`]*np\.savez[^`]*)```/.exec(page())![1]!;
    const to = inFolder('made');
    mkdirSync(to);
    const main = `
import json, os, sys
import scipy.sparse as s
os.chdir(sys.argv[1])
${program}
w = [s.random(6, 9, 0.4, "csr", random_state=1), s.random(9, 5, 0.5, "csr", random_state=2)]
b = [np.arange(9) / 9, np.arange(5) / 5]
for k in range(2):
    save_layer(f"layer{k}.npz", w[k], b[k])
x = np.arange(12).reshape(2, 6) / 10 - 0.4
print(json.dumps((np.maximum(x @ w[0] + b[0], 0) @ w[1] + b[1]).ravel().tolist()))`;
    const want = JSON.parse(python(main, to)) as number[];
    const model = await fromNpz(
      [0, 1].map((k) => path.join(to, `layer${k}.npz`)),
      { loss: 'mse' },
    );
    close(await model.predict(Float32Array.from({ length: 12 }, (_, i) => i / 10 - 0.4)), want);
  });

  test.each(['csc', 'coo', 'bsr', 'dia'])(
    'a matrix of format %s is refused, with what to do',
    async (form) => {
      const name = inFolder(`${form}.npz`);
      python(
        `
import sys
import scipy.sparse as s
s.save_npz(sys.argv[1], s.random(4, 4, 0.5, sys.argv[2]))`,
        name,
        form,
      );
      await expect(fromNpz([name])).rejects.toEqual(failing('ERR_DATA_FORMAT', 'tocsr()'));
    },
  );
});
