import { setImmediate as otherEvents } from 'node:timers/promises';
import { URL } from 'node:url';
import { types } from 'node:util';
import { Worker } from 'node:worker_threads';
import { checkHooks, checkKeys } from '../checks.js';
import { aborted, checkSignal, SetNativeError } from '../errors.js';
import { nodeOptions, receivedError } from '../threads.js';
import { whenAborted } from '../whenAborted.js';
import type { ReadCsvOptions } from './readCsv.js';
import type { LookupOptions } from './registry.js';
import type { Call, Reply, ThreadSetup } from './thread.js';
import { isArrayNumber, replaced, type SharedArray, type TypedArray } from './threadData.js';
import type { Prepared, PrepareOptions } from './transform.js';
import type { Dataset, TargetDataset, TargetSamples } from './types.js';

/*
 * Loading and preparing on a worker thread, for servers whose event loop must not wait. Each gives what the
 * function without `Async` gives, and rejects as that one throws.
 */

/** What every asynchronous form takes beside the options of the other. */
export interface ThreadOptions {
  /** Stops the call, which rejects with ERR_ABORTED. */
  signal?: AbortSignal;
}

/** Does what `loadDataset` does, on a worker thread. */
export function loadDatasetAsync(
  name: string,
  options: LookupOptions & ThreadOptions = {},
): Promise<Dataset> {
  return inThread('loadDataset', name, options);
}

/**
 * Does what `readCsv` does, on a worker thread. Bytes, which must not change until the promise has settled,
 * are copied piece by piece; a text is copied at once.
 */
export function readCsvAsync(
  source: string | Uint8Array,
  options: ReadCsvOptions & ThreadOptions & { target: string | readonly string[] },
): Promise<TargetDataset>;
export function readCsvAsync(
  source: string | Uint8Array,
  options?: ReadCsvOptions & ThreadOptions & { target?: never },
): Promise<Dataset>;
export function readCsvAsync(
  source: string | Uint8Array,
  options: ReadCsvOptions & ThreadOptions = {},
): Promise<Dataset | TargetDataset> {
  return inThread('readCsv', source, options);
}

/**
 * Does what `prepare` does, on a worker thread, which takes a copy of the data set: that much more memory
 * until it is done. The data set must not change until the promise has settled.
 */
export function prepareAsync(dataset: Dataset, options?: PrepareOptions & ThreadOptions): Promise<Prepared>;
export function prepareAsync(
  dataset: TargetDataset,
  options?: PrepareOptions & ThreadOptions,
): Promise<Prepared<TargetSamples>>;
export function prepareAsync(
  dataset: Dataset | TargetDataset,
  options: PrepareOptions & ThreadOptions = {},
): Promise<Prepared | Prepared<TargetSamples>> {
  return inThread('prepare', dataset, options);
}

/** Elements that are copied between two looks at other events: about a millisecond. */
const piece = 2 ** 20;

async function inThread<T>(call: Call, source: unknown, options: ThreadOptions): Promise<T> {
  checkKeys(call, options, Object.keys(Object(options))); // whether it is such an object; the thread checks its keys
  const { signal, ...rest } = options;
  checkHooks(call, { signal });
  checkSignal(call, signal, 'before it began');
  // Copy the arrays.
  const arrays: TypedArray[] = [];
  const numbered = numberArrays(call, source, arrays);
  const shared: SharedArray[] = [];
  for (const array of arrays) shared.push(await share(call, array, signal));
  checkSignal(call, signal, 'before it was done');
  // Make the call. Arrays that it hands through are those that were given.
  const worker = start(call, { call, source: numbered, options: rest, shared });
  const reply = await replyOf(call, worker, signal);
  if ('error' in reply) throw receivedError(reply.error, signal);
  return replaced(reply.result, (item) => {
    if (types.isFloat32Array(item)) return new Float32Array(item.buffer, item.byteOffset, item.length);
    if (types.isUint32Array(item)) return new Uint32Array(item.buffer, item.byteOffset, item.length);
    return isArrayNumber(item) ? arrays[item.sharedArray] : item;
  }) as T;
}

/** A copy of what is given with numbers in the place of its arrays, which are added to `arrays`. */
function numberArrays(call: Call, source: unknown, arrays: TypedArray[]): unknown {
  try {
    return replaced(source, (item) => {
      if (!types.isTypedArray(item)) return item;
      const array = item as TypedArray;
      if (!arrays.includes(array)) arrays.push(array);
      return { sharedArray: arrays.indexOf(array) };
    });
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause; // of the stack: an object that holds itself
    throw notPlain(call, 'an object that holds itself', cause);
  }
}

function notPlain(call: Call, came: string, cause: unknown): SetNativeError {
  const text = `[${call}] expected plain data, which can be sent to a thread, came ${came}`;
  return new SetNativeError('ERR_INVALID_ARGUMENT', text, { cause });
}

function start(call: Call, setup: ThreadSetup): Worker {
  try {
    return new Worker(new URL('./thread.js', import.meta.url), { workerData: setup, ...nodeOptions() });
  } catch (cause) {
    if ((cause as Error).name !== 'DataCloneError') throw cause;
    throw notPlain(call, `"${(cause as Error).message}"`, cause);
  }
}

/** The answer of the worker, or how it ended without one. The worker has ended when it settles. */
async function replyOf(call: Call, worker: Worker, signal: AbortSignal | undefined): Promise<Reply> {
  let forget = () => {};
  try {
    return await new Promise<Reply>((resolve, reject) => {
      forget = whenAborted(signal, () => reject(aborted(call, signal, 'before it was done')));
      worker.once('message', resolve);
      worker.once('messageerror', reject);
      worker.once('error', (cause: Error & { code?: string }) => {
        if (cause.code !== 'ERR_WORKER_OUT_OF_MEMORY') return reject(cause);
        const text = `[${call}] expected room for the table, came "${cause.message}"`;
        reject(new SetNativeError('ERR_OUT_OF_MEMORY', text, { cause }));
      });
      worker.once('exit', (code) => {
        reject(new SetNativeError('ERR_INTERNAL', `[${call}] its thread ended with code ${code}`));
      });
    });
  } finally {
    forget();
    await worker.terminate();
  }
}

/** Copies an array into memory that all threads see, without keeping the event loop for long. */
async function share(call: Call, array: TypedArray, signal: AbortSignal | undefined): Promise<SharedArray> {
  const { length } = array;
  let copy: TypedArray;
  try {
    const memory = new SharedArrayBuffer(length * array.BYTES_PER_ELEMENT);
    const Own = types.isUint8Array(array) ? Uint8Array : array.constructor; // a Buffer is one, too
    copy = new (Own as new (memory: SharedArrayBuffer) => TypedArray)(memory);
  } catch (cause) {
    const text = `[${call}] expected room for a copy of ${length} numbers, came "${(cause as Error).message}"`;
    throw new SetNativeError('ERR_OUT_OF_MEMORY', text, { cause });
  }
  for (let at = 0; at < length; at += piece) {
    if (array.length !== length) {
      throw new SetNativeError(
        'ERR_INVALID_ARGUMENT',
        `[${call}] an array was detached or resized while it was copied; leave arrays as they are until the call ends`,
      );
    }
    copy.set(array.subarray(at, at + piece) as never, at);
    if (at + piece >= length) break;
    await otherEvents();
    checkSignal(call, signal, 'before it was done');
  }
  return copy as SharedArray;
}
