import { evolves, ofSingleLinks } from '../benchMethods.js';
import { largest } from '../extremes.js';
import { difference, estimate, mean, median } from '../statistics.js';
import { reportsBest } from '../thesis/readings.js';
import { benchMethods, readings } from '../vocabulary.js';
import type { BenchRun, BenchSummary } from './results.js';
import { armKey } from './trial.js';

/**
 * Summaries of the arms, ordered by reading, epsilon, method (SET and SET-motif, their variants, static) and
 * motif size; dense last.
 */
export function summarize(runs: BenchRun[]): BenchSummary[] {
  const started = runs.filter((run) => run.epochs.length > 0);
  const groups = new Map<string, BenchRun[]>();
  for (const run of started) {
    const key = armKey(run);
    const others = groups.get(key);
    if (others === undefined) groups.set(key, [run]);
    else others.push(run);
  }
  const entries = [...groups.values()].map((group) => summary(group, started));
  return entries
    .map((entry) => ({ ...entry, onFrontier: onFrontier(entry, entries) }))
    .sort(
      (a, b) =>
        readings.indexOf(a.reading) - readings.indexOf(b.reading) ||
        (a.epsilon ?? Infinity) - (b.epsilon ?? Infinity) ||
        benchMethods.indexOf(a.method) - benchMethods.indexOf(b.method) ||
        a.motifSize! - b.motifSize!,
    );
}

type Entry = Omit<BenchSummary, 'onFrontier'>;

function summary(group: BenchRun[], all: BenchRun[]): Entry {
  const epochs = largest(group.map((run) => run.epochs.length));
  const runs = group.filter((run) => run.epochs.length === epochs);
  const { reading, method, epsilon, motifSize } = runs[0]!;
  const pairs = pairsWithSet(runs, all);
  const survivals = runs.map(survival).filter((share) => share !== null);
  const averaged = runs.flatMap((run) => run.averaged?.testAccuracy ?? []);
  const selected = runs.map(selectedAccuracy).filter((accuracy) => accuracy !== null);
  const accuracy = reportsBest(reading) ? bestAccuracy : finalAccuracy;
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
    ...(averaged.length === runs.length && { averagedAccuracy: estimate(averaged) }),
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
  const single = ofSingleLinks(entry.method);
  const comparable = (other: Entry) =>
    ofSingleLinks(other.method) === single &&
    other.reading === entry.reading &&
    other.epsilon === entry.epsilon;
  const others = all.filter((other) => other !== entry && comparable(other));
  const fair = others.every(({ runs, epochs }) => runs === entry.runs && epochs === entry.epochs);
  if (!evolves(entry.method) || others.length === 0 || !fair) return null;
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

/** Median over the epochs, because one disturbed epoch of a shared machine must not decide a ratio. */
function medianMs(run: BenchRun, key: 'trainMs' | 'evolveMs' | 'evaluateMs'): number {
  return median(run.epochs.map((epoch) => epoch[key]).filter((ms) => ms > 0));
}
