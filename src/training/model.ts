import { fileURLToPath } from 'node:url';
import { types } from 'node:util';
import { checkBoolean, checkHooks, checkKeys, describe, isArrayLike } from '../checks.js';
import { checkEncoding, type Encoding, encodeRows } from '../datasets/encoding.js';
import { isTensor } from '../datasets/samples.js';
import type { Row } from '../datasets/table.js';
import type { Samples } from '../datasets/types.js';
import { aborted, checkSignal, isAbortBy, isSetNativeError, SetNativeError } from '../errors.js';
import { largest } from '../extremes.js';
import { writeInBackground } from '../files/output.js';
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
import type { BackendName, LossName, OptimizerName } from '../vocabulary.js';
import { asFileError, modelPieces, readModel, readModelFile } from './modelFile.js';
import { type ModelOptions, modelSpec, type TrainingOptions, trainingKeys, trainingPlan } from './options.js';
import { Requests } from './requests.js';
import { type EpochReport, TrainingRun } from './run.js';
import { checkRowsFor, checkSamplesFor, type Ends, upload } from './samples.js';
import { type TurnOptions, Turns } from './turns.js';
import { type TrainingWarning, type TrainingWarningCode, TrainingWatch } from './warnings.js';

export interface FitOptions extends TrainingOptions {
  /** Samples evaluated after every epoch: `validationLoss` and `validationAccuracy` of the reports. */
  validation?: Samples;
  /**
   * Called, and awaited, after every epoch; `fit` goes on when it is done. It may call the methods of the
   * model but `fit` and `close`. An error thrown here ends the training and rejects `fit` with it.
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

/** Options of calls that can be stopped. */
export interface CallOptions {
  /** Gives the call up: it rejects with ERR_ABORTED, whose cause is the signal's reason. Of any realm. */
  signal?: AbortSignal;
}

export interface SaveOptions {
  /**
   * Whether the file holds what training goes on from, too: momenta and the ages of links, 14 bytes per link
   * in all, with AdamW 18; else 8. Default true.
   */
  optimizer?: boolean;
}

export type LoadOptions = Pick<ModelOptions, 'backend' | 'threads' | 'batching'> & CallOptions;

export interface Classification {
  /** Name of the most probable class; the first of equals. */
  className: string;
  /** Its probability. */
  probability: number;
  /** Probability of each class, by name. */
  probabilities: Record<string, number>;
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
 * Calls take turns in the order in which they are made: one that comes while another runs waits for it.
 * Arrays that are handed in must not change until its promise has settled. After `dispose` or `close`
 * everything rejects with ERR_DISPOSED.
 */
export class SparseMLP {
  readonly #model: NativeModel;
  readonly #ends: Ends;
  readonly #spec: NativeModelSpec;
  readonly #warned = new Set<TrainingWarningCode>();
  #epochs = 0;
  #evolutionDue: number | undefined;
  readonly #turns = new Turns();
  readonly #requests: Requests;
  readonly #encoding: Encoding | undefined;
  #closed = false;
  #diverged = false;
  #disposed = false;

  private constructor(
    model: NativeModel,
    spec: NativeModelSpec,
    settings: { batching: boolean; encoding: Encoding | undefined },
    key: typeof madeByCreate,
  ) {
    if (key !== madeByCreate) {
      throw new SetNativeError(
        'ERR_INVALID_ARGUMENT',
        '[create] models are drawn on native threads: use await SparseMLP.create({ layers: [784, 300, 10] }), not new',
      );
    }
    this.#model = model;
    this.#ends = { inputs: spec.sizes[0]!, outputs: spec.sizes.at(-1)! };
    this.#spec = spec;
    const { batching, encoding } = settings;
    this.#encoding = encoding;
    this.#requests = new Requests(model, this.#turns, batching);
  }

  /**
   * Draws topology and weights.
   *
   * Rejects with ERR_INVALID_ARGUMENT, ERR_OUT_OF_RANGE, ERR_SHAPE, ERR_OUT_OF_MEMORY (before anything is
   * allocated), ERR_BACKEND_UNAVAILABLE with the reason, ERR_NATIVE_LOAD.
   */
  static async create(options: ModelOptions): Promise<SparseMLP> {
    const spec = modelSpec('create', options);
    const batching = checkBoolean('create', 'batching', options.batching ?? true);
    const encoding = encodingFor('create', options.encoding, spec);
    try {
      return new SparseMLP(await native().createModel(spec), spec, { batching, encoding }, madeByCreate);
    } catch (error) {
      throw fromNative(error);
    }
  }

