import type { NpyArray, NpyNumbers, NpyNumberType, NpyTexts } from '../files/npy.js';
import { refusal } from '../files/refusal.js';
import type { NativeLayer } from '../native.js';

/*
 * A layer as arrays of an .npz file: those of SciPy's `save_npz` for a CSR matrix of inputs x outputs, `bias`
 * beside them, and `pieces` where the activation has some. Layers that Python made may have 64-bit indices
 * and weights, targets out of order, and no bias.
 */

/** What a file of a layer may hold; `_is_array` tells SciPy's sparse arrays from its matrices. */
export const layerNames = ['format', 'shape', 'indptr', 'indices', 'data', '_is_array', 'bias', 'pieces'];

/** What to do about others, which those of SciPy's other formats may be. */
export const otherArrays = 'save the tocsr() of a matrix, and no other arrays with it';

type Arrays = Map<string, NpyNumbers | NpyTexts<'S'>>;
/** The addon's arrays are no shared ones. */
type Plain = Float32Array<ArrayBuffer>;

/** The arrays of a layer. Cells of a dense one are all links, row by row. */
export function layerArrays(layer: NativeLayer): Arrays {
  const { inputs, outputs, dense, weights, bias, pieces } = layer;
  const indptr = dense
    ? Int32Array.from({ length: inputs + 1 }, (_, row) => row * outputs)
    : layer.rowOffsets;
  const indices = dense ? new Int32Array(weights.length).map((_, cell) => cell % outputs) : layer.colIndices;
  const arrays: Arrays = new Map([
    ['format', { dtype: 'S', shape: [], data: ['csr'] }],
    ['shape', { dtype: 'i8', shape: [2], data: BigInt64Array.of(BigInt(inputs), BigInt(outputs)) }],
    ['indptr', { dtype: 'i4', shape: [indptr.length], data: Int32Array.from(indptr) }],
    ['indices', { dtype: 'i4', shape: [indices.length], data: Int32Array.from(indices) }],
    ['data', { dtype: 'f4', shape: [weights.length], data: weights as Plain }],
    ['bias', { dtype: 'f4', shape: [outputs], data: bias as Plain }],
  ]);
  if (pieces.length > 0) arrays.set('pieces', { dtype: 'f4', shape: [4, outputs], data: pieces as Plain });
  return arrays;
}

/** What a file holds of a layer. */
export interface NpzLayer
  extends Pick<NativeLayer, 'inputs' | 'outputs' | 'rowOffsets' | 'colIndices' | 'weights'> {
  bias: Float32Array | undefined;
  pieces: Float32Array | undefined;
}

/** Most neurons of a layer. */
const mostNeurons = 2 ** 31 - 1;

/** Makes the error of an array. */
type Fail = (name: string, expected: string, came: string, advice: string) => Error;

const convert = 'convert the array with astype in Python';
const saveAgain = 'save it with scipy.sparse.save_npz';

/**
 * The layer that some arrays are. Targets of each source are put in order; those that are there twice are
 * refused, because their sum may not be what was meant.
 *
 * @param file  its name, for messages
 * @throws SetNativeError ERR_DATA_FORMAT for everything that is not exactly a layer
 */
export function layerOf(operation: string, arrays: Map<string, NpyArray>, file: string): NpzLayer {
  const fail: Fail = (name, expected, came, advice) =>
    refusal(operation, `${file}, ${name}.npy`, {}, expected, came, advice);
  const take = (name: string): NpyArray => {
    const array = arrays.get(name);
    if (array === undefined) throw fail(name, 'an array', 'none', saveAgain);
    return array;
  };
  checkFormat(take('format'), fail);
  const [inputs, outputs] = wholes('shape', take('shape'), 2, mostNeurons, fail);
  if (!inputs || !outputs) throw fail('shape', 'at least one input and one output', '0', saveAgain);
  const rowOffsets = wholes('indptr', take('indptr'), inputs + 1, 2 ** 32 - 1, fail);
  const links = rowOffsets.at(-1)!;
  const colIndices = wholes('indices', take('indices'), links, outputs - 1, fail);
  const weights = numbers('data', take('data'), [links], fail);
  sortRows(rowOffsets, colIndices, weights, fail);
  const optional = (name: string, shape: number[]) =>
    arrays.has(name) ? numbers(name, take(name), shape, fail) : undefined;
  return {
    ...{ inputs, outputs, rowOffsets, colIndices, weights },
    bias: optional('bias', [outputs]),
    pieces: optional('pieces', [4, outputs]),
  };
}

