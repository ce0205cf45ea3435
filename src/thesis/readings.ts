import { evolvesMotifs, growsAnywhere } from '../benchMethods.js';
import type { TileOrder } from '../datasets/inputOrder.js';
import type {
  ActivationName,
  BenchMethod,
  BenchRateScheduleName,
  InitName,
  PruneName,
  Reading,
  ScalingChoice,
  ScalingKind,
  SparseTopologyName,
  TopologyName,
  WeightDecayMode,
  ZetaScheduleName,
} from '../vocabulary.js';

/*
 * Rules of the readings of the thesis: what each makes of the options that an experiment is asked for.
 */

/** Number of epochs whose accuracies the thesis reports. */
const publishedEpochs = 11;

/**
 * Whether samples, their order and sparse networks are those that the thesis' program drew with NumPy
 * (draws.ts).
 */
export function isDrawnByProgram(reading: Reading): boolean {
  return reading === 'published';
}

/** Whether a reading has a method: the thesis knows those that grow links anywhere. */
function hasMethod(reading: Reading, method: BenchMethod): boolean {
  return reading === 'plain' || growsAnywhere(method);
}

/**
 * Methods that run: those that the reading has. The motif routine of the thesis' program never changed a
 * link, so that its SET-motif is the static network.
 */
export function methodsOf({ methods }: { methods: BenchMethod[] }, reading: Reading): BenchMethod[] {
  const own = methods.filter((method) => hasMethod(reading, method));
  if (reading !== 'published') return own;
  return [...new Set(own.map((method) => (evolvesMotifs(method) ? 'static' : method)))];
}

/** Whether any training of a reading has motifs. */
export function knowsMotifs(reading: Reading): boolean {
  return reading !== 'published';
}

/** Epochs of every training of a reading. */
export function epochsOf({ epochs }: { epochs: number }, reading: Reading): number {
  return reading === 'published' ? Math.min(epochs, publishedEpochs) : epochs;
}

/** Topology that all sparse methods share; undefined: each has the one that suits its motif size. */
export function chosenTopology(
  { topology }: { topology?: SparseTopologyName },
  reading: Reading,
): SparseTopologyName | undefined {
  if (reading === 'plain') return topology;
  return reading === 'improved' ? undefined : 'erdos-renyi';
}

/** Initial weights of a network. */
export function initOf({ init }: { init: InitName }, reading: Reading, method: BenchMethod): InitName {
  if (reading === 'improved') return 'he-fan-in';
  return reading === 'published' && method !== 'dense' ? 'he-dense' : init;
}

/** Activation of the hidden layers of a network. */
export function activationOf(
  { activation }: { activation: ActivationName },
  reading: Reading,
  method: BenchMethod,
): ActivationName {
  return reading === 'published' && method !== 'dense' ? 'relu' : activation;
}

/** Which links of either sign an evolution takes away. */
export function pruneOf(reading: Reading): PruneName {
  return reading === 'published' ? 'thesis' : 'exact';
}

/** Options of a training that the thesis does not have. */
interface Refinements {
  rateSchedule: BenchRateScheduleName;
  rateEnd: number;
  warmup: number;
  weightDecayMode: WeightDecayMode;
  dropout: number;
  zetaSchedule: ZetaScheduleName;
  evolveEvery: number | { steps: number };
  evolveUntil: number;
  inputOrder: 'given' | 'tiles' | TileOrder;
  average?: number;
}

/**
 * The refinements that a reading trains with: as asked in `plain`; else one rate, one share of links replaced
 * after every epoch, no dropout, no average, the weight decay that the optimizer has of itself, and inputs in
 * the given order.
 */
export function refinementsOf(
  asked: Refinements,
  reading: Reading,
  ownMode: WeightDecayMode,
): Readonly<Refinements> {
  if (reading === 'plain') return asked;
  return {
    ...{ rateSchedule: 'constant', rateEnd: 0, warmup: 0, weightDecayMode: ownMode, dropout: 0 },
    ...{ zetaSchedule: 'constant', evolveEvery: 1, evolveUntil: 1, inputOrder: 'given' },
  };
}

/** Whether the accuracy that a reading reports is the best of all epochs, as in the thesis, not the last. */
export function reportsBest(reading: Reading): boolean {
  return reading === 'published';
}

