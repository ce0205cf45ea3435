import type { Estimate } from '../statistics.js';
import type { SelectionConfig } from './config.js';

/*
 * Types of the results that `set-native select` writes; docs/results.md describes the files for
 * readers.
 */

/** A selection without its runs: the data, the options and what must be known to read the results. */
export interface Selection {
  config: SelectionConfig;
  dataset: SelectionDataset;
  environment: {
    version: string;
    cpu: string;
    /** null where SET_NATIVE_ISA names what this machine has not. */
    isa: string | null;
  };
  /** Notes that must be read beside the numbers. */
  notes: string[];
  /** False while it runs, and where it was stopped. */
  complete: boolean;
}

export interface SelectionResults extends Selection {
  /** Strength of every input: mean over the seeds whose network is trained, zeros where none is. */
  strength: number[];
  runs: SelectionRun[];
  /** One entry per share that has a run. */
  summary: SelectionSummary[];
}

declare module '../errors.js' {
  interface PartialResults {
    selection: SelectionResults;
  }
}

export interface SelectionDataset {
  name: string;
  features: number;
  classes: number;
  train: number;
  test: number;
  note?: string;
  image?: { width: number; height: number };
  /** Folder, or `embedded`. */
  source: string;
  /** SHA-256 of the data (`datasetSum`). */
  sha256: string;
}

/** One seed and share of features. Accuracies are those of new networks, trained on these features alone. */
export interface SelectionRun {
  seed: number;
  keep: number;
  /** The features kept, ascending. */
  features: number[];
  accuracy: number;
  /** Accuracy with as many features drawn at random. */
  randomAccuracy: number;
}

export interface SelectionSummary {
  keep: number;
  features: number;
  accuracy: Estimate;
  randomAccuracy: Estimate;
  /**
   * Mean Jaccard index over pairs of seeds; null for a single one. Random sets of a share k share about k /
   * (2 - k).
   */
  stability: number | null;
}

/** A seed's network of all features. */
export interface WholeNetwork {
  seed: number;
  accuracy: number;
  /** Strength of every input. */
  strength: number[];
}

/** Finished networks and runs, in the order in which they were finished. */
export interface Finished {
  networks: WholeNetwork[];
  runs: SelectionRun[];
}
