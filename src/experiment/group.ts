import type { Dataset, Samples } from '../datasets/types.js';
import { checkSignal, isSetNativeError, SetNativeError } from '../errors.js';
import { type Events, eventsOf } from '../events.js';
import { largest } from '../extremes.js';
import { fromNative, type NativeLayer, type NativeModel, type NativeModelSpec, native } from '../native.js';
import { publishedRun } from '../thesis/draws.js';
import { isDrawnByProgram } from '../thesis/readings.js';
import { Averaging } from '../training/average.js';
import type { TrainingPlan } from '../training/options.js';
import { type EpochReport, TrainingRun, type TrainingSamples } from '../training/run.js';
import { upload } from '../training/upload.js';
import { type TrainingWarning, TrainingWatch } from '../training/warnings.js';
import type { TopologyName } from '../vocabulary.js';
import { averagedFigures } from './averaged.js';
import type { GroupState } from './checkpoint.js';
import { defaultSamples, type ExperimentConfig, refinedOf } from './config.js';
import { degreesOf, fanOut } from './degrees.js';
import type { ExperimentEvent, GroupEvents } from './events.js';
import { type Group, networkOf, trainingOf } from './plan.js';
import type { BenchRun } from './results.js';
import { samplesOf } from './samples.js';
import { type Arm, armName, type Trial, trialName } from './trial.js';

interface GroupOptions {
  signal?: AbortSignal | undefined;
  /** The state to go on from. */
  state?: GroupState | undefined;
  /**
   * Called when every trial has trained an epoch and is to train more; it may take a snapshot of the group.
   */
  afterRound?: (snapshot: () => Promise<GroupState>) => Promise<void>;
}

/** A trial while it trains. */
interface Contender {
  model: NativeModel;
  spec: NativeModelSpec;
  training: TrainingRun;
  /** What sums the networks of its last epochs, where that is asked for. */
  averaging: Averaging | undefined;
  watch: TrainingWatch;
  plan: TrainingPlan;
  run: BenchRun;
  /** Emits what the watch notices. */
  emit: (event: ExperimentEvent) => void;
}

/**
 * Trains the trials of a group, in turns: each round trains an epoch of every one, each time starting with
 * another, so that a machine that slows down slows all of them. Continues from `state` where there is one, to
 * the same bits.
 *
 * A training that diverges (ERR_NON_FINITE) leaves the group: its run gets `failure` and the others go on.
 * Any other error ends it; the runs of the events have what was done.
 */
export async function* runGroup(
  config: ExperimentConfig,
  group: Group,
  dataset: Dataset,
  { signal, state, afterRound }: GroupOptions,
): GroupEvents {
  const { published, train, validation, test, order } = materialOf(config, group, dataset);
  const uploadAs = (name: string, part: Samples) => upload('bench', part, name);
  const uploaded = [
    uploadAs('train', train),
    uploadAs('test', test),
    ...(validation ? [uploadAs('validation', validation)] : []),
  ] as const;
  const samples: TrainingSamples = {
    train: published === undefined ? uploaded[0] : (epoch) => uploadAs('train', published.trainOf(epoch)),
    test: uploaded[1],
    validation: uploaded[2],
  };
  const sizes = { train: train.count, validation: validation?.count ?? 0, test: test.count };
  const contenders: Contender[] = [];
  try {
    for (const [i, trial] of group.trials.entries()) {
      const left = state?.trials[i];
      const layers = left === undefined ? published?.layers : left.layers;
      const contender = await enter(config, group, trial, dataset, samples, { signal, layers, left, state });
      contenders.push(contender);
      const { model, watch, plan, run } = contender;
      if (left === undefined) {
        yield* watched(contender, () => watch.network(plan.policy?.evolveOutput ?? false));
      }
      const { threads, backend } = model;
      yield { kind: 'start', run, facts: { samples: sizes, threads, backend } };
    }
    for (let epoch = state?.epoch ?? 0; epoch < group.epochs; epoch++) {
      for (let turn = 0; turn < contenders.length; turn++) {
        const contender = contenders[(epoch + turn) % contenders.length]!;
        if (contender.run.failure === undefined) yield* trainEpoch(contender);
      }
      if (epoch + 1 < group.epochs) await afterRound?.(() => snapshot(contenders, epoch + 1));
    }
    for (const contender of contenders) {
      if (contender.run.failure !== undefined) continue;
      await conclude(contender, order);
      yield* evaluateAverage(contender, samples, signal);
    }
    return contenders.map(({ run }) => run);
  } finally {
    for (const { model } of contenders) model.dispose();
    for (const each of uploaded) each.dispose();
  }
}

