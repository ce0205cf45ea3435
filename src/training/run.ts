import { clearInterval, setInterval } from 'node:timers';
import { checkNumber } from '../checks.js';
import { aborted, checkSignal, isSetNativeError, SetNativeError } from '../errors.js';
import { largest } from '../extremes.js';
import {
  fromNative,
  type NativeEvolutionPolicy,
  type NativeModel,
  type NativeSamples,
  type NativeTrainOptions,
} from '../native.js';
import { whenAborted } from '../whenAborted.js';
import { ranges, type TrainingPlan } from './options.js';
import { evolvesAfter, partsOfEpoch, zetaAt } from './schedule.js';
import type { TrainingWatch } from './warnings.js';

/**
 * One epoch, as callbacks and result files get it. Times are in milliseconds, measured on the native side.
 */
export interface EpochReport {
  /** 1-based, counted over the life of the model. */
  epoch: number;
  /** Mean loss over the samples, each taken before the update of its batch. */
  trainLoss: number;
  /** Mean loss of the benchmark's test samples; `fit` has none. */
  testLoss?: number;
  /** Share of the benchmark's test samples classified correctly, before the evolution that follows. */
  testAccuracy?: number;
  /**
   * Mean loss of the samples held out, `validation` of `fit`, before the evolution that follows; absent
   * without them, and where a stop came first.
   */
  validationLoss?: number;
  /** Share of the samples held out classified correctly. */
  validationAccuracy?: number;
  trainMs: number;
  /** 0 where nothing evolved: `static`, dense layers only, the last epoch of a model. */
  evolveMs: number;
  /** Time to evaluate the test samples or, without them, those held out; 0 without either. */
  evaluateMs: number;
  /** Links of all layers at the end of the epoch. */
  nnz: number;
  /**
   * Links that were pruned in this epoch: by the evolution that ends it and, in the first epoch of a call of
   * `fit`, by the one that the call before had left over.
   */
  pruned: number;
  /** Links that were grown instead. */
  grown: number;
  /**
   * Links of the layers that may evolve, by the epoch whose evolution grew them; [0] = initial links, [65535]
   * = of that epoch and all later ones. Empty when every such layer is dense.
   */
  linksByBirth: number[];
}

/** Samples that are on the device already. */
export interface TrainingSamples {
  /** Training samples, or a function that makes those of an epoch, which are freed after it. */
  train: NativeSamples | ((epoch: number) => NativeSamples | Promise<NativeSamples>);
  /** Samples held out to choose an epoch by. */
  validation?: NativeSamples | undefined;
  test?: NativeSamples | undefined;
}

/** What a model has behind it. */
interface TrainingPast {
  epochsBefore?: number;
  /** The epoch after which the links have yet to evolve. */
  evolutionDue?: number | undefined;
}

/** Figures of an epoch, as they are before the links evolve. */
export type EpochFigures = Pick<EpochReport, 'epoch' | 'trainLoss' | 'validationLoss' | 'validationAccuracy'>;

/** How far an epoch has come. */
export interface StepsDone {
  epoch: number;
  /** The last epoch of the run. */
  epochs: number;
  /** Samples that are done, and those of the epoch. */
  samples: number;
  of: number;
  /** Time since the epoch began. */
  ms: number;
}

/** What a run tells while it goes on, and is told. */
interface RunHooks {
  /** Method whose errors are told; default `train`. */
  operation?: string;
  signal?: AbortSignal | undefined;
  watch?: TrainingWatch;
  /** Called some times a second while steps are trained. An error of it ends the epoch. */
  onSteps?: (done: StepsDone) => void;
  /** Awaited as soon as an epoch is trained, which counts from then on. */
  trained?: (epoch: number) => Promise<void>;
  /** Called when links were exchanged, or may have been. */
  evolved?: () => void;
  /** Looks at an epoch before its links evolve; resolves to true where it is to be the last. */
  judge?: (figures: EpochFigures) => Promise<boolean>;
}

/** Time between two looks at the steps that are done. */
const lookMs = 200;

type Policy = NonNullable<TrainingPlan['policy']>;

/** Links exchanged in an epoch, and the time that took. */
interface Exchange {
  pruned: number;
  grown: number;
  durationMs: number;
}

