import os from 'node:os';
import { loadDataset } from '../datasets/registry.js';
import { prepare } from '../datasets/transform.js';
import type { Dataset } from '../datasets/types.js';
import { SetNativeError } from '../errors.js';
import { info } from '../info.js';
import { fromNative, type NativeModel, native, type TopologyName } from '../native.js';
import { upload } from '../training/model.js';
import { modelSpec, trainingPlan } from '../training/options.js';
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

interface Contender {
  model: NativeModel;
  training: TrainingRun;
  run: BenchRun;
}

/**
 * Trains every method at every epsilon, `runs` times, so that they can be compared.
 *
 * Paired: within one seed all methods see the same samples in the same orders and start, where their topologies
 * allow, from the same network. Interleaved: methods take turns epoch by epoch, each time starting with another,
 * so that a machine that slows down slows all of them. `dense` does not depend on epsilon and runs once per seed.
 *
 * Rejects with ERR_ABORTED when the signal fires, and with the error of the training that failed; either way
 * `details.results` holds what was completed, summary included.
 */
export async function runExperiment(
  given: Partial<ExperimentConfig> & Pick<ExperimentConfig, 'dataset'>,
  hooks: ExperimentHooks = {},
): Promise<BenchResults> {
  const config = experimentConfig(given);
  const dataset = loadDataset(config.dataset, { dataDir: config.dataDir });
  const results = emptyResults(config, dataset);
  const note = (text: string) => {
    if (results.notes.includes(text)) return;
    results.notes.push(text);
    hooks.onNote?.(text);
  };
  if (dataset.note !== undefined) note(`${dataset.name}: ${dataset.note}`);
  try {
    for (let run = 0; run < config.runs; run++) {
      await runSeed(config, config.seed + run, dataset, results, { ...hooks, onNote: note });
    }
    results.complete = true;
    return results;
  } catch (cause) {
    const error = fromNative(cause);
    if (!(error instanceof SetNativeError)) throw error;
    throw new SetNativeError(error.code, error.message, { details: { ...error.details, results }, cause });
  } finally {
    results.runs = results.runs.filter((run) => run.epochs.length > 0);
    results.summary = summarize(results.runs);
  }
}

/** What runs once per seed. */
export function pairings(config: ExperimentConfig): { method: BenchMethod; epsilon: number | null }[] {
  const sparse = config.methods.filter((method) => method !== 'dense');
  const cells = config.epsilon.flatMap((epsilon) => sparse.map((method) => ({ method, epsilon })));
  return config.methods.includes('dense') ? [...cells, { method: 'dense', epsilon: null }] : cells;
}

async function runSeed(
  config: ExperimentConfig,
  seed: number,
  dataset: Dataset,
  results: BenchResults,
  hooks: ExperimentHooks & { onNote: (note: string) => void },
): Promise<void> {
  const { train, test } = subsets(config, seed, dataset);
  results.dataset.train = train.count;
  results.dataset.test = test.count;
  const samples = { train: upload(train), validation: upload(test) };
  const contenders: Contender[] = [];
  try {
    for (const { method, epsilon } of pairings(config)) {
      const layers = [train.features, ...config.hidden, dataset.classes];
      const contender = await enter(config, { method, epsilon, seed, layers, samples }, hooks);
      contenders.push(contender);
      results.runs.push(contender.run);
      results.environment.threads = contender.model.threads;
      results.environment.backend = contender.model.backend;
    }
    for (let epoch = 0; epoch < config.epochs; epoch++) {
      for (let turn = 0; turn < contenders.length; turn++) {
        const { training, run } = contenders[(epoch + turn) % contenders.length]!;
        const report = await training.next().catch((error) => {
          throw named(error, run);
        });
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

async function enter(
  config: ExperimentConfig,
  {
    method,
    epsilon,
    seed,
    layers,
    samples,
  }: Pick<BenchRun, 'method' | 'epsilon' | 'seed'> & {
    layers: number[];
    samples: ConstructorParameters<typeof TrainingRun>[2];
  },
  { signal, onNote }: ExperimentHooks & { onNote: (note: string) => void },
): Promise<Contender> {
  const { motifSize, init, threads, backend, zeta, regrowInit } = config;
  const topology = topologyOf(method, config.topology);
  const spec = modelSpec('bench', {
    layers,
    topology,
    motifSize,
    init,
    seed,
    threads,
    backend,
    ...(epsilon !== null && { epsilon }),
  });
  const evolution = { method: method === 'dense' ? ('static' as const) : method, zeta, regrowInit };
  const { epochs, batchSize, learningRate, momentum, weightDecay } = config;
  const plan = trainingPlan('bench', { epochs, batchSize, learningRate, momentum, weightDecay, evolution }, motifSize);
  if (signal?.aborted) throw new SetNativeError('ERR_ABORTED', '[bench] stopped by the signal');
  const model = await native().createModel(spec);
  const reach = await model.reachability();
  if (reach.outputs === 0) {
    onNote(
      `${topology} at epsilon ${epsilon}, seed ${seed}: no path leads from any input to any output, ` +
        'so nothing can be learned from the data.',
    );
  }
  const stats = await model.stats();
  const nnz = stats.reduce((sum, layer) => sum + layer.nnz, 0);
  const cells = stats.reduce((sum, layer) => sum + layer.inputs * layer.outputs, 0);
  const knowsMotifs = method === 'set-motif' || topology === 'motif' || topology === 'motif-printed';
  return {
    model,
    training: new TrainingRun(model, plan, samples, { signal }),
    run: {
      method,
      epsilon,
      seed,
      topology,
      motifSize: knowsMotifs ? motifSize : null,
      nnz,
      density: nnz / cells,
      epochs: [],
    },
  };
}

function topologyOf(method: BenchMethod, chosen: ExperimentConfig['topology']): TopologyName {
  if (method === 'dense') return 'dense';
  return chosen ?? (method === 'set-motif' ? 'motif' : 'erdos-renyi');
}

function named(error: unknown, { method, epsilon, seed }: BenchRun): unknown {
  if (!(error instanceof SetNativeError)) return error;
  const run = epsilon === null ? `${method}, seed ${seed}` : `${method} at epsilon ${epsilon}, seed ${seed}`;
  const details = { ...error.details, method, epsilon, seed };
  return new SetNativeError(error.code, `[bench] ${run}: ${error.message}`, { details, cause: error });
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
