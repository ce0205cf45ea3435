import type { KernelMachine, KernelResults, TimedCase } from './results.js';

/** Comparison of new times with old ones, case by case. */
export interface Comparison {
  /** Comparisons by name, of the cases that were timed both times. */
  cases: Map<string, CaseComparison>;
  /** Geometric mean of old / new over these cases: above 1 is faster. null when there is none. */
  geometricMean: number | null;
  /** Differences between the machines or builds, in words: with any, times say little about the code. */
  differences: string[];
}

interface CaseComparison {
  /** Old median over new median: above 1 is faster. */
  ratio: number;
  /** Whether the difference exceeds the deviation of the times. */
  beyondNoise: boolean;
}

/**
 * Least difference of medians that counts: on a shared machine smaller ones mean nothing, however little the
 * runs deviate.
 */
const leastDifference = 0.05;

export function compareKernels(old: KernelResults, current: KernelResults): Comparison {
  const timed = ({ cases }: KernelResults) =>
    cases.filter((each): each is TimedCase => each.failure === undefined);
  const before = new Map(timed(old).map((each) => [each.name, each]));
  const cases = new Map<string, CaseComparison>();
  for (const each of timed(current)) {
    const earlier = before.get(each.name);
    if (earlier !== undefined) cases.set(each.name, compareCase(earlier, each));
  }
  const logs = [...cases.values()].map(({ ratio }) => Math.log(ratio));
  return {
    cases,
    geometricMean: logs.length > 0 ? Math.exp(logs.reduce((sum, log) => sum + log, 0) / logs.length) : null,
    differences: differences(old.machine, current.machine),
  };
}

function compareCase(old: TimedCase, current: TimedCase): CaseComparison {
  const ratio = old.medianMs / current.medianMs;
  const scatter = old.deviationMs / old.medianMs + current.deviationMs / current.medianMs;
  return { ratio, beyondNoise: Math.abs(Math.log(ratio)) > Math.max(leastDifference, 2 * scatter) };
}

function differences(old: KernelMachine, current: KernelMachine): string[] {
  const parts = [
    ['CPU', old.cpu, current.cpu],
    ['cores', old.cores, current.cores],
    ['instruction set', old.isa, current.isa],
    ['compiler', old.compiler, current.compiler],
  ];
  return parts.filter(([, was, is]) => was !== is).map(([what, was, is]) => `${what} ${is}, then ${was}`);
}
