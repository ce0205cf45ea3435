import type { BenchDataset, BenchRun } from '../../experiment/results.js';
import { methodLabel } from '../../experiment/trial.js';
import { largest } from '../../extremes.js';

/*
 * Runs of an experiment for its figures, grouped into curves and panels that a reader can distinguish.
 */

/** Data of a figure of an experiment: the runs of one reading, in order. */
export interface FigureData {
  runs: BenchRun[];
  dataset: BenchDataset;
  /** Beginning of the name of the figure: the reading. */
  prefix: string;
  /** End of the title of the figure. */
  caveat: string;
}

/** Most points that a panel has room for. */
export const mostPoints = 500;

/**
 * Divides the numbers from `from` to below `end` into spans, each of which a curve shows as a point: one
 * number per span, or as few as possible.
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

/** Runs of at most six densities, from the lowest to the highest: more panels would be too small to read. */
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

/** The middle one of the given densities. */
export function middle(epsilons: number[]): number {
  const all = [...new Set(epsilons)].sort((a, b) => a - b);
  return all[all.length >> 1]!;
}
