import { TextDecoder } from 'node:util';
import v8 from 'node:v8';
import type { SetNativeError } from '../errors.js';
import { refusal } from './refusal.js';

/*
 * Files of named arrays in the format safetensors: eight bytes with the length of a header, the header in
 * JSON, and the arrays one behind the other, little-endian, row by row. Python's `safetensors` reads what is
 * written here, and the other way round.
 *
 * Files come from strangers. Everything that the header says is checked against the bytes that there are
 * before anything of its size is allocated.
 */

/** Types of elements, and the arrays that hold them. Half precision is not among them. */
const arrays = {
  F64: Float64Array,
  I64: BigInt64Array,
  U64: BigUint64Array,
  F32: Float32Array,
  I32: Int32Array,
  U32: Uint32Array,
  I16: Int16Array,
  U16: Uint16Array,
  I8: Int8Array,
  U8: Uint8Array,
  BOOL: Uint8Array,
} as const;

export type Dtype = keyof typeof arrays;

/** An array and its shape; `data` holds the product of the shape, row by row. */
export type Tensor = {
  [D in Dtype]: { dtype: D; shape: readonly number[]; data: InstanceType<(typeof arrays)[D]> };
}[Dtype];

export interface TensorFile {
  tensors: Map<string, Tensor>;
  metadata: Map<string, string>;
}

/** Most bytes of a header: a hundred thousand times what a model of three layers needs. */
const mostHeader = 2 ** 24;
const mostTensors = 100_000;
/** Of a header: itself, the metadata, and of each tensor its entry, shape and offsets. */
const mostObjects = 2 + 3 * mostTensors;
const mostDepth = 3;
/** Bytes of the heap per byte of JSON: metadata of short texts take half of them, the costliest header. */
const heapPerByte = 64;
/** Bytes in front of the header. */
const lengthBytes = 8;
const metadataKey = '__metadata__';

/**
 * The file of some tensors, in pieces that follow each other: the same tensors give the same bytes, in
 * whatever order they come. Tensors of wide elements come first, so that all are aligned.
 *
 * @throws RangeError for a name twice, and for a shape that is not that of the data: faults of the caller
 */
