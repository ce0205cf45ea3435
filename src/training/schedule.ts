import { checkChoice, checkKeys, checkNumber, type NumberRange, wholeNumber } from '../checks.js';
import { type ZetaScheduleName, zetaSchedules } from '../vocabulary.js';

/*
 * The schedule of evolution: when links evolve, and which share of them is exchanged. How they evolve, the
 * policy says.
 */

/** A share of the links that changes over the run, by name. */
export interface ZetaSchedule {
  /**
   * `constant`; `cosine` falls from `start` to 0: it is start / 2 · (1 + cos(πp)) at the progress p, which
   * goes from 0 at the start of the run to 1 at `until`.
   */
  schedule: ZetaScheduleName;
  /** Share at the start, above 0 and below 1. Default 0.3. */
  start?: number;
}

export interface EvolutionSchedule {
  /** Epochs, or steps, from one evolution to the next. */
  every: { epochs: number } | { steps: number };
  /** Share of the run after which the links stay as they are: above 0, at most 1. */
  until: number;
  /** Share of the links that is exchanged, or what gives it for a progress from 0 to 1. */
  zeta: number | ((progress: number) => number);
}

/** What an evolution schedule is made of, as options give it. */
interface ScheduleOptions {
  zeta?: number | ((progress: number) => number) | ZetaSchedule;
  every?: number | { steps: number };
  until?: number;
}

/** Shares of the links that an evolution may replace. */
export const zetaRange: NumberRange = {
  text: 'a number above 0 and below 1',
  accepts: (value) => value > 0 && value < 1,
};
/** Epochs, or steps, from one evolution to the next. */
export const everyRange = wholeNumber(1, 2 ** 31 - 1);
/** Shares of a run after which links may stay as they are. */
export const untilRange: NumberRange = {
  text: 'a number above 0, at most 1',
  accepts: (value) => value > 0 && value <= 1,
};

/**
 * Checks the schedule of an evolution, `evolution` of the options.
 *
 * @throws SetNativeError ERR_INVALID_ARGUMENT, ERR_OUT_OF_RANGE
 */
export function evolutionSchedule(operation: string, options: ScheduleOptions): EvolutionSchedule {
  const { zeta = standardZeta, until = 1, every = 1 } = options;
  return {
    zeta: checkZeta(operation, zeta),
    until: checkNumber(operation, 'evolution.until', until, untilRange),
    every: checkEvery(operation, 'evolution.every', every),
  };
}

const standardZeta = 0.3;

function checkZeta(operation: string, zeta: NonNullable<ScheduleOptions['zeta']>): EvolutionSchedule['zeta'] {
  const of = 'evolution.zeta';
  if (typeof zeta === 'function') return zeta;
  if (typeof zeta !== 'object' || zeta === null) return checkNumber(operation, of, zeta, zetaRange);
  checkKeys(operation, zeta, ['schedule', 'start'], { of });
  const schedule = checkChoice(operation, `${of}.schedule`, zeta.schedule, zetaSchedules);
  const start = checkNumber(operation, `${of}.start`, zeta.start ?? standardZeta, zetaRange);
  if (schedule === 'constant') return start;
  return (progress) => (start / 2) * (1 + Math.cos(Math.PI * progress));
}

/** Checks what counts from one evolution to the next: a number of epochs, or `{ steps }`. */
export function checkEvery(operation: string, option: string, every: unknown): EvolutionSchedule['every'] {
  if (typeof every !== 'object' || every === null)
    return { epochs: checkNumber(operation, option, every, everyRange) };
  checkKeys(operation, every, ['steps'], { of: option });
  const { steps } = every as { steps?: unknown };
  return { steps: checkNumber(operation, `${option}.steps`, steps, everyRange) };
}

/** What counts from one evolution to the next, in words: "2", a number of epochs, or "500 steps". */
export function everyText(every: number | { steps: number }): string {
  return typeof every === 'number' ? String(every) : `${every.steps} steps`;
}

/** A moment of a run, in epochs or in steps. */
interface Moment {
  done: number;
  total: number;
}

/**
 * Whether a schedule has not ended at a moment.
 * The tolerance makes up for products such as 0.7 * 10, which a float64 takes for less than 7.
 */
export function isOpen({ until }: Pick<EvolutionSchedule, 'until'>, { done, total }: Moment): boolean {
  return done <= until * total * (1 + 1e-12);
}

/**
 * Zeta of the evolution at a moment; undefined where there is none, because the schedule has ended or its
 * function gives 0.
 * @param check throws unless its argument may be a zeta
 */
export function zetaAt(
  schedule: EvolutionSchedule,
  moment: Moment,
  check: (zeta: number, progress: number) => void,
): number | undefined {
  if (!isOpen(schedule, moment)) return undefined;
  const { zeta, until } = schedule;
  if (typeof zeta === 'number') return zeta;
  const progress = Math.min(1, moment.done / (until * moment.total));
  const value = zeta(progress);
  if (value === 0) return undefined;
  check(value, progress);
  return value;
}

/**
 * Steps [first, end) of an epoch, counted from 0, that are trained in one go; an evolution stands between two
 * parts.
 * @param before steps trained in the epochs before
 * @param steps  steps of the epoch
 */
export function partsOfEpoch(
  { every }: EvolutionSchedule,
  before: number,
  steps: number,
): { first: number; end: number }[] {
  if ('epochs' in every) return [{ first: 0, end: steps }];
  const parts: { first: number; end: number }[] = [];
  let first = 0;
  while (first < steps) {
    const next = (Math.floor((before + first) / every.steps) + 1) * every.steps - before;
    const end = Math.min(next, steps);
    parts.push({ first, end });
    first = end;
  }
  return parts;
}

/** Whether links may evolve at the end of an epoch. */
export function evolvesAfter({ every }: EvolutionSchedule, epoch: number, steps: number): boolean {
  return 'epochs' in every ? epoch % every.epochs === 0 : (epoch * steps) % every.steps === 0;
}
