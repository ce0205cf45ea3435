import { largest } from '../extremes.js';
import { type BenchMethod, type Reading, readings } from './config.js';
import type { BenchRun } from './results.js';
import { type Difference, difference, type Estimate, estimate, mean, median } from './statistics.js';

/**
 * All runs of one reading, method, epsilon and motif size; where some were stopped or failed, those that got
 * furthest.
 */
export interface BenchSummary {
  reading: Reading;
  method: BenchMethod;
  epsilon: number | null;
  motifSize: number | null;
  runs: number;
  epochs: number;
  /** Mean over the runs. */
  nnz: number;
  density: number;
  /** Test accuracy after the last epoch. */
  finalAccuracy: Estimate;
  /**
   * Test accuracy after the epoch that the validation samples chose: the one of their best accuracy, the
   * first of several. null without validation samples.
   */
  selectedAccuracy: Estimate | null;
  /** Best epoch of each run, chosen on the test set: optimistic. What the thesis prints. */
  bestAccuracy: Estimate;
  /**
   * Final accuracy less that of SET of the same reading, seed and epsilon, over the seeds; dense: of the
   * largest epsilon. In the reading `published`, which reports maxima, of the best accuracy.
   */
  differenceToSet: Difference | null;
  /** Milliseconds per epoch: the median of a run, over runs; evolve: of the epochs that evolved. */
  trainMs: number;
  evolveMs: number;
  evaluateMs: number;
  /**
   * Time over that of SET of the same reading, seed and epsilon; dense: of the largest epsilon. Total: all
   * three.
   */
  ratioToSet: { train: Estimate; total: Estimate } | null;
  /** Share of the initial links alive at the end, in the layers that may evolve; null when there is none. */
  initialLinks: number | null;
  /**
   * Among SET and SET-motif of this reading and epsilon: whether no other trains faster (by the ratio to SET,
   * or the time where SET is missing) and is on average at least as accurate. null for the other methods,
   * without another, and unless all cover as many runs and epochs.
   */
  onFrontier: boolean | null;
}

const order: BenchMethod[] = ['set', 'set-motif', 'static', 'dense'];

/** Ordered by reading, epsilon, then SET, SET-motif, static, then motif size; dense last. */
export function summarize(runs: BenchRun[]): BenchSummary[] {
  const started = runs.filter((run) => run.epochs.length > 0);
  const groups = new Map<string, BenchRun[]>();
  for (const run of started) {
    const others = groups.get(keyOf(run));
    if (others === undefined) groups.set(keyOf(run), [run]);
    else others.push(run);
  }
  const entries = [...groups.values()].map((group) => summary(group, started));
  return entries
    .map((entry) => ({ ...entry, onFrontier: onFrontier(entry, entries) }))
    .sort(
      (a, b) =>
        readings.indexOf(a.reading) - readings.indexOf(b.reading) ||
        (a.epsilon ?? Infinity) - (b.epsilon ?? Infinity) ||
        order.indexOf(a.method) - order.indexOf(b.method) ||
        a.motifSize! - b.motifSize!,
    );
}

function keyOf({ reading, method, epsilon, motifSize }: BenchRun): string {
  return [reading, method, epsilon, motifSize].join(' ');
}

type Entry = Omit<BenchSummary, 'onFrontier'>;

