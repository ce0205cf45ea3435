export type { BackendChoice } from './backend.js';
export {
  type Dataset,
  type DatasetListing,
  type DatasetShape,
  type LookupOptions,
  listDatasets,
  loadDataset,
  type PrepareOptions,
  prepare,
  type Samples,
  type Scaling,
  type SplitOptions,
  splitSamples,
  subsetSamples,
} from './datasets/index.js';
export { type ErrorCode, SetNativeError } from './errors.js';
export {
  type BenchMethod,
  type ExperimentConfig,
  experimentDefaults,
  type Reading,
  type ScalingChoice,
} from './experiment/config.js';
export {
  type ExperimentHooks,
  type ResumeOptions,
  resumeExperiment,
  runExperiment,
} from './experiment/experiment.js';
export type {
  BenchDataset,
  BenchEnvironment,
  BenchResults,
  BenchRun,
  Experiment,
  LayerDegrees,
} from './experiment/results.js';
export type { Difference, Estimate } from './experiment/statistics.js';
export type { BenchSummary } from './experiment/summary.js';
export { type Info, info } from './info.js';
export type {
  ActivationName,
  BackendName,
  InitName,
  IsaName,
  LossName,
  MotifParseName,
  MotifScoreName,
  PruneName,
  RegrowInitName,
  TopologyName,
} from './native.js';
export { renderTable } from './report/terminal/experiment.js';
export type { SelectionConfig } from './selection/config.js';
export type {
  Selection,
  SelectionDataset,
  SelectionResults,
  SelectionRun,
  SelectionSummary,
} from './selection/results.js';
export {
  resumeSelection,
  type SelectionHooks,
  type SelectionResumeOptions,
  selectFeatures,
} from './selection/select.js';
export {
  type Evaluation,
  type FitOptions,
  type History,
  type LayerData,
  type LayerSummary,
  SparseMLP,
} from './training/model.js';
export type {
  EvolutionOptions,
  MethodName,
  ModelOptions,
  TrainingOptions,
  WeightDecayMode,
} from './training/options.js';
export type { EpochReport } from './training/run.js';
export type { TrainingWarning, TrainingWarningCode } from './training/warnings.js';
