import type { ErrorCode } from '../errors.js';
import type { Difference, Estimate } from '../statistics.js';
import type { EpochReport } from '../training/run.js';
import type { TopologyName } from '../vocabulary.js';
import type { ExperimentConfig } from './config.js';
import type { Arm, Trial } from './trial.js';

/*
 * Types of the results that `set-native bench` writes; docs/results.md describes the file for readers.
 */

/** Version of the format, raised when a key changes its meaning or goes away, not for new keys. */
export const schemaVersion = 3;

/** An experiment without its runs: `experiment.json` of its folder. */
export interface Experiment {
  schemaVersion: typeof schemaVersion;
  /** The command line that started it; empty where none did. */
  command: string;
  /** False while it runs, when it was stopped, or when any training failed. */
  complete: boolean;
  environment: BenchEnvironment;
  /** Every option of the experiment, defaults included. */
  config: ExperimentConfig;
  dataset: BenchDataset;
  /**
   * Notes that must be read beside the numbers: caveats of the data set, networks that cannot learn, failed
   * trainings.
   */
  notes: string[];
}

export interface BenchResults extends Experiment {
  /** One entry per training that began; after a stop some have fewer epochs than asked for. */
  runs: BenchRun[];
  summary: BenchSummary[];
}

declare module '../errors.js' {
  interface PartialResults {
    experiment: BenchResults;
  }
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
  /** Training samples held out to choose an epoch by; 0: none. */
  validation: number;
  test: number;
  /** Size of the pictures, grey, row by row; absent where samples are no pictures. */
  image?: { width: number; height: number };
  /** SHA-256 of the data (`datasetSum`). Absent in results of earlier versions. */
  sha256?: string;
}

/**
 * Histograms of the links per neuron of one layer: `in[k]` targets have k links, `out[k]` sources. Empty for
 * dense layers.
 */
export interface LayerDegrees {
  inputs: number;
  outputs: number;
  dense: boolean;
  in: number[];
  out: number[];
}

/** Figures of the mean of the networks that a training was after its last epochs. */
export interface BenchAverage {
  /** Share of the test samples classified correctly. */
  testAccuracy: number;
  /** Mean loss of the test samples. */
  testLoss: number;
  /** Share of the samples held out classified correctly; absent without them. */
  validationAccuracy?: number;
  /** Epochs that are averaged, the last ones: those after which links stayed. */
  epochs: number;
}

/** One training. All but the times is byte-identical on repeat, for any number of threads. */
export interface BenchRun extends Trial {
  topology: TopologyName;
  nnz: number;
  /** nnz / cells of all layers */
  density: number;
  epochs: EpochReport[];
  /** Degrees of every layer, before the first epoch and after the last; `end` is empty until then. */
  degrees?: { start: LayerDegrees[]; end: LayerDegrees[] };
  /**
   * Links of every feature after the last epoch, in the order of the data set, whatever the order of the
   * inputs. Absent where the first layer is dense or the training has not ended.
   */
  inputDegree?: number[];
  /**
   * The mean of the last networks, where `average` asks for it and the training has ended; `epochs` are of
   * the last network.
   */
  averaged?: BenchAverage;
  /** Present when the training diverged; `epochs` ends before that epoch. The others went on without it. */
  failure?: { code: ErrorCode; message: string };
}

/** Summary of all runs of one arm; where some were stopped or failed, of those that got furthest. */
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
  /**
   * Test accuracy after the best epoch of each run, chosen on the test set: optimistic. The thesis prints it.
   */
  bestAccuracy: Estimate;
  /** Test accuracy of the mean of the last networks; absent where a run has none. */
  averagedAccuracy?: Estimate;
  /**
   * Final accuracy less that of SET of the same reading, seed and epsilon, over the seeds; dense: of the
   * largest epsilon. The reading `published`, which reports maxima, compares best accuracies.
   */
  differenceToSet: Difference | null;
  /**
   * Milliseconds per epoch: mean over the runs of their medians, of `evolveMs` over the epochs that evolved.
   */
  trainMs: number;
  evolveMs: number;
  evaluateMs: number;
  /**
   * Time over that of SET of the same reading, seed and epsilon; dense: of the largest epsilon. `total` is
   * training, evolution and evaluation together.
   */
  ratioToSet: { train: Estimate; total: Estimate } | null;
  /** Share of the initial links alive at the end, in the layers that may evolve; null when there is none. */
  initialLinks: number | null;
  /**
   * Whether no other arm of SET and SET-motif at this reading and epsilon trains faster (by the ratio to SET,
   * or by the time where SET is missing) and is on average at least as accurate; a variant of both, such as
   * set-walk and set-motif-walk, is compared with itself. null for methods that do not evolve, where there is
   * no other arm, and unless all have as many runs and epochs.
   */
  onFrontier: boolean | null;
}
