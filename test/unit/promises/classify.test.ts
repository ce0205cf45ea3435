import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { fromArrays, type MissingRule, prepare, type Row, readCsv, SparseMLP } from '../../../src/index.js';
import { failing, logitsOf, softmax, testModels } from './networks.js';

/* `classify`: classes of raw rows, encoded as the table was that the model was trained on. */

const { create, kept } = testModels();
const folder = mkdtempSync(path.join(os.tmpdir(), 'classify-'));
afterAll(() => rmSync(folder, { recursive: true }));

const colours = ['red', 'green', 'blue'];
const kinds = ['apple', 'pear', 'plum'];

/** Cells of a row; undefined where there is no value. */
type Cells = [string | undefined, number | undefined, number | undefined];

/** A table of a column of words, two of numbers and a label; with gaps unless these are refused. */
function tableOf(missing: MissingRule) {
  const gap = (i: number, every: number) => missing !== 'refuse' && i % every === 3;
  const lines = Array.from({ length: 40 }, (_, i) =>
    [gap(i, 10) ? '' : colours[i % 3], gap(i, 7) ? 'NA' : i, 2 * (i % 9), kinds[i % 3]].join(),
  );
  return readCsv(`colour,size,age,kind\n${lines.join('\n')}\n`, { label: 'kind', missing });
}

async function trained(missing: MissingRule = 'refuse') {
  const { train, encoding } = prepare(tableOf(missing), { seed: 1 });
  const model = await create({ layers: [5, 8, 3], encoding });
  await model.fit(train, { epochs: 4 });
  return model;
}

/** Probabilities of a row by the plain formulas. */
async function expectedOf(model: SparseMLP, [colour, size, age]: Cells) {
  const { columns, scaling } = model.encoding!;
  const words = (columns![0] as { categories: string[] }).categories;
  const raw = [...words.map((word) => (word === colour ? 1 : 0)), size, age];
  const scaled = raw.map((value, k) => {
    const { offset, divisor, fill } = scaling;
    return ((value ?? fill![k]!) - offset[k]!) / divisor[k]!;
  });
  const [logits] = logitsOf(await model.download(), scaled);
  return softmax(logits!);
}

async function expectSame(model: SparseMLP, row: Row, cells: Cells) {
  const [answer] = await model.classify([row]);
  const expected = await expectedOf(model, cells);
  const names = model.encoding!.classNames!;
  expect(Object.keys(answer!.probabilities)).toEqual(names);
  names.forEach((name, k) => {
    expect(answer!.probabilities[name]).toBeCloseTo(expected[k]!, 5);
  });
  expect(answer!.className).toBe(names[expected.indexOf(Math.max(...expected))]);
  expect(answer!.probability).toBe(answer!.probabilities[answer!.className]);
}

const forms: [string, Row, Cells][] = [
  ['a list', ['red', 4, 6], ['red', 4, 6]],
  ['an object', { colour: 'green', size: 4, age: 6 }, ['green', 4, 6]],
  ['an object in another order', { age: 1, colour: 'blue', size: 30 }, ['blue', 30, 1]],
  ['texts of numbers', ['red', '4', '6.5'], ['red', 4, 6.5]],
  ['large integers', ['red', 4n, 6n], ['red', 4, 6]],
  ['truth values', ['red', true, false], ['red', 1, 0]],
];

test.each(forms)('%s is encoded as the table was', async (_, row, cells) => {
  await expectSame(await trained(), row, cells);
});

test('probabilities add up to 1, and the class is the most probable one', async () => {
  const model = await trained();
  const rows = Array.from({ length: 200 }, (_, i) => [colours[i % 3]!, i % 41, i % 17]);
  const answers = await model.classify(rows);
  expect(answers).toHaveLength(200);
  for (const { className, probability, probabilities } of answers) {
    const values = Object.values(probabilities);
    expect(values.reduce((a, b) => a + b)).toBeCloseTo(1, 5);
    expect(probability).toBe(Math.max(...values));
    expect(probabilities[className]).toBe(probability);
  }
  // Rows keep their order.
  const [alone] = await model.classify([rows[77]!]);
  expect(answers[77]!.className).toBe(alone!.className);
  expect(answers[77]!.probability).toBeCloseTo(alone!.probability, 5);
});