/** Options that a reading may not obey. */
interface Asked extends Refinements {
  methods: BenchMethod[];
  epochs: number;
  validation?: number;
  scaling: ScalingChoice;
  topology?: SparseTopologyName;
  motifSize: number[];
  init: InitName;
  activation: ActivationName;
}

/** Names of the options that the thesis does not have. */
export const refinements = [
  'rateSchedule',
  'rateEnd',
  'warmup',
  'weightDecayMode',
  'dropout',
  'zetaSchedule',
  'evolveEvery',
  'evolveUntil',
  'inputOrder',
  'average',
] as const satisfies (keyof Refinements)[];

/** Names of these options, in the order in which notes have them. */
export const overrulable = [
  'methods',
  'epochs',
  'validation',
  'scaling',
  'topology',
  'motifSize',
  'init',
  'activation',
  ...refinements,
] as const satisfies (keyof Asked)[];

/** Facts of an experiment that the rules depend on. */
interface Given {
  /** Topologies of the sparse trainings of the reading. */
  topologies: TopologyName[];
  /** The scaling of the data set. */
  scaling: ScalingKind;
  /** What weight decay does where no option says so: that of the optimizer. */
  weightDecayMode: WeightDecayMode;
}

/** What a reading uses instead of an option, in words; undefined where it obeys. */
type Instead = (asked: Asked, given: Given) => string | undefined;

const topology: Instead = (asked, { topologies }) =>
  topologies.some((used) => used !== asked.topology) ? topologies.join(' and ') : undefined;

/** What a reading of the thesis makes of methods. */
const methodsInstead = (reading: Reading): Instead => {
  return ({ methods }) => {
    const foreign = methods.filter((method) => !hasMethod(reading, method));
    const still = reading === 'published' && methods.includes('set-motif');
    const texts = [
      ...(still ? ['static in the place of set-motif'] : []),
      ...(foreign.length > 0 ? [`no ${foreign.join(', ')}`] : []),
    ];
    return texts.length > 0 ? texts.join(', and ') : undefined;
  };
};

const inSparseNetworks = (reading: Reading, key: 'init' | 'activation'): Instead => {
  return (asked) => {
    const usedBy = (method: BenchMethod) =>
      key === 'init' ? initOf(asked, reading, method) : activationOf(asked, reading, method);
    const other = asked.methods
      .filter((method) => method !== 'dense')
      .map(usedBy)
      .find((used) => used !== asked[key]);
    return other && `${other} in sparse networks`;
  };
};

/** What a reading of the thesis makes of the options that the thesis does not have. */
const unrefined = (reading: Reading) =>
  Object.fromEntries(
    refinements.map((option): [typeof option, Instead] => [
      option,
      (asked, { weightDecayMode }) => {
        const used = refinementsOf(asked, reading, weightDecayMode)[option];
        return used === asked[option] ? undefined : String(used ?? 'none');
      },
    ]),
  );

const overruled: Record<Reading, Partial<Record<(typeof overrulable)[number], Instead>>> = {
  published: {
    methods: methodsInstead('published'),
    epochs: ({ epochs }) =>
      epochs > publishedEpochs ? `the ${publishedEpochs} whose accuracies it reports` : undefined,
    validation: ({ validation = 0 }) => (validation > 0 ? 'no such samples' : undefined),
    scaling: ({ scaling }, given) =>
      scaling === 'own' || scaling === given.scaling ? undefined : `own (${given.scaling})`,
    topology,
    motifSize: ({ motifSize }) => (String(motifSize) === '1' ? undefined : 'single links'),
    init: inSparseNetworks('published', 'init'),
    activation: inSparseNetworks('published', 'activation'),
    ...unrefined('published'),
  },
  described: { methods: methodsInstead('described'), topology, ...unrefined('described') },
  improved: {
    methods: methodsInstead('improved'),
    topology,
    init: ({ init }) => (init === 'he-fan-in' ? undefined : 'he-fan-in'),
    ...unrefined('improved'),
  },
  plain: {},
};

/** What a reading uses instead of an option, in words; undefined where it obeys. */
export function insteadOf(
  option: (typeof overrulable)[number],
  asked: Asked,
  reading: Reading,
  given: Given,
): string | undefined {
  return overruled[reading][option]?.(asked, given);
}
