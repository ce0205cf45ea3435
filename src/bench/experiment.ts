import os from 'node:os';
import { checkHooks, checkKeys } from '../checks.js';
import { loadDataset } from '../datasets/registry.js';
import { prepare } from '../datasets/transform.js';
import type { Dataset } from '../datasets/types.js';
import { SetNativeError } from '../errors.js';
import { info } from '../info.js';
import { fromNative, type NativeModel, type NativeModelSpec, native, type TopologyName } from '../native.js';
import { upload } from '../training/model.js';
import { modelSpec, type TrainingPlan, trainingPlan } from '../training/options.js';
import { type EpochReport, TrainingRun } from '../training/run.js';
import { type BenchMethod, defaultSamples, type ExperimentConfig, experimentConfig } from './config.js';
import { type BenchResults, type BenchRun, schemaVersion, summarize } from './results.js';

export interface ExperimentHooks {
  /** After every epoch of every run; `run.epochs` already holds the report. */
  onEpoch?: (run: BenchRun, report: EpochReport) => void | Promise<void>;
  /** As soon as something is known that must be read beside the numbers; `notes` of the results has it too. */
  onNote?: (note: string) => void;
  /** Stops within one batch. */
  signal?: AbortSignal;
}

/** What runs once per seed, as its results name it. */
type Pairing = Pick<BenchRun, 'method' | 'epsilon'>;

interface Contender {
  model: NativeModel;
  training: TrainingRun;
  run: BenchRun;
}

type Samples = ConstructorParameters<typeof TrainingRun>[2];
type CheckedHooks = ExperimentHooks & { onNote: (note: string) => void };

/**
 * Trains every method at every epsilon, `runs` times, so that they can be compared.
 *
 * Paired: within one seed all methods see the same samples in the same orders and start, where their topologies
 * allow, from the same network. Interleaved: methods take turns epoch by epoch, each time starting with another,
 * so that a machine that slows down slows all of them. `dense` does not depend on epsilon and runs once per seed.
 *
 * A training that diverges (ERR_NON_FINITE) leaves the experiment: its run gets `failure`, the notes say so, the others
 * go on, and `complete` stays false. Rejects with ERR_OUT_OF_MEMORY, before anything is built, when the networks of one
 * seed together need more than the machine has; with ERR_ABORTED when the signal fires; and with any other error of a
 * training. From the first network on `details.results` holds what was completed, summary included.
 */
export async function runExperiment(
  given: Partial<ExperimentConfig> & Pick<ExperimentConfig, 'dataset'>,
  hooks: ExperimentHooks = {},
): Promise<BenchResults> {
  const config = experimentConfig(given);
  checkKeys('bench', hooks, ['onEpoch', 'onNote', 'signal']);
  checkHooks('bench', { ...hooks });
  const dataset = loadDataset(config.dataset, { dataDir: config.dataDir });
  const results = emptyResults(config, dataset);
  const note = (text: string) => {
    if (results.notes.includes(text)) return;
    results.notes.push(text);
    hooks.onNote?.(text);
  };
  if (dataset.note !== undefined) note(dataset.note);
  checkMemory(config, dataset);
  try {
    for (let run = 0; run < config.runs; run++) {
      await runSeed(config, config.seed + run, dataset, results, { ...hooks, onNote: note });
    }
    results.complete = results.runs.every((run) => run.failure === undefined);
    return results;
  } catch (cause) {
    const error = fromNative(cause);
    if (!(error instanceof SetNativeError)) throw error;
    throw new SetNativeError(error.code, error.message, { details: { ...error.details, results }, cause });
  } finally {
    results.runs = results.runs.filter((run) => run.epochs.length > 0 || run.failure !== undefined);
    results.summary = summarize(results.runs);
  }
}

export function pairings(config: ExperimentConfig): Pairing[] {
  const sparse = config.methods.filter((method) => method !== 'dense');
  const cells = config.epsilon.flatMap((epsilon) => sparse.map((method) => ({ method, epsilon })));
  return config.methods.includes('dense') ? [...cells, { method: 'dense', epsilon: null }] : cells;
}

