import { afterEach, expect, test } from 'vitest';
import {
  type Encoding,
  fromArrays,
  type ModelOptions,
  prepare,
  readCsv,
  SparseMLP,
} from '../../../src/index.js';

const models: SparseMLP[] = [];
afterEach(() => {
  for (const model of models.splice(0)) model.dispose();
});
async function create(options: ModelOptions): Promise<SparseMLP> {
  const model = await SparseMLP.create({ backend: 'cpu', ...options });
  models.push(model);
  return model;
}

const failing = (code: string, text: string) =>
  expect.objectContaining({ code, message: expect.stringContaining(text) });

const csv = `color,size,kind\n${Array.from({ length: 150 }, (_, i) => {
  const k = i % 3;
  return `${['red', 'green', 'blue'][k]},${i % 10 === 0 ? '' : k + Math.sin(i) / 4},${['apple', 'pear', 'plum'][k]}`;
}).join('\n')}\n`;
const data = readCsv(csv, { label: 'kind', missing: 'mean' });
const { train, encoding } = prepare(data, { seed: 1 });

async function trained(): Promise<SparseMLP> {
  const model = await create({ layers: [4, 20, 3], topology: 'dense', encoding });
  await model.fit(train, { epochs: 20, batchSize: 10, onWarning: () => {} });
  return model;
}

test('raw rows by name, in order and with gaps are classified, also by the model that was loaded', async () => {
  const model = await trained();
  const rows = [
    { color: 'red', size: 0 },
    { size: '1.1', color: 'green' },
    ['blue', 2],
    { color: 'blue', size: null },
    { color: 'green' },
  ];
  const answers = await model.classify(rows);
  expect(answers.map(({ className }) => className)).toEqual(['apple', 'pear', 'plum', 'plum', 'pear']);
  for (const { className, probability, probabilities } of answers) {
    expect(Object.keys(probabilities)).toEqual(['apple', 'pear', 'plum']);
    expect(probabilities[className]).toBe(probability);
    expect(Object.values(probabilities).reduce((sum, value) => sum + value, 0)).toBeCloseTo(1, 5);
  }
  const loaded = await SparseMLP.load(await model.toBuffer());
  models.push(loaded);
  expect(loaded.encoding).toEqual(encoding);
  expect(JSON.parse(JSON.stringify(encoding))).toEqual(encoding);
  expect(await loaded.classify(rows)).toEqual(answers);
});

test('classify encodes rows as prepare encoded them', async () => {
  const model = await trained();
  const rows = csv
    .trim()
    .split('\n')
    .slice(1)
    .map((line) => line.split(',').slice(0, 2));
  const all = prepare({ ...data, test: data.train }, { seed: 1 });
  const same = await create({ layers: [4, 20, 3], topology: 'dense', encoding: all.encoding });
  const [got, want] = [await same.classify(rows), await same.predict(all.test.x)];
  for (const [i, { probabilities }] of got.entries()) {
    expect(Object.values(probabilities)).toEqual([...want.subarray(3 * i, 3 * i + 3)]);
  }
  expect(await model.classify(rows)).toHaveLength(150);
});

test('a typed array holds raw features, one row after the other', async () => {
  const numbers = fromArrays(
    [
      [1, 10],
      [2, 30],
      [3, 20],
      [4, 50],
    ],
    ['a', 'b', 'a', 'b'],
  );
  const prepared = prepare({ ...numbers, test: numbers.train });
  const model = await create({
    layers: [2, 4, 1],
    topology: 'dense',
    loss: 'sigmoid-binary-cross-entropy',
    encoding: prepared.encoding,
  });
  const answers = await model.classify(Float64Array.of(1, 10, 2, 30));
  const outputs = await model.predict(prepared.test.x.subarray(0, 4));
  expect(answers.map(({ probabilities }) => probabilities.b)).toEqual([...outputs]);
  expect(answers[0]!.probabilities.a).toBeCloseTo(1 - outputs[0]!, 12);
});

