import { type AddonPlace, loadAddon } from './addon.js';
import { errorCodes, SetNativeError } from './errors.js';
import type {
  ActivationName,
  BackendName,
  GrowName,
  InitName,
  IsaName,
  LossName,
  MotifParseName,
  MotifScoreName,
  OptimizerName,
  RegrowInitName,
  TimedBackendName,
  TopologyName,
} from './vocabulary.js';

/*
 * The typed boundary to the addon: the types of what native/binding exports. Nothing else in the library
 * talks to the addon. Its errors carry a `code`; `fromNative` turns them into SetNativeError.
 */

export interface NativeModelSpec {
  sizes: number[];
  topology: TopologyName;
  epsilon: number;
  motifSize: number;
  init: InitName;
  activation: ActivationName;
  /** Slope of all-relu, and of leaky-relu below 0. */
  alpha: number;
  optimizer: OptimizerName;
  loss: LossName;
  /** Seed of every draw, 0 .. 2^53 - 1. */
  seed: number;
  backend: BackendName;
  /** Number of threads; 0: as many as `availableCpus` says. */
  threads: number;
}

export interface NativeTrainOptions {
  /** Number of the epoch, 1 .. 2^32 - 1. */
  epoch: number;
  batchSize: number;
  learningRate: number;
  /**
   * Learning rates of all steps of the epoch, and their decays, in place of `learningRate` and `decay`;
   * absent: the same in all steps.
   */
  learningRates?: Float32Array;
  decays?: Float32Array;
  /** beta1 of AdamW. */
  momentum: number;
  /** beta2 and tiny: of AdamW. */
  beta2: number;
  tiny: number;
  l2: number;
  decay: number;
  /** Probability of dropping an output of a hidden layer, from 0 to below 1. */
  dropout: number;
  shuffle: boolean;
  /** First step of the epoch to train, from 0: an epoch in parts gives the same bits as at once. */
  firstStep: number;
  /** Largest number of steps to train, 1 .. 2^32 - 1. */
  steps: number;
}

/** Rules of an evolution, which native/core/evolution.h explains. */
export interface NativeEvolutionPolicy {
  zeta: number;
  /** Number of sources that are pruned and grown together; 1: single links. */
  motifSize: number;
  parse: MotifParseName;
  score: MotifScoreName;
  /** Rule of pruning; `by-sign` and `thesis` take single links. */
  prune: 'by-sign' | 'thesis' | 'lowest';
  grow: GrowName;
  regrowInit: RegrowInitName;
  evolveOutput: boolean;
}

export interface NativeLayerStats {
  inputs: number;
  outputs: number;
  dense: boolean;
  nnz: number;
  /**
   * Number of links by birth: [e] were born in the evolution after epoch e, [0] are initial links, [65535]
   * were born in that evolution or a later one.
   */
  linksByBirth: number[];
}

/**
 * One layer on the host: CSR by source for sparse layers, all cells row by row for dense ones. A layer that
 * is given may leave out what is empty, and its momenta and moments, which then start from zero.
 */
export interface NativeLayer {
  inputs: number;
  outputs: number;
  dense: boolean;
  activation: ActivationName;
  rowOffsets: Uint32Array;
  colIndices: Uint32Array;
  weights: Float32Array;
  momentum: Float32Array;
  /** Second moments of AdamW, one per link; else empty or absent. */
  secondMoment?: Float32Array;
  /** Epoch whose evolution grew the link, 0 = initial, 65535 = that epoch or a later one. */
  birth: Uint16Array;
  bias: Float32Array;
  biasMomentum: Float32Array;
  biasSecondMoment?: Float32Array;
  /**
   * Pieces of all-relu and srelu, t_l, a_l, t_r, a_r of every target: four times `outputs` numbers; else
   * empty.
   */
  pieces: Float32Array;
  /** Momenta of the pieces of srelu, which are learned; else empty. */
  piecesMomentum: Float32Array;
  piecesSecondMoment?: Float32Array;
}

/** How images are augmented, which native/core/augment.h explains. */
export interface NativeAugmentation {
  /** Seed of the draws, 0 .. 2^53 - 1. */
  seed: number;
  /** Shape of an image: so many numbers are the features of a sample. */
  rows: number;
  columns: number;
  channels: number;
  /** Largest shift in pixels, below rows and columns. */
  shift: number;
  flip: boolean;
  /** Raw value of what lies outside an image. */
  padding: number;
  /** Scaling by the number of a pixel: (raw - offset) / divisor, 0 of Infinity. Absent: none. */
  offset?: Float64Array;
  divisor?: Float64Array;
  /** Pixel that each feature is. Absent: in their own order. */
  order?: Uint32Array;
}

