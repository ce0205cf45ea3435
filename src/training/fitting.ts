import { checkChoice, checkHooks, checkKeys, checkNumber, invalid, isArrayLike } from '../checks.js';
import { aborted, isAbortBy, isSetNativeError, SetNativeError } from '../errors.js';
import { checkWritable, writeInBackground } from '../files/output.js';
import { fromNative, type NativeLayer, ofThisRealm } from '../native.js';
import { type Augmentation, type AugmentOptions, augmenting, checkAugment } from './augment.js';
import { Averaging, averagedLayers } from './average.js';
import type { LiveModel, TrainingPoint } from './live.js';
import { ranges, type TrainingOptions, type TrainingPlan, trainingKeys, trainingPlan } from './options.js';
import { type EpochFigures, type EpochReport, errorOfCall, type StepsDone, TrainingRun } from './run.js';
import { checkSamplesFor, type Ends } from './samples.js';
import { checkEarlyStopping, type EarlyStopping, Stopping } from './stopping.js';
import { type HeldSamples, holdSamples, type ModelSamples, UploadedSamples } from './upload.js';
import { type TrainingWarning, type TrainingWarningCode, TrainingWatch } from './warnings.js';

/*
 * A training of a model by samples that are handed in: options that belong to one call, and what happens
 * between epochs.
 */

export interface CheckpointOptions {
  /**
   * The model's file; `load` reads it, and `fit` with `until` goes on from there. Whether it can be written
   * is tried before the first epoch.
   */
  file: string;
  /** Least time between two checkpoints, in seconds. Default 0: one after every epoch. */
  everySeconds?: number;
}

/** How far the training of an epoch has come. */
export interface Progress {
  /** 1-based, counted over the life of the model. */
  epoch: number;
  /** The last epoch of this call. */
  epochs: number;
  /** Samples of the epoch that are done, and all. */
  samples: number;
  of: number;
  /** Samples per second, in this epoch. */
  samplesPerSecond: number;
}

/**
 * What each class counts: the same in sum (`balanced`: samples / (classes that occur · samples of the
 * class)), or as given.
 */
export type ClassWeight = 'balanced' | readonly number[];

export interface TrainOptions extends TrainingOptions {
  /** Samples evaluated after every epoch: `validationLoss` and `validationAccuracy` of the reports. */
  validation?: ModelSamples;
  /**
   * What each class counts in the loss, beside the weights of the samples: a number of at least 0 for each,
   * or `balanced`: samples / (classes that occur · samples of the class). For samples with labels that were
   * not uploaded before. Default: 1 each.
   */
  classWeight?: ClassWeight;
  /**
   * Shifts and mirrors the images of `train` at random, in each epoch anew: `{ shift: 2, flip: true, shape:
   * [28, 28] }`. Samples held out stay as they are. What happens to an image follows from the model's seed,
   * the epoch and its number: the same bits on every back end, for any number of threads, resumed or not. A
   * model with an `encoding` takes scaling and order of the pixels from it, so that the result is that of
   * augmenting the raw image first; without one, x is taken as it is. An epoch takes memory for a second copy
   * of x. Default: none.
   *
   * Rejects with ERR_INVALID_ARGUMENT without the shape of an image, ERR_SHAPE for one of other pixels than
   * the model has inputs, ERR_OUT_OF_RANGE for a shift that is not below its smaller side.
   */
  augment?: AugmentOptions;
  /** Ends the training when it has stopped to improve. */
  earlyStopping?: EarlyStopping;
  /**
   * Share of the run, from 0 to below 1, after which the network is averaged (stochastic weight averaging;
   * Izmailov et al. 2018): a training that ends leaves the means over the epochs e > average · epochs of the
   * run, each as it was before the links evolved. The run is all that the model has been trained for when
   * this call of `fit` ends. Default: none, the network stays as the last epoch left it.
   *
   * Means are those of weights, biases and what `srelu` learns, on every back end, summed in double precision
   * and rounded to single: the same bits for any number of threads. Momenta stay as they are. Networks of
   * different links have no mean: when an evolution exchanges links, the average starts anew with the next
   * epoch, so let `evolution.until` be no larger than `average`. Sums take 8 bytes per link, and for a moment
   * after each epoch twice that beside a copy of the network.
   *
   * A call that is aborted, or rejects, leaves the last network, and keeps the sums, as `save`, `replicate`
   * and `checkpoint` do: a call with the same `average` and the same end of the run, `until`, goes on to the
   * bits of a run that was never interrupted. One without `average` that trains drops them. A call that ends,
   * also by `false` from `onEpoch`, leaves the mean, and the next one trains on from that: a run to 3 epochs
   * and then one to 6 are not one to 6.
   *
   * Rejects with ERR_OUT_OF_RANGE or ERR_INVALID_ARGUMENT for another value, ERR_INVALID_ARGUMENT beside
   * `earlyStopping.restoreBest`.
   */
  average?: number;
  /**
   * Writes the model to a file after epochs, and when the training is done: what was trained is not lost with
   * the process. An interrupted training goes on with `SparseMLP.load(file)` and `until`.
   */
  checkpoint?: CheckpointOptions;
  /**
   * Called some times a second while an epoch is trained, and at its end and before each evolution; its
   * promise is not awaited.
   */
  onProgress?: (progress: Progress) => void;
  /**
   * Called with what keeps the network from learning, in place of a process warning (`process.on('warning')`,
   * type SetNativeWarning, with a code). It stops nothing.
   */
  onWarning?: (warning: TrainingWarning) => void;
  /** Stops within one batch, or when `onEpoch` is done; `fit` rejects with ERR_ABORTED. Of any realm. */
  signal?: AbortSignal;
}

