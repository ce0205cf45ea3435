import { types } from 'node:util';
import { parentPort, workerData } from 'node:worker_threads';
import { type SentError, sentError } from '../threads.js';
import { readCsv } from './readCsv.js';
import { loadDataset } from './registry.js';
import { prepare } from './transform.js';

/*
 * Program of a worker thread: makes one call, and sends what it gave.
 */

export type TypedArray = Float32Array | Uint32Array | Uint8Array;
export type SharedArray = TypedArray & { buffer: SharedArrayBuffer };

const calls = { loadDataset, readCsv, prepare };
export type Call = keyof typeof calls;

export interface ThreadSetup {
  call: Call;
  /** First argument; { sharedArray } stands for an array of `shared`, by its number. */
  source: unknown;
  options: object;
  shared: SharedArray[];
}

/** What the call gave, { sharedArray } in the place of an array of `shared`; or its error. */
export type Reply = { result: unknown } | { error: SentError };

const { call, source, options, shared } = workerData as ThreadSetup;
const isPlain = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && !ArrayBuffer.isView(value);

function mapped(value: unknown, map: (item: unknown) => unknown): unknown {
  if (!isPlain(value)) return map(value);
  if (Array.isArray(value)) return value.map((item) => mapped(item, map));
  if ('sharedArray' in value) return map(value);
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, mapped(item, map)]));
}

const run = calls[call] as (source: unknown, options: object) => unknown;
try {
  const given = mapped(source, (item) => {
    if (!isPlain(item)) return item;
    const array = shared[(item as { sharedArray: number }).sharedArray]!;
    return types.isUint8Array(array) ? Uint8Array.from(array) : array; // decoders take no shared bytes
  });
  const transfer = new Set<ArrayBuffer>();
  const result = mapped(run(given, options), (item) => {
    if (!types.isTypedArray(item)) return item;
    const { buffer, byteLength } = item as TypedArray;
    const array = shared.findIndex((each) => each.buffer === (buffer as unknown));
    if (array >= 0) return { sharedArray: array };
    if (buffer.byteLength === byteLength) transfer.add(buffer as ArrayBuffer);
    return item;
  });
  parentPort!.postMessage({ result } satisfies Reply, [...transfer]);
} catch (cause) {
  parentPort!.postMessage({ error: sentError(cause) } satisfies Reply);
}
