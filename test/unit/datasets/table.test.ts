import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, expect, test } from 'vitest';
import { npyBytes } from '../../../src/files/npy.js';
import { fromArrays, prepare, type Row, readCsv, readNpy, SetNativeError } from '../../../src/index.js';

const failing = (code: string, text = '') =>
  expect.objectContaining({ code, message: expect.stringContaining(text) });

function errorOf(call: () => unknown): SetNativeError {
  try {
    call();
  } catch (error) {
    if (error instanceof SetNativeError) return error;
    throw error;
  }
  throw new Error('nothing was refused');
}

const folder = mkdtempSync(path.join(os.tmpdir(), 'table-'));
afterAll(() => rmSync(folder, { recursive: true }));

const fruit = `color,weight,kind
red,1.5,apple
green,2,pear
red,3,apple
blue,0.5,plum
`;

test('a column of words becomes one feature for each, one of numbers one', () => {
  const data = readCsv(fruit);
  expect(data).toEqual({
    name: 'table',
    source: 'the table',
    features: 4,
    classes: 3,
    classNames: ['apple', 'pear', 'plum'],
    columns: [{ name: 'color', categories: ['blue', 'green', 'red'] }, { name: 'weight' }],
    scaling: { kind: 'standardise' },
    train: {
      x: Float32Array.of(0, 0, 1, 1.5, 0, 1, 0, 2, 0, 0, 1, 3, 1, 0, 0, 0.5),
      labels: Uint32Array.of(0, 1, 0, 2),
      count: 4,
      features: 4,
    },
  });
});

test('text, bytes, a file and a packed file are the same table', () => {
  const file = path.join(folder, 'fruit.csv');
  writeFileSync(file, fruit);
  writeFileSync(`${file}.gz`, gzipSync(fruit));
  const { train } = readCsv(fruit);
  for (const source of [Buffer.from(fruit), new Uint8Array(Buffer.from(fruit)), file, `${file}.gz`]) {
    expect(readCsv(source).train).toEqual(train);
  }
  expect(readCsv(file).name).toBe(file);
  expect(readCsv(file, { name: 'fruit' }).name).toBe('fruit');
});

test.each([';', '\t', '|'])('the delimiter %j is found, and quotes may hide one', (delimiter) => {
  const text = `"a${delimiter}b"${delimiter}size, in cm${delimiter}y\n1${delimiter}"2"${delimiter}p\n3${delimiter}4${delimiter}q\n`;
  const data = readCsv(text);
  expect(data.columns).toEqual([{ name: `a${delimiter}b` }, { name: 'size, in cm' }]);
  expect(data.train.x).toEqual(Float32Array.of(1, 2, 3, 4));
  expect(readCsv(text, { delimiter }).train).toEqual(data.train);
});

test('the label may be any column, and columns are taken in the order that they are named in', () => {
  const data = readCsv(fruit, { label: 'color', columns: ['kind', 'weight'] });
  expect(data.classNames).toEqual(['blue', 'green', 'red']);
  expect(data.columns).toEqual([{ name: 'kind', categories: ['apple', 'pear', 'plum'] }, { name: 'weight' }]);
  expect(readCsv(fruit, { columns: ['weight'] }).train.x).toEqual(Float32Array.of(1.5, 2, 3, 0.5));
});

test.each<[string, string, number]>([
  ['words over numbers', 'a,b,y\n1,2,p\n3,4,q\n', 2],
  ['numbers alone', '1,2,0\n3,4,1\n', 2],
  ['words that come again', 'p,x,e\ns,x,p\np,y,e\n', 3],
  ['words that do not', 'cap,odor,class\ns,x,p\np,y,e\n', 2],
  ['a label in words', '1,2,p\n3,4,q\n', 2],
])('whether the first line names the columns is seen: %s', (_, text, rows) => {
  expect(readCsv(text).train.count).toBe(rows);
});

