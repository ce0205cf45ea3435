import { checkHooks, checkKeys, describe, isArrayLike } from '../checks.js';
import { isTensor } from '../datasets/samples.js';
import type { Samples } from '../datasets/types.js';
import { aborted, isAbortBy, SetNativeError } from '../errors.js';
import {
  fromNative,
  inRealmOf,
  type NativeLayer,
  type NativeModel,
  type NativeModelSpec,
  type NativeSamples,
  native,
  ofThisRealm,
} from '../native.js';
import { type ModelOptions, modelSpec, type TrainingOptions, trainingKeys, trainingPlan } from './options.js';
import { type EpochReport, TrainingRun } from './run.js';
import { checkRowsFor, checkSamplesFor, type Ends, upload } from './samples.js';
import { type TrainingWarning, type TrainingWarningCode, TrainingWatch } from './warnings.js';

export interface FitOptions extends TrainingOptions {
  /** Samples evaluated after every epoch: `validationLoss` and `validationAccuracy` of the reports. */
  validation?: Samples;
  /**
   * Called, and awaited, after every epoch; `fit` goes on when it is done, so it cannot call methods of the
   * model but `dispose`. An error thrown here ends the training and rejects `fit` with it.
   */
  onEpoch?: (report: EpochReport) => void | Promise<void>;
  /**
   * Called with what keeps the network from learning, in place of a process warning (`process.on('warning')`,
   * type SetNativeWarning, with a code). It stops nothing.
   */
  onWarning?: (warning: TrainingWarning) => void;
  /** Stops within one batch, or when `onEpoch` is done; `fit` rejects with ERR_ABORTED. Of any realm. */
  signal?: AbortSignal;
}

export interface History {
  epochs: EpochReport[];
  /**
   * Warnings of this call of what keeps the network from learning; each kind comes once in the life of the
   * model.
   */
  warnings: TrainingWarning[];
}

declare module '../errors.js' {
  interface AbortedDetails {
    /** The epochs that `fit` completed. */
    history?: History;
  }
}

export interface Evaluation {
  /** Mean loss over the samples. */
  loss: number;
  /** Share of the samples whose largest output is their label. */
  accuracy: number;
}

export interface LayerSummary {
  inputs: number;
  outputs: number;
  /** Whether all cells are links, because the link probability reached 1. Such a layer never evolves. */
  dense: boolean;
  nnz: number;
  /** nnz / (inputs · outputs) */
  density: number;
  /**
   * Links by the epoch whose evolution grew them; [0] = initial links, [65535] = of that epoch and all later
   * ones.
   */
  linksByBirth: number[];
}

/**
 * Arrays of one layer, copied: CSR by source (row = source, column = target); dense layers hold all cells.
 */
export type LayerData = NativeLayer;

/** Key of the constructor that only `create` has, so that `new SparseMLP()` can point to it. */
const madeByCreate = Symbol('made by create');

/**
 * A sparse multilayer perceptron on native CSR kernels.
 *
 * One thing at a time: while `fit`, `evaluate` or `predict` runs, every other method but `dispose` fails with
 * ERR_BUSY. After `dispose`, everything fails with ERR_DISPOSED.
 */
export class SparseMLP {
  readonly #model: NativeModel;
  readonly #ends: Ends;
  readonly #spec: NativeModelSpec;
  readonly #warned = new Set<TrainingWarningCode>();
  #epochs = 0;
  #evolutionDue: number | undefined;
  #running: string | undefined;
  /** Name of the callback of `fit` that runs now. */
  #callback: string | undefined;
  #disposed = false;