/** Samples in native memory, where they are copied once; their labels and values are checked then. */
export interface NativeSamples {
  readonly count: number;
  readonly features: number;
  /** Whether they have labels, the numbers of classes. */
  readonly classes: boolean;
  /** Targets of a row; 0 without targets. */
  readonly outputs: number;
  /** Largest |x|. */
  largest(): number;
  /**
   * Makes samples of augmented images for an epoch, 1 .. 2^32 - 1, on native threads (0: as many as
   * `availableCpus` says); their bits depend on these arguments alone, but not on the threads. x is a copy of
   * its own; labels, targets and weights are those of these samples, whose memory is not freed before that of
   * the copy. Rejects with ERR_OUT_OF_MEMORY, ERR_NON_FINITE.
   */
  augmented(options: NativeAugmentation, epoch: number, threads: number): Promise<NativeSamples>;
  /** Frees the memory at once; a job that still uses it keeps it alive until it ends. */
  dispose(): void;
}

/** Samples whose arrays come piece by piece, so that the JavaScript thread is never busy for long. */
export interface NativeSamplesDraft extends NativeSamples {
  append(array: 'x' | 'targets' | 'weights', part: Float32Array): void;
  append(array: 'labels', part: Uint32Array): void;
  /** Checks them on a native thread, as the constructor does; then they can be used. */
  finish(): Promise<void>;
}

/**
 * A model on a device. Every method but `stepsDone`, `abort` and `dispose` runs on native threads, one at a
 * time. A second call while one runs throws ERR_BUSY, and a call after `dispose` ERR_DISPOSED. Once
 * trainEpoch has rejected with ERR_NON_FINITE, all other calls throw that code, except stats, reachability
 * and download. Wrong arguments and these three errors are thrown, not rejected. `abort` and the end of a
 * worker thread stop trainEpoch, evaluate and predict at their next batch; the others run to their end, which
 * takes tens of nanoseconds per link. Durations are measured on the native side.
 */
export interface NativeModel {
  readonly backend: BackendName;
  readonly threads: number;
  trainEpoch(
    samples: NativeSamples,
    options: NativeTrainOptions,
  ): Promise<{ loss: number; durationMs: number }>;
  /**
   * Steps of the epoch that `trainEpoch` trains which are done; on a GPU, which are queued. May be called
   * while it runs.
   */
  stepsDone(): number;
  /** Rejects, as an error of `operation`, unless the model can be trained and evaluated on the samples. */
  check(samples: NativeSamples, operation: string): Promise<void>;
  evaluate(samples: NativeSamples): Promise<{ loss: number; accuracy: number; durationMs: number }>;
  /**
   * Resolves to count × outputs, row-major; rejects with ERR_NON_FINITE, naming the row, where one of them
   * overflows.
   */
  predict(samples: NativeSamples): Promise<Float32Array>;
  /**
   * Predicts each of several samples as `predict` does, to the same bits, together. Resolves to the outputs
   * of each, or to the error that `predict` would have rejected with.
   */
  predictEach(samples: NativeSamples[]): Promise<(Float32Array | Error)[]>;
  evolve(
    policy: NativeEvolutionPolicy,
    epoch: number,
    /**
     * Steps trained in the life of the model, 1 .. 2^31 - 1, where evolutions count steps: it numbers their
     * draws.
     */
    step?: number,
    /** Samples whose gradients growth by gradient looks at; other policies do not. */
    probe?: NativeSamples,
  ): Promise<{ layers: { pruned: number; grown: number }[]; durationMs: number }>;
  stats(): Promise<NativeLayerStats[]>;
  /** Inputs that reach some output, and outputs that some input reaches. */
  reachability(): Promise<{ inputs: number; outputs: number }>;
  /** A copy of the whole state. */
  download(): Promise<NativeLayer[]>;
  /** Makes the running job reject with ERR_ABORTED at its next batch; nothing when idle. */
  abort(): void;
  /** Aborts the running job and frees everything once it has stopped. Idempotent. */
  dispose(): void;
}

/** Capacity of a GPU. */
export interface GpuCapacity {
  /** Number of warps, of 32 threads each, that run at once. */
  warps: number;
  /** Bytes of device memory. */
  memory: number;
}

export interface NativeInfo {
  /**
   * Instruction sets. `used` is null when SET_NATIVE_ISA names one that this machine does not have; the
   * reason of the cpu back end says so.
   */
  isa: { used: IsaName | null; available: IsaName[] };
  /** Number that `availableCpus` returns. */
  threads: number;
  /** Back ends; `capacity` is there for CUDA, where it is known. */
  backends: {
    name: BackendName;
    available: boolean;
    device: string;
    reason: string;
    capacity?: GpuCapacity;
  }[];
}

/**
 * The kernel benchmarks of native/bench. Results are JSON texts, typed by src/kernels/results.ts. They run on
 * native threads, one measurement at a time: a second call while one runs throws ERR_BUSY. `abort` makes the
 * running one reject with ERR_ABORTED between two repetitions, and every later one too.
 */
