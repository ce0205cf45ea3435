import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { errorCodes, SetNativeError } from './errors.js';
import type {
  ActivationName,
  BackendName,
  InitName,
  IsaName,
  LossName,
  MotifParseName,
  MotifScoreName,
  RegrowInitName,
  TimedBackendName,
  TopologyName,
} from './vocabulary.js';

/*
 * The typed boundary to the addon: what native/binding exports, and nothing else of the library talks to it.
 * The addon throws errors that carry `code`; `rethrow` turns them into SetNativeError.
 */

export interface NativeModelSpec {
  sizes: number[];
  topology: TopologyName;
  epsilon: number;
  motifSize: number;
  init: InitName;
  activation: ActivationName;
  /** Of all-relu. */
  alpha: number;
  loss: LossName;
  /** 0 .. 2^53 - 1 */
  seed: number;
  backend: BackendName;
  /** 0: as many as `availableCpus` says. */
  threads: number;
}

export interface NativeTrainOptions {
  /** 1 .. 2^32 - 1 */
  epoch: number;
  batchSize: number;
  learningRate: number;
  momentum: number;
  l2: number;
  decay: number;
  shuffle: boolean;
  /** Of the epoch, from 0 on: an epoch in parts gives the same bits as at once. */
  firstStep: number;
  /** At most; 1 .. 2^32 - 1 */
  steps: number;
}

/** How links are exchanged: native/core/evolution.h has the rules. */
export interface NativeEvolutionPolicy {
  zeta: number;
  /** Sources that go and come together; 1: single links. */
  motifSize: number;
  parse: MotifParseName;
  score: MotifScoreName;
  /** `by-sign` and `thesis` take single links. */
  prune: 'by-sign' | 'thesis' | 'lowest';
  grow: 'random';
  regrowInit: RegrowInitName;
  evolveOutput: boolean;
}

export interface NativeLayerStats {
  inputs: number;
  outputs: number;
  dense: boolean;
  nnz: number;
  /**
   * [e] = links born in the evolution after epoch e; [0] = initial links; [65535] = after that epoch or a
   * later one.
   */
  linksByBirth: number[];
}

/** One layer on the host: CSR by source for sparse layers, all cells row by row for dense ones. */
export interface NativeLayer {
  inputs: number;
  outputs: number;
  dense: boolean;
  activation: ActivationName;
  rowOffsets: Uint32Array;
  colIndices: Uint32Array;
  weights: Float32Array;
  momentum: Float32Array;
  /** Second moments of AdamW, like the other two; else empty or absent. */
  secondMoment?: Float32Array;
  /** Epoch whose evolution grew the link, 0 = initial, 65535 = that epoch or a later one. */
  birth: Uint16Array;
  bias: Float32Array;
  biasMomentum: Float32Array;
  biasSecondMoment?: Float32Array;
  /** Of all-relu and srelu: t_l, a_l, t_r, a_r of every target, four times `outputs` numbers; else empty. */
  pieces: Float32Array;
  /** Of srelu, whose pieces are learned; else empty. */
  piecesMomentum: Float32Array;
  piecesSecondMoment?: Float32Array;
}

/** Samples copied into native memory once; labels and values are checked then. */
export interface NativeSamples {
  readonly count: number;
  readonly features: number;
  /** The largest |x|. */
  readonly largest: number;
  /** Frees the memory at once; a job that still uses it keeps it alive until it ends. */
  dispose(): void;
}

/**
 * A model on a device. Every method but `abort` and `dispose` runs on native threads, one at a time: a second
 * call meanwhile is ERR_BUSY, a call after `dispose` ERR_DISPOSED, and ERR_NON_FINITE what would compute with
 * a model of which an earlier trainEpoch has rejected with that code: only stats, reachability and download
 * work then. Wrong arguments and these three are thrown, not rejected. `abort` and the end of a worker thread
 * stop trainEpoch, evaluate and predict at their next batch; the others run to their end, which takes tens of
 * nanoseconds per link. Durations are measured on the native side.
 */
export interface NativeModel {
  readonly backend: BackendName;
  readonly threads: number;
  trainEpoch(
    samples: NativeSamples,
    options: NativeTrainOptions,
  ): Promise<{ loss: number; durationMs: number }>;
  evaluate(samples: NativeSamples): Promise<{ loss: number; accuracy: number; durationMs: number }>;
  /**
   * Resolves to count × outputs, row-major; rejects with ERR_NON_FINITE, naming the row, where one of them
   * overflows.
   */
  predict(samples: NativeSamples): Promise<Float32Array>;
  evolve(
    policy: NativeEvolutionPolicy,
    epoch: number,
    /** Steps trained in the life of the model, 1 .. 2^31 - 1, where evolutions count steps: it numbers their draws. */
    step?: number,
  ): Promise<{ layers: { pruned: number; grown: number }[]; durationMs: number }>;
  stats(): Promise<NativeLayerStats[]>;
  /** Inputs that reach some output, and outputs that some input reaches. */
  reachability(): Promise<{ inputs: number; outputs: number }>;
  /** A copy of the whole state. */
  download(): Promise<NativeLayer[]>;
  /** Makes the running job reject with ERR_ABORTED at its next batch; nothing when idle. */
  abort(): void;
  /** Aborts what runs and frees everything once it has stopped. Idempotent. */
  dispose(): void;
}

/** What a GPU holds at once. */
export interface GpuCapacity {
  /** Of 32 threads. */
  warps: number;
  /** Bytes in all. */
  memory: number;
}

