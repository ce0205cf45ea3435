import { chooseBackend } from '../backend.js';
import {
  checkBoolean,
  checkChoice,
  checkKeys,
  checkNumber,
  describe,
  invalid,
  isArrayLike,
  type NumberRange,
  show,
  wholeNumber,
} from '../checks.js';
import type { Encoding } from '../datasets/encoding.js';
import { SetNativeError } from '../errors.js';
import type { NativeEvolutionPolicy, NativeModelSpec, NativeTrainOptions } from '../native.js';
import {
  type ActivationName,
  activations,
  type BackendChoice,
  backendChoices,
  type GrowName,
  growRules,
  type InitName,
  inits,
  type LossName,
  losses,
  type MethodName,
  type MotifParseName,
  type MotifScoreName,
  methods,
  motifParses,
  motifScores,
  type OptimizerName,
  optimizers,
  type PruneName,
  pruneRules,
  type RegrowInitName,
  regrowInits,
  type TopologyName,
  topologies,
  type WeightDecayMode,
  weightDecayModes,
} from '../vocabulary.js';
import {
  checkRates,
  type EpochOfRun,
  type LearningRate,
  lastRate,
  positiveRate,
  warmupEpochs,
} from './learningRate.js';
import {
  type EvolutionSchedule,
  everyRange,
  evolutionSchedule,
  untilRange,
  type ZetaSchedule,
  zetaRange,
} from './schedule.js';

/*
 * The options of a model and of its training: types, defaults, ranges. The addon checks again for memory
 * safety; here the message matters.
 */

export interface ModelOptions {
  /** Neurons per layer, inputs first, outputs last: at least two numbers. */
  layers: readonly number[];
  /**
   * Erdős–Rényi density: a cell of an n × m layer is a link with p = min(1, epsilon (n + m) / (n m)). Default
   * 13.
   */
  epsilon?: number;
  /** Default `erdos-renyi`. */
  topology?: TopologyName;
  /** Sources per motif, for the motif topologies and for `set-motif`. Default 2. */
  motifSize?: number;
  /** Initial weights. Default `he-fan-in`. */
  init?: InitName;
  /**
   * Activation of the hidden layers. Default `relu`. `leaky-relu` is alpha z below 0 (Maas et al. 2013);
   * `all-relu` is -alpha z and alpha z below 0 in turn from layer to layer (Curci et al. 2021); `srelu`
   * learns four numbers per neuron, two thresholds and two slopes (Jin et al. 2016), from a leaky ReLU of
   * slope 0.2 on.
   */
  activation?: ActivationName;
  /** Slope below 0 of `leaky-relu` (default 0.01) and of `all-relu` (default 0.6), from 0 to 1. */
  alpha?: number;
  /**
   * How weights follow their gradients. Default `sgd`, with momentum. `adamw` (Loshchilov and Hutter 2019)
   * keeps a second moment per link, 4 bytes, and suits features of very different scale; a link that
   * evolution grows starts with moments of zero.
   */
  optimizer?: OptimizerName;
  /**
   * Default `softmax-cross-entropy`; it also decides the output activation. The cross entropies are summed
   * over the outputs of a sample, `mse` is their mean.
   */
  loss?: LossName;
  /**
   * 0 .. 2^53 - 1. Same seed, same options, same samples: same bits, for any number of threads. Default 0.
   */
  seed?: number;
  /** Worker threads; 0, the default: one per CPU that the process may use, by affinity mask and container. */
  threads?: number;
  /** Default `auto`: the fastest one that is available. A back end asked for by name is never replaced. */
  backend?: BackendChoice;
  /**
   * Whether predictions that wait for their turn are computed together, each to the bits that it would get
   * alone. Default true.
   */
  batching?: boolean;
  /**
   * What was done to the data, as `prepare` gives it: the model's file keeps it, and `classify` takes raw
   * rows.
   */
  encoding?: Encoding;
}

