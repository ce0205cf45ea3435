import path from 'node:path';
import { checkHooks, checkKeys } from '../checks.js';
import { absoluteChoice, loadChoice, sameFiles } from '../datasets/choice.js';
import { datasetSum } from '../datasets/sum.js';
import { prepare } from '../datasets/transform.js';
import type { Dataset, Samples } from '../datasets/types.js';
import { aborted, checkSignal, isAbortBy, SetNativeError } from '../errors.js';
import { closingAfter, type Events, eventsOf, follow, through } from '../events.js';
import { onceDecided, type WaitEvent } from '../files/lock.js';
import { damaged } from '../files/records.js';
import { info } from '../info.js';
import { fromNative, native } from '../native.js';
import { estimate } from '../statistics.js';
import { SparseMLP } from '../training/model.js';
import { type SelectionConfig, selectionConfig } from './config.js';
import { SelectionFolder } from './folder.js';
import { names, writer } from './read.js';
import type { Finished, Selection, SelectionResults, SelectionRun, SelectionSummary } from './results.js';
import { runName } from './run.js';
import { featureCount, jaccard, strengths, strongest } from './strength.js';

export interface SelectionHooks {
  /** Called after every seed and share of features. */
  onRun?: (run: SelectionRun) => void;
  /**
   * Called with what must be read beside the numbers, as soon as it is known; `notes` of the results has it
   * too.
   */
  onNote?: (note: string) => void;
  /** Called before a wait, of at most half a minute, for another process to show that it uses the folder. */
  onWait?: (why: string) => void;
  /**
   * Stops the selection within one batch; it rejects with ERR_ABORTED, whose cause is the signal's reason.
   */
  signal?: AbortSignal;
  /**
   * A folder to keep the selection in while it runs (docs/results.md), so that whatever stops it costs
   * little: `resumeSelection` goes on. It must be new or empty.
   */
  out?: string;
}

/**
 * Finds out which features a task needs, and how well the strongest of them do alone. Trains a network on all
 * features, ranks them by the strength of its first layer, and for each share of `keep` trains a new network
 * on the strongest features and another on as many random ones. Features are ranked on the training samples
 * only; accuracies are of the test samples. All draws depend on the seed alone.
 *
 * Rejects with ERR_INVALID_ARGUMENT and ERR_OUT_OF_RANGE naming the option, with the errors of `loadDataset`,
 * `prepare` and `fit`, with ERR_IN_USE when `out` is not empty, with ERR_IO when it cannot be written, and
 * with ERR_ABORTED when the signal fires. From the first network on `details.results` holds what was
 * finished, summary included.
 */
export async function selectFeatures(
  given: Partial<SelectionConfig> & Pick<SelectionConfig, 'dataset'>,
  hooks: SelectionHooks = {},
): Promise<SelectionResults> {
  checkSelectionHooks(hooks);
  return await follow(selectionEvents(given, hooks), (event) => callHook(hooks, event));
}

/** The events of `selectFeatures`, then its results. */
export async function* selectionEvents(
  given: Partial<SelectionConfig> & Pick<SelectionConfig, 'dataset'>,
  { signal, out }: Pick<SelectionHooks, 'signal' | 'out'> = {},
): SelectionEvents {
  const config = selectionConfig(given);
  checkSignal('select', signal, 'before it began');
  const dataset = loadChoice(config);
  const selection = newSelection(config, dataset);
  const folder =
    out === undefined ? undefined : yield* onceDecided(() => SelectionFolder.create(out), signal);
  return yield* closingAfter(select(selection, dataset, { networks: [], runs: [] }, signal, folder), () =>
    folder?.close(),
  );
}

/** What may differ when a selection goes on: none of it changes a result. */
export type SelectionResumeOptions = Partial<Pick<SelectionConfig, 'threads' | 'dataDir' | 'csv'>>;

/**
 * Goes on with the selection kept in `dir`, wherever it was stopped. On the same machine its results are
 * those of a selection that was never stopped. Rejects as selectFeatures does; with ERR_INVALID_ARGUMENT
 * where `dir` holds no selection, ERR_IN_USE where another process writes to it; ERR_DATA_FORMAT, naming file
 * and line, where a file of it is damaged, and where the data are others than it began with.
 */
export async function resumeSelection(
  dir: string,
  options: SelectionResumeOptions = {},
  hooks: Omit<SelectionHooks, 'out'> = {},
): Promise<SelectionResults> {
  checkSelectionHooks(hooks);
  return await follow(resumeSelectionEvents(dir, options, hooks), (event) => callHook(hooks, event));
}

