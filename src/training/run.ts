import { SetNativeError } from '../errors.js';
import { fromNative, type NativeModel, type NativeSamples } from '../native.js';
import type { TrainingPlan } from './options.js';

/** One epoch, as callbacks and result files get it. Times are in milliseconds, measured on the native side. */
export interface EpochReport {
  /** 1-based, counted over the life of the model. */
  epoch: number;
  /** Mean loss over the samples, each taken before the update of its batch. */
  trainLoss: number;
  /** Absent without test samples; those that `fit` calls validation are meant too. */
  testLoss?: number;
  /** Share of test samples classified correctly, before the evolution that follows. */
  testAccuracy?: number;
  /** Absent without samples held out to choose an epoch by. */
  validationLoss?: number;
  validationAccuracy?: number;
  trainMs: number;
  /** 0 where nothing evolved: `static`, dense layers only, the last epoch. */
  evolveMs: number;
  /** Of the test samples; 0 without. */
  evaluateMs: number;
  /** Links of all layers at the end of the epoch. */
  nnz: number;
  pruned: number;
  grown: number;
  /**
   * Links of the layers that may evolve, by the epoch whose evolution grew them; [0] = initial links.
   * Empty when every such layer is dense.
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

/**
 * The training loop, one epoch at a time, so that a caller can run it to the end (`SparseMLP.fit`) or take turns
 * between several models (the benchmark). An epoch is: train, evaluate, evolve unless it is the last.
 */
export class TrainingRun {
  readonly #model: NativeModel;
  readonly #plan: TrainingPlan;
  readonly #samples: TrainingSamples;
  readonly #signal: AbortSignal | undefined;
  readonly #lastEpoch: number;
  #trained: number;

  constructor(
    model: NativeModel,
    plan: TrainingPlan,
    samples: TrainingSamples,
    { epochsBefore = 0, signal }: { epochsBefore?: number; signal?: AbortSignal | undefined } = {},
  ) {
    this.#model = model;
    this.#plan = plan;
    this.#samples = samples;
    this.#signal = signal;
    this.#trained = epochsBefore;
    this.#lastEpoch = epochsBefore + plan.epochs;
  }

  /** Epochs trained in the life of the model. */
  get trained(): number {
    return this.#trained;
  }

  get done(): boolean {
    return this.#trained === this.#lastEpoch;
  }

  /**
   * Trains the next epoch. Rejects with ERR_ABORTED when the signal fires (the model keeps the batches done so
   * far and stays usable), ERR_NON_FINITE when the loss stops being a number.
   */
  async next(): Promise<EpochReport> {
    const abort = () => this.#model.abort();
    this.#signal?.addEventListener('abort', abort);
    try {
      return await this.#epoch();
    } catch (error) {
      throw fromNative(error);
    } finally {
      this.#signal?.removeEventListener('abort', abort);
    }
  }

  async #epoch(): Promise<EpochReport> {
    const epoch = this.#trained + 1;
    const options = this.#plan.epoch(epoch);
    this.#checkSignal(epoch);
    const { train, validation, test } = this.#samples;
    const samples = typeof train === 'function' ? train(epoch) : train;
    const training = await this.#model.trainEpoch(samples, options).finally(() => {
      if (samples !== train) samples.dispose();
    });
    this.#trained = epoch;
    this.#checkSignal(epoch);
    const evaluation = test && (await this.#model.evaluate(test));
    this.#checkSignal(epoch);
    const held = validation && (await this.#model.evaluate(validation));
    this.#checkSignal(epoch);
    const policy = this.done ? undefined : this.#plan.policy;
    const evolution = policy && (await this.#model.evolve(policy, epoch));

    const sum = (key: 'pruned' | 'grown') => evolution?.layers.reduce((total, layer) => total + layer[key], 0) ?? 0;
    const pruned = sum('pruned');
    const layers = await this.#model.stats();
    const evolving = this.#plan.policy?.evolveOutput ? layers : layers.slice(0, -1);
    return {
      epoch,
      trainLoss: training.loss,
      ...(evaluation && { testLoss: evaluation.loss, testAccuracy: evaluation.accuracy }),
      ...(held && { validationLoss: held.loss, validationAccuracy: held.accuracy }),
      trainMs: training.durationMs,
      evolveMs: pruned > 0 ? evolution!.durationMs : 0,
      evaluateMs: evaluation?.durationMs ?? 0,
      nnz: layers.reduce((total, layer) => total + layer.nnz, 0),
      pruned,
      grown: sum('grown'),
      linksByBirth: addUp(evolving.filter((layer) => !layer.dense).map((layer) => layer.linksByBirth)),
    };
  }

  // An abort between two native calls finds nothing to stop; it is seen here.
  #checkSignal(epoch: number): void {
    if (this.#signal?.aborted) {
      throw new SetNativeError('ERR_ABORTED', `[train] stopped by the signal in epoch ${epoch}`, {
        cause: this.#signal.reason,
      });
    }
  }
}

function addUp(rows: number[][]): number[] {
  const length = Math.max(0, ...rows.map((row) => row.length));
  return Array.from({ length }, (_, i) => rows.reduce((total, row) => total + (row[i] ?? 0), 0));
}
