import type { ErrorCode } from '../errors.js';
import type { Difference, Estimate } from '../statistics.js';
import type { EpochReport } from '../training/run.js';
import type { TopologyName } from '../vocabulary.js';
import type { ExperimentConfig } from './config.js';
import type { Arm, Trial } from './trial.js';

/*
 * What `set-native bench --json` writes; docs/results.md describes it for readers of the file.
 */

/** Raised when a key changes its meaning or goes away; new keys do not raise it. */
export const schemaVersion = 3;

/** What an experiment is, without what came of it: `experiment.json` of its folder. */
export interface Experiment {
  schemaVersion: typeof schemaVersion;
  /** The command line, where one started it; else empty. */
  command: string;
  /** False while it runs, when it was stopped, or when any training failed. */
  complete: boolean;
  environment: BenchEnvironment;
  /** Every option of the experiment, defaults included. */
  config: ExperimentConfig;
  dataset: BenchDataset;
  /**
   * What must be read beside the numbers: caveats of the data set, networks that cannot learn, failed
   * trainings.
   */
  notes: string[];
}

export interface BenchResults extends Experiment {
  /** Where it was stopped, some have fewer epochs than asked for. */
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
  /** Training samples of the data set, before any were drawn. */
  available: number;
  train: number;
  /** Held out to choose an epoch; 0: none. */
  validation: number;
  test: number;
  /** Present where samples are pictures, grey, row by row. */
  image?: { width: number; height: number };
  /** Of what the data set holds: `datasetSum`. Absent in what earlier versions wrote. */
  sha256?: string;
}

/**
 * Links per neuron of one layer, counted: `in[k]` targets have k links, `out[k]` sources. Empty for dense
 * layers.
 */
export interface LayerDegrees {
  inputs: number;
  outputs: number;
  dense: boolean;
  in: number[];
  out: number[];
}

/** One training. All but the times is byte-identical on repeat, for any number of threads. */
export interface BenchRun extends Trial {
  topology: TopologyName;
  nnz: number;
  /** nnz / cells of all layers */
  density: number;
  epochs: EpochReport[];
  /** Layer by layer, before the first epoch and after the last; `end` is empty until then. */
  degrees?: { start: LayerDegrees[]; end: LayerDegrees[] };
  /**
   * Links of every input after the last epoch. Absent where the first layer is dense or the training has not
   * ended.
   */
  inputDegree?: number[];
  /** Present when the training diverged; `epochs` ends before that epoch. The others went on without it. */
  failure?: { code: ErrorCode; message: string };
}

/**
 * All runs of one reading, method, epsilon and motif size; where some were stopped or failed, those that got
 * furthest.
 */
export interface BenchSummary extends Arm {
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