/** The events of `resumeSelection`, then its results. */
export async function* resumeSelectionEvents(
  dir: string,
  options: SelectionResumeOptions = {},
  { signal }: Pick<SelectionHooks, 'signal'> = {},
): SelectionEvents {
  checkKeys('select', options, ['threads', 'dataDir', 'csv']);
  checkSignal('select', signal, 'before it began');
  const { folder, selection, finished } = yield* onceDecided(() => SelectionFolder.resume(dir), signal);
  const goOn = async function* (): SelectionEvents {
    const config = selectionConfig({ ...selection.config, ...options });
    const data = loadChoice(config);
    const now = newSelection(config, data);
    checkSameData(selection, now, dir);
    checkSizes(selection, now, dir);
    const notes = [...selection.notes];
    for (const key of ['version', 'cpu', 'isa'] as const) {
      const then = selection.environment[key];
      const note = `Begun with ${key} ${then}, resumed with ${now.environment[key]}: bits may differ.`;
      if (then !== now.environment[key] && !notes.includes(note)) {
        notes.push(note);
        yield { kind: 'note', note };
      }
    }
    const { source } = now.dataset;
    const dataset = { ...selection.dataset, source };
    const goingOn = { ...selection, config: now.config, dataset, notes, complete: false };
    return yield* select(goingOn, data, finished, signal, folder);
  };
  return yield* closingAfter(goOn(), () => folder.close());
}

/** What a selection reports while it runs. */
export type SelectionEvent =
  | WaitEvent
  /**
   * Something that must be read beside the numbers, as soon as it is known; `notes` of the results has it
   * too.
   */
  | { kind: 'note'; note: string }
  /** A seed and share of features is done, and written where there is a folder. */
  | { kind: 'run'; run: SelectionRun };

type SelectionEvents = Events<SelectionEvent, SelectionResults>;

function callHook(hooks: SelectionHooks, event: SelectionEvent): void {
  switch (event.kind) {
    case 'run':
      hooks.onRun?.(event.run);
      break;
    case 'note':
      hooks.onNote?.(event.note);
      break;
    case 'wait':
      hooks.onWait?.(event.why);
      break;
  }
}

/** Trains the networks that `finished` does not have yet. */
async function* select(
  selection: Selection,
  dataset: Dataset,
  finished: Finished,
  signal: AbortSignal | undefined,
  folder: SelectionFolder | undefined,
): SelectionEvents {
  const { config } = selection;
  const seeds = Array.from({ length: config.runs }, (_, run) => config.seed + run);
  const results = () => resultsOf(selection, finished);
  /** Keeps what an event says; returns false for a note that is known already. */
  const record = (event: SelectionEvent): boolean => {
    if (event.kind !== 'note') return true;
    if (selection.notes.includes(event.note)) return false;
    selection.notes.push(event.note);
    folder?.write(results());
    return true;
  };
  try {
    folder?.write(results());
    for (const seed of seeds) {
      yield* through(selectSeed(seed, selection, dataset, finished, signal, folder), record);
    }
    selection.complete = true;
    folder?.write(results());
    return results();
  } catch (cause) {
    const error = fromNative(cause);
    const stopped = isAbortBy(signal, error);
    if (!(error instanceof SetNativeError) && !stopped) throw error;
    const partial = results();
    try {
      folder?.write(partial);
    } catch {
      // the first error is the one that a reader can act on
    }
    if (!(error instanceof SetNativeError))
      throw aborted('select', signal, 'in a callback', { results: partial });
    const details = { ...error.details, results: partial };
    throw new SetNativeError(error.code, error.message, { details, cause: stopped ? error.cause : cause });
  }
}

/** Trains the missing networks of one seed. */
async function* selectSeed(
  seed: number,
  selection: Selection,
  dataset: Dataset,
  finished: Finished,
  signal: AbortSignal | undefined,
  folder: SelectionFolder | undefined,
): Events<SelectionEvent, void> {
  const { config } = selection;
  const done = new Set(finished.runs.map(runName));
  const missing = config.keep.filter((keep) => !done.has(runName({ seed, keep })));
  let whole = finished.networks.find((network) => network.seed === seed);
  if (missing.length === 0 && whole !== undefined) return;
  const { train, test } = prepare(dataset, { train: config.train, test: config.test, seed });
  if (selection.dataset.train === 0) {
    Object.assign(selection.dataset, { train: train.count, test: test.count });
    folder?.write(resultsOf(selection, finished));
  }
  if (whole === undefined) {
    whole = { seed, ...(yield* trained(config, train, test, dataset.classes, seed, signal)) };
    folder?.append(whole);
    finished.networks.push(whole);
  }
  const { accuracy: wholeAccuracy, strength } = whole;
  const accuracyOf = async function* (features: Uint32Array): Events<SelectionEvent, number> {
    if (features.length === dataset.features) return wholeAccuracy;
    const [some, others] = [columns(train, features), columns(test, features)];
    return (yield* trained(config, some, others, dataset.classes, seed, signal)).accuracy;
  };
  const randomOrder = native().permutation(seed, dataset.features);
  for (const keep of missing) {
    checkSignal('select', signal, 'between two runs');
    const count = featureCount(keep, dataset.features);
    const features = strongest(Float64Array.from(strength), count);
    const accuracy = yield* accuracyOf(features);
    const randomAccuracy = yield* accuracyOf(randomOrder.slice(0, count).sort());
    const run = { seed, keep, features: Array.from(features), accuracy, randomAccuracy };
    folder?.append(run);
    finished.runs.push(run);
    yield { kind: 'run', run };
  }
}

