import type { BenchDataset, BenchRun } from '../../experiment/results.js';
import { methodLabel } from '../../experiment/trial.js';
import { largest } from '../../extremes.js';

/*
 * What the figures of an experiment are made of: runs, grouped into curves and panels that a reader can tell
 * apart.
 */

/** What a figure of an experiment is drawn from: the runs of one reading, in order. */
export interface FigureData {
  runs: BenchRun[];
  dataset: BenchDataset;
  /** Of the figure's name: the reading. */
  prefix: string;
  /** Ends the figure's title. */
  caveat: string;
}

/** As many as a panel has room for. */
export const mostPoints = 500;

/**
 * The numbers from `from` to below `end`, as spans that a curve gives a point each: one number per span, or
 * the fewest it takes.
 */
export function spans(from: number, end: number): { from: number; to: number }[] {
  if (end <= from) return [];
  const width = Math.ceil((end - from) / mostPoints);
  const count = Math.ceil((end - from) / width);
  return Array.from({ length: count }, (_, i) => ({
    from: Math.max(from, end - (count - i) * width),
    to: end - (count - i - 1) * width,
  }));
}

const mostPanels = 6;

/**
 * The runs of at most six densities, spread out from the lowest to the highest: more panels would bury what
 * they show.
 */
export function fewDensities(runs: BenchRun[]): BenchRun[] {
  const all = [...new Set(runs.flatMap(({ epsilon }) => epsilon ?? []))].sort((a, b) => a - b);
  if (all.length <= mostPanels) return runs;
  const step = (all.length - 1) / (mostPanels - 1);
  const shown = new Set(Array.from({ length: mostPanels }, (_, i) => all[Math.round(i * step)]!));
  return runs.filter(({ epsilon }) => epsilon === null || shown.has(epsilon));
}

export function labels(run: BenchRun): { method: string } {
  return { method: methodLabel(run) };
}

export function panelOf(run: BenchRun, runs: BenchRun[]): string {
  return `ε ${run.epsilon ?? largest(runs.map(({ epsilon }) => epsilon ?? 0))}`;
}

export function grouped<T>(items: T[], key: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const others = groups.get(key(item));
    if (others === undefined) groups.set(key(item), [item]);
    else others.push(item);
  }
  return groups;
}

/** The one in the middle of those there are. */
export function middle(epsilons: number[]): number {
  const all = [...new Set(epsilons)].sort((a, b) => a - b);
  return all[all.length >> 1]!;
}
