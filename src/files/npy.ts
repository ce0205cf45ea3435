import { mostAxes, otherType, parseNpyHeader } from './npyHeader.js';
import { refusal } from './refusal.js';

/*
 * Arrays in NumPy's format .npy: a magic number, the version, the length of a header, the header as a dict in
 * Python, and the elements. Versions differ in the width of that length and the encoding of the header; the
 * headers that are read here are ASCII in all of them.
 *
 * Files come from strangers. What the header says is checked against the bytes that there are before anything
 * of its size is allocated, and nothing in a file is run: arrays of Python's objects are refused.
 * https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
 */

/** Types of numbers, as NumPy calls them, and the arrays that hold them. Half precision is not among them. */
const arrays = {
  b1: Uint8Array,
  i1: Int8Array,
  u1: Uint8Array,
  i2: Int16Array,
  u2: Uint16Array,
  i4: Int32Array,
  u4: Uint32Array,
  i8: BigInt64Array,
  u8: BigUint64Array,
  f4: Float32Array,
  f8: Float64Array,
} as const;

export type NpyNumberType = keyof typeof arrays;

/** Numbers, row by row; b1 are truth values, 0 or 1. */
export type NpyNumbers = {
  [D in NpyNumberType]: { dtype: D; shape: readonly number[]; data: InstanceType<(typeof arrays)[D]> };
}[NpyNumberType];

/** Texts, row by row. S are bytes in Python, each a character up to 0xff here; U are texts of Unicode. */
export interface NpyTexts<D extends 'S' | 'U' = 'S' | 'U'> {
  dtype: D;
  shape: readonly number[];
  data: string[];
}

export type NpyArray = NpyNumbers | NpyTexts;

const magic = Buffer.from('\x93NUMPY', 'latin1');
/** Bytes of magic number and version. */
const versionEnd = 8;
/** NumPy's own limit. */
const mostHeader = 10_000;
/** Names of classes and of formats are few and short; each text costs more than its bytes. */
const mostTexts = 2 ** 20;
const mostTextBytes = 2 ** 16;
/** Elements begin at a multiple of this. */
const alignment = 64;

const damaged = 'the file is damaged, cut off, or no .npy file';

/** Makes the error at a byte of the file. */
type Fail = (offset: number, expected: string, came: string, advice?: string) => Error;

/**
 * The bytes of a .npy file, version 1.0: the same array gives the same bytes.
 *
 * @throws RangeError for a shape that is not that of the data, and for a text that the format cannot hold:
 * faults of the caller
 */
export function npyBytes({ dtype, shape, data }: NpyNumbers | NpyTexts<'S'>): Uint8Array {
  if (shape.length > mostAxes || !shape.every(isSize) || sizeOf(shape) !== data.length) {
    throw new RangeError(`an array of shape [${shape}] holds ${data.length} elements`);
  }
  const [descr, elements] = dtype === 'S' ? packTexts(data) : packNumbers(dtype, data);
  const sizes = shape.length === 1 ? `${shape[0]},` : shape.join(', ');
  const header = `{'descr': '${descr}', 'fortran_order': False, 'shape': (${sizes}), }`;
  const start = Math.ceil((versionEnd + 2 + header.length + 1) / alignment) * alignment;
  const bytes = new Uint8Array(start + elements.length).fill(0x20, 0, start);
  const front = Buffer.from(bytes.buffer, 0, start);
  magic.copy(front);
  front.writeUInt16LE(1, 6); // major version 1, minor version 0
  front.writeUInt16LE(start - versionEnd - 2, versionEnd);
  front.write(header, versionEnd + 2, 'latin1');
  front.write('\n', start - 1);
  bytes.set(elements, start);
  return bytes;
}

function packNumbers(dtype: NpyNumberType, data: NpyNumbers['data']): [descr: string, Uint8Array] {
  const order = data.BYTES_PER_ELEMENT === 1 ? '|' : '<';
  return [`${order}${dtype}`, new Uint8Array(data.buffer, data.byteOffset, data.byteLength)];
}

