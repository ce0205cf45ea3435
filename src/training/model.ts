import { checkHooks, checkKeys, invalid, show } from '../checks.js';
import type { Samples } from '../datasets/types.js';
import { SetNativeError } from '../errors.js';
import {
  fromNative,
  type NativeLayer,
  type NativeModel,
  type NativeModelSpec,
  type NativeSamples,
  native,
} from '../native.js';
import { type ModelOptions, modelSpec, type TrainingOptions, trainingKeys, trainingPlan } from './options.js';
import { type EpochReport, TrainingRun } from './run.js';

export interface FitOptions extends TrainingOptions {
  /** Evaluated after every epoch. */
  validation?: Samples;
  /** Called, and awaited, after every epoch. An error thrown here ends the training and rejects `fit` with it. */
  onEpoch?: (report: EpochReport) => void | Promise<void>;
  /** Stops within one batch; `fit` rejects with ERR_ABORTED. */
  signal?: AbortSignal;
}

export interface History {
  epochs: EpochReport[];
}

export interface Evaluation {
  /** Mean over the samples. */
  loss: number;
  /** Share of the samples whose largest output is their label. */
  accuracy: number;
}

export interface LayerSummary {
  inputs: number;
  outputs: number;
  /** All cells are links: a layer whose link probability reached 1. Such a layer never evolves. */
  dense: boolean;
  nnz: number;
  /** nnz / (inputs · outputs) */
  density: number;
  /** Links by the epoch whose evolution grew them; [0] = initial links. */
  linksByBirth: number[];
}

/** Arrays of one layer, copied: CSR by source (row = source, column = target); dense layers hold all cells. */
export type LayerData = NativeLayer;

/**
 * A sparse multilayer perceptron on native CSR kernels.
 *
 * One thing at a time: while `fit`, `evaluate` or `predict` runs, every other method but `dispose` fails with
 * ERR_BUSY. After `dispose`, everything fails with ERR_DISPOSED.
 */
export class SparseMLP {
  readonly #model: NativeModel;
  readonly #inputs: number;
  readonly #outputs: number;
  readonly #motifSize: number;
  #epochs = 0;
  #running: string | undefined;
  #disposed = false;

  private constructor(model: NativeModel, { sizes, motifSize }: NativeModelSpec) {
    this.#model = model;
    this.#inputs = sizes[0]!;
    this.#outputs = sizes.at(-1)!;
    this.#motifSize = motifSize;
  }

  /**
   * Draws topology and weights.
   *
   * Rejects with ERR_INVALID_ARGUMENT, ERR_OUT_OF_RANGE, ERR_SHAPE, ERR_OUT_OF_MEMORY (before anything is
   * allocated), ERR_BACKEND_UNAVAILABLE with the reason, ERR_NATIVE_LOAD.
   */
  static async create(options: ModelOptions): Promise<SparseMLP> {
    const spec = modelSpec('create', options);
    try {
      return new SparseMLP(await native().createModel(spec), spec);
    } catch (error) {
      throw fromNative(error);
    }
  }

  /** Epochs trained so far, over all calls of `fit`. */
  get epochs(): number {
    return this.#epochs;
  }