test('header: true and false decide it', () => {
  expect(readCsv('1,2,0\n3,4,1\n5,6,0\n', { header: true }).columns).toEqual([{ name: '1' }, { name: '2' }]);
  expect(readCsv('a,b,y\n1,2,p\n', { header: false }).train.count).toBe(2);
});

test('numbers among words are words, numbers in quotes and with signs numbers', () => {
  const data = readCsv('a,b,y\n1,+1.5e1,p\nx,"-2",q\n1,0,p\n');
  expect(data.columns).toEqual([{ name: 'a', categories: ['1', 'x'] }, { name: 'b' }]);
  expect(data.train.x).toEqual(Float32Array.of(1, 0, 15, 0, 1, -2, 1, 0, 0));
});

const gaps = 'a,b,y\n1,x,p\n,x,q\n3,NA,p\n5,z,?\n7,z,q\n';

test('missing values are refused by line and column, unless told otherwise', () => {
  expect(errorOf(() => readCsv(gaps))).toEqual(
    failing('ERR_DATA_FORMAT', 'line 3, column 1: expected a value of a, came "", a missing value'),
  );
  expect(errorOf(() => readCsv(gaps, { missing: 'mean' }))).toEqual(
    failing('ERR_DATA_FORMAT', 'line 5, column 3: expected a label'),
  );
  const dropped = readCsv(gaps, { missing: 'drop' });
  expect(dropped.train.x).toEqual(Float32Array.of(1, 1, 0, 7, 0, 1));
  expect(dropped.note).toContain('3 of 5 rows were left out');
});

test('mean fills numbers by the train samples alone, and words by none', () => {
  const text = `a,b,y\n${Array.from({ length: 40 }, (_, i) => `${i % 4 === 0 ? '' : i},${i % 5 === 0 ? '?' : 'xz'[i % 2]},${'pq'[i % 2]}`).join('\n')}\n`;
  const data = readCsv(text, { missing: 'mean' });
  expect(data.note).toContain('16 of 40 rows lack a value');
  const { train, test: held, encoding } = prepare(data, { seed: 3, scaling: { kind: 'none' } });
  const numbers = (x: Float32Array) => Array.from({ length: x.length / 3 }, (_, row) => x[row * 3]!);
  const known = numbers(train.x).filter((value) => Number.isInteger(value) && value % 4 !== 0);
  const mean = known.reduce((sum, value) => sum + value, 0) / known.length;
  expect(encoding.scaling.fill![0]).toBeCloseTo(mean, 10);
  for (const x of [train.x, held.x]) {
    expect(x.every(Number.isFinite)).toBe(true);
    for (const value of numbers(x)) expect(value % 4 !== 0 || Math.abs(value - mean) < 1e-5).toBe(true);
  }
  const standardised = prepare(data, { seed: 3 }).train;
  expect(numbers(standardised.x).reduce((sum, value) => sum + value, 0)).toBeCloseTo(0, 4);
});

test('a column without a single value in the train samples becomes 0', () => {
  const text = `a,b,y\n${Array.from({ length: 12 }, (_, i) => `${i},?,${'pq'[i % 2]}`).join('\n')}\n`;
  for (const kind of ['standardise', 'min-max', 'none'] as const) {
    const { train } = prepare(readCsv(text, { missing: 'mean' }), { scaling: { kind } });
    expect(train.x.filter((_, i) => i % 2 === 1).every((value) => value === 0)).toBe(true);
  }
});