export const trainKeys = [
  ...trainingKeys,
  'validation',
  'classWeight',
  'augment',
  'earlyStopping',
  'average',
  'checkpoint',
  'onProgress',
  'onWarning',
  'signal',
] as const satisfies (keyof TrainOptions)[];

export interface History {
  epochs: EpochReport[];
  /**
   * Warnings of this call of what keeps the network from learning; each kind comes once in the life of the
   * model.
   */
  warnings: TrainingWarning[];
  /** The epoch with the best figure, with `earlyStopping`. */
  bestEpoch?: number;
  /** With `average`, the number of epochs whose mean the network is; 0 where it ended before them. */
  averagedEpochs?: number;
  /** Figures of that mean by the samples held out, where there are such: `validation`. */
  averaged?: AveragedFigures;
}

/** What `EpochReport` tells of the network of an epoch, told of the mean of several. */
export interface AveragedFigures {
  /** Mean loss of the samples held out. */
  validationLoss: number;
  /** Share of them classified correctly; absent for targets. */
  validationAccuracy?: number;
}

declare module '../errors.js' {
  interface AbortedDetails {
    /** The epochs that `fit` completed. */
    history?: History;
  }
}

/** Options of a training, checked. */
export interface FittingOptions {
  options: TrainOptions;
  plan: TrainingPlan;
  augmentation: Augmentation | undefined;
  earlyStopping: Required<EarlyStopping> | undefined;
}

/** Checks the options of a training; its samples are checked when its turn comes. */
export function checkTrainOptions(
  operation: string,
  { spec }: LiveModel,
  options: TrainOptions,
  keys: readonly string[] = trainKeys,
): FittingOptions {
  checkKeys(operation, options, keys);
  const { validation, onProgress, onWarning, signal, checkpoint, classWeight, augment } = options;
  checkHooks(operation, { onProgress, onWarning, signal });
  const plan = trainingPlan(operation, options, spec);
  if (checkpoint !== undefined) checkCheckpoint(operation, checkpoint);
  if (classWeight !== undefined) checkClassWeight(operation, classWeight, Math.max(2, spec.sizes.at(-1)!));
  const augmentation = augment === undefined ? undefined : checkAugment(operation, augment, spec.sizes[0]!);
  const held = validation === undefined ? 'none' : hasTargets(validation) ? 'targets' : 'labels';
  const { earlyStopping, average } = options;
  const stopping =
    earlyStopping === undefined ? undefined : checkEarlyStopping(operation, earlyStopping, held);
  if (average !== undefined) checkAverage(operation, average, stopping);
  return { options, plan, augmentation, earlyStopping: stopping };
}

