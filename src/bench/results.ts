import type { ErrorCode } from '../errors.js';
import type { TopologyName } from '../native.js';
import type { EpochReport } from '../training/run.js';
import type { BenchMethod, ExperimentConfig } from './config.js';

/*
 * What `set-native bench --json` writes; docs/results.md describes it for readers of the file.
 */

/** Raised when a key changes its meaning or goes away; new keys do not raise it. */
export const schemaVersion = 2;

export interface BenchResults {
  schemaVersion: typeof schemaVersion;
  /** False when the experiment was stopped, or any training failed: `runs` then holds the epochs completed. */
  complete: boolean;
  environment: BenchEnvironment;
  /** Every option of the experiment, defaults included. */
  config: ExperimentConfig;
  dataset: BenchDataset;
  /** What must be read beside the numbers: caveats of the data set, networks that cannot learn, failed trainings. */
  notes: string[];
  runs: BenchRun[];
  summary: BenchSummary[];
}

export interface BenchEnvironment {
  version: string;
  node: string;
  platform: string;
  cpu: string;
  cores: number;
  /** null where SET_NATIVE_ISA names what this machine has not. */
  isa: string | null;
  threads: number;
  backend: string;
  /** Start of the experiment, ISO 8601. */
  date: string;
}

export interface BenchDataset {
  name: string;
  source: string;
  features: number;
  classes: number;
  train: number;
  test: number;
}

/** One training. All but the times is byte-identical on repeat, for any number of threads. */
export interface BenchRun {
  method: BenchMethod;
  /** null for `dense`. */
  epsilon: number | null;
  /** Sources per motif; 1 where neither topology nor evolution knows motifs; null for `dense`. */
  motifSize: number | null;
  seed: number;
  topology: TopologyName;
  nnz: number;
  /** nnz / cells of all layers */
  density: number;
  epochs: EpochReport[];
  /** Present when the training diverged; `epochs` ends before that epoch. The others went on without it. */
  failure?: { code: ErrorCode; message: string };
}

/** Mean over runs, and the sample standard deviation: null for a single run. */
export interface Spread {
  mean: number;
  spread: number | null;
}

/** All runs of one method, epsilon and motif size; where some were stopped or failed, those that got furthest. */
export interface BenchSummary {
  method: BenchMethod;
  epsilon: number | null;
  motifSize: number | null;
  runs: number;
  epochs: number;
  /** Mean over the runs. */
  nnz: number;
  density: number;
  finalAccuracy: Spread;
  /** Best epoch of each run, chosen on the test set: optimistic. */
  bestAccuracy: Spread;
  /** Final accuracy less that of SET of the same seed and epsilon, over the seeds; dense: of the largest epsilon. */
  differenceToSet: Spread | null;
  /** Milliseconds per epoch: the median of a run, meaned over runs; evolve: of the epochs that evolved. */
  trainMs: number;
  evolveMs: number;
  evaluateMs: number;
  /** Time over that of SET of the same seed and epsilon, mean over seeds; dense: of the largest epsilon. */
  ratioToSet: { train: number; total: number } | null;
  /** Share of the initial links alive at the end, in the layers that may evolve; null when there is none. */
  initialLinks: number | null;
  /**
   * Among SET and SET-motif of this epsilon: whether no other trains faster (by the ratio to SET, or the time where SET
   * is missing) and is on average at least as accurate. null for the other methods, without another, and unless all
   * cover as many runs and epochs.
   */
  onFrontier: boolean | null;
}

/** Summary of `runs`, ordered by epsilon, then SET, SET-motif, static, then motif size; dense last. */
export function summarize(runs: BenchRun[]): BenchSummary[] {
  const order: BenchMethod[] = ['set', 'set-motif', 'static', 'dense'];
  const groups = new Map<string, BenchRun[]>();
  for (const run of runs) {
    if (run.epochs.length === 0) continue;
    const key = `${run.method} ${run.epsilon} ${run.motifSize}`;
    groups.set(key, [...(groups.get(key) ?? []), run]);
  }
  const entries = [...groups.values()].map((group) => summary(group, runs));
  return entries
    .map((entry) => ({ ...entry, onFrontier: onFrontier(entry, entries) }))
    .sort(
      (a, b) =>
        (a.epsilon ?? Infinity) - (b.epsilon ?? Infinity) ||
        order.indexOf(a.method) - order.indexOf(b.method) ||
        a.motifSize! - b.motifSize!,
    );
}

type Entry = Omit<BenchSummary, 'onFrontier'>;