function checkFormat({ dtype, shape, data }: NpyArray, fail: Fail): void {
  const [format] = data;
  if ((dtype !== 'S' && dtype !== 'U') || shape.length > 0 || typeof format !== 'string') {
    throw fail('format', 'one text', `${dtype} of [${shape}]`, saveAgain);
  }
  if (format !== 'csr') {
    const advice = 'save its tocsr()';
    throw fail('format', 'csr', JSON.stringify(format), advice);
  }
}

const same = (one: readonly number[], other: readonly number[]) => String(one) === String(other);

/** Whole numbers from 0 to `most`, so many in a row. */
function wholes(name: string, array: NpyArray, length: number, most: number, fail: Fail): Uint32Array {
  const { dtype, shape, data } = array;
  if (dtype !== 'i4' && dtype !== 'i8') throw fail(name, 'int32 or int64', dtype, convert);
  if (!same(shape, [length])) {
    const advice = 'the arrays are not of one matrix; sum_duplicates() drops what lies behind its links';
    throw fail(name, `${length} numbers`, `an array of [${shape}]`, advice);
  }
  const numbers = new Uint32Array(length);
  for (let i = 0; i < length; i++) {
    const value = Number(data[i]);
    if (value < 0 || value > most) {
      throw fail(name, `numbers from 0 to ${most}`, `${value} at ${i}`, 'the matrix is not sound');
    }
    numbers[i] = value;
  }
  return numbers;
}

/** Numbers in single precision. Those that are not finite in their file, the addon refuses. */
function numbers(name: string, array: NpyArray, shape: readonly number[], fail: Fail): Float32Array {
  const { dtype, data } = array;
  const types: NpyNumberType[] = ['f4', 'f8'];
  if (!types.some((type) => type === dtype)) throw fail(name, 'float32 or float64', dtype, convert);
  if (!same(array.shape, shape)) {
    throw fail(name, `an array of [${shape}]`, `[${array.shape}]`, 'the arrays are not of one layer');
  }
  if (dtype === 'f4') return data as Float32Array;
  const single = Float32Array.from(data as Float64Array);
  const wide = single.findIndex((value) => !Number.isFinite(value));
  if (wide >= 0) {
    throw fail(name, 'finite numbers in single precision', `${data[wide]} at ${wide}`, 'scale the weights');
  }
  return single;
}

/** Checks the offsets, and puts the targets of each source in order, and their weights with them. */
function sortRows(rowOffsets: Uint32Array, colIndices: Uint32Array, weights: Float32Array, fail: Fail): void {
  if (rowOffsets[0] !== 0) throw fail('indptr', '0 first', `${rowOffsets[0]}`, 'the matrix is not sound');
  for (let row = 0; row + 1 < rowOffsets.length; row++) {
    const [begin, end] = [rowOffsets[row]!, rowOffsets[row + 1]!];
    if (end < begin || end > colIndices.length) {
      throw fail('indptr', 'offsets that ascend', `${end} behind ${begin}`, 'the matrix is not sound');
    }
    let ascends = true;
    for (let link = begin + 1; link < end && ascends; link++)
      ascends = colIndices[link]! > colIndices[link - 1]!;
    if (!ascends) sortRow(row, colIndices.subarray(begin, end), weights.subarray(begin, end), fail);
  }
}

function sortRow(row: number, targets: Uint32Array, weights: Float32Array, fail: Fail): void {
  const order = Uint32Array.from(targets.keys()).sort((one, other) => targets[one]! - targets[other]!);
  const [oldTargets, oldWeights] = [targets.slice(), weights.slice()];
  for (const [to, from] of order.entries()) {
    targets[to] = oldTargets[from]!;
    weights[to] = oldWeights[from]!;
    if (to > 0 && targets[to] === targets[to - 1]) {
      const came = `column ${targets[to]} twice in row ${row}`;
      throw fail('indices', 'every link once', came, 'call sum_duplicates() in Python, and save it again');
    }
  }
}
