import { describe, expect, it, test } from 'vitest';
import { encodeRows } from '../../../src/datasets/encoding.js';
import { tileOrder } from '../../../src/datasets/inputOrder.js';
import {
  type Dataset,
  type ImageShape,
  type InputOrder,
  loadDataset,
  type PrepareOptions,
  prepare,
  type TargetDataset,
} from '../../../src/index.js';
import { errorOf } from '../../support/errorOf.js';

describe('tileOrder', () => {
  test.each<[string, ImageShape, number, number[][]]>([
    [
      'whole tiles',
      [2, 4],
      2,
      [
        [0, 1, 4, 5],
        [2, 3, 6, 7],
      ],
    ],
    [
      'rows of tiles',
      [4, 2],
      2,
      [
        [0, 1, 2, 3],
        [4, 5, 6, 7],
      ],
    ],
    ['odd sides', [3, 3], 2, [[0, 1, 3, 4], [2, 5], [6, 7], [8]]],
    [
      'larger tiles',
      [3, 4],
      3,
      [
        [0, 1, 2, 4, 5, 6, 8, 9, 10],
        [3, 7, 11],
      ],
    ],
    ['a tile larger than the image', [2, 3], 4, [[0, 1, 2, 3, 4, 5]]],
    ['one row', [1, 5], 2, [[0, 1], [2, 3], [4]]],
    [
      'one channel',
      [2, 4, 1],
      2,
      [
        [0, 1, 4, 5],
        [2, 3, 6, 7],
      ],
    ],
    [
      'channel by channel',
      [2, 4, 2],
      2,
      [
        [0, 1, 4, 5],
        [8, 9, 12, 13],
        [2, 3, 6, 7],
        [10, 11, 14, 15],
      ],
    ],
    ['channels at an edge', [1, 3, 2], 2, [[0, 1], [3, 4], [2], [5]]],
  ])('%s: %j in %d', (_, shape, size, patches) => {
    expect([...tileOrder(shape, size)]).toEqual(patches.flat());
  });

  it('has each pixel once, and in whole tiles patches of one channel as its motifs', () => {
    for (let rows = 1; rows <= 8; rows++) {
      for (let columns = 1; columns <= 8; columns++) {
        for (const channels of [1, 2, 3]) {
          for (const size of [2, 3, 4]) {
            const order = tileOrder([rows, columns, channels], size);
            const pixels = Array.from({ length: rows * columns * channels }, (_, i) => i);
            expect([...order].sort((a, b) => a - b)).toEqual(pixels);
            if (rows % size > 0 || columns % size > 0) continue;
            const patches = Array.from(order, (pixel) => {
              const [row, column] = [Math.floor(pixel / columns) % rows, pixel % columns];
              const channel = Math.floor(pixel / columns / rows);
              return [channel, Math.floor(row / size), Math.floor(column / size)].join();
            });
            for (let at = 0; at < order.length; at += size * size)
              expect(new Set(patches.slice(at, at + size * size)).size).toBe(1);
          }
        }
      }
    }
  });
});

/** Images of 2 x 3 pixels: pixel p of image i is 10 i + p. */
const pixels = (images: number) =>
  Float32Array.from({ length: 6 * images }, (_, i) => 10 * Math.floor(i / 6) + (i % 6));
const plain: Dataset = {
  name: 'images',
  source: 'a test',
  features: 6,
  classes: 2,
  classNames: ['a', 'b'],
  train: { x: pixels(4), labels: Uint32Array.of(0, 1, 0, 1), count: 4, features: 6 },
  test: { x: pixels(2), labels: Uint32Array.of(0, 1), count: 2, features: 6 },
  scaling: { kind: 'none' },
};
const images: Dataset = { ...plain, imageShape: [2, 3] };
const tiles = [0, 1, 3, 4, 2, 5];
const prepared = (inputOrder: InputOrder, options: PrepareOptions = {}, of = images) =>
  prepare(of, { ...options, inputOrder });