function hasTargets(samples: ModelSamples): boolean {
  return (Object(samples) as { targets?: unknown }).targets !== undefined;
}

function checkAverage(
  operation: string,
  average: number,
  stopping: Required<EarlyStopping> | undefined,
): void {
  checkNumber(operation, 'average', average, ranges.average);
  if (stopping?.restoreBest) {
    throw new SetNativeError(
      'ERR_INVALID_ARGUMENT',
      `[${operation}] average ends with the mean of epochs, and earlyStopping.restoreBest with the best one; leave one ` +
        'of them out',
      { details: { option: 'average', value: average } },
    );
  }
}

function checkCheckpoint(operation: string, checkpoint: CheckpointOptions): void {
  checkKeys(operation, checkpoint, ['file', 'everySeconds'], { of: 'checkpoint' });
  const { file, everySeconds = 0 } = checkpoint;
  if (typeof file !== 'string' || file === '')
    throw invalid(operation, 'checkpoint.file', 'the name of a file', file);
  checkNumber(operation, 'checkpoint.everySeconds', everySeconds, {
    text: 'a number of seconds of at least 0',
    accepts: (value) => value >= 0,
  });
}

function checkClassWeight(operation: string, weight: ClassWeight, classes: number): void {
  if (!isArrayLike(weight)) {
    checkChoice(operation, 'classWeight', weight, ['balanced']);
    return;
  }
  const accepts = (value: unknown) =>
    typeof value === 'number' && Number.isFinite(Math.fround(value)) && value >= 0;
  const numbers: unknown[] = Array.from(weight as readonly unknown[]);
  if (numbers.length !== classes || !numbers.every(accepts))
    throw invalid(operation, 'classWeight', `"balanced" or ${classes} numbers of at least 0`, weight);
}

/** Samples that count as their classes do, beside their own weights. */
function weigh(operation: string, train: ModelSamples, weight: ClassWeight, classes: number): ModelSamples {
  if (train instanceof UploadedSamples || !('labels' in train) || train.labels === undefined) {
    const why = hasTargets(train)
      ? 'absent: the samples have targets, no classes'
      : 'absent where samples were uploaded: give them weights before';
    throw invalid(operation, 'classWeight', why, weight);
  }
  const { labels, weights } = train;
  const counts = new Float64Array(classes);
  for (const label of labels) counts[label]! += 1;
  const present = counts.reduce((sum, count) => sum + Number(count > 0), 0);
  const ofClass =
    weight === 'balanced'
      ? counts.map((count) => labels.length / (present * count))
      : Float64Array.from(weight);
  const own = Float32Array.from(labels, (label, row) => ofClass[label]! * (weights?.[row] ?? 1));
  return { ...train, weights: own };
}

/** One training: its samples in native memory, its epochs one by one, and how it ends. */
export class Fitting {
  readonly history: History = { epochs: [], warnings: [] };
  readonly #operation: string;
  readonly #live: LiveModel;
  readonly #options: TrainOptions;
  readonly #run: TrainingRun;
  readonly #watch: TrainingWatch;
  readonly #samples: { train: HeldSamples; validation: HeldSamples | undefined };
  readonly #stopping: Stopping | undefined;
  readonly #averaging: Averaging | undefined;
  readonly #evolvesOutput: boolean;
  #best: { layers: NativeLayer[]; point: TrainingPoint } | undefined;
  #saved = performance.now();

