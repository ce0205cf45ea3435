/*
 * Names that options, results and files hold. Each list stands once, in the order in which messages, help and
 * tables give it; its type is derived from it. The addon knows the same names. This file imports nothing.
 */

export const sparseTopologies = ['erdos-renyi', 'motif', 'motif-printed'] as const;
export type SparseTopologyName = (typeof sparseTopologies)[number];

export const topologies = [...sparseTopologies, 'dense'] as const;
export type TopologyName = (typeof topologies)[number];

/** Initial weights. */
export const inits = ['he-dense', 'he-fan-in', 'normal'] as const;
export type InitName = (typeof inits)[number];

/** Activations of three straight pieces per neuron, four numbers each; `srelu` learns them. */
export const piecewiseActivations = ['all-relu', 'srelu', 'leaky-relu'] as const;

export const activations = ['relu', 'tanh', 'sigmoid', 'linear', ...piecewiseActivations] as const;
export type ActivationName = (typeof activations)[number];

export const optimizers = ['sgd', 'adamw'] as const;
export type OptimizerName = (typeof optimizers)[number];

export const losses = ['softmax-cross-entropy', 'sigmoid-binary-cross-entropy', 'mse'] as const;
export type LossName = (typeof losses)[number];

export const weightDecayModes = ['thesis', 'l2', 'decoupled'] as const;
export type WeightDecayMode = (typeof weightDecayModes)[number];

/** Schedules of a learning rate that an experiment may ask for: those that rate, end and warm-up describe. */
export const benchRateSchedules = ['constant', 'linear', 'cosine'] as const;
export type BenchRateScheduleName = (typeof benchRateSchedules)[number];

export const rateSchedules = [...benchRateSchedules, 'step'] as const;
export type RateScheduleName = (typeof rateSchedules)[number];

/** Schedules of the share of links that an evolution replaces. */
export const zetaSchedules = ['constant', 'cosine'] as const;
export type ZetaScheduleName = (typeof zetaSchedules)[number];

/** Methods of evolution: how links change between epochs. */
export const methods = ['set', 'set-motif', 'static'] as const;
export type MethodName = (typeof methods)[number];

/** Rules that say which links are pruned: of each sign some, or the weakest of both. */
export const pruneRules = ['exact', 'thesis', 'lowest'] as const;
export type PruneName = (typeof pruneRules)[number];

/**
 * Rules that say where links grow: anywhere; where paths of three links lead; where the gradient of the loss
 * is largest, among candidates drawn at random.
 */
export const growRules = ['random', 'walk', 'gradient'] as const;
export type GrowName = (typeof growRules)[number];

/** Weights of new links. */
export const regrowInits = ['he-dense', 'zero', 'he-fan-in'] as const;
export type RegrowInitName = (typeof regrowInits)[number];

/** Scores that rank motifs, over the |w| of their links. */
export const motifScores = ['mean', 'max', 'min', 'sum'] as const;
export type MotifScoreName = (typeof motifScores)[number];

/** Ways to find the links of a motif. */
export const motifParses = ['aligned', 'runs'] as const;
export type MotifParseName = (typeof motifParses)[number];

export const gpuNames = ['cuda', 'metal'] as const;
export type GpuName = (typeof gpuNames)[number];

export const backendNames = ['cpu', ...gpuNames, 'reference'] as const;
export type BackendName = (typeof backendNames)[number];

export const backendChoices = ['auto', ...backendNames] as const;
export type BackendChoice = (typeof backendChoices)[number];

/** Back ends whose kernels are timed. */
export const timedBackends = ['cpu', ...gpuNames] as const;
export type TimedBackendName = (typeof timedBackends)[number];

/** Instruction sets of the CPU's kernels. */
export const isaNames = ['portable', 'avx2', 'avx512'] as const;
export type IsaName = (typeof isaNames)[number];

/** Ways to scale features. */
export const scalingKinds = ['none', 'divide', 'min-max', 'standardise'] as const;
export type ScalingKind = (typeof scalingKinds)[number];

/** Ways in which an experiment scales features; `own`: the scaling of the data set. */
export const scalings = ['own', 'none', 'min-max', 'standardise'] as const;
export type ScalingChoice = (typeof scalings)[number];

export const benchMethods = [
  'set',
  'set-motif',
  'set-walk',
  'set-motif-walk',
  'set-gradient',
  'set-motif-gradient',
  'rigl',
  'static',
  'dense',
] as const;
/**
 * Methods that an experiment compares, each with its rules of evolution (src/benchMethods.ts); `dense` is the
 * same network with every link present.
 */
export type BenchMethod = (typeof benchMethods)[number];

/** Those that an experiment compares where nobody names any. */
export const usualBenchMethods = ['set', 'set-motif', 'static', 'dense'] as const satisfies BenchMethod[];

export const readings = ['published', 'described', 'improved', 'plain'] as const;
/**
 * Readings of the thesis (docs/reproduction.md). `published`: what its program did, drawn as NumPy drew it,
 * set-motif a static network; `described`: what its text says, on Erdős–Rényi topologies; `improved`: with
 * fan-in-aware weights and layers of whole motifs; `plain`: the options as given.
 */
export type Reading = (typeof readings)[number];