export interface NativeInfo {
  /**
   * `used` is null when SET_NATIVE_ISA names what this machine has not; the cpu back end's reason says so.
   */
  isa: { used: IsaName | null; available: IsaName[] };
  /** availableCpus() */
  threads: number;
  /** `capacity`: where it is known, of cuda. */
  backends: {
    name: BackendName;
    available: boolean;
    device: string;
    reason: string;
    capacity?: GpuCapacity;
  }[];
}

/**
 * The kernel benchmarks of native/bench. Results are JSON texts, typed by src/kernels/results.ts. One
 * measurement at a time: a second call meanwhile is ERR_BUSY. They run on native threads; `abort` makes what
 * runs reject with ERR_ABORTED between two repetitions, and everything after it too.
 */
export interface NativeKernelBench {
  /** KernelMachine */
  readonly machine: string;
  /** KernelGpu, or null */
  readonly gpu: string;
  /** Names, in the order of the report. */
  readonly cases: string[];
  /** Resolves to KernelCeilings. */
  ceilings(threads: number): Promise<string>;
  /** Checks and times a case by its number; resolves to KernelCase. */
  run(number: number): Promise<string>;
  abort(): void;
}

interface Addon {
  info(): NativeInfo;
  /**
   * CPUs of the affinity mask or, where that is less, of the control groups' quota, rounded up; at least 1.
   */
  availableCpus(): number;
  /**
   * What the first use of a back end would open, if no thread of this process has opened or refused it; else
   * empty.
   */
  untried(name: BackendName): string;
  /** Opens its device. Why it is not available, or nothing. A bad driver takes the process down. */
  tryOut(name: BackendName): string;
  /** From now on it is not available in this process, `because ${reason}`; false when it is open already. */
  refuse(name: BackendName, reason: string): boolean;
  /** A permutation of 0 .. count - 1 by seed, for subsets and splits (random stream `split`). */
  permutation(seed: number, count: number): Uint32Array;
  /** Copies and checks at once: finite values, one label per row. */
  Samples: new (
    x: Float32Array,
    features: number,
    labels?: Uint32Array,
  ) => NativeSamples;
  /** Bytes that training such a model on the CPU takes, expected; throws for a network that cannot be. */
  modelBytes(spec: NativeModelSpec): number;
  /**
   * Draws the layers that `spec` describes; or takes `layers`, as `download` gives them, of the sizes of
   * `spec`.
   */
  createModel(spec: NativeModelSpec, layers?: NativeLayer[]): Promise<NativeModel>;
  /**
   * `isa` may be empty: what SET_NATIVE_ISA names, else the widest. `filter`: words that a case's name must
   * have.
   */
  createKernelBench(options: {
    backend: TimedBackendName;
    isa: string;
    threads: number;
    full: boolean;
    filter: string;
  }): NativeKernelBench;
  /** Resolves to SweepPoint as JSON. In a process of its own, whose memory it measures. */
  measureSweepPoint(options: {
    links: number;
    motifSize: number;
    threads: number;
    isa: string;
  }): Promise<string>;
}

const packageRoot = path.dirname(path.dirname(fileURLToPath(import.meta.url)));

let addon: Addon | undefined;

/** Loads the addon at first use, so that help is printed without it too. */
export function native(): Addon {
  if (addon === undefined) {
    const require = createRequire(import.meta.url);
    try {
      const load = require('node-gyp-build') as (root: string) => Addon;
      addon = load(packageRoot);
    } catch (cause) {
      throw new SetNativeError(
        'ERR_NATIVE_LOAD',
        `[load] the compiled part of set-native could not be loaded from ${packageRoot} ` +
          `(${process.platform}-${process.arch}, Node ${process.version}): ${(cause as Error).message.split('\n')[0]}. ` +
          'Build it with a C++17 compiler, make and Python 3: `npm rebuild set-native` ' +
          '(npm 12: first `npm install-scripts approve set-native`); in a checkout: `npm run build`.',
        { cause },
      );
    }
  }
  return addon;
}

/**
 * An error of the addon as SetNativeError; anything else unchanged. Both its code and its message,
 * `[operation] ...`, are looked at: Node too has an ERR_OUT_OF_RANGE, which a callback may throw.
 */
export function fromNative(error: unknown): unknown {
  const { code, message } = (error ?? {}) as { code?: unknown; message?: unknown };
  const known = errorCodes.find((each) => each === code);
  if (error instanceof SetNativeError || known === undefined || !String(message).startsWith('['))
    return error;
  return new SetNativeError(known, String(message), { cause: error });
}

/**
 * What the addon made, plain objects and arrays, of this module's own classes. They are others than the
 * addon's where the library was loaded into a context of node:vm, as Jest does: then this is a copy.
 */
export function ofThisRealm<T>(value: T): T;
export function ofThisRealm(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || value instanceof Object) return value;
  if (Array.isArray(value)) return Array.from(value, ofThisRealm);
  if (!ArrayBuffer.isView(value)) {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, ofThisRealm(item)]));
  }
  const array = value as Float32Array | Uint32Array | Uint16Array;
  return new { Float32Array, Uint32Array, Uint16Array }[array[Symbol.toStringTag]](array);
}

/** `values` as an array of the realm of `x`: each has a Float32Array of its own. */
export function inRealmOf(x: Float32Array, values: Float32Array): Float32Array {
  let prototype: Float32Array | null = Object.getPrototypeOf(x);
  // Subclasses have other constructors; only the prototype of the class itself has this property.
  while (prototype !== null && !Object.hasOwn(prototype, 'BYTES_PER_ELEMENT')) {
    prototype = Object.getPrototypeOf(prototype);
  }
  if (prototype === null) return ofThisRealm(values);
  const Own = prototype.constructor as Float32ArrayConstructor;
  return values instanceof Own ? values : new Own(values);
}
