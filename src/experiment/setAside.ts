import type { Dataset } from '../datasets/types.js';
import { publishedEpochs } from '../thesis/readings.js';
import type { Reading } from '../vocabulary.js';
import type { ExperimentConfig } from './config.js';
import { sparseKinds, topologyOf } from './plan.js';

/*
 * Options that a reading does not obey, because it says itself what is to run.
 */

type Option =
  | 'methods'
  | 'epochs'
  | 'validation'
  | 'scaling'
  | 'topology'
  | 'motifSize'
  | 'init'
  | 'activation';

/** What the reading runs instead of what the option says; undefined where that is the same. */
type Instead = (config: ExperimentConfig, reading: Reading, dataset: Dataset) => string | undefined;

/** The topologies that the trials of a reading have, where any of them is another than was asked for. */
const topologies: Instead = (config, reading) => {
  const used = new Set(sparseKinds(config, reading).map((kind) => topologyOf(config, { reading, ...kind })));
  return [...used].some((topology) => topology !== config.topology) ? [...used].join(' and ') : undefined;
};

/** Of networks that NumPy drew: all but the dense ones. */
const sparseOnly = (value: string, key: 'init' | 'activation'): Instead => {
  return (config) =>
    config[key] !== value && config.methods.some((method) => method !== 'dense')
      ? `${value} in sparse networks`
      : undefined;
};

const overruled: Record<Reading, Partial<Record<Option, Instead>>> = {
  published: {
    methods: ({ methods }) =>
      methods.includes('set-motif') ? 'static in the place of set-motif' : undefined,
    epochs: ({ epochs }) =>
      epochs > publishedEpochs ? `the ${publishedEpochs} whose accuracies it reports` : undefined,
    validation: ({ validation = 0 }) => (validation > 0 ? 'no such samples' : undefined),
    scaling: ({ scaling }, _, dataset) =>
      scaling === 'own' || scaling === dataset.scaling.kind ? undefined : `own (${dataset.scaling.kind})`,
    topology: topologies,
    motifSize: ({ motifSize }) => (String(motifSize) === '1' ? undefined : 'single links'),
    init: sparseOnly('he-dense', 'init'),
    activation: sparseOnly('relu', 'activation'),
  },
  described: { topology: topologies },
  improved: {
    topology: topologies,
    init: ({ init }) => (init === 'he-fan-in' ? undefined : 'he-fan-in'),
  },
  plain: {},
};

/**
 * What stands beside the results where a reading does not obey an option that was given.
 *
 * @param given the options that the user gave, not those of a preset or by default
 */
export function setAside(
  config: ExperimentConfig,
  given: Partial<ExperimentConfig>,
  dataset: Dataset,
): string[] {
  return config.readings.flatMap((reading) =>
    (Object.entries(overruled[reading]) as [Option, Instead][]).flatMap(([option, instead]) => {
      const used = given[option] === undefined ? undefined : instead(config, reading, dataset);
      if (used === undefined) return [];
      return [`The reading ${reading} sets ${option} ${given[option]} aside and uses ${used}.`];
    }),
  );
}
