import { checkChoice, checkKeys, checkNumber, type NumberRange, wholeNumber } from '../checks.js';
import { checkTableChoice, type TableChoice, tableChoiceKeys } from '../datasets/choice.js';
import { SetNativeError } from '../errors.js';
import { optimizerDefaults, ranges } from '../training/options.js';
import {
  type ActivationName,
  activations,
  type BackendChoice,
  type BenchMethod,
  backendChoices,
  benchMethods,
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
} from '../vocabulary.js';

export interface ExperimentConfig extends TableChoice {
  /** A name of `listDatasets`, or of the table `csv`. */
  dataset: string;
  /** Folder that data sets are looked for in first. */
  dataDir?: string;
  readings: Reading[];
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
  hidden: number[];
  batchSize: number;
  /** Default `sgd`. */
  optimizer?: OptimizerName;
  /** Default 0.05, with `adamw` 0.001. */
  learningRate: number;
  /** Momentum of `sgd`, beta1 of `adamw`. */
  momentum: number;
  /**
   * Share of every weight lost per step: of `sgd` as it is (the thesis' form), default 0.0002; of `adamw`
   * scaled by the learning rate, default 0.01.
   */
  weightDecay: number;
  zeta: number;
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
   * Sources per motif: `set-motif` runs once per size; size 1, single links, is SET itself. With several
   * sizes `static` runs beside each of them, on its topology.
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
  methods: [...benchMethods],
  epsilon: [5, 13],
  runs: 1,
  epochs: 6,
  hidden: [3000, 3000, 3000],
  batchSize: 40,
  learningRate: optimizerDefaults.sgd.learningRate,
  momentum: 0.9,
  weightDecay: optimizerDefaults.sgd.weightDecay,
  zeta: 0.3,
  scaling: 'own',
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
export function defaultsOf(optimizer: OptimizerName = 'sgd'): Partial<ExperimentConfig> {
  const { learningRate, weightDecay } = optimizerDefaults[optimizer] ?? optimizerDefaults.sgd;
  return { learningRate, weightDecay };
}

const optionalKeys = [
  ...tableChoiceKeys,
  'dataDir',
  'topology',
  'optimizer',
  'train',
  'validation',
  'test',
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
  checkChoice('bench', 'activation', config.activation, activations);
  if (config.optimizer !== undefined) checkChoice('bench', 'optimizer', config.optimizer, optimizers);
  number('batchSize', ranges.batchSize);
  number('learningRate', ranges.learningRate);
  number('momentum', ranges.momentum);
  number('weightDecay', ranges.weightDecay);
  number('zeta', ranges.zeta);
  number('seed', wholeNumber(0, Number.MAX_SAFE_INTEGER - (config.runs - 1)));
  number('threads', ranges.threads);
  number('jobs', wholeNumber(0, 1024));
  checkChoice('bench', 'init', config.init, inits);
  checkChoice('bench', 'regrowInit', config.regrowInit, regrowInits);
  checkChoice('bench', 'backend', config.backend, backendChoices);
  if (config.topology !== undefined) checkChoice('bench', 'topology', config.topology, sparseTopologies);
  checkMotifSizes(config);
  return config;
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
  if (motifSize.length > 1 && !methods.includes('set-motif')) {
    refuse('a single size unless set-motif is among the methods');
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