describe('prepare', () => {
  it.each<[string, InputOrder, number[]]>([
    ['tiles', 'tiles', tiles],
    ['tiles of a size', { tiles: 2 }, tiles],
    ['tiles of a shape of their own', { tiles: 2, shape: [3, 2] }, [0, 1, 2, 3, 4, 5]],
    ['tiles of several channels', { tiles: 2, shape: [1, 3, 2] }, [0, 1, 3, 4, 2, 5]],
    ['a list', [5, 4, 3, 2, 1, 0], [5, 4, 3, 2, 1, 0]],
    ['a typed array', Uint16Array.of(1, 0, 2, 3, 4, 5), [1, 0, 2, 3, 4, 5]],
  ])('makes feature k of feature order[k]: %s', (_, inputOrder, order) => {
    for (const options of [{}, { validation: 1 }, { train: 2, test: 1 }]) {
      const given = prepare(images, options);
      const all = prepared(inputOrder, options);
      for (const part of ['train', 'validation', 'test'] as const) {
        const [was, now] = [given[part], all[part]];
        expect(now?.labels).toEqual(was?.labels);
        expect(now?.x).toEqual(was?.x.map((_, i) => was.x[i - (i % 6) + order[i % 6]!]!));
      }
      const isGiven = order.every((feature, k) => feature === k);
      expect(all.encoding).toEqual({ ...given.encoding, ...(!isGiven && { order }) });
    }
  });

  it('keeps the scaling of each feature, which is in the order of the data set', () => {
    for (const kind of ['standardise', 'min-max'] as const) {
      const train = { ...plain.train, x: plain.train.x.map((value, i) => value * (1 + (i % 6))) };
      const [given, ordered] = [prepare, prepared].map(() => ({ ...images, train }));
      const was = prepare(given!, { scaling: { kind } });
      const now = prepared('tiles', { scaling: { kind } }, ordered);
      expect(now.encoding.scaling).toEqual(was.encoding.scaling);
      expect([...now.train.x]).toEqual([
        ...was.train.x.map((_, i) => was.train.x[i - (i % 6) + tiles[i % 6]!]!),
      ]);
    }
  });

  it('changes nothing for the given order, by whatever name', () => {
    const given = prepare(images);
    expect('order' in given.encoding).toBe(false);
    for (const same of ['given', undefined, [0, 1, 2, 3, 4, 5], { tiles: 3 }] as const) {
      const { encoding, ...samples } = prepare(images, { inputOrder: same as InputOrder });
      expect({ ...samples, encoding }).toEqual(given);
      expect('order' in encoding).toBe(false);
    }
    expect(given.train.x).toEqual(plain.train.x);
  });

  it('keeps targets and weights of samples with their rows', () => {
    const { labels: _, ...rows } = plain.train;
    const { classes: _c, classNames: _n, test: _t, ...base } = images;
    const targets = Float32Array.of(1, 2, 3, 4);
    const weights = Float32Array.of(4, 3, 2, 1);
    const numbers: TargetDataset = { ...base, targetNames: ['y'], train: { ...rows, targets, weights } };
    const both = (inputOrder: InputOrder) =>
      prepare({ ...numbers, test: numbers.train }, { inputOrder, targetScaling: 'standardise' });
    const [given, ordered] = [both('given'), both('tiles')];
    expect(ordered.train).toMatchObject({ targets: given.train.targets, weights });
    expect(ordered.encoding).toEqual({ ...given.encoding, order: tiles });
  });

  it('names features as the data set has them', () => {
    const far = { ...plain.train, x: plain.train.x.with(6 * 2 + 4, 3e38) };
    const options: PrepareOptions = { scaling: { kind: 'divide', by: 1e-3 } };
    expect(errorOf(() => prepared('tiles', options, { ...images, train: far }))).toMatchObject({
      code: 'ERR_NON_FINITE',
      message: expect.stringContaining(
        'train samples, scaled: expected finite numbers, came Infinity in row 2, feature 4',
      ),
      details: { row: 2, feature: 4 },
    });
  });

  it('orders the embedded images by their shape', () => {
    const { encoding } = prepare(loadDataset('procedural'), {
      train: 10,
      test: 10,
      inputOrder: { tiles: 4 },
    });
    expect(encoding.order!.slice(0, 8)).toEqual([0, 1, 2, 3, 28, 29, 30, 31]);
  });

  it.each<[string, unknown, string, string]>([
    ['a word', 'tile', 'ERR_INVALID_ARGUMENT', 'inputOrder must be given, tiles, { tiles: 4 } or a list'],
    ['null', null, 'ERR_INVALID_ARGUMENT', 'inputOrder must be given, tiles'],
    ['a key more', { tiles: 2, size: 3 }, 'ERR_INVALID_ARGUMENT', 'unknown key "size" of inputOrder'],
    ['no size', {}, 'ERR_INVALID_ARGUMENT', 'inputOrder.tiles must be a whole number from 2'],
    [
      'tiles of one pixel',
      { tiles: 1 },
      'ERR_OUT_OF_RANGE',
      'inputOrder.tiles must be a whole number from 2',
    ],
    ['half a tile', { tiles: 2.5 }, 'ERR_OUT_OF_RANGE', 'inputOrder.tiles'],
    ['a list too short', [0, 1, 2], 'ERR_SHAPE', 'a number for each of 6 features, got 3'],
    ['a view that is no list', new DataView(new ArrayBuffer(6)), 'ERR_SHAPE', 'got 0'],
    [
      'a feature that is not there',
      [0, 1, 2, 3, 4, 6],
      'ERR_OUT_OF_RANGE',
      'inputOrder[5] must be a whole number from 0 to 5, got 6',
    ],
    ['a negative one', [0, 1, 2, 3, 4, -1], 'ERR_OUT_OF_RANGE', 'inputOrder[5]'],
    ['a part of one', [0, 1, 2, 3, 4, 4.5], 'ERR_OUT_OF_RANGE', 'inputOrder[5]'],
    ['NaN', [0, 1, Number.NaN, 3, 4, 5], 'ERR_OUT_OF_RANGE', 'inputOrder[2]'],
    ['text', [0, 1, '2', 3, 4, 5], 'ERR_INVALID_ARGUMENT', 'inputOrder[2]'],
    ['a hole', Array(6), 'ERR_INVALID_ARGUMENT', 'inputOrder[0]'],
    ['big integers', BigInt64Array.of(0n, 1n, 2n, 3n, 4n, 5n), 'ERR_INVALID_ARGUMENT', 'inputOrder[0]'],
    [
      'a feature twice',
      [0, 1, 2, 1, 4, 5],
      'ERR_INVALID_ARGUMENT',
      'inputOrder[3] must be another feature than inputOrder[1], got 1',
    ],
    [
      'a shape of other pixels',
      { tiles: 2, shape: [3, 3] },
      'ERR_SHAPE',
      'inputOrder.shape must be of 6 pixels, as there are features, got 3 × 3',
    ],
    [
      'a shape of one side',
      { tiles: 2, shape: [6] },
      'ERR_INVALID_ARGUMENT',
      'inputOrder.shape must be [rows, columns]',
    ],
    ['a shape of no rows', { tiles: 2, shape: [0, 6] }, 'ERR_OUT_OF_RANGE', 'inputOrder.shape[0]'],
    ['a shape of text', { tiles: 2, shape: '2x3' }, 'ERR_INVALID_ARGUMENT', 'inputOrder.shape'],
  ])('refuses %s', (_, inputOrder, code, message) => {
    expect(errorOf(() => prepared(inputOrder as InputOrder))).toMatchObject({
      code,
      message: expect.stringContaining(message),
    });
  });

  it('says what to give where the shape of an image is not known, or is another', () => {
    for (const inputOrder of ['tiles', { tiles: 4 }] as const) {
      expect(errorOf(() => prepared(inputOrder, {}, plain))).toMatchObject({
        code: 'ERR_INVALID_ARGUMENT',
        message: expect.stringMatching(
          /the data set does not have; give \{ tiles: [24], shape: \[rows, columns\] \}/,
        ),
        details: { option: 'inputOrder.shape' },
      });
    }
    expect(prepared({ tiles: 2, shape: [2, 3] }, {}, plain)).toEqual(prepared('tiles'));
    const wrong = { ...plain, imageShape: [28, 28] } as Dataset;
    expect(errorOf(() => prepared('tiles', {}, wrong))).toMatchObject({
      code: 'ERR_SHAPE',
      message: '[prepare] imageShape must be of 6 pixels, as there are features, got 28 × 28',
    });
    expect(prepared('given', {}, wrong).train.x).toEqual(plain.train.x);
  });
});

test('raw rows are encoded in the order, and named as they were given', () => {
  const { encoding, test: rows } = prepared('tiles', { scaling: { kind: 'min-max' } });
  expect(encodeRows('classify', pixels(2), encoding)).toEqual(rows.x);
  const far = { ...encoding, scaling: { ...encoding.scaling, divisor: [1, 1, 1, 1, 1e-30, 1] } };
  expect(errorOf(() => encodeRows('classify', [[0, 0, 0, 0, 1e30, 0]], far))).toMatchObject({
    code: 'ERR_NON_FINITE',
    message: expect.stringContaining('row 0, feature 4'),
  });
});