test('the same numbers after save and load, toBuffer and load, without the optimizer, and of a replica', async () => {
  const model = await trained('mean');
  const rows = [['red', 4, 6], { colour: 'green', size: null }, [undefined, 1, 2]];
  const expected = await model.classify(rows);
  const file = path.join(folder, 'model.safetensors');
  await model.save(file);
  await model.exportNpz(path.join(folder, 'npz'));
  for (const other of [
    await SparseMLP.load(file),
    await SparseMLP.load(await model.toBuffer()),
    await SparseMLP.load(await model.toBuffer({ optimizer: false }), { threads: 2 }),
    await SparseMLP.fromNpz(path.join(folder, 'npz')),
    await model.replicate(),
  ]) {
    expect(kept(other).encoding).toEqual(model.encoding);
    expect(await other.classify(rows)).toEqual(expected);
  }
});

const gaps = [null, undefined, Number.NaN, '', 'NA', '?'];

test('missing refuse and drop: a row without a value is refused, by row and column', async () => {
  for (const rule of ['refuse', 'drop'] as const) {
    const model = await trained(rule);
    for (const gap of gaps) {
      const rows = [
        ['red', 1, 2],
        ['red', gap, 2],
      ];
      const error = await model.classify(rows).catch((caught: unknown) => caught);
      expect(error).toEqual(failing('ERR_DATA_FORMAT', 'row 2'));
      expect(error).toEqual(failing('ERR_DATA_FORMAT', 'size'));
      await expect(model.classify([[gap, 1, 2]])).rejects.toEqual(failing('ERR_DATA_FORMAT', 'colour'));
      await expect(model.classify([{ size: 1, colour: 'red', age: gap }])).rejects.toEqual(
        failing('ERR_DATA_FORMAT', 'age'),
      );
    }
    await expect(model.classify([{ size: 1, colour: 'red' }])).rejects.toEqual(
      failing('ERR_DATA_FORMAT', 'age'),
    );
  }
});

test('missing mean: a number becomes the mean of the train samples, a word none of the words', async () => {
  const table = tableOf('mean');
  const { train, encoding } = prepare(table, { seed: 1 });
  expect(train.x.every(Number.isFinite)).toBe(true);
  const model = await create({ layers: [5, 8, 3], encoding });
  for (const gap of gaps) {
    await expectSame(model, ['red', gap, 6], ['red', undefined, 6]);
    await expectSame(model, { colour: 'red', size: gap, age: 6 }, ['red', undefined, 6]);
    await expectSame(model, [gap, 4, 6], [undefined, 4, 6]);
  }
  await expectSame(model, { colour: 'blue', age: 6 }, ['blue', undefined, 6]);
  // The mean is that of the numbers that there are: undo the scaling of those that were not filled.
  const sizes = Array.from({ length: train.count }, (_, row) => train.x[row * 5 + 3]!);
  const { offset, divisor, fill } = encoding.scaling;
  const raw = sizes.map((scaled) => scaled * divisor[3]! + offset[3]!);
  const whole = raw.filter(
    (size) => Math.abs(size - Math.round(size)) < 1e-4 && Math.abs(size - fill![3]!) > 1e-4,
  );
  expect(whole.length).toBeLessThan(train.count);
  expect(fill![3]).toBeCloseTo(whole.reduce((a, b) => a + b) / whole.length, 4);
});

const refused: [string, unknown, string, string][] = [
  ['an unknown column', [{ colour: 'red', size: 1, age: 2, weight: 3 }], 'ERR_INVALID_ARGUMENT', 'weight'],
  ['a misspelt column', [{ color: 'red', size: 1, age: 2 }], 'ERR_INVALID_ARGUMENT', 'color'],
  ['a word that the table did not have', [['purple', 1, 2]], 'ERR_DATA_FORMAT', 'purple'],
  ['a word in other case', [['Red', 1, 2]], 'ERR_DATA_FORMAT', 'Red'],
  ['a word for a number', [['red', 'big', 2]], 'ERR_DATA_FORMAT', 'size'],
  ['a number for a word', [[1, 1, 2]], 'ERR_DATA_FORMAT', 'colour'],
  ['infinity', [['red', Number.POSITIVE_INFINITY, 2]], 'ERR_DATA_FORMAT', 'size'],
  ['a cell too few', [['red', 1]], 'ERR_SHAPE', 'row 1'],
  ['a cell too many', [['red', 1, 2, 3]], 'ERR_SHAPE', 'row 1'],
  ['no rows', [], 'ERR_SHAPE', '[classify]'],
  ['a row that is null', [null], 'ERR_INVALID_ARGUMENT', 'row 1'],
  ['one row in place of a list', ['red', 1, 2], 'ERR_INVALID_ARGUMENT', 'row 1'],
  ['an object in place of a list', { colour: 'red', size: 1, age: 2 }, 'ERR_INVALID_ARGUMENT', '[classify]'],
];

