import { evolvesMotifs } from '../benchMethods.js';
import {
  checkChoice,
  checkKeys,
  checkNumber,
  invalid,
  isArrayLike,
  type NumberRange,
  wholeNumber,
} from '../checks.js';
import { checkTableChoice, type TableChoice, tableChoiceKeys } from '../datasets/choice.js';
import { checkTiles, orderOf, type TileOrder } from '../datasets/inputOrder.js';
import type { Dataset } from '../datasets/types.js';
import { SetNativeError } from '../errors.js';
import { methodsOf, refinements, refinementsOf } from '../thesis/readings.js';
import { hasEnd } from '../training/learningRate.js';
import { optimizerDefaults, ranges } from '../training/options.js';
import { checkEvery } from '../training/schedule.js';
import {
  type ActivationName,
  activations,
  type BackendChoice,
  type BenchMethod,
  type BenchRateScheduleName,
  backendChoices,
  benchMethods,
  benchRateSchedules,
  type InitName,
  inits,
  type OptimizerName,
  optimizers,
  type Reading,
  type RegrowInitName,
  readings,
  regrowInits,
  type ScalingChoice,
  type SparseTopologyName,
  scalings,
  sparseTopologies,
  usualBenchMethods,
  type WeightDecayMode,
  weightDecayModes,
  type ZetaScheduleName,
  zetaSchedules,
} from '../vocabulary.js';

export interface ExperimentConfig extends TableChoice {
  /** A name of `listDatasets`, or of the table `csv`. */
  dataset: string;
  /** Folder that data sets are looked for in first. */
  dataDir?: string;
  readings: Reading[];
  /**
   * Default `set`, `set-motif`, `static` and `dense`. Readings of the thesis leave out those that grow links
   * by walk or gradient.
   */
  methods: BenchMethod[];
  epsilon: number[];
  /** Runs per method and epsilon, with seeds `seed`, `seed + 1` ... */
  runs: number;
  epochs: number;
  /**
   * Samples to train on, drawn by seed; the same for all methods. Default 5000, or all of a smaller data set.
   */
  train?: number | 'all';
  /**
   * Samples held out of the training set to choose an epoch by. Default 1000 where so many are left over of a
   * data set that has a test set of its own, else 0: none.
   */
  validation?: number;
  /** Samples to test on. Default 1000, or all of a smaller data set. */
  test?: number | 'all';
  scaling: ScalingChoice;
  /**
   * Which pixel each input of a network takes, as in `prepare`: motifs are neighbouring inputs, so that in
   * the order of tiles they are patches of an image. Default `given`; `tiles` is `{ tiles: 2 }`. Readings of
   * the thesis keep to the given one.
   */
  inputOrder: 'given' | 'tiles' | TileOrder;
  hidden: number[];
  batchSize: number;
  /** Default `sgd`. */
  optimizer?: OptimizerName;
  /** Default 0.05, with `adamw` 0.001. */
  learningRate: number;
  /**
   * How the rate changes from step to step over all epochs. Default `constant`; `linear` and `cosine` fall
   * from `learningRate` to `rateEnd`. Readings of the thesis keep to a constant rate.
   */
  rateSchedule: BenchRateScheduleName;
  /** Rate that `linear` and `cosine` end at, from 0 on; 0, the default, for `constant`. */
  rateEnd: number;
  /** Epochs in which the rate first grows from 0 to `learningRate`, from 0 on. Default 0. */
  warmup: number;
  /** Momentum of `sgd`, beta1 of `adamw`. */
  momentum: number;
  /**
   * Share of every weight lost per step: of `sgd` as it is (the thesis' form), default 0.0002; of `adamw`
   * scaled by the learning rate, default 0.01.
   */
  weightDecay: number;
  /** What `weightDecay` does to a weight, as in `fit`. Default `thesis`, with `adamw` `decoupled`. */
  weightDecayMode: WeightDecayMode;
  /** Probability with which a step drops an output of a hidden layer, from 0 to below 1. Default 0. */
  dropout: number;
  /** Share of the links that an evolution replaces, above 0 and below 1. Default 0.3. */
  zeta: number;
  /**
   * How that share changes over the run. Default `constant`; `cosine` falls from `zeta` to 0 at
   * `evolveUntil`. Readings of the thesis keep to a constant share, after every epoch.
   */
  zetaSchedule: ZetaScheduleName;
  /** Epochs from one evolution to the next, or steps (batches): `{ steps: 500 }`. Default 1. */
  evolveEvery: number | { steps: number };
  /** Share of the epochs after which links stay as they are, above 0, at most 1. Default 1. */
  evolveUntil: number;
  /**
   * Share of the epochs, from 0 to below 1, after which networks are averaged, as in `fit`. The mean is
   * evaluated when a training ends, beside the last network, which stays what it is: `averaged` of its run.
   * Default: no average, as in readings of the thesis.
   */
  average?: number;
  /** Activation of the hidden layers. */
  activation: ActivationName;
  init: InitName;
  regrowInit: RegrowInitName;
  /**
   * Topology of all sparse methods; the motif topologies then take a single motif size above 1. By default
   * `motif` for trainings at a motif size above 1, and `erdos-renyi` for the others.
   */
  topology?: SparseTopologyName;
  /**
   * Sources per motif: `set-motif` and its variants run once per size; at size 1, single links, they are
   * `set`, `set-walk` and `set-gradient`. With several sizes `static` runs beside each of them, on its
   * topology.
   */
  motifSize: number[];
  seed: number;
  /** Threads of each training; 0: all CPUs that the process may use, shared out among the jobs. */
  threads: number;
  /**
   * Groups that train at once. With several, times are those of a machine that does other work too. 0: with
   * cuda as many as are expected to fill the GPU (`gpuJobs`), else one.
   */
  jobs: number;
  backend: BackendChoice;
}

