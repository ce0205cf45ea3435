import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import {
  type Dtype,
  readSafetensors,
  safetensorsPieces,
  type Tensor,
} from '../../../src/files/safetensors.js';
import { type FitOptions, type ModelOptions, SetNativeError, SparseMLP } from '../../../src/index.js';
import { blobs } from './blobs.js';

const train = blobs(300);
const folder = mkdtempSync(path.join(os.tmpdir(), 'model-file-'));
afterAll(() => rmSync(folder, { recursive: true }));
const inFolder = (name: string) => path.join(folder, name);

const models: SparseMLP[] = [];
const kept = (model: SparseMLP) => {
  models.push(model);
  return model;
};
async function create(options: Partial<ModelOptions> = {}): Promise<SparseMLP> {
  return kept(await SparseMLP.create({ layers: [20, 30, 24, 4], epsilon: 3, backend: 'cpu', ...options }));
}
async function load(source: string | URL | Uint8Array, options = {}): Promise<SparseMLP> {
  return kept(await SparseMLP.load(source, options));
}
afterEach(() => {
  for (const model of models.splice(0)) model.dispose();
});

const failing = (code: string, text = '') =>
  expect.objectContaining({ code, message: expect.stringContaining(text) });

const kinds: [string, Partial<ModelOptions>, FitOptions][] = [
  ['SET', {}, {}],
  ['SET-motif', { topology: 'motif', motifSize: 4 }, { evolution: { method: 'set-motif' } }],
  ['dense', { topology: 'dense' }, {}],
  ['srelu and AdamW', { activation: 'srelu', optimizer: 'adamw' }, {}],
  ['leaky ReLU, its slope', { activation: 'leaky-relu', alpha: 0.25 }, { evolution: { method: 'static' } }],
  ['all-relu', { activation: 'all-relu' }, {}],
  ['tanh and mse', { activation: 'tanh', loss: 'mse' }, {}],
  ['sigmoid', { activation: 'sigmoid', loss: 'sigmoid-binary-cross-entropy' }, {}],
  ['a schedule', {}, { evolution: { every: { steps: 3 }, zeta: 0.2 } }],
  ['an evolution every other epoch', {}, { evolution: { every: 2 } }],
  ['a large seed', { seed: 2 ** 53 - 1 }, {}],
];

test.each(kinds)('fit, save, load and fit are one training: %s', async (name, options, fit) => {
  const whole = await create(options);
  await whole.fit(train, { ...fit, epochs: 3 });
  const file = inFolder('m.safetensors');
  await whole.save(file);
  const loaded = await load(file, { backend: options.backend ?? 'cpu', threads: 2 });
  expect(loaded.epochs).toBe(3);
  expect(await loaded.predict(train.x)).toEqual(await whole.predict(train.x));
  expect(await loaded.layers()).toEqual(await whole.layers());
  await whole.fit(train, { ...fit, epochs: 3 });
  await loaded.fit(train, { ...fit, epochs: 3 });
  expect(await loaded.download()).toEqual(await whole.download());
  expect(await loaded.toBuffer(), name).toEqual(await whole.toBuffer());
});

test('a file holds single precision, which the reference comes back to', async () => {
  const model = await create({ backend: 'reference', optimizer: 'adamw' });
  await model.fit(train, { epochs: 2 });
  const loaded = await load(await model.toBuffer(), { backend: 'reference' });
  expect(await loaded.download()).toEqual(await model.download());
  const [got, want] = [await loaded.predict(train.x), await model.predict(train.x)];
  for (const [i, value] of want.entries()) expect(Math.abs(got[i]! - value)).toBeLessThan(1e-6);
});

test('a file, its URL and its bytes are one model, and saving again gives the same bytes', async () => {
  const model = await create();
  await model.fit(train, { epochs: 2 });
  const file = inFolder('same ä.safetensors');
  await model.save(pathToFileURL(file));
  const bytes = readFileSync(file);
  expect(new Uint8Array(bytes)).toEqual(await model.toBuffer());
  for (const source of [file, pathToFileURL(file), bytes, new Uint8Array(bytes)]) {
    const loaded = await load(source);
    expect(await loaded.toBuffer()).toEqual(new Uint8Array(bytes));
  }
});

