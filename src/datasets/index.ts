export { type PullOptions, pullDataset } from './pull.js';
export {
  type DatasetListing,
  type DatasetShape,
  type LookupOptions,
  listDatasets,
  loadDataset,
} from './registry.js';
export {
  applyScaling,
  checkSamples,
  type FittedScaling,
  fitScaling,
  type Permutation,
  type PrepareOptions,
  prepare,
  type SplitOptions,
  splitSamples,
  subsetSamples,
} from './transform.js';
export type { Dataset, Samples, Scaling } from './types.js';
