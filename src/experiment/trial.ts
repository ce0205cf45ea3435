import type { BenchMethod, Reading } from '../vocabulary.js';

/*
 * Which training of an experiment is meant: its identity, the key that results and checkpoints are found by,
 * and its names for people.
 */

/** What every seed of an experiment trains once, so that seeds are repetitions of it. */
export interface Arm {
  reading: Reading;
  method: BenchMethod;
  /** null for `dense`. */
  epsilon: number | null;
  /** Sources per motif; 1 where neither topology nor evolution knows motifs; null for `dense`. */
  motifSize: number | null;
}

/** One training: an arm with its seed. An experiment has each once. */
export interface Trial extends Arm {
  seed: number;
}

/** The same text for the same arm only. */
export function armKey({ reading, method, epsilon, motifSize }: Arm): string {
  return [reading, method, epsilon, motifSize].join(' ');
}

/** The same text for the same training only. */
export function trialKey(trial: Trial): string {
  return `${armKey(trial)} ${trial.seed}`;
}

/**
 * Name of an arm within its reading, for sentences: "set-motif at epsilon 5 and motif size 2".
 *
 * @param subject what stands in the place of the method: the topology, where the network alone is meant
 */
export function armName({ method, epsilon, motifSize }: Arm, subject: string = method): string {
  if (epsilon === null) return subject;
  const size = hasMotifs(motifSize) ? ` and motif size ${motifSize}` : '';
  return `${subject} at epsilon ${epsilon}${size}`;
}

/** Name of a training within its reading: "set at epsilon 5, seed 0". */
export function trialName(trial: Trial, subject?: string): string {
  return `${armName(trial, subject)}, seed ${trial.seed}`;
}

/** Name of a training among those of all readings: "plain, set at epsilon 5, seed 0". */
export function trialNameInFull(trial: Trial): string {
  return `${trial.reading}, ${trialName(trial)}`;
}

/** Label of a method in tables and legends: "set-motif 2". */
export function methodLabel({ method, motifSize }: Pick<Arm, 'method' | 'motifSize'>): string {
  return hasMotifs(motifSize) ? `${method} ${motifSize}` : method;
}

/** Label of an arm where room is short: "published set-motif 2 ε 5". */
export function armLabel(arm: Arm): string {
  const label = methodLabel(arm) + (arm.epsilon === null ? '' : ` ε ${arm.epsilon}`);
  return arm.reading === 'plain' ? label : `${arm.reading} ${label}`;
}

function hasMotifs(motifSize: number | null): boolean {
  return motifSize !== null && motifSize > 1;
}
