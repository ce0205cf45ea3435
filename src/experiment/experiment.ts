import { createHash } from 'node:crypto';
import os from 'node:os';
import path from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { chooseBackend, isGpu } from '../backend.js';
import { checkHooks, checkKeys } from '../checks.js';
import { absoluteChoice, loadChoice, sameFiles } from '../datasets/choice.js';
import { datasetSum } from '../datasets/sum.js';
import type { Dataset } from '../datasets/types.js';
import { aborted, checkSignal, isAbortBy, isSetNativeError, SetNativeError } from '../errors.js';
import { closingAfter, type Events, follow, through } from '../events.js';
import { onceDecided } from '../files/lock.js';
import { removeLeftovers } from '../files/output.js';
import { info } from '../info.js';
import { fromNative, native } from '../native.js';
import type { EpochReport } from '../training/run.js';
import { checkOrderOf, decisiveOptions, type ExperimentConfig, experimentConfig } from './config.js';
import type { ExperimentEvent } from './events.js';
import { ExperimentFolder } from './folder.js';
import { gpuJobs } from './gpuJobs.js';
import { namedArm } from './group.js';
import { type GroupRunner, runJobs } from './jobs.js';
import { type Group, groupsOf, networkOf } from './plan.js';
import { type BenchResults, type BenchRun, type Experiment, schemaVersion } from './results.js';
import { runResumable } from './resumable.js';
import { setAside } from './setAside.js';
import { summarize } from './summary.js';
import { armName, type Trial, trialKey } from './trial.js';

export interface ExperimentHooks {
  /** Called, and awaited, after every epoch of every run; `run.epochs` already holds the report. */
  onEpoch?: (run: BenchRun, report: EpochReport) => void | Promise<void>;
  /**
   * Called with what must be read beside the numbers, as soon as it is known; `notes` of the results has it
   * too.
   */
  onNote?: (note: string) => void;
  /** Called before the first training with the number of groups that train at once. */
  onJobs?: (jobs: number) => void;
  /** Called before a wait, of at most half a minute, for another process to show that it uses the folder. */
  onWait?: (why: string) => void;
  /**
   * Stops the experiment within one batch; it rejects with ERR_ABORTED, whose cause is the signal's reason.
   */
  signal?: AbortSignal;
  /**
   * A folder to keep the experiment in while it runs (docs/results.md), so that whatever stops it costs
   * little: `resumeExperiment` goes on. It must be new or empty.
   */
  out?: string;
  /** Command line that started the experiment, for its records. */
  command?: string;
}

/**
 * Trains every method at every epsilon in every reading, SET-motif at every motif size too, `runs` times, so
 * that they can be compared.
 *
 * Paired: within one seed all methods see the same samples in the same orders and start, where their
 * topologies allow, from the same network. Interleaved: the methods of a seed and epsilon take turns epoch by
 * epoch, each time starting with another, so that a machine that slows down slows all of them. `dense` does
 * not depend on epsilon and runs once per seed, beside the largest. `config.jobs` such groups run at once.
 *
 * A training that diverges (ERR_NON_FINITE) leaves the experiment: its run gets `failure`, the notes say so,
 * the others go on, and `complete` stays false. Rejects with ERR_OUT_OF_MEMORY, before anything is built,
 * when the networks that train at once need more than the machine has; with ERR_IN_USE when `out` holds
 * anything, with ERR_IO when it cannot be written; with ERR_ABORTED when the signal fires; and with any other
 * error of a training. From the first network on `details.results` holds what was completed, summary
 * included.
 *
 * @param chosen the options that a user chose, where others come from a preset: notes name those of them
 * that a reading sets aside
 */
export async function runExperiment(
  given: Partial<ExperimentConfig> & Pick<ExperimentConfig, 'dataset'>,
  hooks: ExperimentHooks = {},
  chosen: Partial<ExperimentConfig> = given,
): Promise<BenchResults> {
  checkExperimentHooks(hooks);
  return await follow(experimentEvents(given, hooks, chosen), (event) => callHook(hooks, event));
}