test.each<[string, string, Parameters<typeof readCsv>[1], string]>([
  ['no row', 'a,b,y\n', {}, 'at least one row'],
  ['one column', 'y\np\nq\n', {}, 'at least one feature'],
  ['one class', 'a,y\n1,p\n2,p\n', {}, 'different labels'],
  ['a short row', 'a,b,y\n1,2,p\n3,q\n', {}, 'line 3: expected 3 cells, came 2'],
  ['no such label', 'a,b,y\n1,2,p\n', { label: 'z' }, 'a column named z, came a, b, y'],
  ['a name twice', 'a,a,y\n1,2,p\n3,4,q\n', { label: 'y' }, 'a twice'],
  ['an infinite number', 'a,y\n1e999,p\n2,q\n', {}, 'column 1: expected a number that fits float32'],
  ['only gaps', 'a,y\n?,p\nNA,q\n', { missing: 'drop' }, 'each of 2 rows lacks a value'],
  ['an open quote', 'a,y\n"1,p\n2,q\n', {}, 'quote'],
  [
    'free text',
    `a,y\n${Array.from({ length: 1500 }, (_, i) => `w${i},${'pq'[i % 2]}`).join('\n')}`,
    {},
    'at most 1000 different words in a',
  ],
])('refused: %s', (_, text, options, expected) => {
  expect(errorOf(() => readCsv(text, options))).toEqual(failing('ERR_DATA_FORMAT', expected));
});

test.each<[string, () => unknown, string]>([
  ['no source', () => readCsv(undefined as never), '[readCsv] expected the name of a file'],
  ['an option that is not known', () => readCsv(fruit, { lable: 'x' } as never), 'lable'],
  [
    'a rule that is not known',
    () => readCsv(fruit, { missing: 'median' as never }),
    'missing must be one of',
  ],
  ['a long delimiter', () => readCsv(fruit, { delimiter: '::' }), 'one character'],
  ['a column that is not there', () => readCsv(fruit, { columns: ['size'] }), 'columns must name features'],
  ['a column twice', () => readCsv(fruit, { columns: ['weight', 'weight'] }), 'each once'],
  ['the label as a column', () => readCsv(fruit, { columns: ['kind'] }), 'columns must name features'],
])('options: %s', (_, call, text) => {
  expect(errorOf(call)).toEqual(failing('ERR_INVALID_ARGUMENT', text));
});

test('rows in memory: lists, objects and a typed array make the same table as a file', () => {
  const lists: Row[] = [
    ['red', 1.5],
    ['green', 2],
    ['red', 3],
    ['blue', 0.5],
  ];
  const objects: Row[] = lists.map((cells) => {
    const [color, weight] = cells as [string, number];
    return { weight, color };
  });
  const labels = ['apple', 'pear', 'apple', 'plum'];
  const expected = readCsv(fruit);
  const named = fromArrays(lists, labels, { names: ['color', 'weight'] });
  expect(named.train).toEqual(expected.train);
  expect(named.columns).toEqual(expected.columns);
  expect(fromArrays(objects, labels, { columns: ['color', 'weight'] }).train).toEqual(expected.train);
  const numbers = Float64Array.of(1, 2, 3, 4, 5, 6);
  const flat = fromArrays(numbers, Uint8Array.of(1, 0, 1), { features: 2 });
  expect(flat.train.x).toEqual(Float32Array.from(numbers));
  expect(flat.classNames).toEqual(['0', '1']);
  expect(
    fromArrays(
      [
        [1, 2],
        [3, 4],
        [5, 6],
      ],
      [true, false, true],
    ).classNames,
  ).toEqual(['false', 'true']);
  expect(fromArrays([Int16Array.of(1, 2), [3, 4n], [true, false]], [0, 1, 0]).train.x).toEqual(
    Float32Array.of(1, 2, 3, 4, 1, 0),
  );
});

test('a key that a row lacks is a missing value; one that no other row has is refused', () => {
  const rows: Row[] = [{ a: 1, b: 'x' }, { a: 2 }, { a: undefined, b: 'y' }, { a: Number.NaN, b: null }];
  expect(errorOf(() => fromArrays(rows, [0, 1, 0, 1]))).toEqual(
    failing('ERR_DATA_FORMAT', 'line 2, column 2: expected a value of b'),
  );
  const data = fromArrays(rows, [0, 1, 0, 1], { missing: 'mean' });
  expect(data.train.x).toEqual(Float32Array.of(1, 1, 0, 2, 0, 0, NaN, 0, 1, NaN, 0, 0));
  const many: Row[] = Array.from({ length: 1001 }, () => ({ a: 1 }));
  expect(errorOf(() => fromArrays([...many, { z: 1 }], new Uint8Array(1002)))).toEqual(
    failing('ERR_INVALID_ARGUMENT', '[fromArrays] row 1002 has "z"'),
  );
});