  private constructor(model: NativeModel, spec: NativeModelSpec, key: typeof madeByCreate) {
    if (key !== madeByCreate) {
      throw new SetNativeError(
        'ERR_INVALID_ARGUMENT',
        '[create] models are drawn on native threads: use await SparseMLP.create({ layers: [784, 300, 10] }), not new',
      );
    }
    this.#model = model;
    this.#ends = { inputs: spec.sizes[0]!, outputs: spec.sizes.at(-1)! };
    this.#spec = spec;
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
      return new SparseMLP(await native().createModel(spec), spec, madeByCreate);
    } catch (error) {
      throw fromNative(error);
    }
  }

  /** Epochs trained so far, over all calls of `fit`. */
  get epochs(): number {
    return this.#epochs;
  }

  /**
   * Trains on native threads; the JavaScript thread stays free. A second call goes on where the first ended,
   * to the same bits as if both had been one: epoch numbers, sample orders and momentum continue, and the
   * evolution after the last epoch of the first call comes at the start of the second, in whose first report
   * it counts. Until then `evaluate`, `predict` and `download` see the network as it was trained.
   *
   * Rejects with ERR_ABORTED when the signal fires, whose reason is the `cause`, or the model is disposed
   * meanwhile; `details.history` holds the epochs completed. After a signal the model stays usable, with the
   * batches trained so far in it. A signal that fires when the last epoch is done changes nothing. Rejects
   * with ERR_INVALID_ARGUMENT, ERR_SHAPE, ERR_OUT_OF_RANGE or ERR_NON_FINITE for bad options or samples,
   * before anything is trained; with ERR_NON_FINITE, naming epoch and layer, when the loss stops being a
   * number. Then the model can be looked at, by `layers` and `download`; `fit`, `evaluate` and `predict`
   * reject with the same code from then on.
   */
  async fit(train: Samples, options: FitOptions = {}): Promise<History> {
    if (isArrayLike(options) || isTensor(options)) {
      throw new SetNativeError(
        'ERR_INVALID_ARGUMENT',
        `[fit] takes one samples object and options: fit({ x, labels, features }, options), got ${describe(train)} ` +
          `and ${describe(options)}`,
      );
    }
    checkKeys('fit', options, [...trainingKeys, 'validation', 'onEpoch', 'onWarning', 'signal']);
    const { validation, onEpoch, onWarning = emitWarning, signal, learningRate } = options;
    checkHooks('fit', { onEpoch, onWarning, signal });
    const plan = trainingPlan(
      'fit',
      typeof learningRate === 'function'
        ? { ...options, learningRate: (epoch) => this.#called('learningRate', () => learningRate(epoch)) }
        : options,
      this.#spec,
    );
    return this.#exclusive('fit', async () => {
      const history: History = { epochs: [], warnings: [] };
      const warn = (warning: TrainingWarning) => {
        history.warnings.push(warning);
        this.#called('onWarning', () => onWarning(warning));
      };
      const stopped = () => {
        const by = signal?.aborted ? signal : undefined;
        return aborted('fit', by, `after ${history.epochs.length} complete epochs`, { history });
      };
      if (signal?.aborted) throw stopped();
      checkSamplesFor(this.#ends, 'fit', train);
      if (validation !== undefined) checkSamplesFor(this.#ends, 'fit', validation, 'validation');
      const samples: { train?: NativeSamples; validation?: NativeSamples } = {};
      try {
        samples.train = upload('fit', train);
        if (validation !== undefined) samples.validation = upload('fit', validation, 'validation');
        const uploaded = { train: samples.train, validation: samples.validation };
        const past = { epochsBefore: this.#epochs, evolutionDue: this.#evolutionDue };
        const watch = new TrainingWatch(this.#model, this.#spec, warn, this.#warned);
        const run = new TrainingRun(this.#model, plan, uploaded, { ...past, signal, watch });
        while (!run.done) {
          try {
            if (run.trained === 0) await watch.network(plan.policy?.evolveOutput ?? false);
            history.epochs.push(await run.next());
          } catch (error) {
            throw isAbortBy(signal, error) || this.#isDisposal(error) ? stopped() : error;
          } finally {
            this.#epochs = run.trained;
            this.#evolutionDue = run.evolutionDue;
          }
          try {
            this.#callback = 'onEpoch';
            await onEpoch?.(history.epochs.at(-1)!);
          } catch (error) {
            throw isAbortBy(signal, error) ? stopped() : error;
          } finally {
            this.#callback = undefined;
          }
        }
        return history;
      } finally {
        samples.train?.dispose();
        samples.validation?.dispose();
      }
    });
  }

  /**
   * Mean loss and accuracy on labelled samples. Rejects with ERR_INVALID_ARGUMENT, ERR_SHAPE,
   * ERR_OUT_OF_RANGE or ERR_NON_FINITE for samples that do not fit the model, naming the row.
   */
  evaluate(samples: Samples): Promise<Evaluation> {
    return this.#exclusive('evaluate', async () => {
      checkSamplesFor(this.#ends, 'evaluate', samples);
      return this.#onUpload('evaluate', samples, async (uploaded) => {
        const { loss, accuracy } = await this.#model.evaluate(uploaded);
        return { loss, accuracy };
      });
    });
  }

  /**
   * Outputs after softmax, sigmoid or nothing, as the loss has it. The same samples give the same bits for
   * any number of threads; how many are asked for at once may change the last ones.
   *
   * Rejects with ERR_NON_FINITE, naming the row, where an output overflows.
   *
   * @param x  count × inputs, row-major
   * @returns  count × outputs, row-major, of the realm of `x`
   */
  predict(x: Float32Array): Promise<Float32Array> {
    return this.#exclusive('predict', async () => {
      checkRowsFor(this.#ends, 'predict', x);
      const samples = { x, features: this.#ends.inputs };
      const outputs = await this.#onUpload('predict', samples, (uploaded) => this.#model.predict(uploaded));
      return inRealmOf(x, outputs);
    });
  }

  /** Shape, links and their ages, layer by layer. */
  layers(): Promise<LayerSummary[]> {
    return this.#exclusive('layers', async () => {
      const layers = ofThisRealm(await converted(() => this.#model.stats()));
      return layers.map((layer) => ({ ...layer, density: layer.nnz / (layer.inputs * layer.outputs) }));
    });
  }

  /** The arrays of every layer, copied. */
  download(): Promise<LayerData[]> {
    return this.#exclusive('download', async () =>
      ofThisRealm(await converted(() => this.#model.download())),
    );
  }

  /** Stops a running call and frees the native memory. May be called again. */
  dispose(): void {
    this.#disposed = true;
    this.#model.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  async #exclusive<T>(operation: string, work: () => Promise<T>): Promise<T> {
    if (this.#disposed) {
      throw new SetNativeError('ERR_DISPOSED', `[${operation}] the model was disposed; create a new one`);
    }
    if (this.#running !== undefined) {
      throw new SetNativeError(
        'ERR_BUSY',
        `[${operation}] the model is busy with ${this.#running}${this.#advice(operation)}`,
      );
    }
    this.#running = operation;
    try {
      return await work();
    } finally {
      this.#running = undefined;
    }
  }

  /** Advice for a caller while the model is busy: a callback that awaited `fit` would wait for itself. */
  #advice(operation: string): string {
    if (this.#callback === undefined) return '; await it first';
    const instead = `call ${operation} when fit is done`;
    return (
      `, which waits for ${this.#callback}: no method of the model but dispose can be called there; ` +
      (this.#callback === 'onEpoch' ? `use what the report holds, or ${instead}` : instead)
    );
  }

  /** Whether `error` comes from `dispose`: of the native call that it stopped, or of the next. */
  #isDisposal(error: unknown): boolean {
    return (
      this.#disposed &&
      error instanceof SetNativeError &&
      ['ERR_ABORTED', 'ERR_DISPOSED'].includes(error.code)
    );
  }

  #called<T>(callback: string, call: () => T): T {
    this.#callback = callback;
    try {
      return call();
    } finally {
      this.#callback = undefined;
    }
  }

  async #onUpload<T>(
    operation: string,
    samples: Pick<Samples, 'x' | 'features'>,
    work: (uploaded: NativeSamples) => Promise<T>,
  ): Promise<T> {
    const uploaded = upload(operation, samples);
    try {
      return await converted(() => work(uploaded));
    } finally {
      uploaded.dispose();
    }
  }
}

function emitWarning({ code, message }: TrainingWarning): void {
  process.emitWarning(`[fit] ${message}`, { type: 'SetNativeWarning', code });
}

/**
 * Calls the addon, and turns its errors into SetNativeError. Callbacks must not be called in here, because
 * their errors stay as they are.
 */
async function converted<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    throw fromNative(error);
  }
}
