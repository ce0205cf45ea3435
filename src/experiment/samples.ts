import { type Prepared, prepare } from '../datasets/transform.js';
import type { Dataset, Scaling } from '../datasets/types.js';
import { isSetNativeError, SetNativeError } from '../errors.js';
import { defaultSamples, type ExperimentConfig } from './config.js';

/** The samples of a seed, ready for training: the same for all trials of the seed. */
export function samplesOf(config: ExperimentConfig, seed: number, dataset: Dataset): Prepared {
  const counts = countsOf(config, dataset);
  const scaling: Scaling = config.scaling === 'own' ? dataset.scaling : { kind: config.scaling };
  try {
    return prepare(dataset, { ...counts, scaling, seed, inputOrder: config.inputOrder });
  } catch (error) {
    if (!isSetNativeError(error, 'ERR_OUT_OF_RANGE') || error.details.available === undefined) throw error;
    const details = { ...error.details, option: 'train, validation, test' };
    throw new SetNativeError(error.code, `[bench] \`train\`, \`validation\` or \`test\`: ${error.message}`, {
      details,
      cause: error,
    });
  }
}

/** How many samples each part takes; undefined: all that there are. */
function countsOf(
  config: ExperimentConfig,
  dataset: Dataset,
): { train: number | undefined; validation: number; test: number | undefined } {
  const whole = dataset.train.count;
  const fits = (part: 'train' | 'test') =>
    dataset.test !== undefined && dataset[part]!.count >= defaultSamples[part]
      ? defaultSamples[part]
      : undefined;
  const given = (part: 'train' | 'test') =>
    config[part] === 'all' ? undefined : (config[part] ?? fits(part));
  const train = given('train');
  const left = dataset.test === undefined || train === undefined ? 0 : whole - train;
  return {
    train,
    validation: config.validation ?? (left >= defaultSamples.validation ? defaultSamples.validation : 0),
    test: given('test'),
  };
}