/** Trains the next epoch, or takes the training out of the group if it diverges. */
async function* trainEpoch(contender: Contender): Events<ExperimentEvent, void> {
  const { training, run } = contender;
  let report: EpochReport;
  try {
    report = yield* watched(contender, () => training.next());
  } catch (error) {
    return yield* fail(contender, namedTrial(error, run));
  }
  run.epochs.push(report);
  yield { kind: 'epoch', run, report };
}

/** Takes a training that diverged out of the group; throws any other error. */
async function* fail({ model, run }: Contender, error: unknown): Events<ExperimentEvent, void> {
  if (!isSetNativeError(error, 'ERR_NON_FINITE')) throw error;
  run.failure = { code: error.code, message: error.message };
  model.dispose();
  yield { kind: 'failure', run };
  yield { kind: 'note', note: `${error.message}; this training ended, the others went on` };
}

/** Yields notes of what the contender's watch notices during `work`, and returns its result. */
function watched<R>(contender: Contender, work: () => Promise<R>): Events<ExperimentEvent, R> {
  return eventsOf((emit) => {
    contender.emit = emit;
    return work();
  });
}

/**
 * The samples of a group, the feature of each input where that is another, and, where the thesis' program
 * drew the samples, its sparse network.
 */
function materialOf(config: ExperimentConfig, { reading, seed, trials }: Group, dataset: Dataset) {
  if (!isDrawnByProgram(reading)) {
    const { inputOrder } = refinedOf(config, reading);
    const { encoding, ...samples } = samplesOf({ ...config, inputOrder }, seed, dataset);
    return { published: undefined, order: encoding.order, ...samples };
  }
  const countOf = (part: 'train' | 'test') => {
    const available = dataset[part]?.count ?? 0;
    const given = config[part];
    return given === 'all' ? available : (given ?? Math.min(defaultSamples[part], available));
  };
  const counts = { train: countOf('train'), test: countOf('test') };
  const epsilon = trials.find((trial) => trial.epsilon !== null)?.epsilon ?? largest(config.epsilon);
  const published = publishedRun(dataset, { run: seed, epsilon, hidden: config.hidden, counts });
  const { train, test } = published;
  return { published, order: undefined, train, validation: undefined, test };
}

/** Copies the state of a group. */
async function snapshot(contenders: Contender[], epoch: number): Promise<GroupState> {
  const trials: GroupState['trials'] = [];
  for (const { model, run, averaging } of contenders) {
    const ended = run.failure !== undefined;
    trials.push({
      // The list of epochs and the degrees grow later; what they hold stays as it is and needs no copy.
      run: { ...run, epochs: [...run.epochs], ...(run.degrees && { degrees: { ...run.degrees } }) },
      ...(!ended && { layers: await model.download() }),
      ...(!ended && averaging?.sums && { average: averaging.sums }),
    });
  }
  return { epoch, trials };
}

/** Adds to the run what is known only at the end. */
async function conclude({ model, run }: Contender, order: number[] | undefined): Promise<void> {
  if (run.degrees === undefined) return;
  const layers = await model.download();
  run.degrees.end = degreesOf(layers);
  if (!layers[0]!.dense) run.inputDegree = byFeature(fanOut(layers[0]!), order);
}

/** Evaluates the mean of the last networks, if it is asked for. */
async function* evaluateAverage(
  { model, spec, averaging, run }: Contender,
  samples: TrainingSamples,
  signal: AbortSignal | undefined,
): Events<ExperimentEvent, void> {
  if (averaging?.sums === undefined) return;
  try {
    run.averaged = await averagedFigures(model, spec, averaging.sums, samples, signal);
  } catch (cause) {
    const error = namedTrial(cause, run);
    if (!isSetNativeError(error, 'ERR_NON_FINITE')) throw error;
    yield { kind: 'note', note: `${error.message}; its average has no figures` };
  }
}