/** The events of `runExperiment`, then its results. */
export async function* experimentEvents(
  given: Partial<ExperimentConfig> & Pick<ExperimentConfig, 'dataset'>,
  { signal, out, command = '' }: Pick<ExperimentHooks, 'signal' | 'out' | 'command'> = {},
  chosen: Partial<ExperimentConfig> = given,
): ExperimentEvents {
  const asked = experimentConfig(given);
  checkSignal('bench', signal, 'before it began');
  const dataset = loadChoice(asked);
  checkOrderOf(asked, dataset);
  const plan = await planOf(absoluteChoice(asked), dataset);
  const experiment = newExperiment(plan.config, dataset, command);
  experiment.notes.push(...setAside(plan.config, chosen, dataset));
  const folder =
    out === undefined ? undefined : yield* onceDecided(() => ExperimentFolder.create(out), signal);
  return yield* within(folder, async function* () {
    for (const note of experiment.notes) yield { kind: 'note', note };
    return yield* train(experiment, plan, dataset, [], signal, folder);
  });
}

/** What may differ when an experiment goes on: none of it changes a result. */
export type ResumeOptions = Partial<Pick<ExperimentConfig, 'jobs' | 'threads' | 'dataDir' | 'csv'>>;

/**
 * Goes on with the experiment kept in `dir`, wherever it was stopped. On the same machine its results are,
 * times aside, those of an experiment that was never stopped. Rejects as runExperiment does; with
 * ERR_INVALID_ARGUMENT where `dir` holds no experiment, ERR_IN_USE where another process writes to it;
 * ERR_DATA_FORMAT, naming file and line,
 * where a file of it is damaged or of another experiment, or where the data are others.
 */
export async function resumeExperiment(
  dir: string,
  options: ResumeOptions = {},
  hooks: Omit<ExperimentHooks, 'out' | 'command'> = {},
): Promise<BenchResults> {
  checkExperimentHooks(hooks);
  return await follow(resumeEvents(dir, options, hooks), (event) => callHook(hooks, event));
}

/** The events of `resumeExperiment`, then its results. */
export async function* resumeEvents(
  dir: string,
  options: ResumeOptions = {},
  { signal }: Pick<ExperimentHooks, 'signal'> = {},
): ExperimentEvents {
  checkKeys('bench', options, ['jobs', 'threads', 'dataDir', 'csv']);
  checkSignal('bench', signal, 'before it began');
  const { folder, experiment, runs } = yield* onceDecided(() => ExperimentFolder.resume(dir), signal);
  for (const place of [dir, path.dirname(folder.checkpoint(''))]) removeLeftovers(place); // half-written files
  return yield* within(folder, async function* () {
    const asked = experimentConfig({ ...experiment.config, ...options });
    const dataset = dataAgain(asked, experiment, options.dataDir === undefined);
    checkSameData(experiment, dataset, dir);
    checkOrderOf(asked, dataset);
    experiment.dataset.source = placeOf(dataset);
    const plan = await planOf(absoluteChoice(asked), dataset);
    const now = environment(plan.config);
    const notes = [...experiment.notes];
    for (const key of ['version', 'cpu', 'isa'] as const) {
      const then = experiment.environment[key];
      if (then !== now[key])
        notes.push(`Begun with ${key} ${then}, resumed with ${now[key]}: bits may differ.`);
    }
    return yield* train({ ...experiment, config: plan.config, notes }, plan, dataset, runs, signal, folder);
  });
}

type ExperimentEvents = Events<ExperimentEvent, BenchResults>;

async function callHook(hooks: ExperimentHooks, event: ExperimentEvent): Promise<void> {
  switch (event.kind) {
    case 'epoch':
      await hooks.onEpoch?.(event.run, event.report);
      break;
    case 'note':
      hooks.onNote?.(event.note);
      break;
    case 'plan':
      hooks.onJobs?.(event.jobs);
      break;
    case 'wait':
      hooks.onWait?.(event.why);
      break;
  }
}

