import { fileURLToPath, URL } from 'node:url';
import { type InspectOptions, inspect, types } from 'node:util';
import { checkBoolean, checkHooks, checkKeys, describe, isArrayLike } from '../checks.js';
import { checkEncoding, copyEncoding, type Encoding, encodeRows } from '../datasets/encoding.js';
import { isTensor } from '../datasets/samples.js';
import type { Row } from '../datasets/table.js';
import type { Samples, TargetSamples } from '../datasets/types.js';
import { aborted, checkSignal, SetNativeError } from '../errors.js';
import { writeInBackground } from '../files/output.js';
import {
  fromNative,
  inRealmOf,
  type NativeLayer,
  type NativeModelSpec,
  native,
  ofThisRealm,
} from '../native.js';
import type { BackendName, LossName, OptimizerName } from '../vocabulary.js';
import { type CallOptions, Calls } from './calls.js';
import { type Classification, classifications, estimates } from './classify.js';
import {
  checkTrainOptions,
  Fitting,
  type FittingOptions,
  type History,
  stopOf,
  type TrainOptions,
  trainKeys,
} from './fitting.js';
import { LiveModel } from './live.js';
import {
  type ClassFigures,
  classFigures,
  confusionOf,
  type ErrorFigures,
  errorFigures,
  labelFigures,
} from './metrics.js';
import { asFileError, readModel, readModelFile } from './modelFile.js';
import type { NpzOptions, NpzSource } from './npz.js';
import { type ModelOptions, modelSpec } from './options.js';
import { Requests } from './requests.js';
import type { EpochReport } from './run.js';
import { checkRowsFor, type Ends } from './samples.js';
import { type LayerSummary, summaryOf } from './summary.js';
import { holdSamples, keepUploaded, type ModelSamples, UploadedSamples, upload } from './upload.js';
import type { TrainingWarningCode } from './warnings.js';

export interface FitOptions extends TrainOptions {
  /**
   * Called, and awaited, after every epoch; `fit` goes on when it is done, or ends, and resolves, where it
   * gives `false`. (The links have evolved by then, but after the last epoch.) It may call the methods of the
   * model but `fit`, `train` and `close`. An error thrown here ends the training and rejects `fit` with it.
   */
  onEpoch?: (report: EpochReport) => unknown;
}

export interface SaveOptions {
  /**
   * Whether the file holds what training goes on from, too: momenta and the ages of links, 14 bytes per link
   * in all, with AdamW 18, and 8 more where a training with `average` was interrupted; else 8. Default true.
   */
  optimizer?: boolean;
}

export type LoadOptions = Pick<ModelOptions, 'backend' | 'threads' | 'batching'> & CallOptions;

/** Figures of samples with labels. */
export interface Evaluation {
  /** Mean loss over the samples, each times its weight. */
  loss: number;
  /** Share of the samples whose largest output is their label. */
  accuracy: number;
  /** Figures of each class, in the order of the classes. */
  classes: ClassFigures[];
  /** Samples by their class (row) and the class that they are taken for (column), by their outputs. */
  confusion: number[][];
}

/** Figures of samples with targets: of errors for the loss `mse`, else of each label. */
export interface TargetEvaluation extends Partial<ErrorFigures> {
  /** Mean loss over the samples, each times its weight. */
  loss: number;
  /** Figures of each output, compared with its targets at one half. */
  labels?: ClassFigures[];
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
  readonly #live: LiveModel;
  readonly #ends: Ends;
  readonly #batching: boolean;
  readonly #warned = new Set<TrainingWarningCode>();
  readonly #calls: Calls;
  readonly #requests: Requests;
  #iterating = false;

  private constructor(live: LiveModel, batching: boolean, key: typeof madeByCreate) {
    if (key !== madeByCreate) {
      throw new SetNativeError(
        'ERR_INVALID_ARGUMENT',
        '[create] models are drawn on native threads: use await SparseMLP.create({ layers: [784, 300, 10] }), not new',
      );
    }
    this.#live = live;
    const { sizes } = live.spec;
    this.#ends = { inputs: sizes[0]!, outputs: sizes.at(-1)! };
    this.#batching = batching;
    this.#calls = new Calls(live);
    this.#requests = new Requests(live, this.#calls.turns, batching);
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
      const live = new LiveModel(await native().createModel(spec), spec, { encoding });
      return new SparseMLP(live, batching, madeByCreate);
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
    const model = new SparseMLP(new LiveModel(made, saved.spec, saved), batching, madeByCreate);
    if (!signal?.aborted) return model;
    model.dispose();
    throw aborted('load', signal, 'before it was done');
  }

