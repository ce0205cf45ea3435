import { inflateSync } from 'node:zlib';
import { ByteReader, MAX_FILE_BYTES, readBytes, unpackError } from './bytes.js';
import type { RawSamples } from './labels.js';

/*
 * MATLAB level 5 MAT-files (`save -v6` and `-v7`), as far as data sets need them: real two-dimensional matrices of
 * double, single and (u)int8 .. (u)int32, either byte order, compressed or not. Our own parser, because npm has no
 * well-kept one. Source: "MAT-File Format", The MathWorks, chapter 1.
 *
 * A file is a header of 128 bytes and then elements: a tag (type, byte count), the data, padding to 8 bytes. Up to 4
 * bytes of data may lie in the tag itself ("small element"). A matrix is an element made of elements: flags,
 * dimensions, name, values column by column.
 */

/** A real matrix. */
export interface MatMatrix {
  rows: number;
  columns: number;
  /** Column by column: cell (r, c) is values[c * rows + r]. */
  values: Float64Array;
}

const HEADER_BYTES = 128;
const MAX_NAME_BYTES = 63; // MATLAB's namelengthmax
const INT8 = 1;
const INT32 = 5;
const UINT32 = 6;
const MATRIX = 14;
const COMPRESSED = 15;

/** How to read one value of each numeric element type. */
const VALUE_TYPES: Record<number, { bytes: number; read(view: DataView, at: number, little: boolean): number }> = {
  1: { bytes: 1, read: (view, at) => view.getInt8(at) },
  2: { bytes: 1, read: (view, at) => view.getUint8(at) },
  3: { bytes: 2, read: (view, at, little) => view.getInt16(at, little) },
  4: { bytes: 2, read: (view, at, little) => view.getUint16(at, little) },
  5: { bytes: 4, read: (view, at, little) => view.getInt32(at, little) },
  6: { bytes: 4, read: (view, at, little) => view.getUint32(at, little) },
  7: { bytes: 4, read: (view, at, little) => view.getFloat32(at, little) },
  9: { bytes: 8, read: (view, at, little) => view.getFloat64(at, little) },
};

/** Array classes by number; what is not numeric up to 32 bits and double can be named but not read. */
const CLASS_NAMES = [
  ...['?', 'cell', 'struct', 'object', 'char', 'sparse', 'double', 'single', 'int8', 'uint8', 'int16', 'uint16'],
  ...['int32', 'uint32', 'int64', 'uint64', 'function', 'opaque'],
];
const FIRST_NUMERIC_CLASS = 6;
const LAST_NUMERIC_CLASS = 13;
const OPAQUE_CLASS = 17;
const COMPLEX_FLAG = 0x08;

interface Element {
  type: number;
  data: ByteReader;
}

/** Reads one element and steps over its padding. The data reader knows its own file and place for errors. */
function readElement(reader: ByteReader, what: string): Element {
  const start = reader.offset;
  const word = reader.u32(`the tag of ${what}`);
  const smallBytes = word >>> 16;
  if (smallBytes > 4) throw reader.error(`at most 4 bytes in the small element of ${what}`, `${smallBytes}`, start);
  const type = word & 0xffff;
  const bytes = smallBytes > 0 ? smallBytes : reader.u32(`the byte count of ${what}`);
  const data = reader.window(bytes, what);
  // Only compressed elements lie unpadded. The last element of an unpacked matrix may lack its padding.
  const padding = smallBytes > 0 ? 4 - smallBytes : type === COMPRESSED ? 0 : (8 - (bytes % 8)) % 8;
  reader.take(Math.min(padding, reader.remaining), 'padding');
  return { type, data };
}

/** An element that must be of the given type. */
function readTyped(reader: ByteReader, type: number, what: string): ByteReader {
  const start = reader.offset;
  const element = readElement(reader, what);
  if (element.type !== type) throw reader.error(`element type ${type} for ${what}`, `type ${element.type}`, start);
  return element.data;
}

/** The values of a matrix: any numeric type may stand for any class, since MATLAB stores whole numbers small. */
function readValues(reader: ByteReader, count: number, what: string): Float64Array {
  const start = reader.offset;
  const { type, data } = readElement(reader, what);
  const valueType = VALUE_TYPES[type];
  if (valueType === undefined) throw reader.error(`a numeric element type for ${what}`, `type ${type}`, start);
  // Before anything of this size is allocated: the values must be there.
  if (data.remaining !== count * valueType.bytes) {
    throw data.error(`${count * valueType.bytes} bytes for the ${count} values of ${what}`, `${data.remaining}`);
  }
  const bytes = data.take(data.remaining, what);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const values = new Float64Array(count);
  for (let i = 0; i < count; i++) values[i] = valueType.read(view, i * valueType.bytes, reader.littleEndian);
  return values;
}