function summary(group: BenchRun[], all: BenchRun[]): Entry {
  const epochs = Math.max(...group.map((run) => run.epochs.length));
  const runs = group.filter((run) => run.epochs.length === epochs);
  const { method, epsilon, motifSize } = runs[0]!;
  const pairs = pairsWithSet(runs, all);
  const survivals = runs.map(survival).filter((share) => share !== null);
  return {
    method,
    epsilon,
    motifSize,
    runs: runs.length,
    epochs,
    nnz: mean(runs.map((run) => run.nnz)),
    density: mean(runs.map((run) => run.density)),
    finalAccuracy: spread(runs.map(finalAccuracy)),
    bestAccuracy: spread(runs.map((run) => Math.max(...run.epochs.map((epoch) => epoch.testAccuracy!)))),
    differenceToSet: differenceToSet(pairs),
    trainMs: mean(runs.map((run) => medianMs(run, 'trainMs'))),
    evolveMs: mean(runs.map((run) => medianMs(run, 'evolveMs'))),
    evaluateMs: mean(runs.map((run) => medianMs(run, 'evaluateMs'))),
    ratioToSet: ratioToSet(pairs),
    initialLinks: survivals.length > 0 ? mean(survivals) : null,
  };
}

function survival({ epochs }: BenchRun): number | null {
  const links = epochs.at(-1)!.linksByBirth;
  const total = links.reduce((sum, count) => sum + count, 0);
  return total > 0 ? links[0]! / total : null;
}

function finalAccuracy({ epochs }: BenchRun): number {
  return epochs.at(-1)!.testAccuracy!;
}

interface Pair {
  run: BenchRun;
  set: BenchRun;
}

function pairsWithSet(runs: BenchRun[], all: BenchRun[]): Pair[] {
  const sets = all.filter((run) => run.method === 'set' && run.epochs.length > 0);
  const epsilon = runs[0]!.epsilon ?? Math.max(...sets.map((set) => set.epsilon!));
  return runs.flatMap((run) => {
    const set = sets.find((other) => other.seed === run.seed && other.epsilon === epsilon);
    return set === undefined ? [] : [{ run, set }];
  });
}

/** Of the pairs that got equally far. */
function differenceToSet(pairs: Pair[]): Spread | null {
  const equal = pairs.filter(({ run, set }) => run.epochs.length === set.epochs.length);
  return equal.length > 0 ? spread(equal.map(({ run, set }) => finalAccuracy(run) - finalAccuracy(set))) : null;
}

function onFrontier(entry: Entry, all: Entry[]): boolean | null {
  const evolves = ({ method }: Entry) => method === 'set' || method === 'set-motif';
  const others = all.filter((other) => other !== entry && evolves(other) && other.epsilon === entry.epsilon);
  const comparable = others.every(({ runs, epochs }) => runs === entry.runs && epochs === entry.epochs);
  if (!evolves(entry) || others.length === 0 || !comparable) return null;
  const time = ({ ratioToSet, trainMs }: Entry) => ratioToSet?.train ?? trainMs;
  return others.every((other) => time(other) >= time(entry) || other.finalAccuracy.mean < entry.finalAccuracy.mean);
}

function ratioToSet(pairs: Pair[]): BenchSummary['ratioToSet'] {
  if (pairs.length === 0) return null;
  const total = (run: BenchRun) => medianMs(run, 'trainMs') + medianMs(run, 'evolveMs') + medianMs(run, 'evaluateMs');
  return {
    train: mean(pairs.map(({ run, set }) => medianMs(run, 'trainMs') / medianMs(set, 'trainMs'))),
    total: mean(pairs.map(({ run, set }) => total(run) / total(set))),
  };
}

/** The median, because one disturbed epoch of a shared machine must not decide a ratio. */
function medianMs(run: BenchRun, key: 'trainMs' | 'evolveMs' | 'evaluateMs'): number {
  const times = run.epochs.map((epoch) => epoch[key]).filter((ms) => ms > 0);
  times.sort((a, b) => a - b);
  const middle = times.length >> 1;
  if (times.length === 0) return 0;
  return times.length % 2 === 1 ? times[middle]! : (times[middle - 1]! + times[middle]!) / 2;
}

function mean(values: number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function spread(values: number[]): Spread {
  const center = mean(values);
  if (values.length < 2) return { mean: center, spread: null };
  const squares = values.reduce((sum, value) => sum + (value - center) ** 2, 0);
  return { mean: center, spread: Math.sqrt(squares / (values.length - 1)) };
}
