import { expect, test } from 'vitest';
import {
  fromArrays,
  prepare,
  type RowTargets,
  readCsv,
  splitSamples,
  subsetSamples,
} from '../../../src/index.js';
import { errorOf } from '../../support/errorOf.js';

/* Tables with numbers to predict: of `readCsv` with `target`, `fromArrays` with `targets`; and `prepare`. */

const csv = `size,colour,price,rooms
1,red,100,2
2,blue,200,3
3,red,300,4
4,green,400,5
5,blue,500,6
6,red,600,7
`;

test('one target: all other columns are features', () => {
  const { train, ...data } = readCsv(csv, { target: 'price' });
  expect(data.targetNames).toEqual(['price']);
  expect(data.columns).toEqual([
    { name: 'size' },
    { name: 'colour', categories: ['blue', 'green', 'red'] },
    { name: 'rooms' },
  ]);
  expect([...train.targets]).toEqual([100, 200, 300, 400, 500, 600]);
  expect([...train.x.subarray(0, 5)]).toEqual([1, 0, 0, 1, 2]);
  expect({ count: train.count, features: train.features }).toEqual({ count: 6, features: 5 });
  expect('labels' in train).toBe(false);
});

test('several targets come in the order in which they are named', () => {
  const { train, targetNames, features } = readCsv(csv, { target: ['rooms', 'price'] });
  expect(targetNames).toEqual(['rooms', 'price']);
  expect([...train.targets.subarray(0, 6)]).toEqual([2, 100, 3, 200, 4, 300]);
  expect(features).toBe(4);
});

test('columns choose the features, and their order, beside the target', () => {
  const { train, columns } = readCsv(csv, { target: 'price', columns: ['rooms', 'size'] });
  expect(columns).toEqual([{ name: 'rooms' }, { name: 'size' }]);
  expect([...train.x.subarray(0, 4)]).toEqual([2, 1, 3, 2]);
});

const wrong: [string, string, object, string, object][] = [
  ['no such column', csv, { target: 'prize' }, 'ERR_DATA_FORMAT', { line: 1 }],
  ['a column of words', csv, { target: 'colour' }, 'ERR_DATA_FORMAT', { line: 2, column: 2 }],
  ['no target at all', csv, { target: [] }, 'ERR_INVALID_ARGUMENT', { option: 'target' }],
  ['one twice', csv, { target: ['price', 'price'] }, 'ERR_INVALID_ARGUMENT', { option: 'target' }],
  ['a label, too', csv, { target: 'price', label: 'colour' }, 'ERR_INVALID_ARGUMENT', { option: 'target' }],
  [
    'a feature, too',
    csv,
    { target: 'price', columns: ['price'] },
    'ERR_INVALID_ARGUMENT',
    { option: 'columns' },
  ],
  ['nothing left to learn from', 'y,z\n1,2\n', { target: ['y', 'z'] }, 'ERR_DATA_FORMAT', {}],
  ['without a value', 'a,y\n1,2\n2,\n', { target: 'y' }, 'ERR_DATA_FORMAT', { line: 3, column: 2 }],
  [
    'without a value, which no mean replaces',
    'a,y\n1,2\n2,NA\n',
    { target: 'y', missing: 'mean' },
    'ERR_DATA_FORMAT',
    { line: 3, column: 2 },
  ],
];

test.each(wrong)('a target that is wrong, %s: refused with its place', (_, table, options, code, details) => {
  const error = errorOf(() => readCsv(table, options));
  expect(error.code).toBe(code);
  expect(error.details).toMatchObject(details);
});

test('drop leaves out rows that lack a target or a feature', () => {
  const { train, note } = readCsv('a,y,z\n1,2,3\n2,,4\n3,4,5\n,6,7\n5,8,NA\n', {
    target: ['y', 'z'],
    missing: 'drop',
  });
  expect([...train.x]).toEqual([1, 3]);
  expect([...train.targets]).toEqual([2, 3, 4, 5]);
  expect(note).toContain('3 of 5 rows');
});

const rows = [
  [1, 'a'],
  [2, 'b'],
  [3, 'a'],
];

const given: [string, RowTargets, string[], number[]][] = [
  ['a number of each row', [10, 20, 30], ['y'], [10, 20, 30]],
  ['truth values', [true, false, true], ['y'], [1, 0, 1]],
  ['large integers', [10n, 20n, 30n], ['y'], [10, 20, 30]],
  [
    'a list of each row',
    [
      [1, 2],
      [3, 4],
      [5, 6],
    ],
    ['y', 'z'],
    [1, 2, 3, 4, 5, 6],
  ],
  [
    'an array of each row',
    [Float32Array.of(1, 2), Float64Array.of(3, 4), Int8Array.of(5, 6)],
    ['y', 'z'],
    [1, 2, 3, 4, 5, 6],
  ],
  ['one typed array, row by row', Float64Array.of(1, 2, 3, 4, 5, 6), ['y', 'z'], [1, 2, 3, 4, 5, 6]],
];

test.each(given)('fromArrays takes %s', (_, targets, names, expected) => {
  const data = fromArrays(rows, targets, { targets: names });
  expect(data.targetNames).toEqual(names);
  expect([...data.train.targets]).toEqual(expected);
  expect(data.columns!.map(({ name }) => name)).toEqual(['column 1', 'column 2']);
});