  /**
   * The model of a folder that `exportNpz` wrote; or of layers that Python made, one .npz each as
   * `scipy.sparse.save_npz` writes a CSR matrix of inputs × outputs, whose options are given here as to
   * `create`: see docs/model-files.md. Training starts anew from its weights.
   *
   * Rejects as `load` does.
   *
   * @param source  a folder; or a list of files, or of their bytes, one for each layer, in order
   */
  static async fromNpz(source: NpzSource, options: NpzOptions = {}): Promise<SparseMLP> {
    const { checkNpzKeys, readNpzModel } = await npz();
    checkNpzKeys(options);
    const { batching: given = true, ...rest } = options;
    const { signal } = rest;
    checkHooks('fromNpz', { signal });
    const batching = checkBoolean('fromNpz', 'batching', given);
    checkSignal('fromNpz', signal, 'before it began');
    return new SparseMLP(await readNpzModel(source, rest), batching, madeByCreate);
  }

  /** Neurons per layer, inputs first, outputs last. */
  get sizes(): number[] {
    return [...this.#live.spec.sizes];
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
    return this.#live.spec.loss;
  }

  get optimizer(): OptimizerName {
    return this.#live.spec.optimizer;
  }

  get seed(): number {
    return this.#live.spec.seed;
  }

  /** What computes; `auto` is decided. */
  get backend(): BackendName {
    return this.#live.network.backend;
  }

  /** What was done to the data, as `create` was given it, or the file held it. */
  get encoding(): Encoding | undefined {
    return this.#live.encoding && copyEncoding(this.#live.encoding);
  }

  /** Threads that compute. */
  get threads(): number {
    return this.#live.network.threads;
  }

  /** Epochs trained so far, over all calls of `fit`. */
  get epochs(): number {
    return this.#live.point.epochs;
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
  async fit(train: ModelSamples, options: FitOptions = {}): Promise<History> {
    const { onEpoch } = options;
    const checked = this.#checkTraining('fit', train, options, ['onEpoch']);
    checkHooks('fit', { onEpoch });
    const { signal } = options;
    const nothing: History = { epochs: [], warnings: [] };
    const work = async () => {
      const fitting = await this.#fitting('fit', train, checked);
      try {
        while (!fitting.done) {
          const report = await fitting.next();
          try {
            const goesOn = onEpoch && (await this.#calls.turns.lend(() => onEpoch(report)));
            if (goesOn === false) break;
          } catch (error) {
            throw fitting.asStop(error);
          }
          if (!fitting.done) await fitting.checkpoint();
        }
        return await fitting.finish();
      } finally {
        fitting.dispose();
      }
    };
    const gaveUp = () => stopOf('fit', signal?.aborted ? signal : undefined, nothing);
    return this.#keeping('fit', [train, options.validation], work, (kept) =>
      this.#calls.turn('fit', kept, { signal, gaveUp }),
    );
  }

  /**
   * Trains as `fit` does, one epoch for each report that is taken: `for await (const report of
   * model.train(...))`. Between two epochs, and so in the body of the loop, other calls take their turns,
   * predictions of a service among them. Returns the history. Samples are copied when the first report is
   * asked for.
   *
   * Leaving the loop, by `break` or an error, ends the training as `false` from `onEpoch` of `fit` does: the
   * links have evolved after the last epoch, the best network is restored, or the mean of several, and a
   * checkpoint written, where that is asked for. That comes after the body of the last epoch. `close` does
   * not wait for a loop: the next epoch rejects, as after `dispose`.
   *
   * Rejects as `fit` does; with ERR_BUSY inside a callback of `fit`, or while another iteration is not done:
   * `fit` too rejects so, as long as this one is not.
   */
  async *train(train: ModelSamples, options: TrainOptions = {}): AsyncGenerator<EpochReport, History, void> {
    const checked = this.#checkTraining('train', train, options);
    const { signal } = options;
    const nothing: History = { epochs: [], warnings: [] };
    let fitting: Fitting | undefined;
    let failed = false;
    const gaveUp = () => fitting?.stopped() ?? stopOf('train', signal?.aborted ? signal : undefined, nothing);
    const turn = <T>(work: () => Promise<T>) =>
      this.#calls.turn('train', work, { signal, gaveUp }).catch((error) => {
        failed = true;
        throw error;
      });
    const nextOf = async (made: Fitting) => {
      if (made.done) return undefined;
      const report = await made.next();
      if (!made.done) await made.checkpoint();
      return report;
    };
    const release = keepUploaded('train', train, options.validation);
    this.#iterating = true;
    try {
      // One turn from the samples to the end of the first epoch: a close that comes later waits for it.
      let report = await turn(async () => {
        fitting = await this.#fitting('train', train, checked);
        return nextOf(fitting);
      });
      while (report !== undefined) {
        yield report;
        if (fitting!.done) break; // whatever the body has done
        // The body may have ended the model.
        if (this.#calls.ended) throw stopOf('train', undefined, fitting!.history, this.#calls.endedBy);
        report = await turn(() => nextOf(fitting!));
      }
      return fitting!.history;
    } finally {
      this.#iterating = false;
      const made = fitting;
      try {
        // A caller may leave the loop: what was trained is kept all the same.
        if (made !== undefined && !failed && !this.#calls.ended)
          await this.#calls.turn('train', () => made.finish());
      } finally {
        made?.dispose();
        release();
      }
    }
  }

  /** Checks what every training begins with. */
  #checkTraining(
    operation: string,
    train: ModelSamples,
    options: FitOptions,
    more: readonly string[] = [],
  ): FittingOptions {
    if (isArrayLike(options) || isTensor(options)) {
      throw new SetNativeError(
        'ERR_INVALID_ARGUMENT',
        `[${operation}] takes one samples object and options: ${operation}({ x, labels, features }, options), got ` +
          `${describe(train)} and ${describe(options)}`,
      );
    }
    const checked = checkTrainOptions(operation, this.#live, options, [...trainKeys, ...more]);
    this.#calls.checkOpen(operation);
    if (this.#calls.turns.inCallback || this.#iterating) {
      throw new SetNativeError(
        'ERR_BUSY',
        this.#iterating
          ? `[${operation}] an iteration of train is not done; take its epochs to the end, or leave its loop, first`
          : `[${operation}] a callback of fit cannot train the model that waits for it; let fit go on, or call it ` +
              'when the first is done',
      );
    }
    return checked;
  }

  async #fitting(operation: string, train: ModelSamples, checked: FittingOptions): Promise<Fitting> {
    const model = { ends: this.#ends, warned: this.#warned };
    try {
      return await Fitting.begin(operation, this.#live, train, checked, model);
    } catch (error) {
      throw this.#live.disposed ? stopOf(operation, undefined, { epochs: [], warnings: [] }) : error;
    }
  }

  /** Makes a call of `work` that keeps uploaded samples from being freed until it has ended. */
  #keeping<T>(
    operation: string,
    samples: (ModelSamples | undefined)[],
    work: () => Promise<T>,
    call: (work: () => Promise<T>) => Promise<T>,
  ): Promise<T> {
    let release: () => void;
    try {
      release = keepUploaded(operation, ...samples);
    } catch (error) {
      return Promise.reject(error);
    }
    const kept = async () => {
      try {
        return await work();
      } finally {
        release();
      }
    };
    const made = call(kept);
    made.catch(release); // of a call that was refused, or given up before its turn
    return made;
  }

  /**
   * Loss and figures of samples: of labels accuracy, precision and recall of each class, and the confusion
   * matrix; of targets with the loss `mse` mean absolute error and r2, else precision and recall of each
   * output. (Figures other than loss and accuracy come from the outputs in single precision.) Weights of
   * samples count in the loss alone; with scaled targets errors are in the scaled unit.
   *
   * Rejects with ERR_INVALID_ARGUMENT, ERR_SHAPE, ERR_OUT_OF_RANGE or ERR_NON_FINITE for samples that do not
   * fit the model, naming the row.
   */
  evaluate(samples: Samples, options?: CallOptions): Promise<Evaluation>;
  evaluate(samples: TargetSamples, options?: CallOptions): Promise<TargetEvaluation>;
  evaluate(samples: ModelSamples, options?: CallOptions): Promise<Evaluation | TargetEvaluation>;
  evaluate(samples: ModelSamples, options: CallOptions = {}): Promise<Evaluation | TargetEvaluation> {
    const figures = async () => {
      const held = await holdSamples(this.#ends, 'evaluate', samples);
      try {
        checkSignal('evaluate', options.signal, 'before it was done');
        const { loss, accuracy } = await this.#live.network.evaluate(held.native);
        const outputs = await this.#live.network.predict(held.native);
        const width = this.#ends.outputs;
        const { targets } = samples as Partial<TargetSamples>;
        if (targets === undefined) {
          const confusion = confusionOf(outputs, width, (samples as Samples).labels);
          return { loss, accuracy, classes: classFigures(confusion), confusion };
        }
        if (this.loss === 'mse') return { loss, ...errorFigures(outputs, targets, width) };
        return { loss, labels: labelFigures(outputs, targets, width) };
      } finally {
        held.release();
      }
    };
    return this.#keeping('evaluate', [samples], figures, (kept) =>
      this.#calls.stoppable('evaluate', options, kept),
    );
  }

  /**
   * Outputs after softmax, sigmoid or nothing, as the loss has it. The same samples give the same bits for
   * any number of threads; how many are asked for at once may change the last ones.
   *
   * Rejects with ERR_NON_FINITE, naming the row, where an output overflows; with ERR_ABORTED when the signal
   * fires; with ERR_BUSY where 10,000 predictions wait already.
   *
   * @param x  count × inputs, row-major, copied before the call returns; or what `uploadSamples` gave
   * @returns  count × outputs, row-major, of the realm of `x`
   */
  async predict(x: Float32Array | UploadedSamples, options: CallOptions = {}): Promise<Float32Array> {
    if (x instanceof UploadedSamples) {
      const outputs = async () => {
        const { native: samples } = await holdSamples(this.#ends, 'predict', x, undefined, {
          answers: false,
        });
        return ofThisRealm(await this.#live.network.predict(samples));
      };
      return this.#keeping('predict', [x], outputs, (kept) =>
        this.#calls.stoppable('predict', options, kept),
      );
    }
    const signal = this.#calls.begin('predict', options);
    checkRowsFor(this.#ends, 'predict', x);
    const samples = upload('predict', { x, features: this.#ends.inputs });
    return inRealmOf(x, await this.#requests.predict('predict', samples, signal));
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
    const { classNames } = this.#live.encoding ?? {};
    if (this.#live.encoding !== undefined && (classNames === undefined || this.loss === 'mse')) {
      throw new SetNativeError(
        'ERR_INVALID_ARGUMENT',
        '[classify] the outputs of this model are no probabilities of classes; use estimate, or predict',
      );
    }
    const outputs = await this.#predictRows('classify', rows, options);
    return classifications(outputs, this.#ends.outputs, classNames!);
  }

  /**
   * Predicts the numbers of raw rows: encodes them as the data was that the model was trained on, and gives
   * for each row its targets by name, in their own units. With the loss `sigmoid-binary-cross-entropy` these
   * are the probabilities of labels.
   *
   * Rejects as `classify` does; with ERR_INVALID_ARGUMENT for a model whose encoding has class names.
   *
   * @param rows lists of cells, objects by the names of the columns, or one typed array of raw features
   */
  async estimate(
    rows: readonly Row[] | ArrayLike<number>,
    options: CallOptions = {},
  ): Promise<Record<string, number>[]> {
    const { encoding } = this.#live;
    if (encoding !== undefined && encoding.targets === undefined) {
      throw new SetNativeError(
        'ERR_INVALID_ARGUMENT',
        '[estimate] the model was trained on classes; use classify, or predict',
      );
    }
    const outputs = await this.#predictRows('estimate', rows, options);
    return estimates(outputs, encoding!.targets!);
  }

  /** Outputs for raw rows. */
  async #predictRows(
    operation: string,
    rows: readonly Row[] | ArrayLike<number>,
    options: CallOptions,
  ): Promise<Float32Array> {
    const signal = this.#calls.begin(operation, options);
    const { encoding } = this.#live;
    if (encoding === undefined) {
      throw new SetNativeError(
        'ERR_INVALID_ARGUMENT',
        `[${operation}] the model does not know how rows become features: create it with { encoding } of prepare, or ` +
          'use predict',
      );
    }
    const x = encodeRows(operation, rows, encoding);
    const samples = upload(operation, { x, features: this.#ends.inputs });
    return this.#requests.predict(operation, samples, signal);
  }

  /** Shape, links and their ages, layer by layer. */
  layers(): Promise<LayerSummary[]> {
    return this.#layers('layers');
  }

  #layers(operation: string): Promise<LayerSummary[]> {
    return this.#calls.turn(operation, async () => {
      const layers = ofThisRealm(await this.#live.network.stats());
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
    const { optimizer = true, ...rest } = options;
    checkBoolean('save', 'optimizer', optimizer);
    const name = file instanceof URL ? fileURLToPath(file) : file;
    if (typeof name !== 'string' || name === '') {
      throw new SetNativeError(
        'ERR_INVALID_ARGUMENT',
        `[save] file must be the name of a file, got ${describe(file)}`,
      );
    }
    return this.#calls.stoppable('save', rest, async () =>
      writeInBackground(name, await this.#live.pieces('save', { optimizer })),
    );
  }

  /** The bytes of the file that `save` writes. */
  async toBuffer(options: SaveOptions & CallOptions = {}): Promise<Uint8Array<ArrayBuffer>> {
    const { optimizer = true, ...rest } = options;
    checkBoolean('toBuffer', 'optimizer', optimizer);
    return this.#calls.stoppable('toBuffer', rest, async () => {
      const pieces = await this.#live.pieces('toBuffer', { optimizer });
      const bytes = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0));
      let at = 0;
      for (const piece of pieces) {
        bytes.set(piece, at);
        at += piece.length;
      }
      return bytes;
    });
  }

  /**
   * Writes the weights for Python into a folder, which is made where there is none: of each layer a file
   * that `scipy.sparse.load_npz` reads, with its bias, and the options of the model as model.json. What
   * training goes on from is kept by `save` alone. Files of a former export are replaced, others stay.
   *
   * Rejects with ERR_IO where a file cannot be written, ERR_IN_USE where the folder holds such files of
   * others, ERR_NON_FINITE for a model whose training diverged, ERR_ABORTED when the signal fires before all
   * is written.
   */
  async exportNpz(folder: string | URL, options: CallOptions = {}): Promise<void> {
    const name = folder instanceof URL ? fileURLToPath(folder) : folder;
    if (typeof name !== 'string' || name === '') {
      throw new SetNativeError(
        'ERR_INVALID_ARGUMENT',
        `[exportNpz] folder must be the name of a folder, got ${describe(folder)}`,
      );
    }
    return this.#calls.stoppable('exportNpz', options, async () => {
      const { exportNpz } = await npz();
      return exportNpz(name, this.#live, options.signal);
    });
  }

  /**
   * A model of its own with the same network, which goes on as this one would: to serve what is there while
   * this one is trained on. In a callback of `fit`, or between epochs of `train`, it is that of the epoch.
   *
   * Rejects with ERR_OUT_OF_MEMORY, ERR_NON_FINITE for a model whose training diverged, ERR_ABORTED.
   */
  replicate(options: CallOptions = {}): Promise<SparseMLP> {
    return this.#calls.stoppable('replicate', options, async () => {
      const { spec, encoding, point } = this.#live;
      this.#live.checkSound('replicate');
      const layers = await this.#live.network.download();
      const live = new LiveModel(await native().createModel(spec, layers), spec, { ...point, encoding });
      return new SparseMLP(live, this.#batching, madeByCreate);
    });
  }

  /** A table of the layers, as text. */
  async summary(): Promise<string> {
    return summaryOf(this.#live.spec, await this.#layers('summary'), this.epochs);
  }

  /** What `console.log` prints of a model. */
  [inspect.custom](_depth: number, options: InspectOptions): string {
    const { sizes, loss, optimizer, seed } = this.#live.spec;
    const state = this.#calls.ended;
    const { backend, threads, epochs } = this;
    const shown = { layers: sizes, loss, optimizer, seed, backend, threads, epochs, ...(state && { state }) };
    return `SparseMLP ${inspect(shown, options)}`;
  }

  /** The arrays of every layer, copied. */
  download(): Promise<LayerData[]> {
    return this.#calls.turn('download', async () => ofThisRealm(await this.#live.network.download()));
  }

  /**
   * Takes no more calls, lets those that were made come to their end, and frees the native memory. May be
   * called again.
   */
  async close(): Promise<void> {
    if (this.#calls.turns.inCallback) {
      throw new SetNativeError(
        'ERR_BUSY',
        '[close] a callback of fit cannot wait for the fit that waits for it; abort its signal, or call dispose',
      );
    }
    await this.#calls.close();
    this.dispose();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Stops a running call and frees the native memory. May be called again. */
  dispose(): void {
    this.#live.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}

/** What reads and writes .npz, with its zip and schemas: loaded when it is used. */
const npz = () => import('./npz.js');

function encodingFor(
  operation: string,
  encoding: Encoding | undefined,
  { sizes }: NativeModelSpec,
): Encoding | undefined {
  if (encoding === undefined) return undefined;
  const ends = { inputs: sizes[0]!, outputs: sizes.at(-1)! };
  return copyEncoding(checkEncoding(operation, encoding, ends));
}