function summary(group: BenchRun[], all: BenchRun[]): Entry {
  const epochs = largest(group.map((run) => run.epochs.length));
  const runs = group.filter((run) => run.epochs.length === epochs);
  const { reading, method, epsilon, motifSize } = runs[0]!;
  const pairs = pairsWithSet(runs, all);
  const survivals = runs.map(survival).filter((share) => share !== null);
  const selected = runs.map(selectedAccuracy).filter((accuracy) => accuracy !== null);
  const accuracy = reading === 'published' ? bestAccuracy : finalAccuracy;
  const equal = pairs.filter(({ run, set }) => run.epochs.length === set.epochs.length);
  return {
    reading,
    method,
    epsilon,
    motifSize,
    runs: runs.length,
    epochs,
    nnz: mean(runs.map((run) => run.nnz)),
    density: mean(runs.map((run) => run.density)),
    finalAccuracy: estimate(runs.map(finalAccuracy)),
    selectedAccuracy: selected.length === runs.length ? estimate(selected) : null,
    bestAccuracy: estimate(runs.map(bestAccuracy)),
    differenceToSet:
      equal.length > 0 ? difference(equal.map(({ run, set }) => accuracy(run) - accuracy(set))) : null,
    trainMs: mean(runs.map((run) => medianMs(run, 'trainMs'))),
    evolveMs: mean(runs.map((run) => medianMs(run, 'evolveMs'))),
    evaluateMs: mean(runs.map((run) => medianMs(run, 'evaluateMs'))),
    ratioToSet: ratioToSet(pairs),
    initialLinks: survivals.length > 0 ? mean(survivals) : null,
  };
}

function finalAccuracy({ epochs }: BenchRun): number {
  return epochs.at(-1)!.testAccuracy!;
}

function bestAccuracy({ epochs }: BenchRun): number {
  return largest(epochs.map((epoch) => epoch.testAccuracy!));
}

function selectedAccuracy({ epochs }: BenchRun): number | null {
  if (epochs.some(({ validationAccuracy }) => validationAccuracy === undefined)) return null;
  const best = largest(epochs.map((epoch) => epoch.validationAccuracy!));
  return epochs.find(({ validationAccuracy }) => validationAccuracy === best)!.testAccuracy!;
}

function survival({ epochs }: BenchRun): number | null {
  const links = epochs.at(-1)!.linksByBirth;
  const total = links.reduce((sum, count) => sum + count, 0);
  return total > 0 ? links[0]! / total : null;
}

interface Pair {
  run: BenchRun;
  set: BenchRun;
}

function pairsWithSet(runs: BenchRun[], all: BenchRun[]): Pair[] {
  const sets = all.filter((run) => run.method === 'set' && run.reading === runs[0]!.reading);
  const epsilon = runs[0]!.epsilon ?? largest(sets.map((set) => set.epsilon!));
  return runs.flatMap((run) => {
    const set = sets.find((other) => other.seed === run.seed && other.epsilon === epsilon);
    return set === undefined ? [] : [{ run, set }];
  });
}

function onFrontier(entry: Entry, all: Entry[]): boolean | null {
  const evolves = ({ method }: Entry) => method === 'set' || method === 'set-motif';
  const comparable = (other: Entry) => other.reading === entry.reading && other.epsilon === entry.epsilon;
  const others = all.filter((other) => other !== entry && evolves(other) && comparable(other));
  const fair = others.every(({ runs, epochs }) => runs === entry.runs && epochs === entry.epochs);
  if (!evolves(entry) || others.length === 0 || !fair) return null;
  const time = ({ ratioToSet, trainMs }: Entry) => ratioToSet?.train.mean ?? trainMs;
  return others.every(
    (other) => time(other) >= time(entry) || other.finalAccuracy.mean < entry.finalAccuracy.mean,
  );
}

function ratioToSet(pairs: Pair[]): BenchSummary['ratioToSet'] {
  if (pairs.length === 0) return null;
  const total = (run: BenchRun) =>
    medianMs(run, 'trainMs') + medianMs(run, 'evolveMs') + medianMs(run, 'evaluateMs');
  return {
    train: estimate(pairs.map(({ run, set }) => medianMs(run, 'trainMs') / medianMs(set, 'trainMs'))),
    total: estimate(pairs.map(({ run, set }) => total(run) / total(set))),
  };
}

/** The median, because one disturbed epoch of a shared machine must not decide a ratio. */
function medianMs(run: BenchRun, key: 'trainMs' | 'evolveMs' | 'evaluateMs'): number {
  return median(run.epochs.map((epoch) => epoch[key]).filter((ms) => ms > 0));
}