const refused: [string, unknown, string[], string][] = [
  ['too few', [10, 20], ['y'], 'ERR_SHAPE'],
  ['too many', [10, 20, 30, 40], ['y'], 'ERR_SHAPE'],
  ['a row of another length', [[1, 2], [3], [5, 6]], ['y', 'z'], 'ERR_SHAPE'],
  ['a typed array that is too short', Float64Array.of(1, 2, 3, 4, 5), ['y', 'z'], 'ERR_SHAPE'],
  ['NaN', [10, Number.NaN, 30], ['y'], 'ERR_DATA_FORMAT'],
  ['infinity', [10, Number.POSITIVE_INFINITY, 30], ['y'], 'ERR_DATA_FORMAT'],
  ['a word', [10, 'many', 30], ['y'], 'ERR_DATA_FORMAT'],
  ['a number beyond single precision', [10, 1e300, 30], ['y'], 'ERR_DATA_FORMAT'],
];

test.each(refused)('fromArrays refuses targets: %s', (_, targets, names, code) => {
  expect(errorOf(() => fromArrays(rows, targets as number[], { targets: names })).code).toBe(code);
});

// 60 rows; a target whose numbers are large, one that is always the same, and one of another scale.
const many = fromArrays(
  Array.from({ length: 60 }, (_, i) => [i, (i * 7) % 11]),
  Array.from({ length: 60 }, (_, i) => [100_000 + 1000 * ((i * 13) % 17), 5, i / 100]),
  { targets: ['price', 'same', 'share'] },
);

test('without targetScaling targets are as they were', () => {
  const { train, test: held, encoding } = prepare(many);
  expect(encoding.targets).toEqual({
    names: ['price', 'same', 'share'],
    offset: [0, 0, 0],
    divisor: [1, 1, 1],
  });
  const all = [...train.targets, ...held.targets].sort((a, b) => a - b);
  expect(all).toEqual([...many.train.targets].sort((a, b) => a - b));
});

test('standardise: mean 0 and standard deviation 1 over the train samples, each target by itself', () => {
  const raw = prepare(many, { seed: 3 });
  const { train, test: held, encoding } = prepare(many, { seed: 3, targetScaling: 'standardise' });
  const { offset, divisor } = encoding.targets!;
  const column = (targets: Float32Array, k: number) => [...targets].filter((_, i) => i % 3 === k);
  for (const k of [0, 1, 2]) {
    const numbers = column(raw.train.targets, k);
    const mean = numbers.reduce((a, b) => a + b) / numbers.length;
    const deviation = Math.sqrt(numbers.reduce((sum, y) => sum + (y - mean) ** 2, 0) / numbers.length);
    expect(offset[k]).toBeCloseTo(mean, 6);
    expect(divisor[k]).toBeCloseTo(k === 1 ? 1 : deviation, 6);
    for (const [scaled, plain] of [
      [train, raw.train],
      [held, raw.test],
    ] as const) {
      const expected = column(plain.targets, k).map((y) => (y - mean) / (k === 1 ? 1 : deviation));
      column(scaled.targets, k).forEach((y, i) => {
        expect(y).toBeCloseTo(expected[i]!, 5);
      });
    }
  }
  expect(train.x).toEqual(raw.train.x);
});

test('held out samples are scaled alike, and do not change the scaling', () => {
  const options = { seed: 3, train: 20, targetScaling: 'standardise' } as const;
  const one = prepare(many, options);
  const two = prepare(many, { ...options, validation: 10 });
  expect(two.encoding).toEqual(one.encoding);
  expect(two.train).toEqual(one.train);
  const { offset, divisor } = one.encoding.targets!;
  for (let row = 0; row < 10; row++) {
    const share = two.validation!.targets[row * 3 + 2]! * divisor[2]! + offset[2]!;
    expect(Math.abs(share * 100 - Math.round(share * 100))).toBeLessThan(1e-3);
  }
});

test('the encoding can be written as JSON', () => {
  const { encoding } = prepare(many, { targetScaling: 'standardise' });
  expect(JSON.parse(JSON.stringify(encoding))).toEqual(encoding);
});

test('targetScaling of another kind, or of classes, is refused', () => {
  const options = { targetScaling: 'min-max' as 'none' };
  expect(errorOf(() => prepare(many, options)).code).toBe('ERR_INVALID_ARGUMENT');
  const classes = fromArrays([[1], [2], [3], [4], [5], [6]], ['a', 'b', 'a', 'b', 'a', 'b']);
  const error = errorOf(() => prepare(classes, { targetScaling: 'standardise' }));
  expect(error).toMatchObject({ code: 'ERR_INVALID_ARGUMENT', details: { option: 'targetScaling' } });
});

test('splits and subsets keep targets and weights with their rows', () => {
  const samples = {
    x: Float32Array.from({ length: 20 }, (_, i) => i),
    targets: Float32Array.from({ length: 40 }, (_, i) => Math.floor(i / 2) * 10 + (i % 2)),
    weights: Float32Array.from({ length: 20 }, (_, i) => i + 0.5),
    count: 20,
    features: 1,
  };
  const { train, test: held } = splitSamples(samples, { seed: 4, testFraction: 0.3 });
  expect({ train: train.count, held: held.count }).toEqual({ train: 14, held: 6 });
  for (const part of [train, held, subsetSamples(samples, 7, 5)]) {
    part.x.forEach((id, row) => {
      expect([...part.targets.subarray(2 * row, 2 * row + 2)]).toEqual([id * 10, id * 10 + 1]);
      expect(part.weights![row]).toBe(id + 0.5);
    });
  }
  expect([...train.x, ...held.x].sort((a, b) => a - b)).toEqual([...samples.x]);
});
