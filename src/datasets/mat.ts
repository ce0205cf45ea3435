import { constants, inflateSync, type ZlibOptions } from 'node:zlib';
import { isSetNativeError, SetNativeError } from '../errors.js';
import {
  ADVICE,
  ByteReader,
  checkSampleCount,
  formatError,
  machineMemory,
  mostInflated,
  readBytes,
  tooLarge,
  unpackError,
  unpackedLimit,
} from './bytes.js';
import type { RawSamples } from './labels.js';

/*
 * Reads MATLAB level 5 MAT-files (`save -v6` and `-v7`), as far as data sets need them: real two-dimensional
 * matrices, full or sparse, of double, single, logical and (u)int8 .. (u)int64, either byte order, compressed
 * or not. It is our own parser because npm has no well-kept one. Source: "MAT-File Format", The MathWorks,
 * chapter 1.
 *
 * A file is a header of 128 bytes and then elements: a tag (type, byte count), the data, padding to 8 bytes.
 * Up to 4 bytes of data may lie in the tag itself ("small element"). A matrix is an element made of elements:
 * flags, dimensions, name, values column by column. MATLAB stores whole numbers in the smallest type that
 * holds them, and other writers choose types freely, so the type of an element says how to read it and
 * nothing more.
 */

/** A real matrix. Its values stay in the bytes of the file until they are copied. */
export interface MatMatrix {
  rows: number;
  columns: number;
  /** Copies all cells, row by row, into a new (zero) array of rows × columns. */
  copyRows<Numbers extends Float32Array | Float64Array>(target: Numbers): Numbers;
  /** Error about the cell of this row and column, naming its byte. */
  error(row: number, column: number, expected: string, came: string, advice: string): SetNativeError;
}

const HEADER_BYTES = 128;
const MATRIX = 14;
const COMPRESSED = 15;
const TAG_BYTES = 8;

/** Most bytes of a name that are compared with `X` and `Y`, and shown in messages. */
const MAX_NAME_BYTES = 63;
/** Number of unpacked bytes that hold flags, dimensions and name. */
const PACKED_HEAD_BYTES = 512;
/** Bytes that may follow a packed matrix, padding included, and are not read. */
const SLACK_BYTES = 64;
/** Most variables that are read: the wanted ones are at the front of any real file. */
const MAX_VARIABLES = 2 ** 14;
const MAX_NAMES_SHOWN = 10;

interface NumberType {
  bytes: number;
  read(view: DataView, at: number, little: boolean): number;
}

/** A 64-bit integer from its halves, rounded to the nearest double, which is exact up to 2^53. */
const join = (high: number, low: number) => high * 2 ** 32 + low;

/** Reader of one value, by numeric element type. */
const NUMBER_TYPES: Record<number, NumberType> = {
  1: { bytes: 1, read: (view, at) => view.getInt8(at) },
  2: { bytes: 1, read: (view, at) => view.getUint8(at) },
  3: { bytes: 2, read: (view, at, little) => view.getInt16(at, little) },
  4: { bytes: 2, read: (view, at, little) => view.getUint16(at, little) },
  5: { bytes: 4, read: (view, at, little) => view.getInt32(at, little) },
  6: { bytes: 4, read: (view, at, little) => view.getUint32(at, little) },
  7: { bytes: 4, read: (view, at, little) => view.getFloat32(at, little) },
  9: { bytes: 8, read: (view, at, little) => view.getFloat64(at, little) },
  12: {
    bytes: 8,
    read: (view, at, little) =>
      join(view.getInt32(at + (little ? 4 : 0), little), view.getUint32(at + (little ? 0 : 4), little)),
  },
  13: {
    bytes: 8,
    read: (view, at, little) =>
      join(view.getUint32(at + (little ? 4 : 0), little), view.getUint32(at + (little ? 0 : 4), little)),
  },
};
/** Element types of names, which are ASCII: int8, uint8 and UTF-8. */
const TEXT_TYPES = [1, 2, 16];