test('arrays of NumPy become a data set', () => {
  const x = npyBytes({ dtype: 'f8', shape: [3, 2], data: Float64Array.of(1, 2, 3, 4, 5, 6) });
  const y = npyBytes({ dtype: 'i8', shape: [3], data: BigInt64Array.of(7n, -1n, 7n) });
  const file = path.join(folder, 'x.npy');
  writeFileSync(file, x);
  const { data, shape } = readNpy(file);
  const labels = readNpy(y).data;
  const made = fromArrays(data as Float64Array, labels as BigInt64Array, { features: shape[1]! });
  expect(made.train.x).toEqual(Float32Array.of(1, 2, 3, 4, 5, 6));
  expect(made.classNames).toEqual(['-1', '7']);
  expect(errorOf(() => readNpy(path.join(folder, 'none.npy')))).toEqual(failing('ERR_DATA_NOT_FOUND'));
  expect(errorOf(() => readNpy(x.subarray(0, 90)))).toEqual(failing('ERR_DATA_FORMAT', 'these bytes, byte'));
  expect(errorOf(() => readNpy(3 as never))).toEqual(failing('ERR_INVALID_ARGUMENT', '[readNpy] expected'));
});

test.each<[string, () => unknown, string, string]>([
  ['rows that are none', () => fromArrays('ab' as never, [0, 1]), 'ERR_INVALID_ARGUMENT', 'row'],
  ['labels that are none', () => fromArrays([[1]], 'a' as never), 'ERR_INVALID_ARGUMENT', 'labels'],
  ['too few labels', () => fromArrays([[1], [2]], [0]), 'ERR_SHAPE', 'one label per row, 2, got 1'],
  ['no rows', () => fromArrays([], []), 'ERR_SHAPE', 'at least one row'],
  [
    'a typed array without features',
    () => fromArrays(Float32Array.of(1), [0]),
    'ERR_INVALID_ARGUMENT',
    'features',
  ],
  [
    'a typed array of broken rows',
    () => fromArrays(Float32Array.of(1, 2, 3), [0], { features: 2 }),
    'ERR_SHAPE',
    'whole rows of 2',
  ],
  ['lists with features', () => fromArrays([[1]], [0], { features: 1 }), 'ERR_INVALID_ARGUMENT', 'features'],
  ['rows of different length', () => fromArrays([[1, 2], [1]], [0, 1]), 'ERR_DATA_FORMAT', 'line 2'],
  [
    'a row that is a number',
    () => fromArrays([[1], 2 as never], [0, 1]),
    'ERR_INVALID_ARGUMENT',
    'row 2 must be a list',
  ],
  [
    'a row that is null',
    () => fromArrays([[1], null as never], [0, 1]),
    'ERR_INVALID_ARGUMENT',
    'row 2 must be a list',
  ],
  [
    'a cell that is a list',
    () => fromArrays([[[1] as never], [2]], [0, 1]),
    'ERR_DATA_FORMAT',
    'a number or text',
  ],
  ['a cell that is infinite', () => fromArrays([[Infinity], [2]], [0, 1]), 'ERR_DATA_FORMAT', 'fits float32'],
  [
    'names that are the same',
    () => fromArrays([[1, 2]], [0], { names: ['a', 'a'] }),
    'ERR_INVALID_ARGUMENT',
    'names',
  ],
])('fromArrays refuses %s', (_, call, code, text) => {
  expect(errorOf(call)).toEqual(failing(code, text));
});