export interface EvolutionOptions {
  /** `static` never changes the links. Default `set`. */
  method?: MethodName;
  /**
   * Share of the links that an evolution replaces, above 0 and below 1; a schedule by name, such as
   * `{ schedule: 'cosine', start: 0.3 }`; or a function of the progress, which goes from 0 at the start of
   * the run to 1 at `until`, that gives it, or 0 for none. Default 0.3.
   */
  zeta?: number | ((progress: number) => number) | ZetaSchedule;
  /** Epochs from one evolution to the next, or steps (batches): `{ steps: 500 }`. Default 1. */
  every?: number | { steps: number };
  /**
   * Share of the run after which links stay as they are, above 0, at most 1. The run is all that the model
   * has been trained for when this call of `fit` ends. Default 1.
   */
  until?: number;
  /**
   * Links that `set` prunes. Default `exact`: of either sign a share of zeta, rounded. `thesis`: by the
   * thresholds of its program, which prune up to two links of a sign more. `lowest`: the share of zeta of
   * smallest |w|, whatever their sign, as RigL does (Evci et al. 2020).
   */
  prune?: PruneName;
  /**
   * Where links grow. Default `random`. `walk`: where paths of three links lead from a source that is kept,
   * a sampled form of the Cannistraci-Hebb rule; it needs no samples and costs about what `random` does.
   * `gradient`: of about as many places as are kept, drawn at random, those whose weights would have the
   * largest gradients on the first 512 samples of the epoch (Evci et al. 2020); fewer samples in networks of
   * more than 65,536 neurons. Neither grows at once what the same evolution pruned.
   */
  grow?: GrowName;
  /** Weights of new links. Default `he-dense`. */
  regrowInit?: RegrowInitName;
  /** Default: that of the model. */
  motifSize?: number;
  /** What ranks a motif: this over the |w| of its links. Default `mean`. */
  motifScore?: MotifScoreName;
  /** Default `aligned`: motifs are the tiles of `motifSize` neighbouring sources. */
  motifParse?: MotifParseName;
  /** Whether a sparse output layer takes part. Default false. */
  evolveOutput?: boolean;
}

export interface TrainingOptions {
  /** Epochs to train, 1 .. 65,535. Default 1. */
  epochs?: number;
  /**
   * Epochs that the model is to have been trained for in all, in place of `epochs`: a run that was
   * interrupted goes on to the same end. Where it has been trained for as many, nothing is left to do.
   */
  until?: number;
  /** Default 40. */
  batchSize?: number;
  /**
   * A number, a function of the epoch (1-based), or a schedule by name, such as
   * `{ schedule: 'cosine', warmup: 1 }`, which changes from step to step. Default 0.05, with `adamw` 0.001.
   */
  learningRate?: LearningRate;
  /** Share of the last step that is taken again, of `sgd`. Default 0.9. */
  momentum?: number;
  /** Decay of the first moment of `adamw`, from 0 to below 1. Default 0.9. */
  beta1?: number;
  /** Decay of the second moment of `adamw`, from 0 to below 1. Default 0.999. */
  beta2?: number;
  /** What `adamw` adds to the root of the second moment, above 0. Default 1e-8. */
  tiny?: number;
  /** Default 0.0002, with `adamw` 0.01. */
  weightDecay?: number;
  /**
   * `thesis`, the default of `sgd`: w loses weightDecay · w per step, whatever the learning rate, biases too;
   * `decoupled`, the default of `adamw`: the same, times the learning rate; `l2`: weightDecay · w is added to
   * the gradient.
   */
  weightDecayMode?: WeightDecayMode;
  /**
   * Probability, from 0 to below 1, with which an output of a hidden layer is zero in a training step
   * (Srivastava et al. 2014); the others are multiplied by 1 / (1 - dropout). It is rounded to a multiple of
   * 2^-16. What is dropped follows from the model's seed and is the same on every back end. Default 0.
   */
  dropout?: number;
  /** New order of the samples in every epoch. Default true. */
  shuffle?: boolean;
  /**
   * Prune and regrow between epochs. The evolution after the last epoch of a call of `fit` is left to the
   * next call: it comes first there, or never where that call is `static`.
   */
  evolution?: EvolutionOptions;
}

/** `TrainingOptions`, checked and complete: what one epoch needs, as the addon takes it. */
export interface TrainingPlan {
  /** Number of epochs, or the epoch to train to. */
  length: { epochs: number } | { until: number };
  /** Throws ERR_OUT_OF_RANGE when a learning rate function returns something impossible. */
  epoch(of: EpochOfRun): NativeTrainOptions;
  batchSize: number;
  /** Absent for `static`. */
  policy?: Omit<NativeEvolutionPolicy, 'zeta'>;
  schedule: EvolutionSchedule;
}

// The kernels get the nearest float32, which may be 0, 1 or infinity where the number is not.
const belowOne: NumberRange = {
  text: 'a number from 0 to below 1 (in float32)',
  accepts: (value) => value >= 0 && Math.fround(value) < 1,
};

export const ranges = {
  layerSize: wholeNumber(1, 2 ** 31 - 1),
  epsilon: { text: 'a number above 0', accepts: (value) => value > 0 && Number.isFinite(value) },
  motifSize: wholeNumber(2, 64),
  seed: wholeNumber(0, Number.MAX_SAFE_INTEGER),
  threads: wholeNumber(0, 1024),
  epochs: wholeNumber(1, 65_535),
  batchSize: wholeNumber(1, 65_536),
  learningRate: positiveRate,
  rateEnd: lastRate,
  warmup: warmupEpochs,
  momentum: belowOne,
  weightDecay: belowOne,
  dropout: belowOne,
  average: belowOne,
  zeta: zetaRange,
  runs: wholeNumber(1, 10_000),
  samples: wholeNumber(1, 2 ** 31 - 1),
  until: untilRange,
  every: everyRange,
  alpha: { text: 'a number from 0 to 1', accepts: (value) => value >= 0 && value <= 1 },
} satisfies Record<string, NumberRange>;