/** Names of array classes, by number. */
const CLASS_NAMES = [
  ...[
    '?',
    'cell',
    'struct',
    'object',
    'char',
    'sparse',
    'double',
    'single',
    'int8',
    'uint8',
    'int16',
    'uint16',
  ],
  ...['int32', 'uint32', 'int64', 'uint64', 'function', 'opaque'],
];
const SPARSE_CLASS = 5;
const FIRST_NUMERIC_CLASS = 6;
const LAST_NUMERIC_CLASS = 15;
const OPAQUE_CLASS = 17;
const COMPLEX_FLAG = 0x08;

interface Tag {
  type: number;
  bytes: number;
  isSmall: boolean;
}

interface Element {
  type: number;
  data: ByteReader;
}

function readTag(reader: ByteReader, what: string): Tag {
  const start = reader.offset;
  const word = reader.u32(`the tag of ${what}`);
  const smallBytes = word >>> 16;
  if (smallBytes > 4) {
    const expected = `at most 4 bytes in the small element of ${what}`;
    throw reader.error(expected, `${smallBytes}`, ADVICE.damaged, start);
  }
  const type = word & 0xffff;
  const isSmall = smallBytes > 0;
  return { type, bytes: isSmall ? smallBytes : reader.u32(`the byte count of ${what}`), isSmall };
}

/**
 * Reads one element and skips its padding. The reader of its data knows its own file and place for errors.
 */
function readElement(reader: ByteReader, what: string): Element {
  const { type, bytes, isSmall } = readTag(reader, what);
  const data = reader.window(bytes, what);
  // Only compressed elements lie unpadded. The last element of an unpacked matrix may lack its padding.
  const padding = isSmall ? 4 - bytes : type === COMPRESSED ? 0 : (8 - (bytes % 8)) % 8;
  reader.take(Math.min(padding, reader.remaining), 'padding');
  return { type, data };
}

/** Numbers of an element, read one by one without a copy. */
class Numbers {
  readonly length: number;
  private readonly type: NumberType;
  private readonly reader: ByteReader;
  private readonly view: DataView;

  constructor(reader: ByteReader, what: string) {
    const start = reader.offset;
    const { type, data } = readElement(reader, what);
    const numberType = NUMBER_TYPES[type];
    if (numberType === undefined) {
      throw reader.error(`a numeric element type for ${what}`, `type ${type}`, ADVICE.damaged, start);
    }
    this.type = numberType;
    this.reader = data;
    this.view = new DataView(data.bytes.buffer, data.bytes.byteOffset, data.bytes.byteLength);
    this.length = data.bytes.length / numberType.bytes;
    if (!Number.isInteger(this.length)) {
      const expected = `a multiple of ${numberType.bytes} bytes of ${what}`;
      throw reader.error(expected, `${data.bytes.length}`, ADVICE.damaged, start);
    }
  }

  at(index: number): number {
    return this.type.read(this.view, index * this.type.bytes, this.reader.littleEndian);
  }

  /** Error about the number at `index`; index 0 also stands for all of them. */
  error(index: number, expected: string, came: string, advice: string): SetNativeError {
    return this.reader.error(expected, came, advice, index * this.type.bytes);
  }
}

interface Head {
  arrayClass: number;
  isComplex: boolean;
  /** Dimensions of the array; absent from objects of MATLAB. */
  dimensions: Numbers | undefined;
  name: string;
}