  /**
   * Trains on native threads; the JavaScript thread stays free. A second call goes on where the first ended:
   * epoch numbers, sample orders and momentum continue.
   *
   * Rejects with ERR_ABORTED when the signal fires or the model is disposed meanwhile; `details.history` holds
   * the epochs completed. After a signal the model stays usable, with the batches trained so far in it.
   * Rejects with ERR_NON_FINITE, naming epoch and layer, when the loss stops being a number.
   */
  async fit(train: Samples, options: FitOptions = {}): Promise<History> {
    checkKeys('fit', options, [...trainingKeys, 'validation', 'onEpoch', 'signal']);
    checkHooks('fit', { onEpoch: options.onEpoch, signal: options.signal });
    const plan = trainingPlan('fit', options, this.#motifSize);
    return this.#exclusive('fit', async () => {
      const history: History = { epochs: [] };
      const samples: { train?: NativeSamples; validation?: NativeSamples } = {};
      try {
        samples.train = upload(train);
        if (options.validation !== undefined) {
          samples.validation = upload(options.validation);
          this.#checkValidation(options.validation);
        }
        const uploaded = { train: samples.train, test: samples.validation };
        const run = new TrainingRun(this.#model, plan, uploaded, {
          epochsBefore: this.#epochs,
          signal: options.signal,
        });
        while (!run.done) {
          const report = await run.next().finally(() => {
            this.#epochs = run.trained;
          });
          history.epochs.push(report);
          await options.onEpoch?.(report);
        }
        return history;
      } catch (error) {
        throw this.#disposed || isAborted(error) ? abortedFit(this.#disposed, history, error) : error;
      } finally {
        samples.train?.dispose();
        samples.validation?.dispose();
      }
    });
  }

  /** Mean loss and accuracy on labelled samples. */
  evaluate(samples: Samples): Promise<Evaluation> {
    return this.#withUpload('evaluate', samples, async (uploaded) => {
      const { loss, accuracy } = await this.#model.evaluate(uploaded);
      return { loss, accuracy };
    });
  }

  /**
   * Outputs after softmax, sigmoid or nothing, as the loss has it. The same samples give the same bits for any number of
   * threads; how many are asked for at once may change the last ones.
   *
   * @param x  count × inputs, row-major
   * @returns  count × outputs, row-major
   */
  predict(x: Float32Array): Promise<Float32Array> {
    return this.#withUpload('predict', { x, features: this.#inputs }, (uploaded) => this.#model.predict(uploaded));
  }

  /** Shape, links and their ages, layer by layer. */
  layers(): Promise<LayerSummary[]> {
    return this.#exclusive('layers', async () => {
      const layers = await this.#model.stats();
      return layers.map((layer) => ({ ...layer, density: layer.nnz / (layer.inputs * layer.outputs) }));
    });
  }

  /** The arrays of every layer, copied. */
  download(): Promise<LayerData[]> {
    return this.#exclusive('download', () => this.#model.download());
  }

  /** Stops what runs and frees the native memory. Idempotent. */
  dispose(): void {
    this.#disposed = true;
    this.#model.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  /** What `evaluate` would refuse after an epoch has been trained already. */
  #checkValidation({ features, labels }: Samples): void {
    if (features !== this.#inputs) {
      throw new SetNativeError(
        'ERR_SHAPE',
        `[fit] validation must have ${this.#inputs} features, as the model has inputs, got ${features}`,
      );
    }
    if (labels === undefined) throw invalid('fit', 'validation.labels', 'a Uint32Array', labels);
    const classes = Math.max(2, this.#outputs); // a single output takes labels 0 and 1
    const row = labels.findIndex((label) => label >= classes);
    if (row >= 0) {
      throw new SetNativeError(
        'ERR_OUT_OF_RANGE',
        `[fit] validation.labels must be below ${classes}, got ${labels[row]} in row ${row}`,
      );
    }
  }

  async #exclusive<T>(operation: string, work: () => Promise<T>): Promise<T> {
    if (this.#disposed) {
      throw new SetNativeError('ERR_DISPOSED', `[${operation}] the model was disposed; create a new one`);
    }
    if (this.#running !== undefined) {
      throw new SetNativeError('ERR_BUSY', `[${operation}] the model is busy with ${this.#running}; await it first`);
    }
    this.#running = operation;
    try {
      return await work();
    } catch (error) {
      throw fromNative(error);
    } finally {
      this.#running = undefined;
    }
  }

  #withUpload<T>(
    operation: string,
    samples: Pick<Samples, 'x' | 'features'>,
    work: (uploaded: NativeSamples) => Promise<T>,
  ): Promise<T> {
    return this.#exclusive(operation, async () => {
      const uploaded = upload(samples);
      try {
        return await work(uploaded);
      } finally {
        uploaded.dispose();
      }
    });
  }
}

/** Copies samples into native memory, where values and the number of labels are checked. */
export function upload(samples: Pick<Samples, 'x' | 'features'> & Partial<Samples>): NativeSamples {
  if (typeof samples !== 'object' || samples === null) {
    throw new SetNativeError(
      'ERR_INVALID_ARGUMENT',
      `[samples] expected an object with x, labels and features, got ${show(samples)}`,
    );
  }
  const { x, labels, count, features } = samples;
  try {
    const uploaded = new (native().Samples)(x, features, labels);
    if (count === undefined || count === uploaded.count) return uploaded;
    uploaded.dispose();
  } catch (error) {
    throw fromNative(error);
  }
  throw new SetNativeError(
    'ERR_SHAPE',
    `[samples] count must be x.length / features = ${x.length / features}, got ${show(count)}`,
  );
}

function isAborted(error: unknown): boolean {
  return error instanceof SetNativeError && error.code === 'ERR_ABORTED';
}

function abortedFit(disposed: boolean, history: History, cause: unknown): SetNativeError {
  return new SetNativeError(
    'ERR_ABORTED',
    `[fit] stopped by ${disposed ? 'dispose()' : 'the signal'} after ${history.epochs.length} complete epochs`,
    { details: { history }, cause },
  );
}
