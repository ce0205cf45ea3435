import { checkKeys, checkNumber, invalid, isArrayLike, wholeNumber } from '../checks.js';
import { SetNativeError } from '../errors.js';
import { checkImageShape } from './imageShape.js';
import type { ImageShape } from './types.js';

/*
 * Orders of inputs: which feature each input of a network takes. Motifs are neighbouring inputs, so where
 * neighbours are pixels of one tile of an image, motifs are patches of it.
 */

/** Tiles of an image, each of which becomes neighbouring inputs. */
export interface TileOrder {
  /** Rows and columns of a tile, a whole number from 2. */
  tiles: number;
  /** Shape of an image. Default: that of the data set. */
  shape?: Readonly<ImageShape>;
}

/**
 * Order of inputs. `given`: that of the features. `tiles`: 2 × 2 tiles of an image, the same as
 * `{ tiles: 2 }`. Tiles come row by row, and so do the pixels of each, channel by channel; at the right and
 * lower edge, tiles are smaller. A list has the feature of each input: numbers from 0, each once.
 */
export type InputOrder = 'given' | 'tiles' | TileOrder | ArrayLike<number>;

/** Data that an order is for. */
interface Ordered {
  features: number;
  imageShape?: Readonly<ImageShape> | undefined;
}

/**
 * The feature of each input; undefined for the given order.
 *
 * @throws SetNativeError ERR_INVALID_ARGUMENT (no order, or tiles without the shape of an image),
 * ERR_OUT_OF_RANGE (a size of tiles or of an image, or a number that no feature has), ERR_SHAPE (a list or an
 * image of other features)
 */
export function orderOf(operation: string, order: InputOrder, data: Ordered): Uint32Array | undefined {
  if (order === 'given') return undefined;
  let list: Uint32Array;
  if (isArrayLike(order)) {
    list = checkList(operation, Array.from(order as ArrayLike<unknown>), data.features);
  } else {
    const given = checkTiles(operation, order);
    list = tileOrder(shapeFor(operation, given, data), given.tiles);
  }
  return list.every((feature, input) => feature === input) ? undefined : list;
}

/** The pixels of an image, tile by tile. */
export function tileOrder([rows, columns, channels = 1]: Readonly<ImageShape>, size: number): Uint32Array {
  const order = new Uint32Array(rows * columns * channels);
  let input = 0;
  for (let top = 0; top < rows; top += size) {
    for (let left = 0; left < columns; left += size) {
      for (let channel = 0; channel < channels; channel++) {
        for (let row = top; row < Math.min(top + size, rows); row++) {
          for (let column = left; column < Math.min(left + size, columns); column++) {
            order[input++] = (channel * rows + row) * columns + column;
          }
        }
      }
    }
  }
  return order;
}

/** First place in a list that is no whole number below its length, or one that was there before; else -1. */
export function faultOfOrder(list: readonly unknown[]): number {
  const seen = new Uint8Array(list.length);
  return list.findIndex((value) => {
    if (!isFeature(value, list.length) || seen[value] === 1) return true;
    seen[value] = 1;
    return false;
  });
}

const isFeature = (value: unknown, features: number): value is number =>
  Number.isInteger(value) && (value as number) >= 0 && (value as number) < features;

function checkList(operation: string, list: readonly unknown[], features: number): Uint32Array {
  if (list.length !== features) {
    throw new SetNativeError(
      'ERR_SHAPE',
      `[${operation}] inputOrder must have a number for each of ${features} features, got ${list.length}`,
      { details: { option: 'inputOrder', expected: features, length: list.length } },
    );
  }
  const fault = faultOfOrder(list);
  if (fault < 0) return Uint32Array.from(list as number[]);
  const [option, value] = [`inputOrder[${fault}]`, list[fault]];
  checkNumber(operation, option, value, wholeNumber(0, features - 1));
  const other = `another feature than inputOrder[${list.indexOf(value)}]`;
  throw invalid(operation, option, other, value);
}

/**
 * Tiles with their size, checked; the shape of an image is checked where the features are known.
 *
 * @throws SetNativeError ERR_INVALID_ARGUMENT, ERR_OUT_OF_RANGE
 */
export function checkTiles(operation: string, order: unknown): TileOrder {
  if (order === 'tiles') return { tiles: 2 };
  if (typeof order !== 'object' || order === null)
    throw invalid(operation, 'inputOrder', 'given, tiles, { tiles: 4 } or a list of features', order);
  checkKeys(operation, order, ['tiles', 'shape'], { of: 'inputOrder' });
  const { tiles, shape } = order as TileOrder;
  checkNumber(operation, 'inputOrder.tiles', tiles, wholeNumber(2, 2 ** 32 - 1));
  return shape === undefined ? { tiles } : { tiles, shape };
}

/** The shape of an image, which has as many pixels as there are features. */
function shapeFor(
  operation: string,
  { tiles, shape }: TileOrder,
  { features, imageShape }: Ordered,
): Readonly<ImageShape> {
  const option = shape === undefined ? 'imageShape' : 'inputOrder.shape';
  const sizes: unknown = shape ?? imageShape;
  if (sizes === undefined) {
    throw new SetNativeError(
      'ERR_INVALID_ARGUMENT',
      `[${operation}] inputOrder of tiles takes the shape of an image, which the data set does not have; give ` +
        `{ tiles: ${tiles}, shape: [rows, columns] } or, of several channels, [rows, columns, channels]`,
      { details: { option: 'inputOrder.shape' } },
    );
  }
  return checkImageShape(operation, option, sizes, features);
}
