import { setImmediate as otherEvents } from 'node:timers/promises';
import { checkHooks, checkKeys } from '../checks.js';
import { checkSampleKinds, checkShape, firstNonFinite } from '../datasets/samples.js';
import type { AnySamples, Samples, TargetSamples } from '../datasets/types.js';
import { checkSignal, isSetNativeError, SetNativeError } from '../errors.js';
import { fromNative, type NativeSamples, native } from '../native.js';
import type { CallOptions } from './calls.js';
import { checkSamplesFor, type Ends } from './samples.js';

/*
 * Samples on their way into native memory, where models read them. Large ones are copied piece by piece, with
 * room for other events in between, and checked on a native thread.
 */

type Given = Pick<AnySamples, 'x' | 'features'> & Partial<Samples & TargetSamples>;

/** Numbers that are copied and checked at once: less than a millisecond. */
const atOnce = 2 ** 18;
/** Numbers of a piece: some milliseconds, with memory that is touched for the first time. */
const piece = 2 ** 20;

/**
 * Throws `cause` as an error that names the call and, of a number that is not finite, its row and feature.
 */
function refuse(operation: string, name: string | undefined, samples: Given, cause: unknown): never {
  const error = fromNative(cause);
  if (!(error instanceof SetNativeError) || !error.message.startsWith('[samples] ')) throw error;
  const found = isSetNativeError(error, 'ERR_NON_FINITE') && firstNonFinite(samples);
  if (!found) {
    const text = error.message.replace('[samples] ', name === undefined ? '' : `${name}.`);
    throw new SetNativeError(error.code, `[${operation}] ${text}`, { details: error.details, cause });
  }
  const { row, feature, value } = found;
  throw new SetNativeError(
    'ERR_NON_FINITE',
    `[${operation}] ${name === undefined ? 'x' : `${name}.x`} must be finite, got ${value} in row ${row}, ` +
      `feature ${feature}; fill or leave out such rows first`,
    { details: { row, feature, value }, cause },
  );
}

/**
 * Copies samples into native memory, at once.
 *
 * @param name as in checkSamplesFor
 * @throws SetNativeError ERR_NON_FINITE, naming row and feature (from 0); ERR_OUT_OF_RANGE for weights;
 * ERR_OUT_OF_MEMORY; and the errors of `checkSamplesFor`, where the samples were not checked before
 */
export function upload(operation: string, samples: Given, name?: string): NativeSamples {
  try {
    const { x, features, labels, targets, weights } = samples;
    return new (native().Samples)(x, features, { labels, targets, weights });
  } catch (cause) {
    return refuse(operation, name, samples, cause);
  }
}

/** Does what `upload` does, of checked samples, without keeping the JavaScript thread busy for long. */
async function uploadInPieces(operation: string, samples: AnySamples, name?: string): Promise<NativeSamples> {
  const { x, features, labels, targets, weights } = samples as Given;
  const arrays = { x, labels, targets, weights };
  const numbers = x.length + (labels?.length ?? 0) + (targets?.length ?? 0) + (weights?.length ?? 0);
  if (numbers <= atOnce) return upload(operation, samples, name);
  const count = x.length / features;
  const lengths = Object.entries(arrays).map(([key, array]) => [key, array?.length ?? 0] as const);
  const shape = {
    labels: labels !== undefined,
    weights: weights !== undefined,
    outputs: (targets?.length ?? 0) / count,
  };
  let draft: InstanceType<ReturnType<typeof native>['Samples']> | undefined;
  try {
    const made = new (native().Samples)(count, features, shape);
    draft = made;
    for (const [key, length] of lengths) {
      const array = arrays[key as 'x']!;
      for (let at = 0; at < length; at += piece) {
        if (array.length !== length) throw changed(operation, key);
        made.append(key as 'x', array.subarray(at, at + piece));
        await otherEvents();
      }
    }
    await made.finish();
    return made;
  } catch (cause) {
    draft?.dispose();
    return refuse(operation, name, samples, cause);
  }
}

function changed(operation: string, array: string): SetNativeError {
  return new SetNativeError(
    'ERR_INVALID_ARGUMENT',
    `[${operation}] ${array} was detached or resized while it was copied; leave samples as they are until the call ends`,
    { details: { option: array } },
  );
}

/** Gives what only this module may reach. */
let nativeOf: (samples: UploadedSamples) => NativeSamples;
let use: (samples: UploadedSamples, operation: string) => () => void;

/**
 * Samples that were copied and checked once, for any number of calls of any models: `fit`, `train`,
 * `evaluate` and `predict` take them in the place of samples. They keep native memory until `dispose`, or
 * until nobody refers to them.
 */