function packTexts(texts: string[]): [descr: string, Uint8Array] {
  const width = texts.reduce((most, { length }) => Math.max(most, length), 1);
  if (texts.length > mostTexts || width > mostTextBytes) {
    throw new RangeError(`${texts.length} texts of up to ${width} bytes`);
  }
  const packed = Buffer.alloc(width * texts.length);
  for (const [i, text] of texts.entries()) {
    // What follows a text is zero, so that one at its end would be lost.
    if (/[^\0-\xff]|\0$/.test(text)) throw new RangeError(`text ${i} is not one of bytes, or ends in 0`);
    packed.write(text, i * width, 'latin1');
  }
  return [`|S${width}`, packed];
}

/**
 * Reads a .npy file of versions 1.0, 2.0 and 3.0. The data are copies, row by row, also where the file has
 * them column by column, which NumPy calls the order of Fortran.
 *
 * @param file its name, for messages
 * @param options.operation what reads it, for messages
 * @param options.rowsOnly refuse the order of Fortran, where that of the axes makes a difference
 * @throws SetNativeError ERR_DATA_FORMAT for everything that is not exactly such a file, and for arrays of
 * objects, records, dates, complex numbers and half or long precision, naming the place
 */
export function parseNpy(
  bytes: Uint8Array,
  file: string,
  { operation = 'load', rowsOnly = false } = {},
): NpyArray {
  const fail: Fail = (offset, expected, came, advice = damaged) =>
    refusal(operation, file, { offset }, expected, came, advice);
  const { text, begin, start } = readHeader(bytes, fail);
  const { descr, fortranOrder, shape } = parseNpyHeader(text, begin, file, operation);
  if (rowsOnly && fortranOrder && shape.length > 1) {
    throw fail(begin, 'the order of C', 'that of Fortran', 'save numpy.ascontiguousarray of it');
  }
  const type = typeOf(descr, begin, fail);
  const size = sizeOf(shape);
  const came = bytes.length - start;
  if (size * type.width !== came) {
    const expected = `exactly ${size * type.width} bytes for shape (${shape.join(', ')}) of ${descr}`;
    throw fail(start, expected, `${came} to the end`);
  }
  const part = bytes.subarray(start);
  const data =
    type.dtype === 'S' || type.dtype === 'U'
      ? unpackTexts(part, type as ElementType<'S' | 'U'>, size, start, fail)
      : unpackNumbers(part, type as ElementType<NpyNumberType>, start, fail);
  return { dtype: type.dtype, shape, data: fortranOrder ? toRows(data, shape) : data } as NpyArray;
}