export const motifSizes = wholeNumber(1, 64);

/**
 * Sizes of the subsets, where the data set has a test set of its own and that many samples; else all are
 * used.
 */
export const defaultSamples = { train: 5000, validation: 1000, test: 1000 };

/** The Fashion-MNIST configuration of the thesis, with fan-in-aware initialisation and a short schedule. */
export const experimentDefaults: Omit<ExperimentConfig, 'dataset'> = {
  readings: ['plain'],
  methods: [...usualBenchMethods],
  epsilon: [5, 13],
  runs: 1,
  epochs: 6,
  hidden: [3000, 3000, 3000],
  batchSize: 40,
  learningRate: optimizerDefaults.sgd.learningRate,
  rateSchedule: 'constant',
  rateEnd: 0,
  warmup: 0,
  momentum: 0.9,
  weightDecay: optimizerDefaults.sgd.weightDecay,
  weightDecayMode: optimizerDefaults.sgd.weightDecayMode,
  dropout: 0,
  zeta: 0.3,
  zetaSchedule: 'constant',
  evolveEvery: 1,
  evolveUntil: 1,
  scaling: 'own',
  inputOrder: 'given',
  activation: 'relu',
  init: 'he-fan-in',
  regrowInit: 'he-dense',
  motifSize: [2],
  seed: 0,
  threads: 0,
  jobs: 0,
  backend: 'auto',
};

/** Defaults of the options whose meaning depends on the optimizer. */
export function defaultsOf(
  optimizer: OptimizerName = 'sgd',
): Pick<ExperimentConfig, 'learningRate' | 'weightDecay' | 'weightDecayMode'> {
  const { learningRate, weightDecay, weightDecayMode } =
    optimizerDefaults[optimizer] ?? optimizerDefaults.sgd;
  return { learningRate, weightDecay, weightDecayMode };
}

/** What a reading makes of the options that the thesis does not have. */
export function refinedOf(config: ExperimentConfig, reading: Reading): ReturnType<typeof refinementsOf> {
  return refinementsOf(config, reading, defaultsOf(config.optimizer).weightDecayMode);
}

/** Throws unless the data are such that their inputs can be put in the order that is asked for. */
export function checkOrderOf(config: ExperimentConfig, { train, imageShape }: Dataset): void {
  for (const reading of config.readings)
    orderOf('bench', refinedOf(config, reading).inputOrder, { features: train.features, imageShape });
}

/**
 * Options that decide the bits of a result, sorted by name; the same for an experiment of an earlier version
 * and for one of this version that is asked for the same. Earlier versions have none of the refinements: they
 * ran with what is the default of these now.
 */
export function decisiveOptions(config: ExperimentConfig): [string, unknown][] {
  const { jobs: _jobs, threads: _threads, dataDir: _dataDir, csv: _csv, ...options } = config;
  const added: readonly string[] = refinements;
  const defaults: Partial<ExperimentConfig> = { ...experimentDefaults, ...defaultsOf(config.optimizer) };
  return Object.entries(options)
    .filter(([key, value]) => !added.includes(key) || value !== defaults[key as keyof ExperimentConfig])
    .sort(([a], [b]) => (a < b ? -1 : 1));
}

const optionalKeys = [
  ...tableChoiceKeys,
  'dataDir',
  'topology',
  'optimizer',
  'train',
  'validation',
  'test',
  'average',
] as const satisfies (keyof ExperimentConfig)[];

/** Names of all options. */
export const experimentKeys: readonly string[] = [
  ...Object.keys(experimentDefaults),
  'dataset',
  ...optionalKeys,
];

