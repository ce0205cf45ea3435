import { types } from 'node:util';
import { describe } from '../checks.js';
import { SetNativeError } from '../errors.js';
import { type NpyArray, parseNpy } from '../files/npy.js';
import { readBytes } from './bytes.js';

/**
 * Reads an array that NumPy saved, with its type and shape: `fromArrays` makes a data set of two of them.
 *
 * @param source  a file (.gz or not), or its bytes
 * @returns data are copies, row by row; texts are an Array of strings
 * @throws SetNativeError ERR_DATA_FORMAT, naming the byte, for anything but an array of numbers, truth values
 * or texts; ERR_DATA_NOT_FOUND, ERR_IO, ERR_OUT_OF_MEMORY; ERR_INVALID_ARGUMENT
 */
export function readNpy(source: string | Uint8Array): NpyArray {
  if (types.isUint8Array(source)) return parseNpy(source, 'these bytes');
  if (typeof source === 'string') return parseNpy(readBytes(source), source);
  throw new SetNativeError(
    'ERR_INVALID_ARGUMENT',
    `[readNpy] expected the name of a file or its bytes, a Uint8Array, got ${describe(source)}`,
  );
}
