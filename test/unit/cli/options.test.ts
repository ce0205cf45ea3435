import { InvalidArgumentError } from 'commander';
import { expect, test } from 'vitest';
import { filePath, listOf, numberIn, oneOf } from '../../../src/cli/options.js';
import { inputOrder } from '../../../src/cli/tableOptions.js';
import { ranges } from '../../../src/training/options.js';

test.each(['', ' ', 'many', '1x', '0x10', '0b1', '1e3', '1.0', '0', '-1', '1.5', '65536', 'NaN', 'Infinity'])(
  'epochs refuse %j',
  (text) => {
    expect(() => numberIn(ranges.epochs)(text)).toThrow(InvalidArgumentError);
  },
);

test.each([
  ['epochs', '1', 1],
  ['epochs', '65535', 65_535],
  ['learningRate', '5e-2', 0.05],
  ['zeta', '.3', 0.3],
  ['momentum', '0', 0],
  ['dropout', '.5', 0.5],
  ['average', '0', 0],
] as const)('%s takes %j', (name, text, value) => {
  expect(numberIn(ranges[name])(text)).toBe(value);
});

test.each([
  ['zeta', '0'],
  ['zeta', '1'],
  ['epsilon', '0'],
  ['momentum', '1'],
  ['dropout', '1'],
  ['average', '1'],
  ['seed', '9007199254740992'],
] as const)('%s refuses its bound %j', (name, text) => {
  expect(() => numberIn(ranges[name])(text)).toThrow(ranges[name].text);
});

test('numbers that are not whole are decimal too', () => {
  expect(numberIn(ranges.epsilon)('1e3')).toBe(1000);
  for (const text of ['0x10', '1_000', 'Infinity', '1e999', '']) {
    expect(() => numberIn(ranges.epsilon)(text)).toThrow(InvalidArgumentError);
  }
});

test('a path is not empty', () => {
  expect(filePath('a b')).toBe('a b');
  expect(() => filePath('')).toThrow('Expected a path.');
});

test('a choice lists what it takes', () => {
  expect(oneOf(['a', 'b'])('b')).toBe('b');
  expect(() => oneOf(['a', 'b'])('A')).toThrow('Expected one of a, b.');
});

test('lists split at commas, check each item, and repeat only where that means something', () => {
  const sizes = listOf(numberIn(ranges.layerSize), { repeats: true });
  expect(sizes('30, 20,30')).toEqual([30, 20, 30]);
  expect(() => sizes('30,,20')).toThrow('whole number');
  expect(() => listOf(oneOf(['a', 'b']))('a,b,a')).toThrow('once');
});

test.each([
  ['given', 'given'],
  ['tiles', { tiles: 2 }],
  ['tiles:4', { tiles: 4 }],
  ['tiles:16:28x28', { tiles: 16, shape: [28, 28] }],
  ['tiles:2:32x32x3', { tiles: 2, shape: [32, 32, 3] }],
])('an order of inputs is %j', (text, order) => {
  expect(inputOrder(text)).toEqual(order);
});

test.each([
  '',
  'tile',
  'Tiles',
  'tiles:',
  'tiles:1',
  'tiles:02',
  'tiles:-2',
  'tiles:2.5',
  'tiles:2:',
  'tiles:2:28',
])('no order of inputs is %j', (text) => {
  expect(() => inputOrder(text)).toThrow(InvalidArgumentError);
});

test.each(['tiles:2:0x28', 'tiles:2:2x2x2x2', 'tiles:28x28', 'tiles:2:3x3 ', 'tiles2'])(
  'no shape of an image is in %j',
  (text) => {
    expect(() => inputOrder(text)).toThrow(InvalidArgumentError);
  },
);
