import type { ScalingKind } from '../vocabulary.js';

/** Rows of features, in the form that the native core takes. */
interface Rows {
  /** Features: count × features, row-major. */
  x: Float32Array;
  count: number;
  features: number;
  /** What each sample counts in the loss, at least 0; absent: 1 each. */
  weights?: Float32Array;
}

/** Samples of classes. */
export interface Samples extends Rows {
  /** Class of each sample, 0 .. classes - 1. */
  labels: Uint32Array;
}

/**
 * Samples of numbers to predict: any for the loss `mse`; from 0 to 1 for `sigmoid-binary-cross-entropy`, such
 * as 0 and 1 of labels that do not exclude each other; for `softmax-cross-entropy` shares that add up to 1.
 */
export interface TargetSamples extends Rows {
  /** Numbers to predict: count × outputs, row-major. */
  targets: Float32Array;
}

export type AnySamples = Samples | TargetSamples;

/**
 * Scaling of features.
 * `divide`: x / by, for a known range. `min-max`: each feature to 0 .. 1 by its range in the train samples.
 * `standardise`: each feature to mean 0 and standard deviation 1 (divisor: the count) over the train samples.
 */
export type Scaling = { kind: Exclude<ScalingKind, 'divide'> } | { kind: 'divide'; by: number };

/** A column of a table: of numbers, one feature; or of words, one feature for each. */
export type Column = { name: string } | { name: string; categories: string[] };

/**
 * Rows, columns and, where an image has several, channels, whose planes follow each other: the pixel of a
 * channel, row and column is the feature (channel * rows + row) * columns + column.
 */
export type ImageShape = [rows: number, columns: number] | [rows: number, columns: number, channels: number];

/** What data sets of every kind have beside their samples. */
interface DatasetBase {
  /** Name that was asked for; name of the first file where the content is not the published one. */
  name: string;
  /** Folder that it was loaded from, or `embedded`. */
  source: string;
  features: number;
  /** Rows, columns and perhaps channels of an image, for image data: `prepare` orders inputs by it. */
  imageShape?: ImageShape;
  /** Scaling of the features unless another is asked for. */
  scaling: Scaling;
  /** Columns of a table, in the order of the features. */
  columns?: Column[];
  /** Whether NaN stands for a missing value, which `prepare` fills. */
  gaps?: boolean;
  /** Caveat that must stand beside every result, e.g. "lung, rounded to 4 levels". */
  note?: string;
}

/** A data set in memory: features as stored (unscaled), labels mapped to 0 .. classes - 1. */
export interface Dataset extends DatasetBase {
  classes: number;
  /** Names of the classes, in label order. */
  classNames: string[];
  train: Samples;
  /** Test samples; absent where the source has no test set of its own: see `splitSamples`. */
  test?: Samples;
}

/** A data set of numbers to predict: features and targets as stored (unscaled). */
export interface TargetDataset extends DatasetBase {
  /** Names of the targets, in their order. */
  targetNames: string[];
  train: TargetSamples;
  test?: TargetSamples;
}
