import { checkChoice, checkKeys, checkNumber, type NumberRange, wholeNumber } from '../checks.js';
import { checkTableChoice, type TableChoice, tableChoiceKeys } from '../datasets/choice.js';
import { SetNativeError } from '../errors.js';
import { ranges } from '../training/options.js';
import { type MethodName, methods } from '../vocabulary.js';

export interface SelectionConfig extends TableChoice {
  /** A name of `listDatasets`, or of the table `csv`. */
  dataset: string;
  dataDir?: string;
  /** Percent of the features to keep, each above 0 and at most 100. */
  keep: number[];
  method: MethodName;
  epsilon: number;
  hidden: number[];
  epochs: number;
  batchSize: number;
  learningRate: number;
  weightDecay: number;
  zeta: number;
  /** Training samples. Default all; of Fashion-MNIST and the like 5000, and 1000 to test on, suffice. */
  train?: number;
  test?: number;
  runs: number;
  seed: number;
  threads: number;
}

export const selectionDefaults: Omit<SelectionConfig, 'dataset'> = {
  keep: [5, 10, 20, 30, 50, 100],
  method: 'set',
  epsilon: 13,
  hidden: [200],
  epochs: 40,
  batchSize: 40,
  learningRate: 0.05,
  weightDecay: 0.001,
  zeta: 0.3,
  runs: 3,
  seed: 0,
  threads: 0,
};

/** Names of all options, in the order in which they are written. */
export const selectionKeys: readonly (keyof SelectionConfig)[] = [
  ...(Object.keys(selectionDefaults) as (keyof typeof selectionDefaults)[]),
  ...(['dataset', 'dataDir', 'train', 'test'] as const),
  ...tableChoiceKeys,
];

export const share: NumberRange = {
  text: 'a number above 0, at most 100',
  accepts: (value) => value > 0 && value <= 100,
};

/** The options with their defaults. Throws ERR_INVALID_ARGUMENT and ERR_OUT_OF_RANGE naming the option. */
export function selectionConfig(
  given: Partial<SelectionConfig> & Pick<SelectionConfig, 'dataset'>,
): SelectionConfig {
  checkKeys('select', given, selectionKeys);
  const all: SelectionConfig = { ...selectionDefaults, ...given };
  const config = Object.fromEntries(
    selectionKeys.map((key) => [key, all[key]]),
  ) as unknown as SelectionConfig;
  checkTableChoice('select', config);
  for (const [key, range] of [
    ['keep', share],
    ['hidden', ranges.layerSize],
  ] as const) {
    if (!Array.isArray(config[key]) || (key === 'keep' && config.keep.length === 0)) {
      throw listError(key, config[key], key === 'keep' ? 'at least one share in percent' : 'layer sizes');
    }
    for (const value of config[key]) checkNumber('select', key, value, range);
  }
  if (new Set(config.keep).size < config.keep.length) {
    throw listError('keep', config.keep, 'different shares in percent, each once');
  }
  for (const key of [
    'epsilon',
    'epochs',
    'batchSize',
    'learningRate',
    'weightDecay',
    'zeta',
    'runs',
    'threads',
  ] as const) {
    checkNumber('select', key, config[key], ranges[key]);
  }
  for (const key of ['train', 'test'] as const) {
    if (config[key] !== undefined) checkNumber('select', key, config[key], ranges.samples);
  }
  checkNumber('select', 'seed', config.seed, wholeNumber(0, Number.MAX_SAFE_INTEGER - (config.runs - 1)));
  checkChoice('select', 'method', config.method, methods);
  return config;
}

function listError(option: string, value: unknown, of: string): SetNativeError {
  return new SetNativeError('ERR_INVALID_ARGUMENT', `[select] ${option} must be a list of ${of}`, {
    details: { option, value },
  });
}