type Figures = Awaited<ReturnType<NativeModel['evaluate']>>;

/** What is known of an epoch that was trained. */
interface TrainedEpoch {
  epoch: number;
  training: { loss: number; durationMs: number };
  exchanged: Exchange;
  evaluation?: Figures;
  held?: Figures & { classes: boolean };
}

function heldFigures({ held }: TrainedEpoch): { validationLoss?: number; validationAccuracy?: number } {
  return {
    ...(held && { validationLoss: held.loss }),
    ...(held?.classes && { validationAccuracy: held.accuracy }),
  };
}

/**
 * When an evolution takes place: at the end of an epoch or, where evolutions count steps, after a step of it.
 */
interface EvolutionMoment {
  epoch: number;
  step?: number;
  /** Epochs, or steps, of the run. */
  total: number;
}

/** Errors of an evolution that leaves every layer as it was. */
const refusals = ['ERR_NON_FINITE', 'ERR_OUT_OF_RANGE'];

/**
 * The training loop, one epoch at a time, so that a caller can run it to the end (`SparseMLP.fit`) or take
 * turns between several models (the benchmark). An epoch is: train, evaluate, evolve. The evolution of the
 * last epoch stays due; a run that goes on from there begins with it. So epochs trained in several runs are
 * those of one.
 */
export class TrainingRun {
  readonly #model: NativeModel;
  readonly #plan: TrainingPlan;
  readonly #samples: TrainingSamples;
  readonly #hooks: RunHooks;
  #lastEpoch: number;
  #trained: number;
  #evolutionDue: number | undefined;
  #hasEvolved = false;
  #unreported: TrainedEpoch | undefined;
  #overflowed: 'training' | 'validation' | undefined;

  constructor(
    model: NativeModel,
    plan: TrainingPlan,
    samples: TrainingSamples,
    { epochsBefore = 0, evolutionDue, ...hooks }: TrainingPast & RunHooks = {},
  ) {
    this.#model = model;
    this.#plan = plan;
    this.#samples = samples;
    this.#hooks = hooks;
    this.#trained = epochsBefore;
    this.#evolutionDue = evolutionDue;
    const { length } = plan;
    this.#lastEpoch = 'until' in length ? Math.max(epochsBefore, length.until) : epochsBefore + length.epochs;
  }

  /** Epochs trained in the life of the model. */
  get trained(): number {
    return this.#trained;
  }

  /** The last epoch of the run. */
  get lastEpoch(): number {
    return this.#lastEpoch;
  }

  /** The epoch after which the links have yet to evolve, if they do at all. */
  get evolutionDue(): number | undefined {
    return this.#evolutionDue;
  }

  /** Where numbers overflowed, if `next` rejected because of that. */
  get overflowed(): 'training' | 'validation' | undefined {
    return this.#overflowed;
  }

  get done(): boolean {
    return this.#trained === this.#lastEpoch;
  }

