import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, expect, test } from 'vitest';
import { readSafetensors } from '../../../src/files/safetensors.js';
import {
  type Dataset,
  type Encoding,
  fromArrays,
  type InputOrder,
  loadDataset,
  type Prepared,
  prepare,
  SparseMLP,
} from '../../../src/index.js';

const folder = mkdtempSync(path.join(tmpdir(), 'set-native-order-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const models: SparseMLP[] = [];
afterEach(() => {
  for (const model of models.splice(0)) model.dispose();
});
const keep = (model: SparseMLP) => {
  models.push(model);
  return model;
};

const images = loadDataset('procedural');
const prepared = (inputOrder?: InputOrder, of: Dataset = images) =>
  prepare(of, { seed: 1, train: 300, test: 40, ...(inputOrder && { inputOrder }) });

/** A network of motifs of 4 that was trained on the samples. */
async function trained({ train, encoding }: Prepared): Promise<SparseMLP> {
  const options = { topology: 'motif', motifSize: 4, backend: 'cpu', threads: 1, encoding } as const;
  const model = keep(await SparseMLP.create({ layers: [train.features, 40, 10], seed: 3, ...options }));
  await model.fit(train, { epochs: 2, evolution: { method: 'set-motif' }, onWarning: () => {} });
  return model;
}

test.each<InputOrder>(['tiles', { tiles: 3 }, Array.from({ length: 784 }, (_, k) => 783 - k)])(
  'a model takes raw rows as it takes prepared ones, also from a file or a folder: %j',
  async (inputOrder) => {
    const data = prepared(inputOrder);
    const model = await trained(data);
    const want = await model.predict(data.test.x);
    // The rows of the test samples before anything was done to them.
    const raw = prepare(images, { seed: 1, train: 300, test: 40, scaling: { kind: 'none' } }).test.x;
    const file = path.join(folder, 'model.st');
    await model.save(file);
    await model.exportNpz(path.join(folder, 'npz'));
    const [loaded, read] = [await SparseMLP.load(file), await SparseMLP.fromNpz(path.join(folder, 'npz'))];
    for (const each of [model, keep(loaded), keep(read), keep(await model.replicate())]) {
      expect(each.encoding).toEqual(data.encoding);
      const answers = await each.classify(raw);
      const got = answers.flatMap(({ probabilities }) =>
        images.classNames.map((name) => probabilities[name]),
      );
      if (each !== read) expect(got).toEqual([...want]);
      else for (const [i, value] of got.entries()) expect(value).toBeCloseTo(want[i]!, 5);
    }
    rmSync(path.join(folder, 'npz'), { recursive: true });
  },
);

test('the given order changes no bit of a model, nor its file', async () => {
  const bytes = await (await trained(prepared())).toBuffer();
  for (const same of ['given', Array.from({ length: 784 }, (_, k) => k)] as const)
    expect(await (await trained(prepared(same))).toBuffer()).toEqual(bytes);
  const text = readSafetensors(bytes, 'model').metadata.get('encoding')!;
  expect(Object.keys(JSON.parse(text))).toEqual(['scaling', 'classNames']);
});

test('columns of words and gaps keep their places', async () => {
  const rows = Array.from({ length: 30 }, (_, i) => [i % 5 === 0 ? null : i, ['red', 'blue'][i % 2]!, i % 3]);
  const data = fromArrays(
    rows,
    rows.map((_, i) => i % 2),
    { names: ['size', 'colour', 'kind'], missing: 'mean' },
  );
  const all = prepare({ ...data, test: data.train }, { inputOrder: [3, 1, 0, 2] });
  const options = { topology: 'dense', backend: 'cpu', loss: 'sigmoid-binary-cross-entropy' } as const;
  const model = keep(await SparseMLP.create({ layers: [4, 5, 1], encoding: all.encoding, ...options }));
  const want = await model.predict(all.test.x);
  for (const given of [rows, rows.map(([size, colour, kind]) => ({ kind, colour, size }))]) {
    const answers = await model.classify(given as never);
    expect(answers.map(({ probabilities }) => probabilities['1'])).toEqual([...want]);
  }
});

const { encoding } = prepare(
  fromArrays(
    [
      [1, 2, 3],
      [2, 3, 4],
      [4, 5, 7],
      [1, 0, 0],
    ],
    ['a', 'b', 'a', 'b'],
  ),
  { inputOrder: [2, 0, 1] },
);
const damaged: [string, unknown, string, string][] = [
  ['no list', 'tiles', 'ERR_INVALID_ARGUMENT', 'encoding.order must be a list of features'],
  ['null', null, 'ERR_INVALID_ARGUMENT', 'encoding.order must be a list'],
  ['other features', [1, 0], 'ERR_SHAPE', 'order has 2 numbers'],
  [
    'a feature twice',
    [2, 0, 2],
    'ERR_INVALID_ARGUMENT',
    'encoding.order[2] must be a feature from 0 to 2, each once, got 2',
  ],
  ['a feature too large', [2, 0, 3], 'ERR_INVALID_ARGUMENT', 'encoding.order[2]'],
  ['a negative one', [-1, 0, 2], 'ERR_INVALID_ARGUMENT', 'encoding.order[0]'],
  ['half a feature', [2, 0.5, 1], 'ERR_INVALID_ARGUMENT', 'encoding.order[1]'],
  ['text', [2, '0', 1], 'ERR_INVALID_ARGUMENT', 'encoding.order[1]'],
];
test.each(damaged)('an encoding with an order of %s is refused', async (_, order, code, text) => {
  const options = { layers: [3, 4, 2], encoding: { ...encoding, order } as Encoding };
  await expect(SparseMLP.create(options)).rejects.toMatchObject({
    code,
    message: expect.stringContaining(text),
  });
});

test.each(['[2,0,2]', '[2,0,3]', '[0,1]  ', '[2,0.1]', 'null   ', '{}     '])(
  'a file whose order is %s is refused',
  async (order) => {
    const model = keep(await SparseMLP.create({ layers: [3, 4, 2], encoding }));
    const bytes = Buffer.from(await model.toBuffer());
    const at = bytes.indexOf('[2,0,1]', bytes.indexOf('order'));
    expect(at).toBeGreaterThan(0);
    bytes.write(order, at);
    await expect(SparseMLP.load(bytes)).rejects.toMatchObject({
      code: 'ERR_DATA_FORMAT',
      message: expect.stringMatching(/the encoding of data .*order/),
    });
  },
);
