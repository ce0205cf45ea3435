import { types } from 'node:util';
import { parentPort, workerData } from 'node:worker_threads';
import { type SentError, sentError } from '../threads.js';
import { readCsv } from './readCsv.js';
import { loadDataset } from './registry.js';
import {
  type ArrayNumber,
  isArrayNumber,
  replaced,
  type SharedArray,
  type TypedArray,
} from './threadData.js';
import { prepare } from './transform.js';

/*
 * Program of a worker thread: makes one call, and sends what it gave.
 */

const calls = { loadDataset, readCsv, prepare };
export type Call = keyof typeof calls;

export interface ThreadSetup {
  call: Call;
  /** First argument, an ArrayNumber in the place of an array of `shared`. */
  source: unknown;
  options: object;
  shared: SharedArray[];
}

/** What the call gave, an ArrayNumber in the place of an array of `shared`; or its error. */
export type Reply = { result: unknown } | { error: SentError };

const { call, source, options, shared } = workerData as ThreadSetup;

const run = calls[call] as (source: unknown, options: object) => unknown;
try {
  const given = replaced(source, (item) => {
    if (!isArrayNumber(item)) return item;
    const array = shared[item.sharedArray]!;
    return types.isUint8Array(array) ? Uint8Array.from(array) : array; // decoders take no shared bytes
  });
  const transfer = new Set<ArrayBuffer>();
  const result = replaced(run(given, options), (item) => {
    if (!types.isTypedArray(item)) return item;
    const { buffer, byteLength } = item as TypedArray;
    const sharedArray = shared.findIndex((each) => each.buffer === (buffer as unknown));
    if (sharedArray >= 0) return { sharedArray } satisfies ArrayNumber;
    if (buffer.byteLength === byteLength) transfer.add(buffer as ArrayBuffer);
    return item;
  });
  parentPort!.postMessage({ result } satisfies Reply, [...transfer]);
} catch (cause) {
  parentPort!.postMessage({ error: sentError(cause) } satisfies Reply);
}
