import { checkChoice, checkKeys, checkNumber, type NumberRange, wholeNumber } from '../checks.js';
import { type RateScheduleName, rateSchedules } from '../vocabulary.js';

/*
 * Learning rates over the steps of a run: one number, a function of the epoch, or a schedule by name.
 */

/**
 * A learning rate that changes from step to step. The run is all that the model has been trained for when
 * this call of `fit` ends; so a run in several calls needs `until`, not `epochs`, to be that of one.
 */
export interface LearningRateSchedule {
  /**
   * `constant`; `linear` and `cosine` fall from `rate` to `end` over the run (Loshchilov and Hutter 2017,
   * without restarts); `step` multiplies the rate by `factor` after every `every`
   * epochs, counted from the start of the run.
   */
  schedule: RateScheduleName;
  /**
   * Rate at the start of the schedule. Default: the learning rate that the optimizer has without a schedule.
   */
  rate?: number;
  /** Rate that `linear` and `cosine` end at, from 0 on. Default 0. */
  end?: number;
  /** What `step` multiplies by, above 0 and below 1. Default 0.1. */
  factor?: number;
  /** Epochs between two steps of `step`. Default 10. */
  every?: number;
  /**
   * Epochs, or steps: `{ steps: 500 }`, in which the rate first grows from 0 to `rate` in even steps. The
   * schedule covers what is left. Default 0.
   */
  warmup?: number | { steps: number };
}

export type LearningRate = number | ((epoch: number) => number) | LearningRateSchedule;

/** A moment of a run: an epoch, counted from 1, and how long the run is. */
export interface EpochOfRun {
  epoch: number;
  /** Epochs of the run. */
  epochs: number;
  /** Steps of an epoch. */
  steps: number;
}

/** A checked learning rate: those of the steps of an epoch, or one for all of them. */
export type Rates = (of: EpochOfRun) => number | Float64Array;

/** Rates that a step may have. */
export const positiveRate: NumberRange = {
  text: 'a number above 0 (in float32)',
  accepts: (value) => Math.fround(value) > 0 && Number.isFinite(Math.fround(value)),
};
/** Rates that a schedule may end at. */
export const lastRate: NumberRange = {
  text: 'a number of at least 0 (in float32)',
  accepts: (value) => value >= 0 && Number.isFinite(Math.fround(value)),
};
const factors: NumberRange = {
  text: 'a number above 0 and below 1',
  accepts: (value) => value > 0 && value < 1,
};
/** Epochs in which a rate may grow first. */
export const warmupEpochs: NumberRange = {
  text: 'a number of epochs of at least 0',
  accepts: (value) => value >= 0 && Number.isFinite(value),
};
const epochsOrSteps: NumberRange = { ...warmupEpochs, text: `${warmupEpochs.text}, or { steps }` };

/**
 * Checks a learning rate.
 *
 * @param standard the rate where a schedule names none
 * @throws SetNativeError ERR_INVALID_ARGUMENT, ERR_OUT_OF_RANGE
 */
export function checkRates(operation: string, given: LearningRate, standard: number): Rates {
  if (typeof given === 'function')
    return ({ epoch }) => checkNumber(operation, `learningRate(${epoch})`, given(epoch), positiveRate);
  if (typeof given !== 'object' || given === null) {
    const rate = checkNumber(operation, 'learningRate', given, positiveRate);
    return () => rate;
  }
  const of = 'learningRate';
  checkKeys(operation, given, ['schedule', 'rate', 'end', 'factor', 'every', 'warmup'], { of });
  const schedule = checkChoice(operation, `${of}.schedule`, given.schedule, rateSchedules);
  for (const [option, names] of [
    ['end', ['linear', 'cosine']],
    ['factor', ['step']],
    ['every', ['step']],
  ] as const) {
    if (given[option] !== undefined)
      checkChoice(operation, `${of}.schedule, where ${option} is given,`, schedule, names);
  }
  const rate = checkNumber(operation, `${of}.rate`, given.rate ?? standard, positiveRate);
  const end = checkNumber(operation, `${of}.end`, given.end ?? 0, lastRate);
  const factor = checkNumber(operation, `${of}.factor`, given.factor ?? 0.1, factors);
  const every = checkNumber(operation, `${of}.every`, given.every ?? 10, wholeNumber(1, 65_535));
  const { warmup = 0 } = given;
  if (typeof warmup === 'object') {
    checkKeys(operation, warmup, ['steps'], { of: `${of}.warmup` });
    checkNumber(operation, `${of}.warmup.steps`, warmup.steps, wholeNumber(0, 2 ** 31 - 1));
  } else checkNumber(operation, `${of}.warmup`, warmup, epochsOrSteps);
  /** Rate of a step of the run, counted from 0. */
  const at = (step: number, steps: number, total: number) => {
    const warm = typeof warmup === 'object' ? warmup.steps : Math.round(warmup * steps);
    if (step < warm) return (rate * (step + 1)) / warm;
    const progress = (step - warm) / Math.max(1, total - warm);
    if (schedule === 'linear') return rate + (end - rate) * progress;
    if (schedule === 'cosine') return end + ((rate - end) * (1 + Math.cos(Math.PI * progress))) / 2;
    return schedule === 'step' ? rate * factor ** Math.floor(Math.floor(step / steps) / every) : rate;
  };
  return ({ epoch, epochs: all, steps }) =>
    Float64Array.from({ length: steps }, (_, i) => at((epoch - 1) * steps + i, steps, all * steps));
}

/** A learning rate as experiments and commands name it: in options of their own. */
export interface RateOptions {
  /** undefined: that of the optimizer. */
  learningRate?: number | undefined;
  rateSchedule: RateScheduleName;
  /** Rate that `linear` and `cosine` end at; the others know none. */
  rateEnd: number;
  /** Epochs in which the rate grows first. */
  warmup: number;
}

/** Whether a schedule ends at a rate that can be chosen. */
export function hasEnd(schedule: RateScheduleName): boolean {
  return schedule === 'linear' || schedule === 'cosine';
}

/** The learning rate that these options stand for: a number where it stays the same. */
export function rateOf({
  learningRate,
  rateSchedule,
  rateEnd,
  warmup,
}: RateOptions): LearningRate | undefined {
  if (rateSchedule === 'constant' && warmup === 0) return learningRate;
  return {
    schedule: rateSchedule,
    ...(learningRate !== undefined && { rate: learningRate }),
    ...(hasEnd(rateSchedule) && { end: rateEnd }),
    warmup,
  };
}
