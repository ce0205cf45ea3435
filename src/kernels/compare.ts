import type { KernelMachine, KernelResults, TimedCase } from './results.js';

/** New times against old ones, case by case. */
export interface Comparison {
  /** By name, for cases timed both times. */
  cases: Map<string, CaseComparison>;
  /** Of old / new over these: above 1 is faster. null when there is none. */
  geometricMean: number | null;
  /** What tells the machines or builds apart, in words: times then say little about the code. */
  differences: string[];
}

interface CaseComparison {
  /** Old / new median: above 1 is faster. */
  ratio: number;
  /** Whether the difference exceeds what the times scatter by. */
  beyondNoise: boolean;
}

/** Below this, a difference of medians means nothing on a shared machine, however little the runs scatter. */
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
