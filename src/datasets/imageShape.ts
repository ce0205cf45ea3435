import { checkNumber, invalid, wholeNumber } from '../checks.js';
import { SetNativeError } from '../errors.js';
import type { ImageShape } from './types.js';

/**
 * The shape of an image of so many pixels.
 *
 * @throws SetNativeError ERR_INVALID_ARGUMENT (no shape), ERR_OUT_OF_RANGE (a size that is no whole number
 * from 1), ERR_SHAPE (one of other pixels)
 */
export function checkImageShape(
  operation: string,
  option: string,
  sizes: unknown,
  features: number,
): Readonly<ImageShape> {
  if (!Array.isArray(sizes) || sizes.length < 2 || sizes.length > 3)
    throw invalid(operation, option, '[rows, columns] or [rows, columns, channels]', sizes);
  for (const [i, size] of sizes.entries())
    checkNumber(operation, `${option}[${i}]`, size, wholeNumber(1, 2 ** 32 - 1));
  if (sizes.reduce((product, size) => product * size, 1) !== features) {
    throw new SetNativeError(
      'ERR_SHAPE',
      `[${operation}] ${option} must be of ${features} pixels, as there are features, got ${sizes.join(' × ')}`,
      { details: { option, value: sizes, features } },
    );
  }
  return sizes as unknown as ImageShape;
}