/** The options with their defaults, checked: errors name the option in `details.option`. */
export function experimentConfig(
  given: Partial<ExperimentConfig> & Pick<ExperimentConfig, 'dataset'>,
): ExperimentConfig {
  checkKeys('bench', given, experimentKeys);
  const { dataset, ...rest } = given;
  const config = { dataset, ...experimentDefaults, ...defaultsOf(rest.optimizer), ...rest };
  const number = (option: keyof ExperimentConfig, range: NumberRange) =>
    checkNumber('bench', option, config[option], range);
  checkTableChoice('bench', config);
  list('readings', config.readings, (value) => checkChoice('bench', 'readings', value, readings));
  list('methods', config.methods, (value) => checkChoice('bench', 'methods', value, benchMethods));
  list('epsilon', config.epsilon, (value) => checkNumber('bench', 'epsilon', value, ranges.epsilon));
  list('motifSize', config.motifSize, (value) => checkNumber('bench', 'motifSize', value, motifSizes));
  list('hidden', config.hidden, (value) => checkNumber('bench', 'hidden', value, ranges.layerSize), true);
  number('runs', ranges.runs);
  number('epochs', ranges.epochs);
  for (const part of ['train', 'test'] as const) {
    if (config[part] !== undefined && config[part] !== 'all') number(part, ranges.samples);
  }
  if (config.validation !== undefined) number('validation', wholeNumber(0, 2 ** 31 - 1));
  checkChoice('bench', 'scaling', config.scaling, scalings);
  checkInputOrder(config.inputOrder);
  checkChoice('bench', 'activation', config.activation, activations);
  if (config.optimizer !== undefined) checkChoice('bench', 'optimizer', config.optimizer, optimizers);
  number('batchSize', ranges.batchSize);
  number('learningRate', ranges.learningRate);
  checkChoice('bench', 'rateSchedule', config.rateSchedule, benchRateSchedules);
  number('rateEnd', ranges.rateEnd);
  checkRateEnd(config);
  number('warmup', ranges.warmup);
  number('momentum', ranges.momentum);
  number('weightDecay', ranges.weightDecay);
  checkChoice('bench', 'weightDecayMode', config.weightDecayMode, weightDecayModes);
  number('dropout', ranges.dropout);
  number('zeta', ranges.zeta);
  checkChoice('bench', 'zetaSchedule', config.zetaSchedule, zetaSchedules);
  checkEvery('bench', 'evolveEvery', config.evolveEvery);
  number('evolveUntil', ranges.until);
  if (config.average !== undefined) number('average', ranges.average);
  number('seed', wholeNumber(0, Number.MAX_SAFE_INTEGER - (config.runs - 1)));
  number('threads', ranges.threads);
  number('jobs', wholeNumber(0, 1024));
  checkChoice('bench', 'init', config.init, inits);
  checkChoice('bench', 'regrowInit', config.regrowInit, regrowInits);
  checkChoice('bench', 'backend', config.backend, backendChoices);
  if (config.topology !== undefined) checkChoice('bench', 'topology', config.topology, sparseTopologies);
  checkMotifSizes(config);
  checkMethods(config);
  return config;
}

function checkInputOrder(order: ExperimentConfig['inputOrder']): void {
  if (order === 'given' || order === 'tiles') return;
  if (typeof order !== 'object' || isArrayLike(order))
    throw invalid('bench', 'inputOrder', 'given, tiles or { tiles: 4 }', order);
  checkTiles('bench', order);
}

/** Throws where a reading has none of the methods. */
function checkMethods(config: ExperimentConfig): void {
  const empty = config.readings.find((reading) => methodsOf(config, reading).length === 0);
  if (empty === undefined) return;
  const known = methodsOf({ methods: [...benchMethods] }, 'described').join(', ');
  throw new SetNativeError(
    'ERR_OUT_OF_RANGE',
    `[bench] methods must have one that the reading ${empty} knows: ${known}; got ${config.methods}`,
    { details: { option: 'methods', value: config.methods } },
  );
}

function checkRateEnd({ rateSchedule, rateEnd }: ExperimentConfig): void {
  if (hasEnd(rateSchedule) || rateEnd === 0) return;
  throw new SetNativeError(
    'ERR_OUT_OF_RANGE',
    `[bench] rateEnd must be 0 with rateSchedule ${rateSchedule}, which does not fall; got ${rateEnd}`,
    { details: { option: 'rateEnd', value: rateEnd } },
  );
}

function checkMotifSizes({ methods, topology, motifSize }: ExperimentConfig): void {
  const refuse = (expected: string) => {
    throw new SetNativeError('ERR_OUT_OF_RANGE', `[bench] motifSize must be ${expected}; got ${motifSize}`, {
      details: { option: 'motifSize', value: motifSize },
    });
  };
  if (
    (topology === 'motif' || topology === 'motif-printed') &&
    (motifSize.length > 1 || motifSize[0] === 1)
  ) {
    refuse(
      `a single size above 1 with topology ${topology}, which all sparse methods share ` +
        '(without a topology, set-motif and static run on the motifs of each of several sizes)',
    );
  }
  if (motifSize.length > 1 && !methods.some(evolvesMotifs)) {
    refuse(
      `a single size unless one of ${benchMethods.filter(evolvesMotifs).join(', ')} is among the methods`,
    );
  }
}

function list<T>(option: string, values: T[], check: (value: T) => void, repeats = false): void {
  if (!Array.isArray(values) || values.length === 0) {
    throw new SetNativeError(
      'ERR_INVALID_ARGUMENT',
      `[bench] ${option} must be a list of at least one value`,
      {
        details: { option, value: values },
      },
    );
  }
  for (const value of values) check(value); // forEach passes over holes
  if (!repeats && new Set(values).size < values.length) {
    throw new SetNativeError(
      'ERR_OUT_OF_RANGE',
      `[bench] ${option} must name each value once, got ${values}`,
      {
        details: { option, value: values },
      },
    );
  }
}
