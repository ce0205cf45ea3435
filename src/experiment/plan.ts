import { evolutionOf, evolves, evolvesMotifs, ofSingleLinks } from '../benchMethods.js';
import { largest } from '../extremes.js';
import type { NativeModelSpec } from '../native.js';
import {
  activationOf,
  chosenTopology,
  epochsOf,
  initOf,
  isDrawnByProgram,
  knowsMotifs,
  methodsOf,
  pruneOf,
} from '../thesis/readings.js';
import { rateOf } from '../training/learningRate.js';
import { modelSpec, type TrainingPlan, trainingPlan } from '../training/options.js';
import type { BenchMethod, Reading, TopologyName } from '../vocabulary.js';
import { type ExperimentConfig, refinedOf } from './config.js';
import type { Arm, Trial } from './trial.js';

/*
 * The plan of an experiment: its trials, in groups. The trials of one seed, epsilon and reading are compared
 * with each other and make up a group: they see the same samples and take turns epoch by epoch. Groups are
 * independent.
 */

export interface Group {
  /** Name of the group, fit for a file name, the same in every process. */
  id: string;
  reading: Reading;
  seed: number;
  /** Its trainings, in the order of the results. */
  trials: Trial[];
  epochs: number;
}

/** All groups, seed by seed, so that the results of a stopped experiment are as paired as possible. */
export function groupsOf(config: ExperimentConfig): Group[] {
  const densest = largest(config.epsilon);
  const dense = config.methods.includes('dense');
  const plans = config.readings.map((reading) => {
    const kinds = sparseKinds(config, reading);
    const densities = config.epsilon.map((epsilon) => {
      const arms = kinds.map(({ method, motifSize }): Arm => ({ reading, method, epsilon, motifSize }));
      // The dense network of a seed stands beside the largest density.
      if (dense && epsilon === densest)
        arms.push({ reading, method: 'dense', epsilon: null, motifSize: null });
      return { epsilon, arms };
    });
    return { reading, epochs: epochsOf(config, reading), densities };
  });
  const groups: Group[] = [];
  for (let run = 0; run < config.runs; run++) {
    const seed = config.seed + run;
    for (const { reading, epochs, densities } of plans) {
      for (const { epsilon, arms } of densities) {
        if (arms.length === 0) continue;
        const trials = arms.map((arm) => ({ ...arm, seed }));
        groups.push({ id: `seed-${seed}-${reading}-epsilon-${epsilon}`, reading, seed, trials, epochs });
      }
    }
  }
  return groups;
}

/**
 * Methods and motif sizes that train at every density, each once: SET-motif at motif size 1 is SET, also
 * where SET is asked for, and so are its variants.
 */
export function sparseKinds(
  config: ExperimentConfig,
  reading: Reading,
): { method: BenchMethod; motifSize: number }[] {
  const kinds = methodsOf(config, reading)
    .filter((name) => name !== 'dense')
    .flatMap((method) =>
      motifSizesOf(method, config, reading).map((motifSize) => ({
        method: motifSize === 1 ? ofSingleLinks(method) : method,
        motifSize,
      })),
    );
  return kinds.filter(
    ({ method, motifSize }, at) =>
      at === kinds.findIndex((kind) => kind.method === method && kind.motifSize === motifSize),
  );
}

/** Motif sizes that a method runs at: 1 where neither its topology nor its evolution knows motifs. */
function motifSizesOf(method: BenchMethod, config: ExperimentConfig, reading: Reading): number[] {
  const { methods, motifSize } = config;
  if (!knowsMotifs(reading)) return [1];
  const topology = chosenTopology(config, reading);
  if (evolvesMotifs(method) || topology === 'motif' || topology === 'motif-printed') return motifSize;
  if (evolves(method) || topology === 'erdos-renyi' || motifSize.length === 1) return [1];
  const single = methods.some((other) => evolves(other) && !evolvesMotifs(other));
  return single ? [...new Set([1, ...motifSize])] : motifSize; // static, beside all the others
}

/** The network of a trial, for the addon. */
export function networkOf(
  config: ExperimentConfig,
  { reading, method, epsilon, motifSize, seed }: Trial,
  { features, classes }: { features: number; classes: number },
): NativeModelSpec {
  const { threads, backend, hidden, optimizer = 'sgd' } = config;
  return modelSpec('bench', {
    layers: [features, ...hidden, classes],
    topology: topologyOf(config, { reading, method, motifSize }),
    init: initOf(config, reading, method),
    activation: activationOf(config, reading, method),
    optimizer,
    seed,
    threads,
    backend,
    ...(epsilon !== null && { epsilon }),
    ...(motifSize !== null && motifSize > 1 && { motifSize }),
  });
}

/** Topology of the network of an arm, whatever its epsilon. */
export function topologyOf(
  config: ExperimentConfig,
  { reading, method, motifSize }: Omit<Arm, 'epsilon'>,
): TopologyName {
  if (method === 'dense') return 'dense';
  return chosenTopology(config, reading) ?? (motifSize === 1 ? 'erdos-renyi' : 'motif');
}

/**
 * How a trial is trained, for the addon.
 *
 * @param motifSize of its network
 */
export function trainingOf(
  config: ExperimentConfig,
  { reading, method }: Arm,
  epochs: number,
  motifSize: number,
): TrainingPlan {
  const { optimizer = 'sgd', batchSize, momentum, weightDecay, regrowInit } = config;
  const refined = refinedOf(config, reading);
  const { weightDecayMode, dropout, zetaSchedule, evolveEvery, evolveUntil } = refined;
  const evolution = {
    zeta: { schedule: zetaSchedule, start: config.zeta },
    every: evolveEvery,
    until: evolveUntil,
    prune: pruneOf(reading),
    regrowInit,
    ...evolutionOf(method),
  };
  const learningRate = rateOf({ ...refined, learningRate: config.learningRate })!;
  const shuffle = !isDrawnByProgram(reading); // its samples come in the order of the draws
  const first = optimizer === 'adamw' ? { beta1: momentum } : { momentum };
  const decay = { weightDecay, weightDecayMode };
  const options = { epochs, batchSize, learningRate, ...first, ...decay, dropout, shuffle, evolution };
  return trainingPlan('bench', options, { optimizer, motifSize });
}