test('without the optimizer a file holds 8 bytes per link, and the same predictions', async () => {
  const model = await create({ layers: [400, 2000, 4], epsilon: 20, optimizer: 'adamw' });
  const samples = { ...train, x: new Float32Array(300 * 400).map((_, i) => Math.sin(i)), features: 400 };
  await model.fit(samples, { epochs: 2 });
  const links = (await model.layers()).reduce((sum, { nnz }) => sum + nnz, 0);
  const [whole, small] = [await model.toBuffer(), await model.toBuffer({ optimizer: false })];
  expect(small.length / links).toBeLessThan(8.8); // offsets and biases, too
  expect(whole.length / links).toBeGreaterThan(17.5);
  const loaded = await load(small);
  expect(await loaded.predict(samples.x)).toEqual(await model.predict(samples.x));
  expect(await loaded.toBuffer({ optimizer: false })).toEqual(small.slice());
  await loaded.fit(samples);
  expect(loaded.epochs).toBe(3);
});

test('a file is replaced in one piece, through links, with its mode', async () => {
  const model = await create();
  const file = inFolder('target.safetensors');
  writeFileSync(file, 'old');
  chmodSync(file, 0o600);
  const link = inFolder('link.safetensors');
  symlinkSync(file, link);
  await model.save(link);
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(await (await load(link)).predict(train.x)).toEqual(await model.predict(train.x));
  await expect(model.save(inFolder('no/such/folder'))).rejects.toEqual(failing('ERR_IO', 'no/such/folder'));
  await expect(model.save(folder)).rejects.toEqual(failing('ERR_IO'));
  await expect(model.save(3 as never)).rejects.toEqual(failing('ERR_INVALID_ARGUMENT', '[save] file'));
  await expect(model.save(file, { optimiser: true } as never)).rejects.toEqual(
    failing('ERR_INVALID_ARGUMENT', 'optimiser'),
  );
  await expect(model.save(file, { optimizer: 1 as never })).rejects.toEqual(failing('ERR_INVALID_ARGUMENT'));
});

