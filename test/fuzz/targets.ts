import { datasetTargets } from './datasets.js';
import type { Target } from './engine.js';
import { experimentTargets } from './experiments.js';
import { fileTargets } from './files.js';
import { modelTargets } from './models.js';

/** Every parser of bytes from outside. A new one comes with a target here. */
export const targets: Target[] = [...datasetTargets, ...experimentTargets, ...fileTargets, ...modelTargets];
