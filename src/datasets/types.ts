import type { ScalingKind } from '../vocabulary.js';

/** Samples row by row, as the native core takes them. */
export interface Samples {
  /** count × features, row-major. */
  x: Float32Array;
  /** Class of each sample, 0 .. classes - 1. */
  labels: Uint32Array;
  count: number;
  features: number;
}

/**
 * How features are brought to scale.
 * `divide`: x / by, for a known range. `min-max`: each feature to 0 .. 1 by its range in the train samples.
 * `standardise`: each feature to mean 0 and standard deviation 1 (divisor: the count) over the train samples.
 */
export type Scaling = { kind: Exclude<ScalingKind, 'divide'> } | { kind: 'divide'; by: number };

/** A data set in memory: features as stored (unscaled), labels mapped to 0 .. classes - 1. */
export interface Dataset {
  /** As it was asked for; of files whose content is not the published one the name of the first file. */
  name: string;
  /** Where it came from: a folder, or `embedded`. */
  source: string;
  features: number;
  classes: number;
  /** What the source calls each class, in label order. */
  classNames: string[];
  train: Samples;
  /** Absent where the source has no test set of its own: see `splitSamples`. */
  test?: Samples;
  /** Rows and columns, for image data. */
  imageShape?: [number, number];
  /** How the features are brought to scale unless asked otherwise. */
  scaling: Scaling;
  /** A caveat that must stand beside every result, e.g. "lung, rounded to 4 levels". */
  note?: string;
}
