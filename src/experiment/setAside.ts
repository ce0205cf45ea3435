import type { Dataset } from '../datasets/types.js';
import { insteadOf, overrulable } from '../thesis/readings.js';
import type { ExperimentConfig } from './config.js';
import { sparseKinds, topologyOf } from './plan.js';

/**
 * Notes for the results: which of the given options a reading does not obey, because it says itself what is
 * to run.
 *
 * @param given the options that the user gave, not those of a preset or by default
 */
export function setAside(
  config: ExperimentConfig,
  given: Partial<ExperimentConfig>,
  dataset: Dataset,
): string[] {
  return config.readings.flatMap((reading) => {
    const used = sparseKinds(config, reading).map((kind) => topologyOf(config, { reading, ...kind }));
    const facts = { topologies: [...new Set(used)], scaling: dataset.scaling.kind };
    return overrulable.flatMap((option) => {
      const instead = given[option] === undefined ? undefined : insteadOf(option, config, reading, facts);
      if (instead === undefined) return [];
      return [`The reading ${reading} sets ${option} ${given[option]} aside and uses ${instead}.`];
    });
  });
}
