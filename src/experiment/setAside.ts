import type { Dataset } from '../datasets/types.js';
import { insteadOf, overrulable } from '../thesis/readings.js';
import { everyText } from '../training/schedule.js';
import { defaultsOf, type ExperimentConfig } from './config.js';
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
    const { weightDecayMode } = defaultsOf(config.optimizer);
    const facts = { topologies: [...new Set(used)], scaling: dataset.scaling.kind, weightDecayMode };
    return overrulable.flatMap((option) => {
      const instead = given[option] === undefined ? undefined : insteadOf(option, config, reading, facts);
      if (instead === undefined) return [];
      const value = valueText(option, config) ?? given[option];
      return [`The reading ${reading} sets ${option} ${value} aside and uses ${instead}.`];
    });
  });
}

/** An option that may be an object, in words. */
function valueText(option: string, { evolveEvery, inputOrder }: ExperimentConfig): string | undefined {
  if (option === 'evolveEvery') return everyText(evolveEvery);
  if (option === 'inputOrder' && typeof inputOrder !== 'string') return `tiles of ${inputOrder.tiles}`;
  return undefined;
}