  /**
   * Trains the next epoch. Rejects with ERR_ABORTED, whose cause is the signal's reason, when the signal
   * fires (the model keeps the batches done so far and stays usable), ERR_NON_FINITE when the loss stops
   * being a number; and with what a learning rate function throws.
   */
  async next(): Promise<EpochReport> {
    const epoch = this.#trained + 1;
    const { signal } = this.#hooks;
    const abort = () => this.#model.abort();
    const forget = whenAborted(signal, abort);
    try {
      return await this.#epoch(epoch);
    } catch (cause) {
      const error = fromNative(cause);
      const stopped = isSetNativeError(error, 'ERR_ABORTED') && signal?.aborted;
      throw stopped ? aborted(this.#operation, signal, `in epoch ${epoch}`) : error;
    } finally {
      forget();
    }
  }

  async #epoch(epoch: number): Promise<EpochReport> {
    this.#checkSignal(epoch);
    const { train, validation, test } = this.#samples;
    const { policy, schedule, batchSize } = this.#plan;
    const samples = typeof train === 'function' ? await train(epoch) : train;
    const steps = Math.ceil(samples.count / batchSize);
    const exchanged: Exchange = { pruned: 0, grown: 0, durationMs: 0 };
    const training = { loss: 0, durationMs: 0 };
    try {
      const options = this.#plan.epoch({ epoch, epochs: this.#lastEpoch, steps });
      // The evolution that the epoch before, or the call before, has left over.
      if (policy !== undefined) await this.#evolveIfDue(policy, steps, exchanged);
      this.#checkSignal(epoch);
      this.#hooks.watch?.inputs(samples, epoch);
      // Train the epoch, in parts where the schedule counts steps: links evolve between two of them.
      const before = (epoch - 1) * steps;
      const parts = policy === undefined ? [{ first: 0, end: steps }] : partsOfEpoch(schedule, before, steps);
      const began = performance.now();
      for (const { first, end } of parts) {
        const part = await this.#train(samples, { ...options, firstStep: first, steps: end - first }, began);
        const trained = Math.min(end * batchSize, samples.count) - first * batchSize;
        training.loss += part.loss * (trained / samples.count); // one part: as it is
        training.durationMs += part.durationMs;
        if (end === steps) break;
        this.#checkSignal(epoch);
        await this.#evolve(policy!, { epoch, step: before + end, total: this.#lastEpoch * steps }, exchanged);
      }
    } finally {
      if (samples !== train) samples.dispose();
    }
    this.#trained = epoch;
    this.#evolutionDue = policy && evolvesAfter(schedule, epoch, steps) ? epoch : undefined;
    const done: TrainedEpoch = { epoch, training, exchanged };
    this.#unreported = done;
    await this.#hooks.trained?.(epoch);
    // Evaluate.
    this.#checkSignal(epoch);
    if (test) done.evaluation = await this.#model.evaluate(test);
    this.#checkSignal(epoch);
    if (validation) done.held = { ...(await this.#evaluateHeld(validation)), classes: validation.classes };
    this.#checkSignal(epoch);
    // Evolve, unless it was the last epoch.
    const { judge, watch } = this.#hooks;
    const figures = { epoch, trainLoss: training.loss, ...heldFigures(done) };
    if (judge !== undefined && (await judge(figures))) this.#lastEpoch = epoch;
    if (policy !== undefined && !this.done) await this.#evolveIfDue(policy, steps, exchanged);
    const report = await this.#report(done);
    watch?.loss(training.loss, epoch);
    if (this.done && this.#hasEvolved) await watch?.links(epoch);
    this.#unreported = undefined;
    return report;
  }

  /** The report of an epoch that was trained, but stopped before `next` could give one. */
  async unreported(): Promise<EpochReport | undefined> {
    return this.#unreported && (await this.#report(this.#unreported));
  }

  async #report(done: TrainedEpoch): Promise<EpochReport> {
    const { epoch, training, exchanged, evaluation, held } = done;
    const layers = await this.#model.stats();
    const evolving = this.#plan.policy?.evolveOutput ? layers : layers.slice(0, -1);
    return {
      epoch,
      trainLoss: training.loss,
      ...(evaluation && { testLoss: evaluation.loss, testAccuracy: evaluation.accuracy }),
      ...heldFigures(done),
      trainMs: training.durationMs,
      evolveMs: exchanged.durationMs,
      evaluateMs: (evaluation ?? held)?.durationMs ?? 0,
      nnz: layers.reduce((total, layer) => total + layer.nnz, 0),
      pruned: exchanged.pruned,
      grown: exchanged.grown,
      linksByBirth: addUp(evolving.filter((layer) => !layer.dense).map((layer) => layer.linksByBirth)),
    };
  }

  get #operation(): string {
    return this.#hooks.operation ?? 'train';
  }

  async #evaluateHeld(validation: NativeSamples): Promise<Figures> {
    try {
      return await this.#model.evaluate(validation);
    } catch (error) {
      throw this.#ofCall(error, 'validation');
    }
  }

