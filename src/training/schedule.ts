/*
 * The schedule of evolution: when links evolve, and which share of them is exchanged. How they evolve, the
 * policy says.
 */

export interface EvolutionSchedule {
  /** Epochs, or steps, from one evolution to the next. */
  every: { epochs: number } | { steps: number };
  /** Share of the run after which the links stay as they are: above 0, at most 1. */
  until: number;
  /** Share of the links that is exchanged, or what gives it for a progress from 0 to 1. */
  zeta: number | ((progress: number) => number);
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