test.each(refused)('%s is refused, and of many rows none is answered', async (_, rows, code, text) => {
  const model = await trained('mean');
  await expect(model.classify(rows as Row[])).rejects.toEqual(failing(code, text));
  await model.classify([['red', 1, 2]]);
});

test('a bad row is named by its number and column, also in details', async () => {
  const model = await trained();
  const rows = [
    ['red', 1, 2],
    ['red', 1, 2],
    ['red', 1, 'old'],
  ];
  const error = await model.classify(rows).catch((caught: unknown) => caught);
  expect(error).toMatchObject({ code: 'ERR_DATA_FORMAT', details: { line: 3, column: 3, came: '"old"' } });
});

test('details of a row of another length name it', async () => {
  const model = await trained();
  const error = await model.classify([['red', 1]]).catch((caught: { details: object }) => caught);
  expect(Object.keys((error as { details: object }).details)).not.toEqual([]);
});

test('one typed array of raw features, where all columns are numbers', async () => {
  const data = fromArrays(
    Array.from({ length: 30 }, (_, i) => [i % 5, i % 7]),
    Array.from({ length: 30 }, (_, i) => (i % 5 > 2 ? 'high' : 'low')),
  );
  const prepared = prepare(data);
  const model = await create({ layers: [2, 6, 2], epsilon: 1, encoding: prepared.encoding });
  await model.fit(prepared.train, { epochs: 3 });
  const expected = await model.classify([
    [1, 2],
    [4, 6],
  ]);
  for (const Kind of [Float32Array, Float64Array, Int32Array, Uint8Array]) {
    expect(await model.classify(Kind.of(1, 2, 4, 6))).toEqual(expected);
  }
  expect(await model.classify([Float32Array.of(1, 2), Float64Array.of(4, 6)])).toEqual(expected);
  await expect(model.classify(Float32Array.of(1, 2, 4))).rejects.toEqual(failing('ERR_SHAPE'));
  await expect(model.classify(Float32Array.of(1, Number.NaN))).rejects.toEqual(
    failing('ERR_DATA_FORMAT', 'row 1: expected a value of column 2'),
  );
});

test('one typed array of raw features, where a column of words makes three', async () => {
  const model = await trained();
  const words = (model.encoding!.columns![0] as { categories: string[] }).categories;
  const features = [...words.map((word) => (word === 'red' ? 1 : 0)), 4, 6];
  expect(await model.classify(Float32Array.from(features))).toEqual(await model.classify([['red', 4, 6]]));
});

test('a single output is the probability of the second class', async () => {
  const data = fromArrays(
    Array.from({ length: 40 }, (_, i) => [i % 5, i % 8]),
    Array.from({ length: 40 }, (_, i) => i % 5 > 2),
  );
  const { train, encoding } = prepare(data);
  const model = await create({
    layers: [2, 8, 1],
    epsilon: 1,
    loss: 'sigmoid-binary-cross-entropy',
    encoding,
  });
  await model.fit(train, { epochs: 30, learningRate: 0.1 });
  const [low, high] = await model.classify([
    [0, 3],
    [4, 3],
  ]);
  const [first, second] = encoding.classNames!;
  expect(low!.className).toBe(first);
  expect(high!.className).toBe(second);
  for (const [answer, row] of [
    [low!, [0, 3]],
    [high!, [4, 3]],
  ] as const) {
    const { offset, divisor } = encoding.scaling;
    const x = Float32Array.from(row, (value, k) => (value - offset[k]!) / divisor[k]!);
    const [output] = await model.predict(x);
    expect(answer.probabilities[second!]).toBeCloseTo(output!, 6);
    expect(answer.probabilities[first!]).toBeCloseTo(1 - output!, 6);
    expect(answer.probability).toBe(Math.max(...Object.values(answer.probabilities)));
  }
});

test('of equal probabilities the first class is named', async () => {
  const { encoding } = prepare(tableOf('refuse'));
  const model = await create({ layers: [5, 3], epsilon: 5, encoding });
  const bytes = await model.toBuffer();
  // All weights and biases 0, in the file of the model: the outputs are the same for all classes.
  const length = Number(new DataView(bytes.buffer).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length))) as Record<
    string,
    { data_offsets: [number, number] }
  >;
  for (const name of ['layers.0.data', 'layers.0.bias']) {
    const [from, to] = header[name]!.data_offsets;
    bytes.fill(0, 8 + length + from, 8 + length + to);
  }
  const even = kept(await SparseMLP.load(bytes));
  const [answer] = await even.classify([['red', 1, 2]]);
  expect(answer!.className).toBe(encoding.classNames![0]);
  expect(new Set(Object.values(answer!.probabilities)).size).toBe(1);
});
