import { checkBoolean, checkChoice, checkKeys, checkNumber, wholeNumber } from '../checks.js';
import { SetNativeError } from '../errors.js';
import type { EpochFigures } from './run.js';

/*
 * Early stopping: a training ends when what it is judged by has stopped to improve. (Prechelt 1998; the
 * options are those of Keras.)
 */

export const monitors = ['validationLoss', 'validationAccuracy', 'trainLoss'] as const;
export type MonitorName = (typeof monitors)[number];

export interface EarlyStopping {
  /** Figure of the epochs' reports that is to improve. Default `validationLoss`. */
  monitor?: MonitorName;
  /**
   * Epochs without an improvement, in a row, after which the training goes on no more; 0, the default, means
   * the same as 1.
   */
  patience?: number;
  /** What counts as an improvement must be larger than this. Default 0. */
  minDelta?: number;
  /**
   * Whether the model ends as it was after its best epoch, links and optimizer included, from which `fit`
   * goes on; so it does, too, where the training diverges and rejects. A copy of the model is kept meanwhile.
   * Default false.
   */
  restoreBest?: boolean;
}

/** Throws unless `options` are such, and there is what they name. */
export function checkEarlyStopping(
  operation: string,
  options: EarlyStopping,
  validation: 'none' | 'labels' | 'targets',
): Required<EarlyStopping> {
  const of = 'earlyStopping';
  checkKeys(operation, options, ['monitor', 'patience', 'minDelta', 'restoreBest'], { of });
  const { monitor = 'validationLoss', patience = 0, minDelta = 0, restoreBest = false } = options;
  checkChoice(operation, `${of}.monitor`, monitor, monitors);
  checkNumber(operation, `${of}.patience`, patience, wholeNumber(0, 65_535));
  checkNumber(operation, `${of}.minDelta`, minDelta, {
    text: 'a number of at least 0',
    accepts: (value) => value >= 0 && Number.isFinite(value),
  });
  checkBoolean(operation, `${of}.restoreBest`, restoreBest);
  if (monitor !== 'trainLoss' && validation === 'none') {
    throw new SetNativeError(
      'ERR_INVALID_ARGUMENT',
      `[${operation}] earlyStopping needs samples that are held out, the option validation, for ${monitor}; prepare ` +
        'makes some',
      { details: { option: 'validation' } },
    );
  }
  if (monitor === 'validationAccuracy' && validation === 'targets') {
    throw new SetNativeError(
      'ERR_INVALID_ARGUMENT',
      `[${operation}] earlyStopping.monitor must be validationLoss or trainLoss: there is no accuracy of targets`,
      { details: { option: 'earlyStopping.monitor' } },
    );
  }
  return { monitor, patience, minDelta, restoreBest };
}

/** Judges the epochs of one call. */
export class Stopping {
  readonly #options: Required<EarlyStopping>;
  #best: number | undefined;
  #bestEpoch = 0;

  constructor(options: Required<EarlyStopping>) {
    this.#options = options;
  }

  /** Epoch with the best figure; 0 before the first. */
  get bestEpoch(): number {
    return this.#bestEpoch;
  }

  /** Whether an epoch is the best so far, and whether the training is to end with it. */
  judge(figures: EpochFigures): { isBest: boolean; ends: boolean } {
    const { monitor, patience, minDelta } = this.#options;
    const figure = figures[monitor]!;
    const gain = this.#best === undefined ? Infinity : this.#best - figure;
    const isBest = (monitor === 'validationAccuracy' ? -gain : gain) > minDelta || this.#best === undefined;
    if (isBest) {
      this.#best = figure;
      this.#bestEpoch = figures.epoch;
    }
    // Keras ends after the first epoch without an improvement where patience is 0 or 1.
    return { isBest, ends: !isBest && figures.epoch - this.#bestEpoch >= Math.max(1, patience) };
  }
}