/** Options that decide the bits of a model; a model's file holds them. */
export const networkKeys = [
  'layers',
  'epsilon',
  'topology',
  'motifSize',
  'init',
  'activation',
  'alpha',
  'optimizer',
  'loss',
  'seed',
] as const satisfies (keyof ModelOptions)[];

const modelKeys = [
  ...networkKeys,
  'threads',
  'backend',
  'batching',
  'encoding',
] as const satisfies (keyof ModelOptions)[];

/** Checked, with defaults; `auto` is decided. */
export function modelSpec(operation: string, options: ModelOptions): NativeModelSpec {
  if (options === undefined || isArrayLike(options)) {
    const example =
      Array.isArray(options) && options.length > 0 ? options.slice(0, 8).join(', ') : '784, 300, 10';
    throw new SetNativeError(
      'ERR_INVALID_ARGUMENT',
      `[${operation}] expected an options object with layers, got ${describe(options)}; use { layers: [${example}] }`,
    );
  }
  checkKeys(operation, options, modelKeys);
  const { layers } = options;
  if (!Array.isArray(layers) || layers.length < 2) {
    throw new SetNativeError(
      'ERR_SHAPE',
      `[${operation}] layers must be an Array of at least two sizes, inputs first and outputs last, got ${show(layers)}`,
      { details: { option: 'layers', value: layers } },
    );
  }
  const backend = checkChoice(operation, 'backend', options.backend ?? 'auto', backendChoices);
  const activation = checkChoice(operation, 'activation', options.activation ?? 'relu', activations);
  return {
    // Array.from, because map passes over holes
    sizes: Array.from(layers, (size, i) => checkNumber(operation, `layers[${i}]`, size, ranges.layerSize)),
    epsilon: checkNumber(operation, 'epsilon', options.epsilon ?? 13, ranges.epsilon),
    topology: checkChoice(operation, 'topology', options.topology ?? 'erdos-renyi', topologies),
    motifSize: checkNumber(operation, 'motifSize', options.motifSize ?? 2, ranges.motifSize),
    init: checkChoice(operation, 'init', options.init ?? 'he-fan-in', inits),
    activation,
    alpha: checkNumber(
      operation,
      'alpha',
      options.alpha ?? (activation === 'leaky-relu' ? 0.01 : 0.6),
      ranges.alpha,
    ),
    optimizer: checkChoice(operation, 'optimizer', options.optimizer ?? 'sgd', optimizers),
    loss: checkChoice(operation, 'loss', options.loss ?? 'softmax-cross-entropy', losses),
    seed: checkNumber(operation, 'seed', options.seed ?? 0, ranges.seed),
    threads: checkNumber(operation, 'threads', options.threads ?? 0, ranges.threads),
    backend: chooseBackend(backend),
  };
}

export const trainingKeys = [
  'epochs',
  'until',
  'batchSize',
  'learningRate',
  'momentum',
  'beta1',
  'beta2',
  'tiny',
  'weightDecay',
  'weightDecayMode',
  'dropout',
  'shuffle',
  'evolution',
] as const satisfies (keyof TrainingOptions)[];

const evolutionKeys = [
  'method',
  'zeta',
  'every',
  'until',
  'prune',
  'grow',
  'regrowInit',
  'motifSize',
  'motifScore',
  'motifParse',
  'evolveOutput',
] as const satisfies (keyof EvolutionOptions)[];

/** Defaults that depend on the optimizer. */
export const optimizerDefaults = {
  sgd: { learningRate: 0.05, weightDecay: 0.0002, weightDecayMode: 'thesis' },
  adamw: { learningRate: 0.001, weightDecay: 0.01, weightDecayMode: 'decoupled' },
} as const satisfies Record<OptimizerName, TrainingOptions>;

/** Options that one optimizer alone has, and what the other has instead. */
const optimizerKeys = {
  sgd: { beta1: 'use momentum', beta2: 'it has no second moment', tiny: 'it has no second moment' },
  adamw: { momentum: 'use beta1' },
} as const satisfies Record<OptimizerName, Partial<Record<keyof TrainingOptions, string>>>;

function checkOptimizerKeys(operation: string, optimizer: OptimizerName, options: TrainingOptions): void {
  for (const [option, advice] of Object.entries(optimizerKeys[optimizer])) {
    if (options[option as keyof TrainingOptions] === undefined) continue;
    throw new SetNativeError(
      'ERR_INVALID_ARGUMENT',
      `[${operation}] ${option} is no option of ${optimizer}, the model's optimizer; ${advice}`,
      { details: { option } },
    );
  }
}