/** Reads a matrix element if it is one of `wanted`; tells the name of any other. */
function readMatrix(reader: ByteReader, wanted: readonly string[]): { name: string; matrix?: MatMatrix } | undefined {
  if (reader.remaining === 0) return undefined; // an empty element is an empty array without a name
  const flagsReader = readTyped(reader, UINT32, 'array flags');
  const flags = flagsReader.u32('array flags');
  const arrayClass = flags & 0xff;
  if (arrayClass === OPAQUE_CLASS) return undefined; // has neither dimensions nor a name of the usual kind
  const dimensions = readTyped(reader, INT32, 'dimensions');
  const nameReader = readTyped(reader, INT8, 'array name');
  if (nameReader.remaining > MAX_NAME_BYTES) {
    throw nameReader.error(`a name of at most ${MAX_NAME_BYTES} bytes`, `${nameReader.remaining}`);
  }
  const name = Buffer.from(nameReader.bytes).toString('latin1');
  if (!wanted.includes(name)) return { name };

  if (arrayClass < FIRST_NUMERIC_CLASS || arrayClass > LAST_NUMERIC_CLASS) {
    const className = CLASS_NAMES[arrayClass] ?? `class ${arrayClass}`;
    throw flagsReader.error(`a matrix of double, single or (u)int8 .. (u)int32 as variable ${name}`, className, 0);
  }
  if (((flags >>> 8) & COMPLEX_FLAG) !== 0) throw flagsReader.error(`real values in variable ${name}`, 'complex', 0);
  if (dimensions.remaining !== 8) {
    throw dimensions.error(`two dimensions of variable ${name}`, `${dimensions.remaining / 4}`);
  }
  const rows = dimensions.i32('rows');
  const columns = dimensions.i32('columns');
  if (rows < 1 || columns < 1)
    throw dimensions.error(`a matrix with cells as variable ${name}`, `${rows} × ${columns}`, 0);
  return { name, matrix: { rows, columns, values: readValues(reader, rows * columns, `variable ${name}`) } };
}

/** Checks the header and returns a reader behind it that knows the byte order. */
function readHeader(bytes: Uint8Array, file: string): ByteReader {
  const reader = new ByteReader(bytes, file);
  const text = Buffer.from(bytes.subarray(0, 116)).toString('latin1');
  if (text.startsWith('MATLAB 7.3') || text.startsWith('\x89HDF')) {
    throw reader.error('a level 5 MAT-file (MATLAB: `save -v7`)', 'version 7.3 (HDF5)', 0);
  }
  // Level 4 has no header text: its first four bytes are a small number.
  if (bytes.length >= 20 && bytes.subarray(0, 4).includes(0)) {
    throw reader.error('a level 5 MAT-file (MATLAB: `save -v7`)', 'a level 4 one, or no MAT-file', 0);
  }
  reader.take(HEADER_BYTES - 4, 'header');
  const [version0, version1, order0, order1] = reader.take(4, 'header') as unknown as [number, number, number, number];
  const order = String.fromCharCode(order0, order1);
  if (order !== 'IM' && order !== 'MI') {
    throw reader.error('IM or MI as byte order mark', JSON.stringify(order), HEADER_BYTES - 2);
  }
  reader.littleEndian = order === 'IM';
  const version = reader.littleEndian ? version0 | (version1 << 8) : (version0 << 8) | version1;
  if (version !== 0x0100) {
    throw reader.error('version 0x0100 (level 5)', `0x${version.toString(16).padStart(4, '0')}`, HEADER_BYTES - 4);
  }
  return reader;
}

/**
 * Parses the matrices `wanted` of a MAT-file. Other variables, of whatever class, are passed over.
 *
 * @param limit the most bytes all compressed variables together may have when unpacked
 * @throws SetNativeError ERR_DATA_FORMAT: not level 5, cut off or damaged, a wanted variable missing, complex, not
 *   two-dimensional, empty or of a class that is not read
 */
export function parseMat<Name extends string>(
  bytes: Uint8Array,
  file: string,
  wanted: readonly Name[],
  limit = MAX_FILE_BYTES,
): Record<Name, MatMatrix> {
  const reader = readHeader(bytes, file);
  const matrices: Partial<Record<string, MatMatrix>> = {};
  const names: string[] = [];
  let budget = limit;
  while (reader.remaining > 0) {
    const start = reader.offset;
    let element = readElement(reader, 'a variable');
    if (element.type === COMPRESSED) {
      let unpacked: Uint8Array;
      try {
        unpacked = inflateSync(element.data.bytes, { maxOutputLength: Math.max(1, budget) });
      } catch (cause) {
        throw unpackError(cause, file, { offset: start }, budget);
      }
      budget -= unpacked.length;
      const inner = new ByteReader(unpacked, `${file} (unpacked from byte ${start})`, reader.littleEndian);
      element = readElement(inner, 'a variable');
    }
    if (element.type !== MATRIX) {
      throw reader.error(`a matrix (element type ${MATRIX})`, `type ${element.type}`, start);
    }
    const variable = readMatrix(element.data, wanted);
    if (variable === undefined) continue;
    names.push(variable.name);
    if (variable.matrix !== undefined) matrices[variable.name] = variable.matrix;
  }
  for (const name of wanted) {
    if (matrices[name] === undefined) {
      throw reader.error(`a variable ${name}`, `only ${names.slice(0, 20).join(', ') || 'none'}`);
    }
  }
  return matrices as Record<Name, MatMatrix>;
}

/**
 * Reads a data set in the layout of scikit-feature: X, samples × features, and Y, one label per sample.
 *
 * @throws SetNativeError ERR_DATA_FORMAT (see parseMat; also when Y does not have one label per row of X),
 *   ERR_DATA_NOT_FOUND, ERR_IO
 */
export function readMatSamples(file: string): RawSamples {
  return matSamples(readBytes(file), file);
}

/** The same from bytes. */
export function matSamples(bytes: Uint8Array, file: string): RawSamples {
  const { X, Y } = parseMat(bytes, file, ['X', 'Y']);
  const { rows: count, columns: features } = X;
  if (Y.values.length !== count || Math.min(Y.rows, Y.columns) !== 1) {
    throw new ByteReader(bytes, file).error(`Y of ${count} × 1, as X has ${count} rows`, `${Y.rows} × ${Y.columns}`);
  }
  const x = new Float32Array(count * features);
  for (let column = 0; column < features; column++) {
    for (let row = 0; row < count; row++) x[row * features + column] = X.values[column * count + row]!;
  }
  return { file, x, labels: Array.from(Y.values), count, features };
}
