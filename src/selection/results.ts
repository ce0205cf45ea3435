import type { Estimate } from '../statistics.js';
import type { SelectionConfig } from './config.js';

/*
 * What `set-native select --out` writes into selection.json; docs/results.md describes it for readers of the
 * file.
 */

/** What is selected from and how, without what came of it. */
export interface Selection {
  config: SelectionConfig;
  dataset: SelectionDataset;
  environment: {
    version: string;
    cpu: string;
    /** null where SET_NATIVE_ISA names what this machine has not. */
    isa: string | null;
  };
  /** What must be read beside the numbers. */
  notes: string[];
  /** False while it runs, and where it was stopped. */
  complete: boolean;
}

export interface SelectionResults extends Selection {
  /** Mean over the seeds, of every input; of those whose network is trained, zeros where none is. */
  strength: number[];
  runs: SelectionRun[];
  /** One entry per share that has a run. */
  summary: SelectionSummary[];
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
  /** Of what the data set holds: `datasetSum`. */
  sha256: string;
}

/** One seed and share of features. Accuracies are those of networks trained anew on these features alone. */
export interface SelectionRun {
  seed: number;
  keep: number;
  /** The features kept, ascending. */
  features: number[];
  accuracy: number;
  /** The same with as many features drawn at random. */
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
  /** Of every input. */
  strength: number[];
}

/** What is finished, in the order in which it was. */
export interface Finished {
  networks: WholeNetwork[];
  runs: SelectionRun[];
}