/** Runs the body, and releases the folder in the end; where that fails, the error has the results. */
function within(folder: ExperimentFolder | undefined, body: () => ExperimentEvents): ExperimentEvents {
  return closingAfter(body(), (results) => {
    try {
      folder?.close();
    } catch (cause) {
      const message = `[bench] the folder could not be handed back: ${(cause as Error).message}`;
      throw new SetNativeError('ERR_IO', message, { details: { results }, cause });
    }
  });
}

/** What an experiment consists of, and how many groups train at once. */
interface Plan {
  config: ExperimentConfig;
  groups: Group[];
  /** Whether the options left the number of jobs open. */
  choseJobs: boolean;
}

/** Plans an experiment. Throws ERR_OUT_OF_MEMORY where its networks do not fit the machine. */
async function planOf(asked: ExperimentConfig, dataset: Dataset): Promise<Plan> {
  const groups = groupsOf(asked);
  const sizes = await groupSizes(asked, groups, dataset);
  const config = { ...asked, jobs: asked.jobs || jobsFor(asked, sizes, dataset) };
  checkMemory(config, sizes);
  return { config, groups, choseJobs: asked.jobs === 0 };
}

/** Trains the groups that `found` does not have all runs of. */
async function* train(
  experiment: Experiment,
  { config, groups, choseJobs }: Plan,
  dataset: Dataset,
  found: BenchRun[],
  signal: AbortSignal | undefined,
  folder: ExperimentFolder | undefined,
): ExperimentEvents {
  const finished = new Map(found.map((run) => [trialKey(run), run]));
  /** Runs of groups under way. */
  const underWay = new Map<string, BenchRun>();
  const identity = folder && experimentSum(config, experiment.dataset.sha256 ?? datasetSum(dataset));
  const isFinished = (trial: Trial) => finished.has(trialKey(trial));

  /** Keeps what an event says; returns false for a note that is known already. */
  const record = (event: ExperimentEvent): boolean => {
    if (event.kind === 'note') {
      if (experiment.notes.includes(event.note)) return false;
      experiment.notes.push(event.note);
      folder?.writeExperiment(experiment);
    } else if (event.kind === 'start' || event.kind === 'epoch' || event.kind === 'failure') {
      underWay.set(trialKey(event.run), event.run);
    }
    if (event.kind === 'start') {
      const { samples, threads, backend } = event.facts;
      Object.assign(experiment.dataset, samples);
      Object.assign(experiment.environment, { threads, backend });
    }
    return true;
  };

  const trainGroup = async function* (group: Group, run: GroupRunner): Events<ExperimentEvent, void> {
    const place = folder && { file: folder.checkpoint(group.id), experiment: identity!, lock: folder.lock };
    const runs = yield* through(run(group, place), record);
    const added = runs.filter((each) => !isFinished(each));
    folder?.append(added);
    folder?.dropCheckpoint(group.id);
    for (const each of added) finished.set(trialKey(each), each);
    for (const each of runs) underWay.delete(trialKey(each));
    yield { kind: 'finished', runs: added };
  };

  const results = (): BenchResults => {
    const runs = groups.flatMap(({ trials }) =>
      trials.flatMap((trial) => {
        const run = finished.get(trialKey(trial)) ?? underWay.get(trialKey(trial));
        return run !== undefined && (run.epochs.length > 0 || run.failure !== undefined) ? [run] : [];
      }),
    );
    return { ...experiment, runs, summary: summarize(runs) };
  };

  const begin = async function* (): Events<ExperimentEvent, void> {
    if (dataset.note !== undefined) yield { kind: 'note', note: dataset.note };
    if (choseJobs && config.jobs > 1) {
      const note = `${config.jobs} groups at once, chosen by the size of the networks and of the GPU; the option jobs sets another number.`;
      yield { kind: 'note', note };
    }
    yield { kind: 'plan', groups, jobs: config.jobs, finished: found };
  };

  folder?.writeExperiment(experiment);
  yield* through(begin(), record);
  try {
    const waiting = groups.filter(({ trials }) => !trials.every(isFinished));
    if (folder !== undefined && found.length > 0) {
      const done = groups.filter(({ trials }) => trials.every(isFinished));
      for (const { id } of done) folder.dropCheckpoint(id); // a kill may have left it
    }
    yield* trainGroups(waiting, config, dataset, signal, trainGroup);
    experiment.complete = [...finished.values()].every((run) => run.failure === undefined);
    folder?.writeExperiment(experiment);
    return results();
  } catch (cause) {
    const error = fromNative(cause);
    const stopped = isAbortBy(signal, error);
    if (!(error instanceof SetNativeError)) {
      throw stopped ? aborted('bench', signal, 'in a callback', { results: results() }) : error;
    }
    const details = { ...error.details, results: results() };
    throw new SetNativeError(error.code, error.message, { details, cause: stopped ? error.cause : cause });
  }
}