/** Reads the head of a matrix: flags, dimensions and name. */
function readHead(reader: ByteReader): Head {
  const flags = new Numbers(reader, 'array flags');
  if (flags.length === 0) throw flags.error(0, 'array flags', 'none', ADVICE.damaged);
  const word = flags.at(0);
  const arrayClass = word & 0xff;
  const isComplex = ((word >>> 8) & COMPLEX_FLAG) !== 0;
  const dimensions = arrayClass === OPAQUE_CLASS ? undefined : new Numbers(reader, 'dimensions');
  const start = reader.offset;
  const { type, data } = readElement(reader, 'array name');
  if (!TEXT_TYPES.includes(type)) {
    throw reader.error('text as array name', `element type ${type}`, ADVICE.damaged, start);
  }
  const isLong = data.remaining > MAX_NAME_BYTES;
  const name = Buffer.from(data.take(Math.min(data.remaining, MAX_NAME_BYTES), 'array name')).toString(
    'utf8',
  );
  return { arrayClass, isComplex, dimensions, name: isLong ? `${name}…` : name };
}

/** Numbers of rows and columns; further dimensions must be 1. */
function readShape(dimensions: Numbers, name: string): { rows: number; columns: number } {
  const { length } = dimensions;
  let isMatrix = length >= 2;
  for (let d = 2; isMatrix && d < length; d++) isMatrix = dimensions.at(d) === 1;
  if (!isMatrix) throw dimensions.error(0, `two dimensions of variable ${name}`, `${length}`, ADVICE.content);
  const [rows, columns] = [dimensions.at(0), dimensions.at(1)];
  if (!Number.isSafeInteger(rows) || !Number.isSafeInteger(columns) || rows < 1 || columns < 1) {
    throw dimensions.error(
      0,
      `a matrix with cells as variable ${name}`,
      `${rows} × ${columns}`,
      ADVICE.content,
    );
  }
  return { rows, columns };
}

/**
 * Number of columns that are copied side by side, so that the written part of a row fills a line of the
 * cache.
 */
const TILE = 16;

/** A full matrix, column by column. */
function fullMatrix(reader: ByteReader, rows: number, columns: number, what: string): MatMatrix {
  const values = new Numbers(reader, what);
  if (values.length !== rows * columns) {
    throw values.error(0, `${rows} × ${columns} values of ${what}`, `${values.length}`, ADVICE.damaged);
  }
  return {
    rows,
    columns,
    copyRows(target) {
      for (let from = 0; from < columns; from += TILE) {
        const to = Math.min(columns, from + TILE);
        for (let row = 0; row < rows; row++) {
          for (let column = from; column < to; column++)
            target[row * columns + column] = values.at(column * rows + row);
        }
      }
      return target;
    },
    error: (row, column, ...texts) => values.error(column * rows + row, ...texts),
  };
}

/** A sparse matrix: the row of each cell that is not 0, the start of each column, the value of each cell. */
function sparseMatrix(reader: ByteReader, rows: number, columns: number, what: string): MatMatrix {
  const rowIndices = new Numbers(reader, `the row indices of ${what}`);
  const starts = new Numbers(reader, `the column starts of ${what}`);
  const values = new Numbers(reader, `the values of ${what}`);
  if (starts.length !== columns + 1) {
    throw starts.error(0, `${columns + 1} column starts of ${what}`, `${starts.length}`, ADVICE.damaged);
  }
  // Both lists may be longer, with room for more cells.
  const most = Math.min(rowIndices.length, values.length);
  for (let column = 0; column <= columns; column++) {
    const [before, start] = [column === 0 ? 0 : starts.at(column - 1), starts.at(column)];
    const isOrdered = column === 0 ? start === 0 : start >= before && start <= most;
    if (!Number.isInteger(start) || !isOrdered) {
      const expected = column === 0 ? '0' : `${before} to ${most}`;
      throw starts.error(
        column,
        `${expected} as start ${column} of the columns of ${what}`,
        `${start}`,
        ADVICE.damaged,
      );
    }
    for (let i = before; i < start; i++) {
      const row = rowIndices.at(i);
      const least = i === before ? 0 : rowIndices.at(i - 1) + 1;
      if (Number.isInteger(row) && row >= least && row < rows) continue;
      throw rowIndices.error(
        i,
        `${least} to ${rows - 1} as row index ${i} of ${what}`,
        `${row}`,
        ADVICE.damaged,
      );
    }
  }
  return {
    rows,
    columns,
    copyRows(target) {
      for (let column = 0; column < columns; column++) {
        const end = starts.at(column + 1);
        for (let i = starts.at(column); i < end; i++)
          target[rowIndices.at(i) * columns + column] = values.at(i);
      }
      return target;
    },
    error: (_row, _column, ...texts) => values.error(0, ...texts),
  };
}