const scipy = (() => {
  try {
    execFileSync('python3', ['-c', 'import numpy, scipy.sparse'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
})();

test.skipIf(!scipy).each(['erdos-renyi', 'dense'] as const)(
  'the Python program of docs/model-files.md predicts the same, topology %s (needs python3 with SciPy)',
  async (topology) => {
    const model = await create({ topology, loss: 'mse', epsilon: 2 });
    await model.fit(train, { epochs: 3, onWarning: () => {} });
    const file = inFolder('python.safetensors');
    await model.save(file);
    const page = readFileSync(path.join(import.meta.dirname, '../../../docs/model-files.md'), 'utf8');
    const [, program] = /```python\n(.*?)```/s.exec(page)!;
    writeFileSync(inFolder('x.f32'), train.x);
    const main = `
x = np.fromfile(sys.argv[2], "<f4").reshape(-1, 20)
print(json.dumps(np.asarray(logits(load_file(sys.argv[1]), x)).ravel().tolist()))`;
    const args = ['-c', program + main, file, inFolder('x.f32')];
    const got = JSON.parse(execFileSync('python3', args, { encoding: 'utf8' })) as number[];
    const want = await model.predict(train.x);
    expect(got).toHaveLength(want.length);
    for (const [i, value] of want.entries()) expect(Math.abs(got[i]! - value)).toBeLessThan(1e-5);
  },
);

test('a signal stops saving and loading before anything is written', async () => {
  const model = await create();
  const signal = AbortSignal.abort(new Error('enough'));
  const file = inFolder('never.safetensors');
  await expect(model.save(file, { signal })).rejects.toEqual(failing('ERR_ABORTED', '[save]'));
  expect(existsSync(file)).toBe(false);
  const bytes = await model.toBuffer();
  await expect(SparseMLP.load(bytes, { signal })).rejects.toEqual(failing('ERR_ABORTED', '[load]'));
});

test('saving while a training runs saves what the training leaves', async () => {
  const [model, other] = [await create(), await create()];
  const training = model.fit(train, { epochs: 3 });
  const bytes = model.toBuffer();
  await training;
  await other.fit(train, { epochs: 3 });
  expect(await bytes).toEqual(await other.toBuffer());
});

test('a checkpoint from onEpoch goes on to the bits of the whole', async () => {
  const [model, whole] = [await create(), await create()];
  const controller = new AbortController();
  let saved: Uint8Array | undefined;
  const onEpoch = async () => {
    saved = await model.toBuffer();
    if (model.epochs === 2) controller.abort();
  };
  await expect(model.fit(train, { epochs: 5, onEpoch, signal: controller.signal })).rejects.toThrow();
  await whole.fit(train, { epochs: 5 });
  const resumed = await load(saved!);
  await resumed.fit(train, { epochs: 3 });
  expect(await resumed.download()).toEqual(await whole.download());
});

test('a model whose training diverged is not saved', async () => {
  const model = await create({ activation: 'linear' });
  await expect(model.fit(train, { epochs: 3, learningRate: 1e6 })).rejects.toEqual(failing('ERR_NON_FINITE'));
  await expect(model.toBuffer()).rejects.toEqual(
    failing('ERR_NON_FINITE', '[toBuffer] the training of this model'),
  );
});

test.each<[string, unknown, string, string]>([
  ['no file', '/no/such/file', 'ERR_IO', 'could not read /no/such/file'],
  ['a folder', os.tmpdir(), 'ERR_IO', 'not a regular file'],
  ['a device', '/dev/zero', 'ERR_IO', 'not a regular file'],
  ['nothing', undefined, 'ERR_INVALID_ARGUMENT', 'the name of a file or its bytes'],
  ['a model', {}, 'ERR_INVALID_ARGUMENT', 'the name of a file or its bytes'],
  ['an ArrayBuffer', new ArrayBuffer(8), 'ERR_INVALID_ARGUMENT', 'a Uint8Array'],
])('load of %s', async (_, source, code, text) => {
  await expect(SparseMLP.load(source as string)).rejects.toEqual(failing(code, text));
});

test('options of load that are wrong are the errors of create, not of the file', async () => {
  const bytes = await (await create()).toBuffer();
  await expect(load(bytes, { backend: 'gpu' })).rejects.toEqual(failing('ERR_INVALID_ARGUMENT', 'backend'));
  await expect(load(bytes, { threads: -1 })).rejects.toEqual(failing('ERR_OUT_OF_RANGE', 'threads'));
  await expect(load(bytes, { seed: 1 })).rejects.toEqual(failing('ERR_INVALID_ARGUMENT', 'seed'));
});

describe('files that lie', () => {
  const valid = async (options: Partial<ModelOptions> = {}) => {
    const model = await create({ activation: 'srelu', ...options });
    await model.fit(train, { epochs: 2 });
    return readSafetensors(await model.toBuffer(), 'x');
  };
  type Content = Awaited<ReturnType<typeof valid>>;
  const bytesOf = (content: Content) => new Uint8Array(Buffer.concat(safetensorsPieces(content)));
  const config = (content: Content) => JSON.parse(content.metadata.get('config')!);
  const setConfig = (content: Content, change: object) => {
    content.metadata.set('config', JSON.stringify({ ...config(content), ...change }));
  };
  const put = (content: Content, name: string, dtype: Dtype, shape: number[], data: unknown) => {
    content.tensors.set(name, { dtype, shape, data } as Tensor);
  };
  const data = (content: Content, name: string) => content.tensors.get(name)!.data as Float32Array;

  test.each<[string, (content: Content) => void, string]>([
    ['no format', (c) => c.metadata.delete('format'), 'by the metadata "format", came none'],
    ['the format of others', (c) => c.metadata.set('format', 'pt'), 'came "pt"'],
    ['a later version', (c) => c.metadata.set('formatVersion', '2'), 'update set-native'],
    ['no version', (c) => c.metadata.delete('formatVersion'), 'formatVersion 1'],
    ['no options', (c) => c.metadata.delete('config'), 'metadata "config"'],
    ['options that are no JSON', (c) => c.metadata.set('config', '{'), 'metadata "config"'],
    ['options that are null', (c) => c.metadata.set('config', 'null'), 'metadata "config"'],
    ['options with a key more', (c) => setConfig(c, { backend: 'cuda' }), 'it has backend'],
    ['options without a key', (c) => setConfig(c, { loss: undefined }), 'it has no loss'],
    [
      'an activation that is not known',
      (c) => setConfig(c, { activation: 'gelu' }),
      'activation must be one of',
    ],
    ['sizes that are no list', (c) => setConfig(c, { layers: 5 }), 'layers must be an Array'],
    ['a layer of no neurons', (c) => setConfig(c, { layers: [20, 0, 24, 4] }), 'layers[1]'],
    ['layers of other sizes', (c) => setConfig(c, { layers: [20, 31, 24, 4] }), 'tensor layers.0'],
    ['a layer more', (c) => setConfig(c, { layers: [20, 30, 24, 4, 4] }), 'tensor layers.'],
    ['a layer less', (c) => setConfig(c, { layers: [20, 30, 24] }), 'layers.'],
    [
      'layers of 2^31 neurons',
      (c) => setConfig(c, { layers: [20, 2 ** 31 - 1, 2 ** 31 - 1, 4] }),
      'tensor layers.0',
    ],
    ['a single output with softmax', (c) => setConfig(c, { layers: [20, 1] }), 'tensor'],
    ['epochs in words', (c) => c.metadata.set('epochs', 'two'), 'epochs from 0'],
    ['epochs beyond all', (c) => c.metadata.set('epochs', '9999999999'), 'epochs from 0'],
    ['epochs below none', (c) => c.metadata.set('epochs', '-1'), 'epochs from 0'],
    [
      'an evolution due in the future',
      (c) => c.metadata.set('evolutionDue', '3'),
      'evolutionDue from 0 to 2',
    ],
    ['no weights', (c) => c.tensors.delete('layers.1.data'), 'layers.1'],
    ['no bias', (c) => c.tensors.delete('layers.1.bias'), 'tensor layers.1.bias, F32 of [24], came none'],
    ['no births', (c) => c.tensors.delete('optimizer.layers.1.birth'), 'optimizer.layers.1.birth'],
    [
      'a tensor more',
      (c) => put(c, 'layers.9.bias', 'F32', [1], new Float32Array(1)),
      'came "layers.9.bias"',
    ],
    [
      'weights of another type',
      (c) => put(c, 'layers.0.bias', 'F64', [30], new Float64Array(30)),
      'came F64 of [30]',
    ],
    ['weights that are no numbers', (c) => data(c, 'layers.0.data').fill(Number.NaN, 3, 4), 'finite'],
    [
      'momenta that are infinite',
      (c) => data(c, 'optimizer.layers.0.momentum').fill(Infinity, 3, 4),
      'finite',
    ],
    ['pieces that are no numbers', (c) => data(c, 'layers.0.pieces').fill(Number.NaN), 'finite'],
    ['offsets that descend', (c) => data(c, 'layers.0.indptr').fill(5, 2, 3).fill(4, 3, 4), 'offsets'],
    ['negative offsets', (c) => data(c, 'layers.0.indptr').fill(-1, 1, 2), 'offsets'],
    ['offsets that do not begin at 0', (c) => data(c, 'layers.0.indptr').fill(1, 0, 1), 'offsets'],
    ['offsets that end elsewhere', (c) => data(c, 'layers.0.indptr').fill(1e6, -1), 'offsets'],
    [
      'targets beyond the layer',
      (c) => data(c, 'layers.0.indices').fill(30, 0, 1),
      'columns must be below 30, got 30',
    ],
    ['negative targets', (c) => data(c, 'layers.0.indices').fill(-1, 0, 1), 'columns must be below 30'],
    ['targets out of order', (c) => data(c, 'layers.0.indices').reverse(), 'strictly ascending'],
    ['a link twice', (c) => data(c, 'layers.0.indices').copyWithin(1, 0, 1), 'strictly ascending'],
  ])('%s', async (_, change, text) => {
    const content = await valid();
    change(content);
    const error = await SparseMLP.load(bytesOf(content)).then(kept, (reason) => reason);
    expect(error).toBeInstanceOf(SetNativeError);
    expect(error).toEqual(failing('ERR_DATA_FORMAT', text));
    expect(error.message).toMatch(/^\[load\] these bytes/);
  });

  test('second moments below 0, of which no root can be taken', async () => {
    const content = await valid({ optimizer: 'adamw' });
    data(content, 'optimizer.layers.0.second_moment').fill(-1, 0, 1);
    await expect(load(bytesOf(content))).rejects.toEqual(failing('ERR_DATA_FORMAT', 'second'));
  });

  test('an epsilon that no network could have been drawn with: the links are those of the file', async () => {
    const content = await valid();
    const before = await load(bytesOf(content));
    setConfig(content, { epsilon: 1e300 });
    expect(await (await load(bytesOf(content))).layers()).toEqual(await before.layers());
  });

  test('any bit that flips gives a model, or a typed error', async () => {
    const model = await create({ layers: [3, 4, 2], epsilon: 1 });
    const bytes = await model.toBuffer();
    const outcomes = { read: 0, refused: 0 };
    for (let bit = 0; bit < 8 * bytes.length; bit += bit < 8 * 2500 ? 3 : 1) {
      const flipped = bytes.slice();
      flipped[bit >> 3]! ^= 1 << (bit & 7);
      try {
        const loaded = await SparseMLP.load(flipped, { backend: 'cpu', threads: 1 });
        await loaded.predict(new Float32Array(loaded.inputs)).catch((error) => {
          if (error.code !== 'ERR_NON_FINITE') throw error;
        });
        loaded.dispose();
        outcomes.read += 1;
      } catch (error) {
        if (!(error instanceof SetNativeError)) throw error;
        expect(['ERR_DATA_FORMAT', 'ERR_OUT_OF_MEMORY']).toContain(error.code);
        outcomes.refused += 1;
      }
    }
    expect(outcomes.read).toBeGreaterThan(0);
    expect(outcomes.refused).toBeGreaterThan(0);
  }, 60_000);
});