  private constructor(
    operation: string,
    live: LiveModel,
    { options, plan, augmentation, earlyStopping }: FittingOptions,
    samples: { train: HeldSamples; validation: HeldSamples | undefined },
    warned: Set<TrainingWarningCode>,
  ) {
    const { signal, onWarning = emitWarning, onProgress, average } = options;
    this.#operation = operation;
    this.#live = live;
    this.#options = options;
    this.#samples = samples;
    this.#stopping = earlyStopping && new Stopping(earlyStopping);
    this.#evolvesOutput = plan.policy?.evolveOutput ?? false;
    const warn = (warning: TrainingWarning) => {
      this.history.warnings.push(warning);
      onWarning(warning);
    };
    this.#watch = new TrainingWatch(live.network, live.spec, warn, warned);
    const { epochs: epochsBefore, evolutionDue } = live.point;
    const { train, validation } = samples;
    const fed = augmentation ? augmenting(operation, train.native, augmentation, live) : train.native;
    this.#run = new TrainingRun(
      live.network,
      plan,
      { train: fed, validation: validation?.native },
      {
        ...{ operation, epochsBefore, evolutionDue, signal, watch: this.#watch },
        ...(onProgress && { onSteps: (done: StepsDone) => onProgress(progressOf(done)) }),
        ...(this.#stopping && { judge: (figures: EpochFigures) => this.#judge(figures) }),
        trained: async (epoch) => this.#averaging?.add(epoch, live.network),
        evolved: () => this.#averaging?.restart(),
      },
    );
    if (average !== undefined) this.#averaging = new Averaging(average, this.#run.lastEpoch, live.point);
  }

  /**
   * Checks and copies the samples.
   *
   * @param warned codes that the model has been warned of before
   */
  static async begin(
    operation: string,
    live: LiveModel,
    train: ModelSamples,
    checked: FittingOptions,
    { ends, warned }: { ends: Ends; warned: Set<TrainingWarningCode> },
  ): Promise<Fitting> {
    const { validation, classWeight, checkpoint } = checked.options;
    if (checkpoint !== undefined) checkWritable(operation, 'checkpoint.file', checkpoint.file);
    if (!(train instanceof UploadedSamples)) checkSamplesFor(ends, operation, train);
    const weighed =
      classWeight === undefined ? train : weigh(operation, train, classWeight, Math.max(2, ends.outputs));
    const all: HeldSamples[] = [];
    const hold = async (samples: ModelSamples, name?: string) => {
      const held = await holdSamples(ends, operation, samples, name);
      all.push(held);
      await live.network.check(held.native, operation);
      return held;
    };
    try {
      const held = validation && (await hold(validation, 'validation').catch(ofValidation));
      return new Fitting(operation, live, checked, { train: await hold(weighed), validation: held }, warned);
    } catch (error) {
      for (const { release } of all) release();
      throw error;
    }
  }

  get done(): boolean {
    return this.#run.done;
  }

  /** Trains the next epoch, and writes a checkpoint where one is due. */
  async next(): Promise<EpochReport> {
    const before = this.#run.trained;
    try {
      if (before === 0) await this.#watch.network(this.#evolvesOutput);
      const report = await this.#run.next();
      this.history.epochs.push(report);
      return report;
    } catch (error) {
      // An epoch that was trained counts, though its figures may be missing.
      const stops = isSetNativeError(error, 'ERR_ABORTED') && !this.#live.disposed;
      const unreported = stops ? await this.#run.unreported().catch(() => undefined) : undefined;
      if (unreported !== undefined) this.history.epochs.push(unreported);
      // Samples that are held out may overflow in a network whose weights are numbers.
      const { overflowed } = this.#run;
      if (overflowed) this.#live.diverged ||= overflowed === 'training' || !(await this.#live.isFinite());
      throw this.asStop(error);
    } finally {
      const { trained, evolutionDue } = this.#run;
      this.#live.point = { epochs: trained, evolutionDue, average: this.#averaging?.sums };
      // Where that fails, the error of the epoch is told.
      if (this.#run.overflowed && !this.#live.disposed) await this.#restoreBest().catch(() => {});
    }
  }

  /** Writes a checkpoint where one is due: between epochs, when the caller has seen the last one. */
  async checkpoint(): Promise<void> {
    const { everySeconds = 0 } = this.#options.checkpoint ?? {};
    if (performance.now() - this.#saved >= everySeconds * 1000) await this.#save();
  }

  /** Ends the training: with the best network or the mean, if that is asked for, and with a checkpoint. */
  async finish(): Promise<History> {
    if (this.#stopping !== undefined && this.#stopping.bestEpoch > 0)
      this.history.bestEpoch = this.#stopping.bestEpoch;
    await this.#restoreBest();
    if (this.#averaging !== undefined) await this.#average(this.#averaging);
    await this.#save();
    return this.history;
  }

  /** Puts the best network in the place of a later or broken one, where it was kept. */
  async #restoreBest(): Promise<void> {
    if (this.#best === undefined) return;
    if (this.#live.diverged || this.#best.point.epochs < this.#live.point.epochs)
      await this.#live.restore(this.#best.layers, this.#best.point);
  }

  /** Puts the mean in the place of the last network, and evaluates it. */
  async #average({ sums }: Averaging): Promise<void> {
    const live = this.#live;
    this.history.averagedEpochs = sums?.epochs ?? 0;
    if (sums === undefined || live.disposed) return;
    try {
      const layers = await averagedLayers(ofThisRealm(await live.network.download()), sums);
      const { epochs, evolutionDue } = live.point;
      await live.restore(layers, { epochs, evolutionDue });
      const { validation } = this.#samples;
      if (validation === undefined) return;
      const { loss, accuracy } = await live.network.evaluate(validation.native).catch((error) => {
        throw errorOfCall(this.#operation, error, 'validation');
      });
      const { classes } = validation.native;
      this.history.averaged = { validationLoss: loss, ...(classes && { validationAccuracy: accuracy }) };
    } catch (error) {
      throw this.asStop(error);
    }
  }

  /** Frees the samples. */
  dispose(): void {
    this.#samples.train.release();
    this.#samples.validation?.release();
  }

  /** The error of a training that was stopped, with the epochs that it completed. */
  stopped(): SetNativeError {
    const { signal } = this.#options;
    return stopOf(this.#operation, signal?.aborted ? signal : undefined, this.history);
  }

  /** `error`, or that of the stop that it comes from. */
  asStop(cause: unknown): unknown {
    const error = fromNative(cause);
    const isDisposal =
      this.#live.disposed &&
      error instanceof SetNativeError &&
      ['ERR_ABORTED', 'ERR_DISPOSED'].includes(error.code);
    return isAbortBy(this.#options.signal, error) || isDisposal ? this.stopped() : error;
  }

  /** Judges an epoch before its links evolve; keeps the best. Returns whether it is the last. */
  async #judge(figures: EpochFigures): Promise<boolean> {
    const { isBest, ends } = this.#stopping!.judge(figures);
    if (isBest && this.#options.earlyStopping!.restoreBest) {
      const layers = ofThisRealm(await this.#live.network.download());
      this.#best = { layers, point: { epochs: this.#run.trained, evolutionDue: this.#run.evolutionDue } };
    }
    return ends;
  }

  async #save(): Promise<void> {
    const { checkpoint } = this.#options;
    if (checkpoint === undefined || this.#live.disposed) return;
    await writeInBackground(checkpoint.file, await this.#live.pieces(this.#operation, { optimizer: true }));
    this.#saved = performance.now();
  }
}

/** Throws an error of the native check of samples as one of those that are held out. */
function ofValidation(cause: unknown): never {
  const error = fromNative(cause);
  if (!(error instanceof SetNativeError) || error.message.includes('validation')) throw error;
  const message = error.message.replace(/^(\[\w+\]) /, '$1 validation: ');
  throw new SetNativeError(error.code, message, { details: error.details, cause: error.cause });
}

/** The error of a training that `signal` stopped or, without one, the disposal of its model. */
export function stopOf(
  operation: string,
  signal: AbortSignal | undefined,
  history: History,
  otherwise?: string,
): SetNativeError {
  return aborted(operation, signal, `after ${history.epochs.length} complete epochs`, { history }, otherwise);
}

function progressOf({ epoch, epochs, samples, of, ms }: StepsDone): Progress {
  return { epoch, epochs, samples, of, samplesPerSecond: ms > 0 ? (samples / ms) * 1000 : 0 };
}

function emitWarning({ code, message }: TrainingWarning): void {
  process.emitWarning(`[fit] ${message}`, { type: 'SetNativeWarning', code });
}