  /**
   * The model of a file that `save` or `toBuffer` made: it computes the same bits, and `fit` goes on to those
   * of a training that was never interrupted, where the file holds the state of the optimizer. (The back end
   * `reference` computes in double precision, and a file holds single.)
   *
   * Rejects with ERR_DATA_FORMAT for a file that is damaged or of another kind, ERR_IO where it cannot be
   * read, ERR_OUT_OF_MEMORY, ERR_ABORTED when the signal fires, and for its options with the errors of
   * `create`.
   *
   * @param source  a file, or its bytes
   */
  static async load(source: string | URL | Uint8Array, options: LoadOptions = {}): Promise<SparseMLP> {
    checkKeys('load', options, ['backend', 'threads', 'batching', 'signal']);
    const { signal, batching: given = true, ...machine } = options;
    checkHooks('load', { signal });
    const batching = checkBoolean('load', 'batching', given);
    checkSignal('load', signal, 'before it began');
    const file = types.isUint8Array(source) ? 'these bytes' : String(source);
    const bytes = types.isUint8Array(source) ? source : await readModelFile(source, signal);
    const saved = readModel(bytes, file, machine);
    const made = await native()
      .createModel(saved.spec, saved.layers)
      .catch((error) => {
        throw asFileError(file, fromNative(error));
      });
    const model = new SparseMLP(made, saved.spec, { batching, encoding: saved.encoding }, madeByCreate);
    if (signal?.aborted) {
      model.dispose();
      throw aborted('load', signal, 'before it was done');
    }
    model.#epochs = saved.epochs;
    model.#evolutionDue = saved.evolutionDue;
    return model;
  }

  /** Features of a sample. */
  get inputs(): number {
    return this.#ends.inputs;
  }

  /** Numbers that are predicted for a sample. */
  get outputs(): number {
    return this.#ends.outputs;
  }

  get loss(): LossName {
    return this.#spec.loss;
  }

  get optimizer(): OptimizerName {
    return this.#spec.optimizer;
  }

  get seed(): number {
    return this.#spec.seed;
  }

  /** What computes; `auto` is decided. */
  get backend(): BackendName {
    return this.#model.backend;
  }

  /** What was done to the data, as `create` was given it, or the file held it. */
  get encoding(): Encoding | undefined {
    return structuredClone(this.#encoding);
  }

  /** Threads that compute. */
  get threads(): number {
    return this.#model.threads;
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
    const { validation, onEpoch, onWarning = emitWarning, signal } = options;
    checkHooks('fit', { onEpoch, onWarning, signal });
    const plan = trainingPlan('fit', options, this.#spec);
    if (this.#turns.inCallback) {
      throw new SetNativeError(
        'ERR_BUSY',
        '[fit] a callback of fit cannot train the model that waits for it; let fit go on, or call it when the first is done',
      );
    }
    const history: History = { epochs: [], warnings: [] };
    const stopped = () => {
      const by = signal?.aborted ? signal : undefined;
      return aborted('fit', by, `after ${history.epochs.length} complete epochs`, { history });
    };
    const work = async () => {
      const warn = (warning: TrainingWarning) => {
        history.warnings.push(warning);
        onWarning(warning);
      };
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
            this.#diverged ||= isSetNativeError(error, 'ERR_NON_FINITE');
            throw isAbortBy(signal, error) || this.#isDisposal(error) ? stopped() : error;
          } finally {
            this.#epochs = run.trained;
            this.#evolutionDue = run.evolutionDue;
          }
          try {
            if (onEpoch !== undefined) await this.#turns.lend(() => onEpoch(history.epochs.at(-1)!));
          } catch (error) {
            throw isAbortBy(signal, error) ? stopped() : error;
          }
        }
        return history;
      } finally {
        samples.train?.dispose();
        samples.validation?.dispose();
      }
    };
    return this.#turn('fit', work, { signal, gaveUp: stopped });
  }

  /**
   * Mean loss and accuracy on labelled samples. Rejects with ERR_INVALID_ARGUMENT, ERR_SHAPE,
   * ERR_OUT_OF_RANGE or ERR_NON_FINITE for samples that do not fit the model, naming the row.
   */
  evaluate(samples: Samples, options: CallOptions = {}): Promise<Evaluation> {
    return this.#stoppable('evaluate', options, async () => {
      checkSamplesFor(this.#ends, 'evaluate', samples);
      const uploaded = upload('evaluate', samples);
      try {
        const { loss, accuracy } = await this.#model.evaluate(uploaded);
        return { loss, accuracy };
      } finally {
        uploaded.dispose();
      }
    });
  }