function readHeader(bytes: Uint8Array, fail: Fail): { text: string; begin: number; start: number } {
  if (bytes.length < versionEnd + 4) {
    throw fail(0, `at least ${versionEnd + 4} bytes`, `${bytes.length}`);
  }
  if (magic.compare(bytes, 0, magic.length) !== 0) {
    throw fail(0, 'the magic number of .npy', Buffer.from(bytes.subarray(0, magic.length)).toString('hex'));
  }
  const [major, minor] = [bytes[6]!, bytes[7]!];
  if (major < 1 || major > 3 || minor !== 0) {
    throw fail(6, 'version 1.0, 2.0 or 3.0', `${major}.${minor}`);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const length = major === 1 ? view.getUint16(versionEnd, true) : view.getUint32(versionEnd, true);
  const begin = versionEnd + (major === 1 ? 2 : 4);
  const most = Math.min(mostHeader, bytes.length - begin);
  if (length > most) throw fail(versionEnd, `a header of at most ${most} bytes`, `${length}`);
  const start = begin + length;
  return { text: Buffer.from(bytes.subarray(begin, start)).toString('latin1'), begin, start };
}

interface ElementType<D extends NpyArray['dtype'] = NpyArray['dtype']> {
  dtype: D;
  /** Bytes of an element. */
  width: number;
  bigEndian: boolean;
}

function typeOf(descr: string, offset: number, fail: Fail): ElementType {
  const [, order, kind = '', digits = ''] = /^([<>|])([a-zA-Z])(\d{0,6})$/.exec(descr) ?? [];
  const bigEndian = order === '>';
  if (Object.hasOwn(arrays, kind + digits)) {
    const dtype = (kind + digits) as NpyNumberType;
    const width = arrays[dtype].BYTES_PER_ELEMENT;
    if (width === 1 || order !== '|') return { dtype, width, bigEndian };
  }
  const width = Number(digits) * (kind === 'U' ? 4 : 1);
  if ((kind === 'S' || (kind === 'U' && order !== '|')) && width >= 1 && width <= mostTextBytes) {
    return { dtype: kind, width, bigEndian };
  }
  const texts = `texts S and U of 1 to ${mostTextBytes} bytes`;
  const objects = kind === 'O' ? ', objects of Python, whose reading would run code' : '';
  const expected = `a type with its byte order, out of ${Object.keys(arrays).join(', ')}, ${texts}`;
  throw fail(offset, expected, `${JSON.stringify(descr.slice(0, 40))}${objects}`, otherType);
}

function unpackNumbers(
  part: Uint8Array,
  { dtype, width, bigEndian }: ElementType<NpyNumberType>,
  start: number,
  fail: Fail,
): NpyNumbers['data'] {
  if (dtype === 'b1') {
    const wrong = part.findIndex((value) => value > 1);
    if (wrong >= 0) throw fail(start + wrong, 'a truth value, 0 or 1', `${part[wrong]}`);
  }
  const copy = new Uint8Array(part);
  if (bigEndian && width > 1) {
    const swapped = Buffer.from(copy.buffer);
    if (width === 2) swapped.swap16();
    else if (width === 4) swapped.swap32();
    else swapped.swap64();
  }
  return new arrays[dtype](copy.buffer);
}

function unpackTexts(
  part: Uint8Array,
  { dtype, width, bigEndian }: ElementType<'S' | 'U'>,
  count: number,
  start: number,
  fail: Fail,
): string[] {
  if (count > mostTexts) throw fail(start, `at most ${mostTexts} texts`, `${count}`);
  const bytes = Buffer.from(part.buffer, part.byteOffset, part.byteLength);
  const texts: string[] = [];
  for (let at = 0; at < bytes.length; at += width) {
    if (dtype === 'S') {
      texts.push(withoutPadding(bytes.toString('latin1', at, at + width)));
      continue;
    }
    const characters: string[] = [];
    for (let place = at; place < at + width; place += 4) {
      const code = bigEndian ? bytes.readUInt32BE(place) : bytes.readUInt32LE(place);
      if (code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) {
        throw fail(start + place, 'a character of Unicode', `0x${code.toString(16)}`);
      }
      characters.push(String.fromCodePoint(code));
    }
    texts.push(withoutPadding(characters.join('')));
  }
  return texts;
}

/** A text without the zeros at its end. An expression would look through every other run of zeros, too. */
function withoutPadding(text: string): string {
  let length = text.length;
  while (length > 0 && text.charCodeAt(length - 1) === 0) length -= 1;
  return text.slice(0, length);
}

/** Elements row by row, of those that lie column by column: there the first index runs fastest. */
function toRows<T extends NpyArray['data']>(columns: T, shape: readonly number[]): T {
  const sizes = shape.filter((size) => size !== 1); // which change no order, and would cost a step each
  let stride = 1;
  const strides = sizes.map((size) => {
    stride *= size;
    return stride / size;
  });
  const rows = columns.slice() as T;
  const index = sizes.map(() => 0);
  let from = 0;
  for (let to = 0; to < rows.length; to++) {
    rows[to] = columns[from]!;
    for (let axis = sizes.length - 1; axis >= 0; axis--) {
      index[axis]! += 1;
      from += strides[axis]!;
      if (index[axis]! < sizes[axis]!) break;
      index[axis] = 0;
      from -= strides[axis]! * sizes[axis]!;
    }
  }
  return rows;
}

/** A whole number from 0 on. */
const isSize = (value: number) => Number.isSafeInteger(value) && value >= 0;

/** Number of elements. The product may be beyond all whole numbers, but not if it is that of the data. */
function sizeOf(shape: readonly number[]): number {
  return shape.includes(0) ? 0 : shape.reduce((product, size) => product * size, 1);
}