  async #trainEpoch(samples: NativeSamples, options: NativeTrainOptions) {
    try {
      return await this.#model.trainEpoch(samples, options);
    } catch (error) {
      throw this.#ofCall(error, 'training');
    }
  }

  /** The error as one of the method that was called; notes where numbers overflowed. */
  #ofCall(cause: unknown, part: 'training' | 'validation'): unknown {
    const error = errorOfCall(this.#operation, cause, part);
    if (isSetNativeError(error, 'ERR_NON_FINITE')) this.#overflowed = part;
    return error;
  }

  /** Trains steps of an epoch that began at `start`, and tells how far it has come. */
  async #train(
    samples: NativeSamples,
    options: NativeTrainOptions,
    start: number,
  ): Promise<{ loss: number; durationMs: number }> {
    const { onSteps } = this.#hooks;
    if (onSteps === undefined) return this.#trainEpoch(samples, options);
    const { epoch, batchSize } = options;
    const [epochs, of] = [this.#lastEpoch, samples.count];
    let failure: { error: unknown } | undefined;
    const look = () => {
      const done = Math.min(this.#model.stepsDone() * batchSize, of);
      try {
        onSteps({ epoch, epochs, samples: done, of, ms: performance.now() - start });
      } catch (error) {
        failure ??= { error };
        this.#model.abort();
      }
    };
    const timer = setInterval(look, lookMs);
    try {
      const result = await this.#trainEpoch(samples, options);
      look();
      if (failure === undefined) return result;
    } catch (error) {
      if (failure === undefined) throw error;
    } finally {
      clearInterval(timer);
    }
    throw failure!.error;
  }

  /** The evolution that an epoch has left over, if there is one. */
  async #evolveIfDue(policy: Policy, steps: number, exchanged: Exchange): Promise<void> {
    const epoch = this.#evolutionDue;
    if (epoch === undefined) return;
    this.#evolutionDue = undefined; // one that fails half way is not repeated: some layers may have evolved
    const countsSteps = 'steps' in this.#plan.schedule.every;
    const unit = countsSteps ? steps : 1;
    try {
      const when = { epoch, ...(countsSteps && { step: epoch * steps }), total: this.#lastEpoch * unit };
      await this.#evolve(policy, when, exchanged);
    } catch (error) {
      if (refusals.includes((error as SetNativeError).code)) this.#evolutionDue = epoch;
      throw error;
    }
  }

  /**
   * Evolves with the zeta that the schedule has for the moment, if it has one, and adds up what was
   * exchanged.
   */
  async #evolve(policy: Policy, { epoch, step, total }: EvolutionMoment, exchanged: Exchange): Promise<void> {
    const zeta = zetaAt(this.#plan.schedule, { done: step ?? epoch, total }, (value, progress) =>
      checkNumber('fit', `evolution.zeta(${progress})`, value, ranges.zeta),
    );
    if (zeta === undefined) return;
    const { evolved } = this.#hooks;
    const evolution = this.#exchange({ ...policy, zeta }, epoch, step).catch((error) => {
      if (!refusals.includes(error.code)) evolved?.(); // some layers may have
      throw error;
    });
    const { layers, durationMs } = await evolution;
    for (const { pruned, grown } of layers) {
      exchanged.pruned += pruned;
      exchanged.grown += grown;
    }
    if (layers.every(({ pruned }) => pruned === 0)) return;
    exchanged.durationMs += durationMs;
    this.#hasEvolved = true;
    evolved?.();
  }

  /** Evolves, with samples where growth looks at them: those of the epoch just trained. */
  async #exchange(policy: NativeEvolutionPolicy, epoch: number, step: number | undefined) {
    if (policy.grow !== 'gradient') return this.#model.evolve(policy, epoch, step);
    const { train } = this.#samples;
    const samples = typeof train === 'function' ? await train(epoch) : train;
    try {
      return await this.#model.evolve(policy, epoch, step, samples);
    } finally {
      if (samples !== train) samples.dispose();
    }
  }

  #checkSignal(epoch: number): void {
    checkSignal(this.#operation, this.#hooks.signal, `in epoch ${epoch}`);
  }
}

/** An error of the native model as one of the method that was called. */
export function errorOfCall(operation: string, cause: unknown, part: 'training' | 'validation'): unknown {
  const error = fromNative(cause);
  if (!(error instanceof SetNativeError)) return error;
  const start = `[${operation}] ${part === 'validation' ? 'validation: ' : ''}`;
  const message = error.message.replace(/^\[(?:train|evaluate|augment)\] /, start);
  return new SetNativeError(error.code, message, { details: error.details, cause });
}

function addUp(rows: number[][]): number[] {
  const length = Math.max(0, largest(rows.map((row) => row.length)));
  return Array.from({ length }, (_, i) => rows.reduce((total, row) => total + (row[i] ?? 0), 0));
}