/** Reads the matrix of a wanted variable. */
function readMatrix(reader: ByteReader): MatMatrix {
  const { arrayClass, isComplex, dimensions, name } = readHead(reader);
  const isFull = arrayClass >= FIRST_NUMERIC_CLASS && arrayClass <= LAST_NUMERIC_CLASS;
  if (dimensions === undefined || !(isFull || arrayClass === SPARSE_CLASS)) {
    const className = CLASS_NAMES[arrayClass] ?? `class ${arrayClass}`;
    throw reader.error(`a matrix of numbers as variable ${name}`, className, ADVICE.content, 0);
  }
  if (isComplex) throw reader.error(`real values in variable ${name}`, 'complex', ADVICE.content, 0);
  const { rows, columns } = readShape(dimensions, name);
  return (isFull ? fullMatrix : sparseMatrix)(reader, rows, columns, `variable ${name}`);
}

const HDF5_SIGNATURE = Buffer.from('\x89HDF\r\n\x1a\n', 'latin1');
const HDF5_VERSION = 0x0200;

/**
 * Whether the bytes are HDF5, which begins at byte 0, or behind 512, 1024, 2048 .. bytes of something else.
 */
function isHdf5(bytes: Uint8Array): boolean {
  for (let at = 0; at + HDF5_SIGNATURE.length <= bytes.length; at = at === 0 ? 512 : 2 * at) {
    if (HDF5_SIGNATURE.equals(bytes.subarray(at, at + HDF5_SIGNATURE.length))) return true;
  }
  return false;
}

/** Checks the header; returns a reader that starts behind it and knows the byte order. */
function readHeader(bytes: Uint8Array, file: string): ByteReader {
  const reader = new ByteReader(bytes, file);
  const wrongLevel = (came: string) =>
    reader.error('a level 5 MAT-file', came, 'save it with `save -v7` in MATLAB', 0);
  const text = Buffer.from(bytes.subarray(0, 116)).toString('latin1');
  if (isHdf5(bytes) || text.startsWith('MATLAB 7.3')) throw wrongLevel('version 7.3 (HDF5)');
  // Level 4 has no header text: its first four bytes are a small number.
  if (bytes.length >= 20 && bytes.subarray(0, 4).includes(0))
    throw wrongLevel('a level 4 one, or no MAT-file');
  reader.take(HEADER_BYTES - 4, 'header');
  const [version0, version1, order0, order1] = reader.take(4, 'header') as unknown as [
    number,
    number,
    number,
    number,
  ];
  const order = String.fromCharCode(order0, order1);
  if (order !== 'IM' && order !== 'MI') {
    throw reader.error(
      'IM or MI as byte order mark',
      JSON.stringify(order),
      ADVICE.foreign,
      HEADER_BYTES - 2,
    );
  }
  reader.littleEndian = order === 'IM';
  const version = reader.littleEndian ? version0 | (version1 << 8) : (version0 << 8) | version1;
  if (version === HDF5_VERSION) throw wrongLevel('version 7.3 (HDF5)');
  if (version !== 0x0100) {
    const came = `0x${version.toString(16).padStart(4, '0')}`;
    throw reader.error('version 0x0100 (level 5)', came, ADVICE.foreign, HEADER_BYTES - 4);
  }
  return reader;
}

/** A variable, which is one of the elements of a file. */
interface Variable {
  /** Name; empty for an array without one. */
  name: string;
  /** Makes a reader of its matrix. */
  open(): ByteReader;
}