/** All networks of a seed are alive at once; the addon refuses a single one that does not fit. */
function checkMemory(config: ExperimentConfig, dataset: Dataset): void {
  const constrained = process.constrainedMemory(); // of the container; 0 or absurdly large where there is no limit
  const available = Math.min(os.totalmem(), constrained > 0 ? constrained : Infinity);
  const all = pairings(config);
  const bytes = all.reduce((sum, pairing) => sum + expectedBytes(config, pairing, dataset), 0);
  if (bytes <= available) return;
  const gigabytes = (amount: number) => `${(amount / 1e9).toFixed(1)} GB`;
  throw new SetNativeError(
    'ERR_OUT_OF_MEMORY',
    `[bench] the ${all.length} networks of a seed (${all.map((pairing) => title(pairing)).join(', ')}) train side by ` +
      `side and need about ${gigabytes(bytes)}, this machine has ${gigabytes(available)}; ` +
      'use fewer methods or epsilons at once, or smaller layers',
    { details: { bytes, available } },
  );
}

function expectedBytes(config: ExperimentConfig, pairing: Pairing, dataset: Dataset): number {
  try {
    return native().modelBytes(specOf(config, { ...pairing, seed: config.seed }, dataset));
  } catch (error) {
    throw named(fromNative(error), pairing);
  }
}

async function runSeed(
  config: ExperimentConfig,
  seed: number,
  dataset: Dataset,
  results: BenchResults,
  hooks: CheckedHooks,
): Promise<void> {
  const { train, test } = subsets(config, seed, dataset);
  results.dataset.train = train.count;
  results.dataset.test = test.count;
  const samples = { train: upload(train), validation: upload(test) };
  const contenders: Contender[] = [];
  try {
    for (const pairing of pairings(config)) {
      const contender = await enter(config, { ...pairing, seed }, dataset, samples, hooks);
      contenders.push(contender);
      results.runs.push(contender.run);
      results.environment.threads = contender.model.threads;
      results.environment.backend = contender.model.backend;
    }
    for (let epoch = 0; epoch < config.epochs; epoch++) {
      for (let turn = 0; turn < contenders.length; turn++) {
        const contender = contenders[(epoch + turn) % contenders.length]!;
        const { training, run } = contender;
        if (run.failure !== undefined) continue;
        const report = await training.next().catch((error) => fail(contender, named(error, run), hooks.onNote));
        if (report === undefined) continue;
        run.epochs.push(report);
        await hooks.onEpoch?.(run, report);
      }
    }
  } finally {
    for (const { model } of contenders) model.dispose();
    samples.train.dispose();
    samples.validation.dispose();
  }
}

function subsets(config: ExperimentConfig, seed: number, dataset: Dataset): ReturnType<typeof prepare> {
  const count = (part: 'train' | 'test') => {
    const fits = dataset.test !== undefined && dataset[part]!.count >= defaultSamples[part];
    return config[part] ?? (fits ? defaultSamples[part] : undefined);
  };
  try {
    return prepare(dataset, { train: count('train'), test: count('test'), seed });
  } catch (error) {
    if (!(error instanceof SetNativeError) || error.details.available === undefined) throw error;
    const details = { ...error.details, option: 'train, test' };
    throw new SetNativeError(error.code, `[bench] train or test: ${error.message}`, { details, cause: error });
  }
}

/** Records that a training diverged; any other error ends the experiment. */
function fail({ model, run }: Contender, error: unknown, onNote: CheckedHooks['onNote']): undefined {
  if (!(error instanceof SetNativeError) || error.code !== 'ERR_NON_FINITE') throw error;
  run.failure = { code: error.code, message: error.message };
  model.dispose();
  onNote(`${error.message}; this training ended, the others went on`);
}

type Entry = Pairing & { seed: number };