export interface NativeKernelBench {
  /** JSON of a KernelMachine. */
  readonly machine: string;
  /** JSON of a KernelGpu, or of null. */
  readonly gpu: string;
  /** Names of the cases, in the order of the report. */
  readonly cases: string[];
  /** Resolves to JSON of KernelCeilings. */
  ceilings(threads: number): Promise<string>;
  /** Checks and times the case with this number; resolves to JSON of a KernelCase. */
  run(number: number): Promise<string>;
  abort(): void;
}

interface Addon {
  info(): NativeInfo;
  /**
   * Number of CPUs of the affinity mask or, where that is less, of the quota of the control groups, rounded
   * up; at least 1.
   */
  availableCpus(): number;
  /**
   * Name of what the first use of a back end would open; empty where a thread of this process has opened or
   * refused it.
   */
  untried(name: BackendName): string;
  /**
   * Opens the device of a back end. Returns why it is not available, or nothing. A bad driver takes the
   * process down.
   */
  tryOut(name: BackendName): string;
  /**
   * Makes a back end unavailable in this process, `because ${reason}`; returns false where it is open
   * already.
   */
  refuse(name: BackendName, reason: string): boolean;
  /** Permutation of 0 .. count - 1 by seed, for subsets and splits (random stream `split`). */
  permutation(seed: number, count: number): Uint32Array;
  /** Copies samples and checks them: finite values, as many labels, targets and weights as there are rows. */
  Samples: {
    new (
      x: Float32Array,
      features: number,
      given?: {
        labels?: Uint32Array | undefined;
        targets?: Float32Array | undefined;
        weights?: Float32Array | undefined;
      },
    ): NativeSamples;
    /** A draft of `count` rows. */
    new (
      count: number,
      features: number,
      shape: { labels: boolean; weights: boolean; outputs: number },
    ): NativeSamplesDraft;
  };
  /** Expected bytes that training such a model takes on the CPU; throws for a network that cannot be. */
  modelBytes(spec: NativeModelSpec): number;
  /**
   * Creates a model: draws the layers that `spec` describes, or takes `layers`, which have the form of
   * `download` and the sizes of `spec`.
   */
  createModel(spec: NativeModelSpec, layers?: NativeLayer[]): Promise<NativeModel>;
  /**
   * Creates the kernel benchmarks. An empty `isa` stands for the one that SET_NATIVE_ISA names, else the
   * widest; `filter` holds words that the name of a case must have.
   */
  createKernelBench(options: {
    backend: TimedBackendName;
    isa: string;
    threads: number;
    full: boolean;
    filter: string;
  }): NativeKernelBench;
  /**
   * Measures one point of the sweep; resolves to JSON of a SweepPoint. It measures the memory of its process,
   * and so needs one of its own.
   */
  measureSweepPoint(options: {
    links: number;
    motifSize: number;
    threads: number;
    isa: string;
  }): Promise<string>;
}

let loaded: { addon: Addon; place: AddonPlace } | undefined;

function load(): { addon: Addon; place: AddonPlace } {
  const { exports, ...place } = loadAddon();
  return { addon: exports as Addon, place };
}

/** The addon, loaded at first use, so that help is printed without it too. */
export function native(): Addon {
  loaded ??= load();
  return loaded.addon;
}

/** The file of the addon, which is loaded for it. */
export function nativePlace(): AddonPlace {
  native();
  return loaded!.place;
}

/**
 * An error of the addon as SetNativeError; anything else unchanged. Both the code and the message,
 * `[operation] ...`, are checked: Node too has an ERR_OUT_OF_RANGE, which a callback may throw.
 */
export function fromNative(error: unknown): unknown {
  const { code, message } = (error ?? {}) as { code?: unknown; message?: unknown };
  const known = errorCodes.find((each) => each === code);
  if (error instanceof SetNativeError || known === undefined || !String(message).startsWith('['))
    return error;
  const details = ['ERR_NON_FINITE', 'ERR_OUT_OF_RANGE'].includes(known) ? placeIn(String(message)) : {};
  return new SetNativeError(known, String(message), { details, cause: error });
}

/** Row and feature of samples that a message of the addon names. */
function placeIn(message: string): { row?: number; feature?: number } {
  const number = (pattern: RegExp) => {
    const found = pattern.exec(message)?.[1];
    return found === undefined ? undefined : Number(found);
  };
  const row = number(/\b(?:row|sample) (\d+)/);
  const feature = number(/\bfeature (\d+)/);
  return { ...(row !== undefined && { row }), ...(feature !== undefined && { feature }) };
}

/**
 * Plain objects and arrays that the addon made, as instances of the classes of this realm. The classes differ
 * where the library was loaded into a context of node:vm, as Jest does: then this is a copy.
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

/** `values` as an array of the realm of `x`: each realm has a Float32Array of its own. */
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