/** Number of bytes that may still be unpacked from a file. */
interface Budget {
  /** Bytes for names: a few hundred packed bytes may unpack to half a million. */
  names: number;
  /** Bytes for the wanted matrices. */
  matrices: number;
}

/**
 * Reads the name of a variable. A packed one is unpacked only as far as its name takes, until it is opened.
 */
function readVariable({ type, data }: Element, start: number, budget: Budget): Variable {
  const readName = (innerType: number, reader: ByteReader): string => {
    if (innerType !== MATRIX) {
      const expected = `a matrix (element type ${MATRIX})`;
      throw formatError(data.file, { offset: start }, expected, `type ${innerType}`, ADVICE.damaged);
    }
    return reader.remaining === 0 ? '' : readHead(reader).name; // an empty element is an empty array
  };
  if (type !== COMPRESSED) {
    const name = readName(type, data);
    data.offset = 0;
    return { name, open: () => data };
  }
  const inflate = (packed: Uint8Array, options: ZlibOptions, limit: number): ByteReader => {
    try {
      const bytes = inflateSync(packed, options);
      return new ByteReader(bytes, `${data.file} (unpacked from byte ${start})`, data.littleEndian);
    } catch (cause) {
      throw unpackError(cause, data.file, { offset: start }, limit);
    }
  };
  if (budget.names <= 0) {
    const expected = 'fewer bytes to unpack for the names of variables';
    throw formatError(data.file, { offset: start }, expected, 'more', 'keep X and Y alone in the file');
  }
  const packedHead = data.bytes.subarray(0, PACKED_HEAD_BYTES);
  const head = inflate(packedHead, { finishFlush: constants.Z_SYNC_FLUSH }, Number.POSITIVE_INFINITY);
  budget.names -= head.bytes.length;
  const tag = readTag(head, 'a variable');
  return {
    name: readName(tag.type, head),
    open() {
      const unpackedBytes = TAG_BYTES + tag.bytes;
      if (unpackedBytes > budget.matrices)
        throw tooLarge(data.file, { offset: start }, budget.matrices, `${unpackedBytes}`);
      // All in one chunk, with a byte to see the end, so that nothing is held twice.
      const maxOutputLength = unpackedBytes + SLACK_BYTES;
      const chunkSize = Math.min(maxOutputLength, mostInflated(data.bytes.length)) + 1;
      const reader = inflate(data.bytes, { maxOutputLength, chunkSize }, maxOutputLength);
      budget.matrices -= unpackedBytes;
      return readElement(reader, 'a variable').data;
    },
  };
}

/**
 * Parses the matrices `wanted` of a MAT-file. Other variables are skipped, whatever they are and however
 * damaged: they do not matter as long as all wanted ones are found.
 *
 * @param limit most bytes that may be unpacked for the wanted matrices, and for all names
 * @throws SetNativeError ERR_DATA_FORMAT: not level 5, cut off or damaged, a wanted variable missing or there
 * twice, complex, not two-dimensional, empty or of a class that is not read
 */