function specOf(config: ExperimentConfig, { method, epsilon, seed }: Entry, dataset: Dataset): NativeModelSpec {
  const { motifSize, init, threads, backend, hidden } = config;
  return modelSpec('bench', {
    layers: [dataset.features, ...hidden, dataset.classes],
    topology: topologyOf(method, config.topology),
    motifSize,
    init,
    seed,
    threads,
    backend,
    ...(epsilon !== null && { epsilon }),
  });
}

function planOf(config: ExperimentConfig, { method }: Entry): TrainingPlan {
  const { epochs, batchSize, learningRate, momentum, weightDecay, motifSize, zeta, regrowInit } = config;
  const evolution = { method: method === 'dense' ? ('static' as const) : method, zeta, regrowInit };
  return trainingPlan('bench', { epochs, batchSize, learningRate, momentum, weightDecay, evolution }, motifSize);
}

/** Draws a network and looks at it. */
async function enter(
  config: ExperimentConfig,
  entry: Entry,
  dataset: Dataset,
  samples: Samples,
  { signal, onNote }: CheckedHooks,
): Promise<Contender> {
  const spec = specOf(config, entry, dataset);
  const plan = planOf(config, entry);
  checkSignal(signal);
  const model = await native()
    .createModel(spec)
    .catch((error) => {
      throw named(fromNative(error), entry);
    });
  try {
    checkSignal(signal);
    const { topology } = spec;
    if (topology !== 'dense' && (await model.reachability()).outputs === 0) {
      onNote(
        `${topology} at epsilon ${entry.epsilon}, seed ${entry.seed}: no path leads from any input to any output, ` +
          'so nothing can be learned from the data.',
      );
    }
    const stats = await model.stats();
    const nnz = stats.reduce((sum, layer) => sum + layer.nnz, 0);
    const cells = stats.reduce((sum, layer) => sum + layer.inputs * layer.outputs, 0);
    const knowsMotifs = entry.method === 'set-motif' || topology === 'motif' || topology === 'motif-printed';
    const motifSize = knowsMotifs ? config.motifSize : null;
    return {
      model,
      training: new TrainingRun(model, plan, samples, { signal }),
      run: { ...entry, topology, motifSize, nnz, density: nnz / cells, epochs: [] },
    };
  } catch (error) {
    model.dispose();
    throw error;
  }
}

function checkSignal(signal: AbortSignal | undefined): void {
  if (signal?.aborted) {
    throw new SetNativeError('ERR_ABORTED', '[bench] stopped by the signal', { cause: signal.reason });
  }
}

function topologyOf(method: BenchMethod, chosen: ExperimentConfig['topology']): TopologyName {
  if (method === 'dense') return 'dense';
  return chosen ?? (method === 'set-motif' ? 'motif' : 'erdos-renyi');
}

function title({ method, epsilon, seed }: Pairing & { seed?: number }): string {
  const pairing = epsilon === null ? method : `${method} at epsilon ${epsilon}`;
  return seed === undefined ? pairing : `${pairing}, seed ${seed}`;
}

/** The error with the training it belongs to. */
function named(error: unknown, { method, epsilon, seed }: Pairing & { seed?: number }): unknown {
  if (!(error instanceof SetNativeError)) return error;
  const run = { method, epsilon, ...(seed !== undefined && { seed }) };
  const details = { ...error.details, ...run };
  return new SetNativeError(error.code, `[bench] ${title(run)}: ${error.message}`, { details, cause: error });
}

function emptyResults(config: ExperimentConfig, dataset: Dataset): BenchResults {
  const { version, node, platform, cpu, isa, threads } = info();
  return {
    schemaVersion,
    complete: false,
    environment: {
      version,
      node,
      platform,
      cpu,
      cores: os.availableParallelism(),
      isa: isa.used,
      threads,
      backend: config.backend,
      date: new Date().toISOString(),
    },
    config,
    dataset: {
      name: dataset.name,
      source: dataset.source,
      features: dataset.features,
      classes: dataset.classes,
      train: 0,
      test: 0,
    },
    notes: [],
    runs: [],
    summary: [],
  };
}
