import { aborted, checkSignal, SetNativeError } from '../errors.js';
import { largest } from '../extremes.js';
import {
  fromNative,
  type NativeEvolutionPolicy,
  type NativeModel,
  type NativeSamples,
  type NativeTrainOptions,
} from '../native.js';
import type { TrainingPlan } from './options.js';
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
   * without them.
   */
  validationLoss?: number;
  /** Share of them classified correctly. */
  validationAccuracy?: number;
  trainMs: number;
  /** 0 where nothing evolved: `static`, dense layers only, the last epoch of a model. */
  evolveMs: number;
  /** Of the test samples, or, without them, of those held out; 0 without either. */
  evaluateMs: number;
  /** Links of all layers at the end of the epoch. */
  nnz: number;
  /**
   * Links that were taken away in this epoch: in the evolution that ends it and, in the first epoch of a call
   * of `fit`, in that which the call before had left over.
   */
  pruned: number;
  /** Links that were put elsewhere instead. */
  grown: number;
  /**
   * Links of the layers that may evolve, by the epoch whose evolution grew them; [0] = initial links, [65535]
   * = of that epoch and all later ones. Empty when every such layer is dense.
   */
  linksByBirth: number[];
}

/** On the device already. */
export interface TrainingSamples {
  /** Or what makes those of an epoch, which are freed after it. */
  train: NativeSamples | ((epoch: number) => NativeSamples);
  /** Held out, to choose an epoch by. */
  validation?: NativeSamples | undefined;
  test?: NativeSamples | undefined;
}

/** What came before, in the life of a model. */
export interface TrainingPast {
  epochsBefore?: number;
  /** The epoch after which the links have yet to evolve. */
  evolutionDue?: number | undefined;
}

/** An evolution that is refused with one of these leaves every layer as it was. */
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
  readonly #signal: AbortSignal | undefined;
  readonly #watch: TrainingWatch | undefined;
  readonly #lastEpoch: number;
  #trained: number;
  #evolutionDue: number | undefined;
  #hasEvolved = false;

  constructor(
    model: NativeModel,
    plan: TrainingPlan,
    samples: TrainingSamples,
    {
      epochsBefore = 0,
      evolutionDue,
      signal,
      watch,
    }: TrainingPast & { signal?: AbortSignal | undefined; watch?: TrainingWatch } = {},
  ) {
    this.#model = model;
    this.#plan = plan;
    this.#samples = samples;
    this.#signal = signal;
    this.#watch = watch;
    this.#trained = epochsBefore;
    this.#evolutionDue = evolutionDue;
    this.#lastEpoch = epochsBefore + plan.epochs;
  }

  /** Epochs trained in the life of the model. */
  get trained(): number {
    return this.#trained;
  }

  /** The epoch after which the links have yet to evolve, if they do at all. */
  get evolutionDue(): number | undefined {
    return this.#evolutionDue;
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
    const options = this.#plan.epoch(epoch);
    const abort = () => this.#model.abort();
    this.#signal?.addEventListener('abort', abort);
    try {
      return await this.#epoch(epoch, options);
    } catch (cause) {
      const error = fromNative(cause);
      const stopped =
        error instanceof SetNativeError && error.code === 'ERR_ABORTED' && this.#signal?.aborted;
      throw stopped ? aborted('train', this.#signal, `in epoch ${epoch}`) : error;
    } finally {
      this.#signal?.removeEventListener('abort', abort);
    }
  }

  async #epoch(epoch: number, options: NativeTrainOptions): Promise<EpochReport> {
    this.#checkSignal(epoch);
    const { train, validation, test } = this.#samples;
    const policy = this.#plan.policy;
    const before = policy && (await this.#evolve(policy));
    this.#checkSignal(epoch);
    const samples = typeof train === 'function' ? train(epoch) : train;
    this.#watch?.inputs(samples, epoch);
    const training = await this.#model.trainEpoch(samples, options).finally(() => {
      if (samples !== train) samples.dispose();
    });
    this.#trained = epoch;
    this.#evolutionDue = policy && epoch;
    this.#checkSignal(epoch);
    const evaluation = test && (await this.#model.evaluate(test));
    this.#checkSignal(epoch);
    const held = validation && (await this.#model.evaluate(validation));
    this.#checkSignal(epoch);
    const after = policy && !this.done ? await this.#evolve(policy) : undefined;
    const layers = await this.#model.stats();
    this.#watch?.loss(training.loss, epoch);
    if (this.done && this.#hasEvolved) await this.#watch?.links(epoch);
    const evolving = policy?.evolveOutput ? layers : layers.slice(0, -1);
    return {
      epoch,
      trainLoss: training.loss,
      ...(evaluation && { testLoss: evaluation.loss, testAccuracy: evaluation.accuracy }),
      ...(held && { validationLoss: held.loss, validationAccuracy: held.accuracy }),
      trainMs: training.durationMs,
      evolveMs: (before?.durationMs ?? 0) + (after?.durationMs ?? 0),
      evaluateMs: (evaluation ?? held)?.durationMs ?? 0,
      nnz: layers.reduce((total, layer) => total + layer.nnz, 0),
      pruned: (before?.pruned ?? 0) + (after?.pruned ?? 0),
      grown: (before?.grown ?? 0) + (after?.grown ?? 0),
      linksByBirth: addUp(evolving.filter((layer) => !layer.dense).map((layer) => layer.linksByBirth)),
    };
  }

  /**
   * The evolution that is due, if one is. One that fails half way is not repeated: some layers may have
   * evolved.
   */
  async #evolve(
    policy: NativeEvolutionPolicy,
  ): Promise<{ pruned: number; grown: number; durationMs: number } | undefined> {
    const epoch = this.#evolutionDue;
    if (epoch === undefined) return undefined;
    this.#evolutionDue = undefined;
    try {
      const { layers, durationMs } = await this.#model.evolve(policy, epoch);
      const sum = (key: 'pruned' | 'grown') => layers.reduce((total, layer) => total + layer[key], 0);
      const pruned = sum('pruned');
      this.#hasEvolved ||= pruned > 0;
      return { pruned, grown: sum('grown'), durationMs: pruned > 0 ? durationMs : 0 };
    } catch (error) {
      if (refusals.includes((error as SetNativeError).code)) this.#evolutionDue = epoch;
      throw error;
    }
  }

  #checkSignal(epoch: number): void {
    checkSignal('train', this.#signal, `in epoch ${epoch}`);
  }
}

function addUp(rows: number[][]): number[] {
  const length = Math.max(0, largest(rows.map((row) => row.length)));
  return Array.from({ length }, (_, i) => rows.reduce((total, row) => total + (row[i] ?? 0), 0));
}