export function safetensorsPieces({ tensors, metadata }: TensorFile): Uint8Array[] {
  const width = ({ dtype }: Tensor) => arrays[dtype].BYTES_PER_ELEMENT;
  const ordered = [...tensors].sort((one, other) => width(other[1]) - width(one[1]) || byName(one, other));
  // Null prototype: `__proto__` may be a name.
  const header: Record<string, unknown> = Object.create(null);
  if (metadata.size > 0) header[metadataKey] = Object.fromEntries([...metadata].sort(byName));
  const pieces: Uint8Array[] = [];
  let end = 0;
  for (const [name, { dtype, shape, data }] of ordered) {
    if (elementsOf(shape) !== data.length || name === metadataKey) {
      throw new RangeError(`tensor ${name} of shape [${shape}] holds ${data.length} numbers`);
    }
    header[name] = { dtype, shape, data_offsets: [end, end + data.byteLength] };
    end += data.byteLength;
    pieces.push(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  }
  const text = Buffer.from(JSON.stringify(header));
  const padded = Buffer.alloc(lengthBytes + Math.ceil(text.length / 8) * 8, ' ');
  padded.writeBigUInt64LE(BigInt(padded.length - lengthBytes));
  text.copy(padded, lengthBytes);
  return [padded, ...pieces];
}

/**
 * Reads a file of tensors. Data are views of `bytes` where they are aligned, else copies.
 *
 * @param file its name, for messages
 * @throws SetNativeError ERR_DATA_FORMAT for everything that is not exactly such a file, naming the place
 */
export function readSafetensors(bytes: Uint8Array, file: string): TensorFile {
  const { entries, metadata, start } = readHeader(bytes, file);
  const fail = (name: string, expected: string, came: string) =>
    refuse(file, lengthBytes, `${expected} of tensor ${JSON.stringify(name)}`, came);
  const tensors = new Map<string, Tensor>();
  // Each begins where the one before it ends; of several that begin there all but the last are empty.
  const checked = entries.map((entry) => checkEntry(entry, bytes.length - start, fail));
  checked.sort((a, b) => a.begin - b.begin || a.end - b.end);
  let end = 0;
  for (const { name, dtype, shape, begin, end: next } of checked) {
    if (begin !== end)
      throw fail(name, `data from byte ${end} on`, `${begin}: tensors overlap, or leave a hole`);
    tensors.set(name, { dtype, shape, data: dataOf(bytes, dtype, start + begin, start + next) } as Tensor);
    end = next;
  }
  if (start + end !== bytes.length) {
    const expected = `the file to end at byte ${start + end}, as its header says`;
    throw refuse(file, start + end, expected, `${bytes.length} bytes`);
  }
  return { tensors, metadata };
}

/** Orders by code units, the same everywhere. */
function byName([name]: [string, unknown], [other]: [string, unknown]): number {
  return name < other ? -1 : name > other ? 1 : 0;
}

function refuse(
  file: string,
  offset: number,
  expected: string,
  came: string,
  cause?: unknown,
): SetNativeError<'ERR_DATA_FORMAT'> {
  const advice = 'the file is damaged, cut off, or no safetensors file';
  return refusal('load', file, { offset }, expected, came, advice, cause);
}

interface Header {
  /** Names of tensors, and what the header says of each. */
  entries: [string, unknown][];
  metadata: Map<string, string>;
  /** Byte where the data start. */
  start: number;
}

function readHeader(bytes: Uint8Array, file: string): Header {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < lengthBytes + 2) throw refuse(file, 0, 'at least 10 bytes', `${bytes.length}`);
  // Length: within the file, and small enough to be read.
  const length = view.getBigUint64(0, true);
  const { heap_size_limit: heap } = v8.getHeapStatistics();
  const most = Math.min(mostHeader, Math.floor(heap / heapPerByte), bytes.length - lengthBytes);
  if (length > BigInt(most)) throw refuse(file, 0, `a header of at most ${most} bytes`, `${length}`);
  const start = lengthBytes + Number(length);
  // JSON: an object, in UTF-8. What JSON.parse makes of a key that is there twice shows in the number of
  // keys; what it makes of a million lists takes seconds, and more memory than there may be.
  const fail = (expected: string, came: string) => refuse(file, lengthBytes, expected, came);
  let text: string;
  let outline: Outline;
  let parsed: unknown;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(
      bytes.subarray(lengthBytes, start),
    );
    if (!text.startsWith('{')) throw new SyntaxError('it does not begin with {');
    outline = outlineOf(text);
    if (outline.depth > mostDepth || outline.objects > mostObjects) {
      throw new SyntaxError(`more than ${mostObjects} objects and lists, or some ${mostDepth + 1} deep`);
    }
    parsed = JSON.parse(text);
  } catch (cause) {
    const { message } = cause as Error;
    throw refuse(file, lengthBytes, 'a header in JSON', `${message.slice(0, 100)}`, cause);
  }
  const { [metadataKey]: given = {}, ...named } = parsed as Record<string, unknown>;
  // The rest parameter drops no own key, `__proto__` included.
  const entries = Object.entries(named);
  if (entries.length > mostTensors) throw fail(`at most ${mostTensors} tensors`, `${entries.length}`);
  if (!isObject(given) || !Object.values(given).every((value) => typeof value === 'string')) {
    throw fail(`texts in ${metadataKey}`, show(given));
  }
  const metadata = new Map(Object.entries(given as Record<string, string>));
  const expected =
    entries.length +
    (metadataKey in (parsed as object) ? 1 + metadata.size : 0) +
    entries.reduce((sum, [, entry]) => sum + (isObject(entry) ? Object.keys(entry).length : 0), 0);
  if (outline.keys !== expected)
    throw fail(`${expected} different keys`, `${outline.keys}: some are there twice, or out of place`);
  return { entries, metadata, start };
}

