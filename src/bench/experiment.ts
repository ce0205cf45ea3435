import os from 'node:os';
import { checkHooks, checkKeys } from '../checks.js';
import { loadDataset } from '../datasets/registry.js';
import { prepare } from '../datasets/transform.js';
import type { Dataset } from '../datasets/types.js';
import { SetNativeError } from '../errors.js';
import { info } from '../info.js';
import { fromNative, type NativeModel, type NativeModelSpec, native, type TopologyName } from '../native.js';
import { upload } from '../training/model.js';
import { type MethodName, modelSpec, type TrainingPlan, trainingPlan } from '../training/options.js';
import { type EpochReport, TrainingRun } from '../training/run.js';
import { defaultSamples, type ExperimentConfig, experimentConfig } from './config.js';
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
type Pairing = Pick<BenchRun, 'method' | 'epsilon' | 'motifSize'>;

interface Contender {
  model: NativeModel;
  training: TrainingRun;
  run: BenchRun;
}

type Samples = ConstructorParameters<typeof TrainingRun>[2];
type CheckedHooks = ExperimentHooks & { onNote: (note: string) => void };

/**
 * Trains every method at every epsilon, SET-motif at every motif size too, `runs` times, so that they can be compared.
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

/** Nothing twice: SET-motif at motif size 1 is SET, also where SET is asked for by name. */
export function pairings(config: ExperimentConfig): Pairing[] {
  const cells = new Map<string, Pairing>();
  const add = (pairing: Pairing) => cells.set(JSON.stringify(pairing), pairing);
  for (const epsilon of config.epsilon) {
    for (const method of config.methods.filter((name) => name !== 'dense')) {
      for (const motifSize of motifSizesOf(method, config)) {
        add({ method: method === 'set-motif' && motifSize === 1 ? 'set' : method, epsilon, motifSize });
      }
    }
  }
  if (config.methods.includes('dense')) add({ method: 'dense', epsilon: null, motifSize: null });
  return [...cells.values()];
}

/** 1 where neither the topology nor the evolution of `method` knows motifs. */
function motifSizesOf(method: MethodName, { methods, motifSize, topology }: ExperimentConfig): number[] {
  if (method === 'set-motif' || topology === 'motif' || topology === 'motif-printed') return motifSize;
  if (method === 'set' || topology === 'erdos-renyi' || motifSize.length === 1) return [1];
  return methods.includes('set') ? [...new Set([1, ...motifSize])] : motifSize; // static, beside all the others
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
      'use fewer methods, epsilons or motif sizes at once, or smaller layers',
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

function specOf(config: ExperimentConfig, entry: Entry, dataset: Dataset): NativeModelSpec {
  const { epsilon, motifSize, seed } = entry;
  const { init, threads, backend, hidden } = config;
  return modelSpec('bench', {
    layers: [dataset.features, ...hidden, dataset.classes],
    topology: topologyOf(entry, config.topology),
    init,
    seed,
    threads,
    backend,
    ...(epsilon !== null && { epsilon }),
    ...(motifSize !== null && motifSize > 1 && { motifSize }),
  });
}

function planOf(config: ExperimentConfig, { method }: Entry, { motifSize }: NativeModelSpec): TrainingPlan {
  const { epochs, batchSize, learningRate, momentum, weightDecay, zeta, regrowInit } = config;
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
  const plan = planOf(config, entry, spec);
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
      const motifSize = topology === 'erdos-renyi' ? 1 : entry.motifSize; // its network knows none
      onNote(
        `${title({ ...entry, motifSize }, topology)}: no path leads from any input to any output, ` +
          'so nothing can be learned from the data.',
      );
    }
    const stats = await model.stats();
    const nnz = stats.reduce((sum, layer) => sum + layer.nnz, 0);
    const cells = stats.reduce((sum, layer) => sum + layer.inputs * layer.outputs, 0);
    return {
      model,
      training: new TrainingRun(model, plan, samples, { signal }),
      run: { ...entry, topology, nnz, density: nnz / cells, epochs: [] },
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

function topologyOf({ method, motifSize }: Pairing, chosen: ExperimentConfig['topology']): TopologyName {
  if (method === 'dense') return 'dense';
  return chosen ?? (motifSize === 1 ? 'erdos-renyi' : 'motif');
}

function title({ method, epsilon, motifSize, seed }: Pairing & { seed?: number }, name: string = method): string {
  const size = motifSize !== null && motifSize > 1 ? ` and motif size ${motifSize}` : '';
  const pairing = epsilon === null ? name : `${name} at epsilon ${epsilon}${size}`;
  return seed === undefined ? pairing : `${pairing}, seed ${seed}`;
}

/** The error with the training it belongs to. */
function named(error: unknown, { method, epsilon, motifSize, seed }: Pairing & { seed?: number }): unknown {
  if (!(error instanceof SetNativeError)) return error;
  const run = { method, epsilon, motifSize, ...(seed !== undefined && { seed }) };
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