/**
 * Checked, with defaults. The model says what trains it, and its motif size, for when the options name none.
 */
export function trainingPlan(
  operation: string,
  options: TrainingOptions,
  { optimizer, motifSize }: Pick<NativeModelSpec, 'optimizer' | 'motifSize'>,
): TrainingPlan {
  checkOptimizerKeys(operation, optimizer, options);
  const defaults = optimizerDefaults[optimizer];
  const length = runLength(operation, options);
  const batchSize = checkNumber(operation, 'batchSize', options.batchSize ?? 40, ranges.batchSize);
  const first = optimizer === 'adamw' ? 'beta1' : 'momentum';
  const momentum = checkNumber(operation, first, options[first] ?? 0.9, ranges.momentum);
  const beta2 = checkNumber(operation, 'beta2', options.beta2 ?? 0.999, ranges.momentum);
  const tiny = checkNumber(operation, 'tiny', options.tiny ?? 1e-8, ranges.learningRate);
  const weightDecay = checkNumber(
    operation,
    'weightDecay',
    options.weightDecay ?? defaults.weightDecay,
    ranges.weightDecay,
  );
  const mode = checkChoice(
    operation,
    'weightDecayMode',
    options.weightDecayMode ?? defaults.weightDecayMode,
    weightDecayModes,
  );
  const rates = checkRates(operation, options.learningRate ?? defaults.learningRate, defaults.learningRate);
  const dropout = checkNumber(operation, 'dropout', options.dropout ?? 0, ranges.dropout);
  const shuffle = checkBoolean(operation, 'shuffle', options.shuffle ?? true);
  const policy = evolutionPolicy(operation, options.evolution ?? {}, motifSize);
  return {
    length,
    batchSize,
    epoch(of) {
      const rate = rates(of);
      const learningRate = typeof rate === 'number' ? rate : rate[0]!;
      const decayOf = (own: number) => ({ thesis: weightDecay, decoupled: own * weightDecay, l2: 0 })[mode];
      const byStep = typeof rate !== 'number' && {
        learningRates: Float32Array.from(rate),
        decays: Float32Array.from(rate, decayOf),
      };
      const decay = decayOf(learningRate);
      const l2 = mode === 'l2' ? weightDecay : 0;
      return {
        epoch: of.epoch,
        batchSize,
        learningRate,
        ...byStep,
        momentum,
        beta2,
        tiny,
        l2,
        decay,
        dropout,
        shuffle,
        firstStep: 0,
        steps: 2 ** 32 - 1,
      };
    },
    ...(policy && { policy }),
    schedule: evolutionSchedule(operation, options.evolution ?? {}),
  };
}

function runLength(
  operation: string,
  { epochs, until }: TrainingOptions,
): { epochs: number } | { until: number } {
  if (until === undefined) return { epochs: checkNumber(operation, 'epochs', epochs ?? 1, ranges.epochs) };
  if (epochs !== undefined) throw invalid(operation, 'until', 'absent where epochs are given', until);
  return { until: checkNumber(operation, 'until', until, ranges.epochs) };
}

function evolutionPolicy(
  operation: string,
  options: EvolutionOptions,
  modelMotifSize: number,
): Omit<NativeEvolutionPolicy, 'zeta'> | undefined {
  checkKeys(operation, options, evolutionKeys, { of: 'evolution' });
  const method = checkChoice(operation, 'evolution.method', options.method ?? 'set', methods);
  const prune = checkChoice(operation, 'evolution.prune', options.prune ?? 'exact', pruneRules);
  const grow = checkChoice(operation, 'evolution.grow', options.grow ?? 'random', growRules);
  const regrowInit = checkChoice(
    operation,
    'evolution.regrowInit',
    options.regrowInit ?? 'he-dense',
    regrowInits,
  );
  const motifSize = checkNumber(
    operation,
    'evolution.motifSize',
    options.motifSize ?? modelMotifSize,
    ranges.motifSize,
  );
  const motifScore = checkChoice(
    operation,
    'evolution.motifScore',
    options.motifScore ?? 'mean',
    motifScores,
  );
  const motifParse = checkChoice(
    operation,
    'evolution.motifParse',
    options.motifParse ?? 'aligned',
    motifParses,
  );
  const evolveOutput = checkBoolean(operation, 'evolution.evolveOutput', options.evolveOutput ?? false);
  if (method === 'static') return undefined;
  const shared = {
    score: motifScore,
    parse: motifParse,
    grow,
    regrowInit,
    evolveOutput,
  } as const;
  if (method === 'set-motif') return { ...shared, motifSize, prune: 'lowest' };
  return { ...shared, motifSize: 1, prune: prune === 'exact' ? 'by-sign' : prune };
}
