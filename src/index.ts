/*
 * Entry point `set-native`: models and data.
 */

export type { TableChoice } from './datasets/choice.js';
export type { Encoding } from './datasets/encoding.js';
export {
  type FromArraysOptions,
  fromArrays,
  type RowLabels,
  type RowTargets,
} from './datasets/fromArrays.js';
export type { InputOrder, TileOrder } from './datasets/inputOrder.js';
export {
  loadDatasetAsync,
  prepareAsync,
  readCsvAsync,
  type ThreadOptions,
} from './datasets/inThread.js';
export { readNpy } from './datasets/npy.js';
export { type ReadCsvOptions, readCsv } from './datasets/readCsv.js';
export {
  type DatasetListing,
  type DatasetShape,
  type LookupOptions,
  listDatasets,
  loadDataset,
} from './datasets/registry.js';
export type { Cell, MissingRule, Row } from './datasets/table.js';
export {
  type Prepared,
  type PrepareOptions,
  prepare,
  type SplitOptions,
  splitSamples,
  subsetSamples,
} from './datasets/transform.js';
export type {
  AnySamples,
  Column,
  Dataset,
  ImageShape,
  Samples,
  Scaling,
  TargetDataset,
  TargetSamples,
} from './datasets/types.js';
export { type ErrorCode, type ErrorDetails, isSetNativeError, SetNativeError } from './errors.js';
export type { NpyArray, NpyNumbers, NpyNumberType, NpyTexts } from './files/npy.js';
export { type Info, info } from './info.js';
export type { AugmentOptions } from './training/augment.js';
export type { CallOptions } from './training/calls.js';
export type { Classification } from './training/classify.js';
export type {
  AveragedFigures,
  CheckpointOptions,
  ClassWeight,
  History,
  Progress,
  TrainOptions,
} from './training/fitting.js';
export type { LearningRate, LearningRateSchedule } from './training/learningRate.js';
export type { ClassFigures, ErrorFigures } from './training/metrics.js';
export {
  type Evaluation,
  type FitOptions,
  type LayerData,
  type LoadOptions,
  type SaveOptions,
  SparseMLP,
  type TargetEvaluation,
} from './training/model.js';
export type { NpzOptions, NpzSource } from './training/npz.js';
export type {
  EvolutionOptions,
  ModelOptions,
  TrainingOptions,
} from './training/options.js';
export type { EpochReport } from './training/run.js';
export type { ZetaSchedule } from './training/schedule.js';
export type { EarlyStopping, MonitorName } from './training/stopping.js';
export type { LayerSummary } from './training/summary.js';
export { type ModelSamples, UploadedSamples, uploadSamples } from './training/upload.js';
export type { TrainingWarning, TrainingWarningCode } from './training/warnings.js';
export type {
  ActivationName,
  BackendChoice,
  BackendName,
  InitName,
  IsaName,
  LossName,
  MethodName,
  MotifParseName,
  MotifScoreName,
  OptimizerName,
  PruneName,
  RateScheduleName,
  RegrowInitName,
  ScalingChoice,
  TopologyName,
  WeightDecayMode,
  ZetaScheduleName,
} from './vocabulary.js';
