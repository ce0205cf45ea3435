import { largest } from '../extremes.js';
import type { NativeModelSpec, TopologyName } from '../native.js';
import { type MethodName, modelSpec, type TrainingPlan, trainingPlan } from '../training/options.js';
import { type ExperimentConfig, publishedEpochs, type Reading } from './config.js';
import type { BenchRun } from './results.js';

/*
 * What an experiment consists of. A trial is one training. Trials that are compared with each other, all of one seed, epsilon and
 * reading, make up a group: they see the same samples and take turns epoch by epoch. Groups are independent.
 */

/** What runs once per seed, as its results name it. */
export type Pairing = Pick<BenchRun, 'reading' | 'method' | 'epsilon' | 'motifSize'>;

export interface Group {
  /** Fit for a file name; the same in every process. */
  id: string;
  reading: Reading;
  seed: number;
  /** In the order of the results. */
  trials: Pairing[];
  epochs: number;
}

/** Seed by seed, so that what a stopped experiment leaves behind is as paired as possible. */
export function groupsOf(config: ExperimentConfig): Group[] {
  const groups: Group[] = [];
  for (let run = 0; run < config.runs; run++) {
    const seed = config.seed + run;
    for (const reading of config.readings) {
      for (const epsilon of config.epsilon) {
        const trials = pairings(config, reading).filter(
          (pairing) => pairing.epsilon === epsilon || (pairing.epsilon === null && epsilon === densest(config)),
        );
        if (trials.length === 0) continue;
        const epochs = epochsOf(config, reading);
        groups.push({ id: `seed-${seed}-${reading}-epsilon-${epsilon}`, reading, seed, trials, epochs });
      }
    }
  }
  return groups;
}

/** All trainings of one seed in a reading. Nothing twice: SET-motif at motif size 1 is SET, also where SET is asked for. */
export function pairings(config: ExperimentConfig, reading: Reading): Pairing[] {
  const cells = new Map<string, Pairing>();
  const add = (pairing: Omit<Pairing, 'reading'>) => cells.set(JSON.stringify(pairing), { reading, ...pairing });
  for (const epsilon of config.epsilon) {
    for (const method of methodsOf(config, reading).filter((name) => name !== 'dense')) {
      for (const motifSize of motifSizesOf(method, config, reading)) {
        add({ method: method === 'set-motif' && motifSize === 1 ? 'set' : method, epsilon, motifSize });
      }
    }
  }
  if (config.methods.includes('dense')) add({ method: 'dense', epsilon: null, motifSize: null });
  return [...cells.values()];
}

/** The motif routine of the thesis' program never changed a link: what it printed as SET-motif is the static network. */
function methodsOf({ methods }: ExperimentConfig, reading: Reading): ExperimentConfig['methods'] {
  if (reading !== 'published') return methods;
  return [...new Set(methods.map((method) => (method === 'set-motif' ? 'static' : method)))];
}

function epochsOf({ epochs }: ExperimentConfig, reading: Reading): number {
  return reading === 'published' ? Math.min(epochs, publishedEpochs) : epochs;
}

const densest = ({ epsilon }: ExperimentConfig) => largest(epsilon);

/** 1 where neither the topology nor the evolution of `method` knows motifs. */
function motifSizesOf(method: MethodName, config: ExperimentConfig, reading: Reading): number[] {
  const { methods, motifSize } = config;
  if (reading === 'published') return [1];
  const topology = chosenTopology(config, reading);
  if (method === 'set-motif' || topology === 'motif' || topology === 'motif-printed') return motifSize;
  if (method === 'set' || topology === 'erdos-renyi' || motifSize.length === 1) return [1];
  return methods.includes('set') ? [...new Set([1, ...motifSize])] : motifSize; // static, beside all the others
}

function chosenTopology({ topology }: ExperimentConfig, reading: Reading): ExperimentConfig['topology'] {
  if (reading === 'plain') return topology;
  return reading === 'improved' ? undefined : 'erdos-renyi';
}

/** A trial's network and how it is trained, for the addon. */
export function networkOf(
  config: ExperimentConfig,
  { reading, method, epsilon, motifSize }: Pairing,
  seed: number,
  { features, classes }: { features: number; classes: number },
): NativeModelSpec {
  const { init, activation, threads, backend, hidden } = config;
  return modelSpec('bench', {
    layers: [features, ...hidden, classes],
    topology: topologyOf(method, motifSize, chosenTopology(config, reading)),
    init: reading === 'improved' ? 'he-fan-in' : init,
    activation,
    seed,
    threads,
    backend,
    ...(epsilon !== null && { epsilon }),
    ...(motifSize !== null && motifSize > 1 && { motifSize }),
  });
}

function topologyOf(
  method: Pairing['method'],
  motifSize: number | null,
  chosen: ExperimentConfig['topology'],
): TopologyName {
  if (method === 'dense') return 'dense';
  return chosen ?? (motifSize === 1 ? 'erdos-renyi' : 'motif');
}

export function trainingOf(
  config: ExperimentConfig,
  { reading, method }: Pairing,
  epochs: number,
  motifSize: number,
): TrainingPlan {
  const { batchSize, learningRate, momentum, weightDecay, zeta, regrowInit } = config;
  const prune = reading === 'published' ? ('thesis' as const) : ('exact' as const);
  const evolution = { method: method === 'dense' ? ('static' as const) : method, zeta, prune, regrowInit };
  const shuffle = reading !== 'published'; // its samples come in the order that NumPy gave them
  const options = { epochs, batchSize, learningRate, momentum, weightDecay, shuffle, evolution };
  return trainingPlan('bench', options, motifSize);
}

export function title(
  { method, epsilon, motifSize, seed }: Pairing & { seed?: number },
  name: string = method,
): string {
  const size = motifSize !== null && motifSize > 1 ? ` and motif size ${motifSize}` : '';
  const pairing = epsilon === null ? name : `${name} at epsilon ${epsilon}${size}`;
  return seed === undefined ? pairing : `${pairing}, seed ${seed}`;
}
