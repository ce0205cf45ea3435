/*
 * Entry point `set-native/bench`: experiments that compare methods, and selection of features.
 */

export {
  type ExperimentConfig,
  experimentDefaults,
} from './experiment/config.js';
export {
  type ExperimentHooks,
  type ResumeOptions,
  resumeExperiment,
  runExperiment,
} from './experiment/experiment.js';
export type {
  BenchAverage,
  BenchDataset,
  BenchEnvironment,
  BenchResults,
  BenchRun,
  BenchSummary,
  Experiment,
  LayerDegrees,
} from './experiment/results.js';
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
export type { Difference, Estimate } from './statistics.js';
export type { BenchMethod, BenchRateScheduleName, Reading } from './vocabulary.js';