  /**
   * Outputs after softmax, sigmoid or nothing, as the loss has it. The same samples give the same bits for
   * any number of threads; how many are asked for at once may change the last ones.
   *
   * Rejects with ERR_NON_FINITE, naming the row, where an output overflows; with ERR_ABORTED when the signal
   * fires; with ERR_BUSY where 10,000 predictions wait already.
   *
   * @param x  count × inputs, row-major; copied before the call returns
   * @returns  count × outputs, row-major, of the realm of `x`
   */
  async predict(x: Float32Array, options: CallOptions = {}): Promise<Float32Array> {
    const signal = this.#begin('predict', options);
    checkRowsFor(this.#ends, 'predict', x);
    const samples = upload('predict', { x, features: this.#ends.inputs });
    return inRealmOf(x, await this.#requests.predict(samples, signal));
  }

  /**
   * Names the classes of raw rows: encodes them as the data was that the model was trained on, predicts, and
   * gives for each row the most probable class and the probabilities of all. With a single output that is the
   * probability of the second class.
   *
   * Rejects as `predict` does; with ERR_DATA_FORMAT, naming row and column, for a cell that the encoding does
   * not know; with ERR_INVALID_ARGUMENT for a model without `encoding`, or with loss `mse`.
   *
   * @param rows lists of cells, objects by the names of the columns, or one typed array of raw features
   */
  async classify(
    rows: readonly Row[] | ArrayLike<number>,
    options: CallOptions = {},
  ): Promise<Classification[]> {
    const signal = this.#begin('classify', options);
    const encoding = this.#encoding;
    if (encoding === undefined || this.#spec.loss === 'mse') {
      throw new SetNativeError(
        'ERR_INVALID_ARGUMENT',
        encoding === undefined
          ? '[classify] the model does not know how rows become features: create it with { encoding } of prepare, or ' +
              'use predict'
          : '[classify] outputs of mse are no probabilities of classes; use predict',
      );
    }
    const x = encodeRows('classify', rows, encoding);
    const samples = upload('classify', { x, features: this.#ends.inputs });
    const outputs = await this.#requests.predict(samples, signal);
    return classifications(outputs, this.#ends.outputs, encoding.classNames);
  }

  /** Shape, links and their ages, layer by layer. */
  layers(): Promise<LayerSummary[]> {
    return this.#turn('layers', async () => {
      const layers = ofThisRealm(await this.#model.stats());
      return layers.map((layer) => ({ ...layer, density: layer.nnz / (layer.inputs * layer.outputs) }));
    });
  }

  /**
   * Writes the model to a file, in the format safetensors, that `load` reads, and Python: see
   * docs/model-files.md. The file is replaced in one piece; a pipe or device is written as it is.
   *
   * Rejects with ERR_IO where the file cannot be written, ERR_NON_FINITE for a model whose training diverged,
   * ERR_ABORTED when the signal fires before anything is written.
   */
  async save(file: string | URL, options: SaveOptions & CallOptions = {}): Promise<void> {
    const { optimizer, ...rest } = options;
    const name = file instanceof URL ? fileURLToPath(file) : file;
    if (typeof name !== 'string' || name === '') {
      throw new SetNativeError(
        'ERR_INVALID_ARGUMENT',
        `[save] file must be the name of a file, got ${describe(file)}`,
      );
    }
    return this.#stoppable('save', rest, async () =>
      writeInBackground(name, await this.#pieces('save', options)),
    );
  }

  /** The bytes of the file that `save` writes. */
  async toBuffer(options: SaveOptions & CallOptions = {}): Promise<Uint8Array<ArrayBuffer>> {
    const { optimizer, ...rest } = options;
    return this.#stoppable('toBuffer', rest, async () => {
      const pieces = await this.#pieces('toBuffer', options);
      const bytes = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0));
      let at = 0;
      for (const piece of pieces) {
        bytes.set(piece, at);
        at += piece.length;
      }
      return bytes;
    });
  }

  async #pieces(operation: string, { optimizer = true }: SaveOptions): Promise<Uint8Array[]> {
    checkBoolean(operation, 'optimizer', optimizer);
    if (this.#diverged) {
      throw new SetNativeError(
        'ERR_NON_FINITE',
        `[${operation}] the training of this model diverged: its weights are no numbers any more; save it before, ` +
          'or train a new one with a lower learning rate or scaled data',
      );
    }
    const layers = ofThisRealm(await this.#model.download());
    const state = { spec: this.#spec, layers, epochs: this.#epochs, evolutionDue: this.#evolutionDue };
    return modelPieces({ ...state, encoding: this.#encoding }, { optimizer });
  }

  /** The arrays of every layer, copied. */
  download(): Promise<LayerData[]> {
    return this.#turn('download', async () => ofThisRealm(await this.#model.download()));
  }

  /**
   * Takes no more calls, lets those that were made come to their end, and frees the native memory. May be
   * called again.
   */
  async close(): Promise<void> {
    if (this.#turns.inCallback) {
      throw new SetNativeError(
        'ERR_BUSY',
        '[close] a callback of fit cannot wait for the fit that waits for it; abort its signal, or call dispose',
      );
    }
    this.#closed = true;
    await this.#turns.idle();
    this.dispose();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Stops a running call and frees the native memory. May be called again. */
  dispose(): void {
    this.#disposed = true;
    this.#model.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  /** Calls `work` when its turn comes. Errors of the addon become SetNativeError. */
  async #turn<T>(operation: string, work: () => Promise<T>, options?: TurnOptions): Promise<T> {
    this.#checkOpen(operation);
    return this.#turns.take(async () => {
      if (this.#disposed) throw disposed(operation);
      try {
        return await work();
      } catch (error) {
        throw fromNative(error);
      }
    }, options);
  }

  /** The same, for work that the signal of `options` stops. */
  async #stoppable<T>(operation: string, options: CallOptions, work: () => Promise<T>): Promise<T> {
    const signal = this.#begin(operation, options);
    const stopped = () => aborted(operation, signal, 'before it was done');
    const abort = () => this.#model.abort();
    const watched = async () => {
      signal?.addEventListener('abort', abort);
      try {
        return await work();
      } catch (cause) {
        const error = fromNative(cause);
        throw isSetNativeError(error, 'ERR_ABORTED') && signal?.aborted ? stopped() : error;
      } finally {
        signal?.removeEventListener('abort', abort);
      }
    };
    return this.#turn(operation, watched, { signal, gaveUp: stopped });
  }

  /** Checks what every call that can be stopped begins with. Returns its signal. */
  #begin(operation: string, options: CallOptions): AbortSignal | undefined {
    checkKeys(operation, options, ['signal']);
    const { signal } = options;
    checkHooks(operation, { signal });
    this.#checkOpen(operation);
    checkSignal(operation, signal, 'before it began');
    return signal;
  }

  #checkOpen(operation: string): void {
    if (this.#disposed || this.#closed) throw disposed(operation);
  }

  /** Whether `error` comes from `dispose`: of the native call that it stopped, or of the next. */
  #isDisposal(error: unknown): boolean {
    return (
      this.#disposed &&
      error instanceof SetNativeError &&
      ['ERR_ABORTED', 'ERR_DISPOSED'].includes(error.code)
    );
  }
}

function encodingFor(
  operation: string,
  encoding: Encoding | undefined,
  { sizes }: NativeModelSpec,
): Encoding | undefined {
  if (encoding === undefined) return undefined;
  const ends = { inputs: sizes[0]!, outputs: sizes.at(-1)! };
  return structuredClone(checkEncoding(operation, encoding, ends));
}

/** The class of each row of outputs. */
function classifications(outputs: Float32Array, width: number, classNames: string[]): Classification[] {
  return Array.from({ length: outputs.length / width }, (_, row) => {
    const own = outputs.subarray(row * width, (row + 1) * width);
    const values = width === 1 ? [1 - own[0]!, own[0]!] : [...own];
    const best = values.indexOf(largest(values));
    const probabilities = new Map(classNames.map((name, i) => [name, values[i]!]));
    return {
      className: classNames[best]!,
      probability: values[best]!,
      probabilities: Object.fromEntries(probabilities),
    };
  });
}

function disposed(operation: string): SetNativeError<'ERR_DISPOSED'> {
  return new SetNativeError(
    'ERR_DISPOSED',
    `[${operation}] the model was disposed of, or closed; create a new one`,
  );
}

function emitWarning({ code, message }: TrainingWarning): void {
  process.emitWarning(`[fit] ${message}`, { type: 'SetNativeWarning', code });
}
