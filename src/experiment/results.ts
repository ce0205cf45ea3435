import type { ErrorCode } from '../errors.js';
import type { TopologyName } from '../native.js';
import type { EpochReport } from '../training/run.js';
import type { BenchMethod, ExperimentConfig, Reading } from './config.js';
import type { BenchSummary } from './summary.js';

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
export interface BenchRun {
  reading: Reading;
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