/** The options, with the absolute path of the folder of the data. */
/**
 * Loads the data set of an experiment that goes on: from the folder of its options or, where that is not
 * there and the user named no other, from the place where the experiment found it.
 */
function dataAgain(asked: ExperimentConfig, { dataset: then }: Experiment, asThen: boolean): Dataset {
  try {
    return loadChoice(asked);
  } catch (error) {
    const isMissing = asked.csv === undefined && isSetNativeError(error, 'ERR_DATA_NOT_FOUND');
    if (!isMissing || !asThen || !path.isAbsolute(then.source)) throw error;
    return loadChoice({ ...asked, dataDir: then.source });
  }
}

/** Place where a data set was found. */
function placeOf({ source }: Dataset): string {
  return source === 'embedded' ? source : path.resolve(source);
}

/** SHA-256 of all that decides the bits of an experiment's results, but for the machine. */
function experimentSum(config: ExperimentConfig, data: string): string {
  return createHash('sha256')
    .update(JSON.stringify([decisiveOptions(config), data]))
    .digest('hex');
}

/** Trains all groups: one after the other in this thread, or `jobs` at once in workers. */
async function* trainGroups(
  groups: Group[],
  config: ExperimentConfig,
  dataset: Dataset,
  signal: AbortSignal | undefined,
  train: (group: Group, run: GroupRunner) => Events<ExperimentEvent, void>,
): Events<ExperimentEvent, void> {
  const count = Math.min(config.jobs, groups.length);
  if (count <= 1) {
    const here: GroupRunner = (group, place) => runResumable(config, group, dataset, { place, signal });
    for (const group of groups) yield* train(group, here);
    return;
  }
  const onGpu = isGpu(chooseBackend(config.backend));
  const threads = config.threads || (onGpu ? 1 : Math.max(1, Math.floor(native().availableCpus() / count)));
  yield* runJobs(count, { ...config, threads }, groups, dataset, signal, train);
}

function checkExperimentHooks(hooks: ExperimentHooks): void {
  checkKeys('bench', hooks, ['onEpoch', 'onNote', 'onJobs', 'onWait', 'signal', 'out', 'command']);
  const { onEpoch, onNote, onJobs, onWait, signal } = hooks;
  checkHooks('bench', { onEpoch, onNote, onJobs, onWait, signal });
}

/** A group of any seed, with the bytes of its networks. */
interface GroupSize {
  trials: Trial[];
  bytes: number;
}

/**
 * Sizes of the groups of one seed, the largest first. Yields to other work, because there may be very many.
 */
async function groupSizes(config: ExperimentConfig, groups: Group[], dataset: Dataset): Promise<GroupSize[]> {
  const sizes: GroupSize[] = [];
  let since = performance.now();
  for (const { trials } of groups.filter(({ seed }) => seed === config.seed)) {
    sizes.push({
      trials,
      bytes: trials.reduce((sum, trial) => sum + expectedBytes(config, trial, dataset), 0),
    });
    if (performance.now() - since < 20) continue;
    await turn();
    since = performance.now();
  }
  return sizes.sort((a, b) => b.bytes - a.bytes);
}

function expectedBytes(config: ExperimentConfig, trial: Trial, dataset: Dataset): number {
  try {
    return native().modelBytes(networkOf(config, trial, dataset));
  } catch (error) {
    throw namedArm(fromNative(error), trial);
  }
}