test.each<[string, unknown, string, string]>([
  [
    'a word that is not known',
    [{ color: 'pink', size: 1 }],
    'ERR_DATA_FORMAT',
    'row 1: expected one of blue, green, red in color, came "pink"',
  ],
  ['a word for a number', [['red', 'big']], 'ERR_DATA_FORMAT', 'a number in size, came "big"'],
  [
    'a key that is not known',
    [{ colour: 'red' }],
    'ERR_INVALID_ARGUMENT',
    'row 1 has "colour"; the columns are color, size',
  ],
  ['a row too short', [['red', 1], ['red']], 'ERR_SHAPE', 'row 2 must have 2 cells, color, size, got 1'],
  ['one row alone', { color: 'red', size: 1 }, 'ERR_INVALID_ARGUMENT', 'hand in [row]'],
  ['no rows', [], 'ERR_SHAPE', 'at least one row'],
  ['text', 'red,1', 'ERR_INVALID_ARGUMENT', 'an Array of rows'],
  ['null', null, 'ERR_INVALID_ARGUMENT', 'an Array of rows'],
])('classify refuses %s, and goes on', async (_, rows, code, text) => {
  const model = await create({ layers: [4, 8, 3], topology: 'dense', encoding });
  await expect(model.classify(rows as never)).rejects.toEqual(failing(code, text));
  expect(await model.classify([['red', 1]])).toHaveLength(1);
});

test('a missing value is refused where the model was trained without any', async () => {
  const whole = prepare(readCsv(csv, { label: 'kind', missing: 'drop' })).encoding;
  const model = await create({ layers: [4, 8, 3], topology: 'dense', encoding: whole });
  for (const [row, text] of [
    [{ color: 'red' }, 'row 2: expected a value of size, came undefined, a missing value'],
    [['', 1], 'row 2: expected a value of color, came "", a missing value'],
  ] as const) {
    await expect(model.classify([['red', 1], row])).rejects.toEqual(failing('ERR_DATA_FORMAT', text));
  }
});

test('classify takes a model that knows its data, and probabilities', async () => {
  const bare = await create({ layers: [4, 8, 3] });
  await expect(bare.classify([['red', 1]])).rejects.toEqual(failing('ERR_INVALID_ARGUMENT', '{ encoding }'));
  const mse = await create({ layers: [4, 8, 3], loss: 'mse', encoding });
  await expect(mse.classify([['red', 1]])).rejects.toEqual(failing('ERR_INVALID_ARGUMENT', 'or predict'));
  await expect(bare.classify([], { signal: AbortSignal.abort() })).rejects.toEqual(
    failing('ERR_ABORTED', '[classify]'),
  );
});

const without = (key: keyof Encoding): Encoding => {
  const { [key]: _, ...rest } = encoding;
  return rest as Encoding;
};
test.each<[string, unknown, string, string]>([
  ['text', 'x', 'ERR_INVALID_ARGUMENT', 'encoding must be what prepare gives'],
  ['no scaling', without('scaling'), 'ERR_INVALID_ARGUMENT', 'encoding.scaling'],
  ['no names', without('classNames'), 'ERR_INVALID_ARGUMENT', 'encoding.classNames'],
  ['a key more', { ...encoding, mean: 3 }, 'ERR_INVALID_ARGUMENT', 'mean'],
  ['names of another number', { ...encoding, classNames: ['a', 'b'] }, 'ERR_SHAPE', 'classNames has 2 names'],
  ['a name twice', { ...encoding, classNames: ['a', 'b', 'a'] }, 'ERR_INVALID_ARGUMENT', 'different names'],
  [
    'a divisor of 0',
    { ...encoding, scaling: { ...encoding.scaling, divisor: [1, 1, 0, 1] } },
    'ERR_INVALID_ARGUMENT',
    'divisor',
  ],
  [
    'NaN',
    { ...encoding, scaling: { ...encoding.scaling, offset: [1, 1, NaN, 1] } },
    'ERR_INVALID_ARGUMENT',
    'offset',
  ],
  [
    'other features',
    { ...encoding, scaling: { offset: [1], divisor: [1] } },
    'ERR_SHAPE',
    'offset has 1 numbers',
  ],
  [
    'columns of other features',
    { ...encoding, columns: [{ name: 'a' }] },
    'ERR_SHAPE',
    'columns make 1 features',
  ],
  ['columns that are none', { ...encoding, columns: [{}] }, 'ERR_INVALID_ARGUMENT', 'columns'],
])('an encoding with %s is refused', async (_, given, code, text) => {
  await expect(create({ layers: [4, 8, 3], encoding: given as Encoding })).rejects.toEqual(
    failing(code, text),
  );
});

test('names like those of Object.prototype are names', async () => {
  const names = ['__proto__', 'constructor', 'a'];
  const rows = Array.from({ length: 12 }, (_, i) => [i]);
  const labels = rows.map((_, i) => names[i % 3]!);
  const odd = prepare(fromArrays(rows, labels)).encoding;
  const model = await create({ layers: [1, 3, 3], topology: 'dense', encoding: odd });
  const [answer] = await model.classify([[1]]);
  expect(Object.keys(answer!.probabilities).sort()).toEqual(['__proto__', 'a', 'constructor']);
});
