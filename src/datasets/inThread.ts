import { setImmediate as otherEvents } from 'node:timers/promises';
import { types } from 'node:util';
import { Worker } from 'node:worker_threads';
import { checkHooks, checkKeys } from '../checks.js';
import { aborted, checkSignal, SetNativeError } from '../errors.js';
import { nodeOptions, receivedError } from '../threads.js';
import type { ReadCsvOptions } from './readCsv.js';
import type { LookupOptions } from './registry.js';
import type { Call, Reply, SharedArray, ThreadSetup, TypedArray } from './thread.js';
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

/** Does what `readCsv` does, on a worker thread. Bytes must not change until the promise has settled. */
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
  if (typeof options !== 'object' || options === null) checkKeys(call, options, []);
  const { signal, ...rest } = options;
  checkHooks(call, { signal });
  checkSignal(call, signal, 'before it began');
  const arrays: TypedArray[] = []; // those given, by the numbers of their copies
  const shared: SharedArray[] = [];
  for (const array of arraysIn(source)) {
    arrays.push(array);
    shared.push(await share(call, array, signal));
  }
  const worker = start(call, { call, source: numbered(source, arrays), options: rest, shared });
  const reply = await replyOf(call, worker, signal);
  if ('error' in reply) throw receivedError(reply.error, signal);
  return unnumbered(reply.result, arrays) as T;
}

function start(call: Call, setup: ThreadSetup): Worker {
  try {
    return new Worker(new URL('./thread.js', import.meta.url), { workerData: setup, ...nodeOptions() });
  } catch (cause) {
    if ((cause as Error).name !== 'DataCloneError') throw cause;
    throw new SetNativeError(
      'ERR_INVALID_ARGUMENT',
      `[${call}] expected plain data, which can be sent to a thread: ${(cause as Error).message}`,
      { cause },
    );
  }
}

/** The answer of the worker, or how it ended without one. The worker has ended when it settles. */
async function replyOf(call: Call, worker: Worker, signal: AbortSignal | undefined): Promise<Reply> {
  let stop: (() => void) | undefined;
  try {
    return await new Promise<Reply>((resolve, reject) => {
      stop = () => reject(aborted(call, signal, 'before it was done'));
      signal?.addEventListener('abort', stop);
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
    if (stop) signal?.removeEventListener('abort', stop);
    await worker.terminate();
  }
}

/** Typed arrays within plain objects and arrays, each once. */
function arraysIn(value: unknown, found = new Set<TypedArray>()): Set<TypedArray> {
  if (types.isTypedArray(value)) found.add(value as TypedArray);
  else if (isPlain(value)) for (const item of Object.values(value)) arraysIn(item, found);
  return found;
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

const isPlain = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && !ArrayBuffer.isView(value);

/** A copy of plain data in which numbers, { sharedArray }, stand for the arrays of a list. */
function numbered(value: unknown, arrays: readonly TypedArray[]): unknown {
  if (types.isTypedArray(value)) return { sharedArray: arrays.indexOf(value as TypedArray) };
  return mapped(value, (item) => numbered(item, arrays));
}

/** What a thread sent, in objects of this realm, with the arrays that were given in the places of numbers. */
function unnumbered(value: unknown, arrays: readonly TypedArray[]): unknown {
  if (types.isFloat32Array(value)) return new Float32Array(value.buffer, value.byteOffset, value.length);
  if (types.isUint32Array(value)) return new Uint32Array(value.buffer, value.byteOffset, value.length);
  if (isPlain(value) && 'sharedArray' in value) return arrays[value.sharedArray as number];
  return mapped(value, (item) => unnumbered(item, arrays));
}

function mapped(value: unknown, map: (item: unknown) => unknown): unknown {
  if (!isPlain(value)) return value;
  if (Array.isArray(value)) return Array.from(value, map);
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, map(item)]));
}