/** The `count` largest groups of all seeds, which may train at once. */
function largestOf(sizes: GroupSize[], { runs }: ExperimentConfig, count: number): GroupSize[] {
  return sizes
    .slice(0, count)
    .flatMap((size) => Array.from({ length: Math.min(runs, count) }, () => size))
    .slice(0, count);
}

/** Number of groups that train at once, where the options leave it open. */
function jobsFor(config: ExperimentConfig, sizes: GroupSize[], dataset: Dataset): number {
  const backend = chooseBackend(config.backend);
  const gpu = info().backends.find(({ name }) => name === backend)?.capacity;
  if (!gpu) return 1;
  const cores = native().availableCpus();
  const samples = 4 * dataset.train.count * dataset.features; // at most; each network has its own on the device
  const bytes = largestOf(sizes, config, cores).map(
    ({ trials, bytes: networks }) => networks + samples * trials.length,
  );
  return gpuJobs([dataset.features, ...config.hidden, dataset.classes], bytes, gpu, cores);
}

/**
 * Throws unless the networks that are alive at once, those of as many groups as there are jobs, fit the
 * memory.
 */
function checkMemory(config: ExperimentConfig, sizes: GroupSize[]): void {
  const constrained = process.constrainedMemory(); // of the container; 0 or absurdly large where there is no limit
  const available = Math.min(os.totalmem(), constrained > 0 ? constrained : Infinity);
  const alive = largestOf(sizes, config, config.jobs);
  const bytes = alive.reduce((sum, size) => sum + size.bytes, 0);
  if (bytes <= available) return;
  const trials = alive.flatMap((size) => size.trials);
  const gigabytes = (amount: number) => `${(amount / 1e9).toFixed(1)} GB`;
  throw new SetNativeError(
    'ERR_OUT_OF_MEMORY',
    `[bench] ${trials.length} networks (${trials.map((trial) => armName(trial)).join(', ')}) train side by ` +
      `side and need about ${gigabytes(bytes)}, this machine has ${gigabytes(available)}; ` +
      'use fewer methods, motif sizes or jobs at once, or smaller layers',
    { details: { bytes, available } },
  );
}

function checkSameData({ dataset: then, config }: Experiment, now: Dataset, dir: string): void {
  const advice = sameFiles(config);
  const sameSizes =
    then.features === now.features && then.classes === now.classes && then.available === now.train.count;
  if (!sameSizes) {
    throw new SetNativeError(
      'ERR_SHAPE',
      `[bench] the experiment in ${dir} began with ${then.available} samples of ${then.features} features of ${then.name}, ` +
        `but ${now.source} has ${now.train.count} of ${now.features}; ${advice}`,
      { details: { then, source: now.source } },
    );
  }
  if (then.sha256 === undefined) return; // of an earlier version
  const sum = datasetSum(now);
  if (sum === then.sha256) return;
  const short = (text: string) => text.slice(0, 12);
  throw new SetNativeError(
    'ERR_DATA_FORMAT',
    `[bench] the experiment in ${dir} began with the data in ${then.source} (SHA-256 ${short(then.sha256)}), but ` +
      `${placeOf(now)} has others (${short(sum)}); ${advice}`,
    { details: { then, source: now.source, sha256: sum } },
  );
}

function environment(config: ExperimentConfig): Experiment['environment'] {
  const { version, node, platform, cpu, isa, threads } = info();
  return {
    version,
    node,
    platform,
    cpu,
    cores: native().availableCpus(),
    isa: isa.used,
    threads,
    backend: config.backend,
    date: new Date().toISOString(),
  };
}

function newExperiment(config: ExperimentConfig, dataset: Dataset, command: string): Experiment {
  const [height, width, channels = 1] = dataset.imageShape ?? [];
  return {
    schemaVersion,
    command,
    complete: false,
    environment: environment(config),
    config,
    dataset: {
      name: dataset.name,
      source: placeOf(dataset),
      features: dataset.features,
      classes: dataset.classes,
      available: dataset.train.count,
      train: 0,
      validation: 0,
      test: 0,
      ...(width !== undefined && channels === 1 && { image: { width, height: height! } }),
      sha256: datasetSum(dataset),
    },
    notes: [],
  };
}