function resultsOf(selection: Selection, finished: Finished): SelectionResults {
  const { config, dataset } = selection;
  const networks = finished.networks.toSorted((a, b) => a.seed - b.seed);
  const runs = finished.runs.toSorted(
    (a, b) => a.seed - b.seed || config.keep.indexOf(a.keep) - config.keep.indexOf(b.keep),
  );
  const strength = new Float64Array(dataset.features);
  for (const network of networks) {
    for (const [feature, each] of network.strength.entries()) strength[feature]! += each / networks.length;
  }
  const kept = config.keep.map((keep) => runs.filter((run) => run.keep === keep));
  return {
    ...selection,
    dataset: { ...dataset },
    strength: Array.from(strength),
    runs,
    summary: kept.filter((each) => each.length > 0).map(summarize),
  };
}

function checkSelectionHooks(hooks: SelectionHooks): void {
  checkKeys('select', hooks, ['onRun', 'onNote', 'onWait', 'signal', 'out']);
  const { onRun, onNote, onWait, signal } = hooks;
  checkHooks('select', { onRun, onNote, onWait, signal });
}

function newSelection(config: SelectionConfig, dataset: Dataset): Selection {
  const { name, features, classes, note, imageShape, source } = dataset;
  const { version, cpu, isa } = info();
  const [height, width, channels = 1] = imageShape ?? [];
  return {
    config: absoluteChoice(config),
    dataset: {
      ...{ name, features, classes, train: 0, test: 0 }, // sizes: when samples are drawn
      ...(note !== undefined && { note }),
      ...(width !== undefined && channels === 1 && { image: { width, height: height! } }),
      source: source === 'embedded' ? source : path.resolve(source),
      sha256: datasetSum(dataset),
    },
    environment: { version, cpu, isa: isa.used },
    notes: [],
    complete: false,
  };
}

function checkSameData({ dataset: then, config }: Selection, { dataset: now }: Selection, dir: string): void {
  if (then.sha256 === now.sha256) return;
  const short = (text: string) => text.slice(0, 12);
  throw new SetNativeError(
    'ERR_DATA_FORMAT',
    `[select] the selection in ${dir} began with the data in ${then.source} (SHA-256 ${short(then.sha256)}), but ` +
      `${now.source} has others (${short(now.sha256)}); ${sameFiles(config)}`,
    { details: { then, now } },
  );
}

/** Throws unless the file has the true sizes of the data, which decide the size of memory and figures. */
function checkSizes({ dataset: then }: Selection, { dataset: now }: Selection, dir: string): void {
  const sizesOf = ({ features, classes, image }: Selection['dataset']) => {
    const picture = image === undefined ? 'no picture' : `a picture of ${image.width} × ${image.height}`;
    return `${features} features, ${classes} classes and ${picture}`;
  };
  const [found, expected] = [sizesOf(then), sizesOf(now)];
  if (found === expected) return;
  const where = path.join(dir, names.results);
  throw damaged(where, `has ${found}, where the data have ${expected}`, writer);
}

/** Trains a network; returns its accuracy on the test samples and the strength of its inputs. */
async function* trained(
  config: SelectionConfig,
  train: Samples,
  test: Samples,
  classes: number,
  seed: number,
  signal: AbortSignal | undefined,
): Events<SelectionEvent, { accuracy: number; strength: number[] }> {
  const { hidden, epsilon, threads, epochs, batchSize, learningRate, weightDecay, zeta, method } = config;
  const { features } = train;
  const model = await SparseMLP.create({ layers: [features, ...hidden, classes], epsilon, threads, seed });
  const events = eventsOf<SelectionEvent, { accuracy: number; strength: number[] }>(async (emit) => {
    await model.fit(train, {
      ...{ epochs, batchSize, learningRate, weightDecay, evolution: { method, zeta } },
      ...(signal && { signal }),
      onWarning: ({ message }) =>
        emit({ kind: 'note', note: `Networks of ${features} features: ${message}.` }),
    });
    const { accuracy } = await model.evaluate(test);
    const [first] = await model.download();
    return { accuracy, strength: Array.from(strengths(first!)) };
  });
  return yield* closingAfter(events, () => model.dispose());
}

/** The samples with the kept features only. */
function columns({ x, labels, count, features }: Samples, kept: Uint32Array): Samples {
  const narrow = new Float32Array(count * kept.length);
  for (let row = 0; row < count; row++) {
    kept.forEach((feature, i) => {
      narrow[row * kept.length + i] = x[row * features + feature]!;
    });
  }
  return { x: narrow, labels, count, features: kept.length };
}

function summarize(runs: SelectionRun[]): SelectionSummary {
  const sets = runs.map(({ features }) => Uint32Array.from(features));
  const pairs = sets.flatMap((a, i) => sets.slice(i + 1).map((b) => jaccard(a, b)));
  return {
    keep: runs[0]!.keep,
    features: sets[0]!.length,
    accuracy: estimate(runs.map(({ accuracy }) => accuracy)),
    randomAccuracy: estimate(runs.map(({ randomAccuracy }) => randomAccuracy)),
    stability: pairs.length > 0 ? pairs.reduce((sum, each) => sum + each, 0) / pairs.length : null,
  };
}
