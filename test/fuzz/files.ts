import { type NpyNumbers, type NpyTexts, npyBytes, parseNpy } from '../../src/files/npy.js';
import { readSafetensors, safetensorsPieces, type Tensor } from '../../src/files/safetensors.js';
import type { Target } from './engine.js';

/*
 * Files of models and of their arrays, and what is promised of those that are accepted.
 */

interface Elements {
  shape: readonly number[];
  data: ArrayLike<unknown>;
}

function checkElements({ shape, data }: Elements): void {
  const wanted = shape.reduce((product, size) => product * size, 1);
  if (data.length !== wanted) throw new Error('broken promise: as many elements as the shape says');
}

const model = { codes: ['ERR_DATA_FORMAT'], memory: 2 ** 22, short: 10_000 };

const tensors = new Map<string, Tensor>([
  ['w', { dtype: 'F32', shape: [2, 2], data: Float32Array.of(1, -2, 0.5, 3e38) }],
  ['born', { dtype: 'U16', shape: [3], data: Uint16Array.of(1, 2, 65535) }],
  ['none', { dtype: 'I32', shape: [0, 7], data: new Int32Array(0) }],
  ['scalar', { dtype: 'F64', shape: [], data: Float64Array.of(Math.PI) }],
]);
const metadata = new Map([['format', 'x "y"']]);
const safetensors = [
  { tensors, metadata },
  { tensors: new Map([...tensors].slice(0, 1)), metadata: new Map() },
  { tensors: new Map(), metadata: new Map() },
].map((file) => Buffer.concat(safetensorsPieces(file)));

const arrays: (NpyNumbers | NpyTexts<'S'>)[] = [
  { dtype: 'f4', shape: [2, 2], data: Float32Array.of(1, -2, 0.5, 3e38) },
  { dtype: 'i8', shape: [1], data: BigInt64Array.of(-1n) },
  { dtype: 'b1', shape: [2, 0], data: new Uint8Array(0) },
  { dtype: 'S', shape: [], data: ['csr'] },
];
const npy = arrays.map((array) => Buffer.from(npyBytes(array)));
/** The first one in the other orders: bytes from the end, and column by column. */
const orders = Buffer.from(npy[0]!.toString('latin1').replace('<', '>').replace('False', 'True '), 'latin1');
/** The last one as a text of Unicode. */
const text = Buffer.from(
  npy[3]!.toString('latin1').replace('|S3', '<U1').replace('csr', 'c\0\0\0'),
  'latin1',
);

export const fileTargets: Target[] = [
  {
    name: 'safetensors',
    ...model,
    seeds: safetensors,
    tokens: [
      ...['{}', '[]', '""', ',', ':', '\\u0061', '"__proto__"', '"__metadata__"', '"w"'],
      ...['"dtype"', '"shape"', '"data_offsets"', '"BOOL"', '"U8"', '[0,0]', '[0,16]', '1e400', '-1'],
    ],
    read(bytes) {
      const file = readSafetensors(bytes, 'f.safetensors');
      let size = 0;
      for (const tensor of file.tensors.values()) {
        checkElements(tensor);
        size += tensor.data.byteLength;
      }
      const header = Number(Buffer.from(bytes).readBigUInt64LE());
      if (8 + header + size !== bytes.length) throw new Error('broken promise: tensors are all of the file');
    },
    file: 'f.safetensors',
  },
  {
    name: 'npy',
    ...model,
    seeds: [...npy, orders, text],
    tokens: [
      ...["'", '"', '(', ')', ',', ':', '{', '}', '[', 'True', 'False', '3L', '()', '(1,)', '(2, 2)'],
      ...["'descr'", "'shape'", "'fortran_order'", '<f4', '>f8', '|O', '|S1', '<U1', '>U1', '|b1', '<i2'],
    ],
    read(bytes) {
      const array = parseNpy(bytes, 'f.npy');
      checkElements(array);
      if (array.dtype === 'U') return;
      const again = parseNpy(npyBytes(array as NpyNumbers), 'f.npy');
      if (String(again.data) !== String(array.data)) throw new Error('broken promise: what is read is kept');
    },
    file: 'f.npy',
  },
];