export function parseMat<Name extends string>(
  bytes: Uint8Array,
  file: string,
  wanted: readonly Name[],
  limit = unpackedLimit(),
): Record<Name, MatMatrix> {
  const reader = readHeader(bytes, file);
  const matrices: Partial<Record<string, MatMatrix>> = {};
  const names: string[] = [];
  /** First error of an element that could not be read: it may be the missing variable. */
  let unread: SetNativeError<'ERR_DATA_FORMAT'> | undefined;
  const budget: Budget = { names: limit, matrices: limit };
  for (let count = 0; reader.remaining > 0; count++) {
    const start = reader.offset;
    if (count === MAX_VARIABLES) {
      unread ??= reader.error(`at most ${MAX_VARIABLES} variables`, 'more', ADVICE.content);
      break;
    }
    const element = attempt(() => readElement(reader, 'a variable'));
    if (element instanceof SetNativeError) {
      unread ??= element;
      break; // the start of the next one is not known
    }
    const variable = attempt(() => readVariable(element, start, budget));
    if (variable instanceof SetNativeError) {
      unread ??= variable;
      continue;
    }
    const { name } = variable;
    if (!wanted.includes(name as Name)) {
      if (names.length < MAX_NAMES_SHOWN) names.push(name || '(no name)');
      continue;
    }
    if (matrices[name] !== undefined)
      throw reader.error(`one variable ${name}`, 'a second', ADVICE.content, start);
    matrices[name] = readMatrix(variable.open());
  }
  const missing = wanted.find((name) => matrices[name] === undefined);
  if (missing !== undefined) {
    const came = `only ${[...Object.keys(matrices), ...names].join(', ') || 'none'}`;
    if (unread === undefined) throw formatError(file, {}, `a variable ${missing}`, came, ADVICE.content);
    const { offset, expected, came: found } = unread.details;
    const both = `what cannot be read here (expected ${expected}, came ${found}), and ${came}`;
    const advice = 'the file is damaged, or not the right one: fetch it again, or check which it is';
    throw formatError(file, { offset }, `a variable ${missing}`, both, advice, unread);
  }
  return matrices as Record<Name, MatMatrix>;
}

/** The result of `read`, or the error of bytes that could not be read. */
function attempt<Result>(read: () => Result): Result | SetNativeError<'ERR_DATA_FORMAT'> {
  try {
    return read();
  } catch (error) {
    if (isSetNativeError(error, 'ERR_DATA_FORMAT')) return error;
    throw error;
  }
}

/**
 * Reads a data set in the layout of scikit-feature: X, samples × features, and Y, one label per sample.
 *
 * @throws SetNativeError ERR_DATA_FORMAT (see matSamples), ERR_DATA_NOT_FOUND, ERR_IO, ERR_OUT_OF_MEMORY
 */
export function readMatSamples(file: string): RawSamples {
  return matSamples(readBytes(file), file);
}

/**
 * Makes the samples of the bytes of such a file. Y may be a row or a column; so may X where it has one
 * feature.
 *
 * @param memory bytes that this process may use; see checkSampleCount
 * @throws SetNativeError ERR_DATA_FORMAT: see parseMat; also when Y does not have one label per row of X, or
 * a label that is too large to be exact; ERR_OUT_OF_MEMORY
 */
export function matSamples(bytes: Uint8Array, file: string, memory = machineMemory()): RawSamples {
  const { X, Y } = parseMat(bytes, file, ['X', 'Y'], unpackedLimit(memory));
  const labelCount = Math.max(Y.rows, Y.columns);
  const isLying = X.rows === 1 && labelCount === X.columns;
  const [count, features] = isLying ? [X.columns, 1] : [X.rows, X.columns];
  if (labelCount !== count || Math.min(Y.rows, Y.columns) !== 1) {
    const advice =
      labelCount === features ? 'transpose X, which must have one sample per row' : ADVICE.content;
    throw formatError(
      file,
      {},
      `Y of ${count} × 1, as X has ${count} rows`,
      `${Y.rows} × ${Y.columns}`,
      advice,
    );
  }
  checkSampleCount(file, count, features, memory);
  const labels = Y.copyRows(new Float64Array(count));
  const inexact = labels.findIndex((label) => Math.abs(label) > Number.MAX_SAFE_INTEGER);
  if (inexact >= 0) {
    const [row, column] = Y.columns === 1 ? [inexact, 0] : [0, inexact];
    const expected = `a whole number of at most 2^53 - 1 as label of sample ${inexact + 1}`;
    throw Y.error(row, column, expected, `${labels[inexact]}`, ADVICE.content);
  }
  return { file, x: X.copyRows(new Float32Array(count * features)), labels, count, features };
}