interface Outline {
  /** Keys, those that are there twice counted twice. */
  keys: number;
  objects: number;
  depth: number;
}

/** Counts, outside of strings, the colons of a text in JSON and its objects and lists. */
function outlineOf(text: string): Outline {
  let [keys, objects, depth, most] = [0, 0, 0, 0];
  for (let i = 0, inside = false; i < text.length; i++) {
    const character = text[i];
    if (character === '"') inside = !inside;
    else if (inside) {
      if (character === '\\') i += 1;
    } else if (character === ':') keys += 1;
    else if (character === '{' || character === '[') {
      objects += 1;
      depth += 1;
      if (depth > most) most = depth;
    } else if (character === '}' || character === ']') depth -= 1;
  }
  return { keys, objects, depth: most };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

interface Entry {
  name: string;
  dtype: Dtype;
  shape: number[];
  begin: number;
  end: number;
}

/** A value of the header, for messages. */
function show(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (Array.isArray(value)) {
    const items = value.slice(0, 8).map((item) => (typeof item === 'object' ? '…' : JSON.stringify(item)));
    return `[${items.join(',')}${value.length > 8 ? ',…' : ''}]`;
  }
  return isObject(value) ? 'an object' : JSON.stringify(value).slice(0, 100);
}

/** A whole number from 0 on. */
const isSize = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

/** Checks what the header says of a tensor, of data that have so many bytes. */
function checkEntry(
  [name, entry]: [string, unknown],
  bytes: number,
  fail: (name: string, expected: string, came: string) => Error,
): Entry {
  if (!isObject(entry)) throw fail(name, 'dtype, shape and data_offsets', show(entry));
  const { dtype, shape, data_offsets: offsets, ...more } = entry;
  if (Object.keys(more).length > 0)
    throw fail(name, 'dtype, shape and data_offsets alone', show(Object.keys(more)));
  if (typeof dtype !== 'string' || !Object.hasOwn(arrays, dtype)) {
    throw fail(name, `a dtype out of ${Object.keys(arrays).join(', ')}`, show(dtype));
  }
  if (!Array.isArray(shape) || !shape.every(isSize))
    throw fail(name, 'a shape of whole numbers', show(shape));
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isSize)) {
    throw fail(name, 'two data_offsets', show(offsets));
  }
  const [begin, end] = offsets as [number, number];
  if (begin > end || end > bytes)
    throw fail(name, `data_offsets that ascend to at most ${bytes}`, show(offsets));
  const { BYTES_PER_ELEMENT } = arrays[dtype as Dtype];
  if (elementsOf(shape) * BYTES_PER_ELEMENT !== end - begin) {
    throw fail(name, `${end - begin} bytes`, `shape ${show(shape)} of ${BYTES_PER_ELEMENT} bytes each`);
  }
  return { name, dtype: dtype as Dtype, shape, begin, end };
}

/** Product of the sizes. It may be beyond all numbers, but not if it is that of the data. */
function elementsOf(shape: readonly number[]): number {
  return shape.includes(0) ? 0 : shape.reduce((product, size) => product * size, 1);
}

/** Elements in bytes [begin, end): a view where they are aligned, else a copy. */
function dataOf(bytes: Uint8Array, dtype: Dtype, begin: number, end: number): Tensor['data'] {
  const type = arrays[dtype];
  const aligned = (bytes.byteOffset + begin) % type.BYTES_PER_ELEMENT === 0;
  const part = aligned ? bytes.subarray(begin, end) : Uint8Array.from(bytes.subarray(begin, end));
  return new type(part.buffer as ArrayBuffer, part.byteOffset, part.length / type.BYTES_PER_ELEMENT);
}