export class UploadedSamples {
  readonly count: number;
  readonly features: number;
  /** Copy of the labels, where they have such. */
  readonly labels: Uint32Array | undefined;
  /** Copy of the targets, where they have such. */
  readonly targets: Float32Array | undefined;
  readonly #native: NativeSamples;
  #users = 0;
  #disposed = false;

  static {
    nativeOf = (samples) => samples.#native;
    use = (samples, operation) => samples.#use(operation);
  }

  /** Use `uploadSamples`. */
  constructor(uploaded: NativeSamples, { labels, targets }: Partial<Samples & TargetSamples>) {
    this.#native = uploaded;
    this.count = uploaded.count;
    this.features = uploaded.features;
    this.labels = labels?.slice();
    this.targets = targets?.slice();
  }

  /** Frees the memory, when the calls that use it have ended, as they would. May be called again. */
  dispose(): void {
    this.#disposed = true;
    if (this.#users === 0) this.#native.dispose();
  }

  #use(operation: string): () => void {
    if (this.#disposed) {
      throw new SetNativeError(
        'ERR_DISPOSED',
        `[${operation}] these samples were disposed of; upload them anew`,
      );
    }
    this.#users += 1;
    return () => {
      this.#users -= 1;
      if (this.#disposed && this.#users === 0) this.#native.dispose();
    };
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}

/** Samples as a model takes them. */
export type ModelSamples = AnySamples | UploadedSamples;

/**
 * Copies samples into native memory, to be used by several calls. The arrays must not change until the
 * promise has settled.
 *
 * Rejects with ERR_INVALID_ARGUMENT, ERR_SHAPE, ERR_OUT_OF_RANGE, ERR_NON_FINITE (naming row and feature,
 * from 0), ERR_OUT_OF_MEMORY, ERR_ABORTED.
 */
export async function uploadSamples(
  samples: AnySamples,
  options: CallOptions = {},
): Promise<UploadedSamples> {
  const operation = 'uploadSamples';
  checkKeys(operation, options, ['signal']);
  const { signal } = options;
  checkHooks(operation, { signal });
  checkSignal(operation, signal, 'before it began');
  checkSampleKinds(operation, samples);
  const count = samples.x.length / samples.features;
  checkShape({ ...samples, count }, { where: 'samples', operation });
  const uploaded = await uploadInPieces(operation, samples);
  const made = new UploadedSamples(uploaded, samples as Partial<Samples & TargetSamples>);
  if (!signal?.aborted) return made;
  made.dispose();
  checkSignal(operation, signal, 'before it was done');
  return made;
}

/**
 * Keeps uploaded samples, of those given, until the function that it returns is called. Throws ERR_DISPOSED
 * where they were disposed of.
 */
export function keepUploaded(operation: string, ...given: (ModelSamples | undefined)[]): () => void {
  const releases: (() => void)[] = [];
  const release = () => {
    for (const each of releases.splice(0)) each();
  };
  try {
    for (const samples of given)
      if (samples instanceof UploadedSamples) releases.push(use(samples, operation));
  } catch (error) {
    release();
    throw error;
  }
  return release;
}

/** Samples in native memory, and what frees them when the call is done. */
export interface HeldSamples {
  native: NativeSamples;
  release(): void;
}

/**
 * Checks samples for a model, and copies them unless that was done before: then the caller keeps them. Errors
 * as of `checkSamplesFor`.
 *
 * @param options.answers whether their labels or targets are used
 */
export async function holdSamples(
  ends: Ends,
  operation: string,
  samples: ModelSamples,
  name?: string,
  { answers = true } = {},
): Promise<HeldSamples> {
  if (!(samples instanceof UploadedSamples)) {
    checkSamplesFor(ends, operation, samples, name);
    const uploaded = await uploadInPieces(operation, samples, name);
    return { native: uploaded, release: () => uploaded.dispose() };
  }
  const { features, outputs } = nativeOf(samples);
  const what = name ?? 'samples';
  const targets = answers ? samples.targets : undefined;
  if (features !== ends.inputs || (targets !== undefined && outputs !== ends.outputs)) {
    throw new SetNativeError(
      'ERR_SHAPE',
      `[${operation}] ${what} must have ${ends.inputs} features${targets ? ` and ${ends.outputs} targets` : ''}, ` +
        `as the model has, got ${features}${targets ? ` and ${outputs}` : ''}`,
      { details: { option: what, features, inputs: ends.inputs } },
    );
  }
  return { native: nativeOf(samples), release: () => {} };
}