/** Numbers of inputs as those of the features that they take. */
function byFeature(values: Uint32Array, order: number[] | undefined): number[] {
  if (order === undefined) return Array.from(values);
  const own = new Uint32Array(values.length);
  for (const [input, feature] of order.entries()) own[feature] = values[input]!;
  return Array.from(own);
}

/** Draws a network, or takes up one that a checkpoint has left. */
async function enter(
  config: ExperimentConfig,
  { epochs }: Group,
  trial: Trial,
  dataset: Dataset,
  samples: TrainingSamples,
  {
    signal,
    layers,
    left,
    state,
  }: {
    signal: AbortSignal | undefined;
    layers: NativeLayer[] | undefined;
    left: GroupState['trials'][number] | undefined;
    state: GroupState | undefined;
  },
): Promise<Contender> {
  const epochsBefore = state?.epoch ?? 0;
  const spec = networkOf(config, trial, dataset);
  const plan = trainingOf(config, trial, epochs - epochsBefore, spec.motifSize);
  checkSignal('bench', signal, 'while a network was drawn');
  const model = await native()
    .createModel(spec, trial.method === 'dense' && left === undefined ? undefined : layers)
    .catch((error) => {
      throw namedTrial(fromNative(error), trial);
    });
  try {
    checkSignal('bench', signal, 'while a network was drawn');
    const watch = new TrainingWatch(model, spec, (warning) => {
      const motifSize = spec.topology === 'erdos-renyi' ? 1 : trial.motifSize; // its network knows none
      const network = trialName({ ...trial, motifSize }, spec.topology);
      contender.emit({ kind: 'note', note: noteOf(warning, network, trialName(trial)) });
    });
    const share = refinedOf(config, trial.reading).average;
    const averaging =
      share === undefined
        ? undefined
        : new Averaging(share, epochs, { epochs: epochsBefore, average: left?.average });
    const training = new TrainingRun(model, plan, samples, {
      ...{ epochsBefore, signal, watch },
      ...(averaging && {
        trained: (epoch: number) => averaging.add(epoch, model),
        evolved: () => averaging.restart(),
      }),
    });
    const run = left?.run ?? (await newRun(trial, spec.topology, model));
    if (run.failure !== undefined) model.dispose();
    const contender: Contender = { model, spec, training, averaging, watch, plan, run, emit: () => {} };
    return contender;
  } catch (error) {
    model.dispose();
    throw error;
  }
}

/** The run of a training that begins. */
async function newRun(trial: Trial, topology: TopologyName, model: NativeModel): Promise<BenchRun> {
  const drawn = await model.download();
  const nnz = drawn.reduce((sum, layer) => sum + layer.weights.length, 0);
  const cells = drawn.reduce((sum, layer) => sum + layer.inputs * layer.outputs, 0);
  return {
    ...trial,
    topology,
    nnz,
    density: nnz / cells,
    epochs: [],
    degrees: { start: degreesOf(drawn), end: [] },
  };
}

/** Text of a warning, with the name of what it concerns: the samples, the drawn network, or the training. */
function noteOf({ code, message, epoch }: TrainingWarning, network: string, training: string): string {
  if (code === 'SET_NATIVE_LARGE_INPUTS') return `${message[0]!.toUpperCase()}${message.slice(1)}.`;
  return `${epoch === 0 ? network : training}: ${message}.`;
}

/** The error with the arm it belongs to, whatever the seed. */
export function namedArm(error: unknown, arm: Arm): unknown {
  const { reading, method, epsilon, motifSize } = arm;
  return named(error, armName(arm), { reading, method, epsilon, motifSize });
}

/** The error with the training it belongs to. */
function namedTrial(error: unknown, trial: Trial): unknown {
  const { reading, method, epsilon, motifSize, seed } = trial;
  return named(error, trialName(trial), { reading, method, epsilon, motifSize, seed });
}

function named(error: unknown, name: string, identity: Arm | Trial): unknown {
  if (!(error instanceof SetNativeError)) return error;
  const details = { ...error.details, ...identity };
  // The cause of a stop is the signal's reason, wherever it is seen.
  const cause = error.code === 'ERR_ABORTED' ? error.cause : error;
  return new SetNativeError(error.code, `[bench] ${name}: ${error.message}`, { details, cause });
}
