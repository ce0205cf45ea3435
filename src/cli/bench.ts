import { existsSync, mkdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { Command, Option } from 'commander';
import pc from 'picocolors';
import {
  benchMethods,
  defaultSamples,
  type ExperimentConfig,
  experimentDefaults,
  sparseTopologies,
} from '../bench/config.js';
import { runExperiment } from '../bench/experiment.js';
import { createProgress } from '../bench/report/progress.js';
import { renderTable } from '../bench/report/table.js';
import type { BenchResults } from '../bench/results.js';
import { listDatasets } from '../datasets/registry.js';
import { SetNativeError } from '../errors.js';
import { backendChoices, inits, ranges, regrowInits } from '../training/options.js';
import { listOf, numberIn, oneOf } from './options.js';

type BenchOptions = Omit<ExperimentConfig, 'dataset'> & { dataset?: string; json?: string; out?: string };

export function benchCommand(): Command {
  const option = <T>(
    flags: string,
    text: string,
    parse: (value: string) => T,
    key?: keyof typeof experimentDefaults,
  ) => {
    const made = new Option(flags, text).argParser(parse);
    const value = key && experimentDefaults[key];
    return key ? made.default(value, Array.isArray(value) ? value.join(',') : String(value)) : made;
  };
  const text = (value: string) => value;
  const samplesDefault = (part: 'train' | 'test') => `(default: ${defaultSamples[part]}, or all of a smaller data set)`;
  const datasets = listDatasets().map(({ name }) => name);
  return new Command('bench')
    .description('train SET, SET-motif, static and dense networks side by side and compare them')
    .addOption(
      option('--dataset <name>', 'see `set-native data list` (default: fashion-mnist if found)', oneOf(datasets)),
    )
    .addOption(option('--data-dir <dir>', 'where data sets are (also: SET_NATIVE_DATA)', text))
    .addOption(option('--methods <list>', `of ${benchMethods.join(', ')}`, listOf(oneOf(benchMethods)), 'methods'))
    .addOption(
      option(
        '--epsilon <list>',
        'density: link probability ε (n + m) / (n m)',
        listOf(numberIn(ranges.epsilon)),
        'epsilon',
      ),
    )
    .addOption(option('--runs <n>', 'runs of each, with seeds seed, seed + 1 ...', numberIn(ranges.runs), 'runs'))
    .addOption(option('--epochs <n>', 'epochs per run', numberIn(ranges.epochs), 'epochs'))
    .addOption(
      option('--train <n>', `training samples, drawn by seed ${samplesDefault('train')}`, numberIn(ranges.samples)),
    )
    .addOption(option('--test <n>', `test samples, drawn by seed ${samplesDefault('test')}`, numberIn(ranges.samples)))
    .addOption(
      option('--hidden <list>', 'hidden layer sizes', listOf(numberIn(ranges.layerSize), { repeats: true }), 'hidden'),
    )
    .addOption(option('--batch-size <n>', 'samples per step', numberIn(ranges.batchSize), 'batchSize'))
    .addOption(option('--learning-rate <x>', 'step size', numberIn(ranges.learningRate), 'learningRate'))
    .addOption(option('--momentum <x>', 'of the gradient', numberIn(ranges.momentum), 'momentum'))
    .addOption(
      option(
        '--weight-decay <x>',
        'per step, not scaled by the learning rate',
        numberIn(ranges.weightDecay),
        'weightDecay',
      ),
    )
    .addOption(option('--zeta <x>', 'fraction of links replaced after an epoch', numberIn(ranges.zeta), 'zeta'))
    .addOption(option('--init <name>', `initial weights: ${inits.join(', ')}`, oneOf(inits), 'init'))
    .addOption(
      option(
        '--regrow-init <name>',
        `weights of new links: ${regrowInits.join(', ')}`,
        oneOf(regrowInits),
        'regrowInit',
      ),
    )
    .addOption(
      option(
        '--topology <name>',
        `of all sparse methods: ${sparseTopologies.join(', ')} (default: motif for set-motif, else erdos-renyi)`,
        oneOf(sparseTopologies),
      ),
    )
    .addOption(option('--motif-size <n>', 'sources per motif', numberIn(ranges.motifSize), 'motifSize'))
    .addOption(option('--seed <n>', 'seed of the first run', numberIn(ranges.seed), 'seed'))
    .addOption(option('--threads <n>', '0: all cores', numberIn(ranges.threads), 'threads'))
    .addOption(option('--backend <name>', backendChoices.join(', '), oneOf(backendChoices), 'backend'))
    .addOption(option('--json <file>', 'write the results as JSON', text))
    .addOption(option('--out <dir>', 'write results.json and table.txt there', text))
    .addHelpText(
      'after',
      `
Ctrl-C stops within a batch, keeps what was done and exits with 130.

Examples:
  $ set-native bench
  $ set-native bench --methods set,set-motif,static --epsilon 1,5,13 --epochs 20 --runs 5 --out results
  $ set-native bench --dataset fashion-mnist --data-dir ~/data --init he-dense --epsilon 13 --json thesis.json`,
    )
    .action(bench);
}

async function bench({ json, out, dataset, ...options }: BenchOptions): Promise<void> {
  const files = outputFiles(json, out);
  const config: ExperimentConfig = { ...options, dataset: dataset ?? defaultDataset(options.dataDir) };
  const controller = new AbortController();
  const interrupt = () => {
    if (controller.signal.aborted) process.exit(130); // asked twice: do not wait for the batch
    controller.abort();
  };
  process.on('SIGINT', interrupt);
  const progress = createProgress(config, process.stderr);
  try {
    const results = await runExperiment(config, {
      onEpoch: (run, report) => progress.epoch(run, report),
      onNote: (note) => progress.log(`Note: ${note}`),
      signal: controller.signal,
    });
    progress.stop();
    deliver(results, files);
  } catch (error) {
    progress.stop();
    const partial = error instanceof SetNativeError && (error.details.results as BenchResults | undefined);
    if (partial && partial.runs.length > 0) deliver(partial, files);
    throw error;
  } finally {
    process.off('SIGINT', interrupt);
  }
}

function defaultDataset(dataDir: string | undefined): string {
  if (listDatasets({ dataDir }).find(({ name }) => name === 'fashion-mnist')?.found) return 'fashion-mnist';
  process.stderr.write(
    'Fashion-MNIST was not found, using the embedded procedural data set. ' +
      'For the real one, point --data-dir or SET_NATIVE_DATA at its four .gz files (github.com/zalandoresearch/fashion-mnist).\n',
  );
  return 'procedural';
}

interface OutputFiles {
  json: string[];
  table: string[];
}

/** Where results go; found out before anything is trained, so that an hour of work is not lost to a typing error. */
function outputFiles(json: string | undefined, out: string | undefined): OutputFiles {
  const files: OutputFiles = { json: [], table: [] };
  if (json !== undefined) {
    checkWritable('--json', json);
    files.json.push(json);
  }
  if (out !== undefined) {
    try {
      mkdirSync(out, { recursive: true });
    } catch (cause) {
      throw notWritable('--out', out, cause);
    }
    files.json.push(path.join(out, 'results.json'));
    files.table.push(path.join(out, 'table.txt'));
    for (const file of [...files.json, ...files.table]) checkWritable('--out', file);
  }
  return files;
}

function checkWritable(option: string, file: string): void {
  try {
    const folder = path.dirname(path.resolve(file));
    if (!existsSync(folder)) throw new Error(`there is no folder ${folder}`);
    if (existsSync(file) && !statSync(file).isFile()) throw new Error('it is not a regular file');
    const probe = temporary(file);
    writeFileSync(probe, '');
    rmSync(probe);
  } catch (cause) {
    throw notWritable(option, file, cause);
  }
}

function notWritable(option: string, file: string, cause: unknown): SetNativeError {
  return new SetNativeError(
    'ERR_USAGE',
    `[bench] ${option} must name a place that can be written, got ${file}: ${(cause as Error).message}`,
    { details: { option, file }, cause },
  );
}

function deliver(results: BenchResults, files: OutputFiles): void {
  process.stdout.write(`${renderTable(results, { color: useColor() })}\n`);
  for (const file of files.json) writeAtomically(file, `${JSON.stringify(results, undefined, 2)}\n`);
  for (const file of files.table) writeAtomically(file, `${renderTable(results, { color: false })}\n`);
}

function useColor(): boolean {
  return process.stdout.isTTY === true && pc.isColorSupported; // which knows NO_COLOR
}

/** A reader never sees half a file. */
function writeAtomically(file: string, content: string): void {
  try {
    writeFileSync(temporary(file), content);
    renameSync(temporary(file), file);
  } catch (cause) {
    rmSync(temporary(file), { force: true });
    throw new SetNativeError('ERR_IO', `[bench] could not write ${file}: ${(cause as Error).message}`, { cause });
  }
}

function temporary(file: string): string {
  return `${file}.${process.pid}.tmp`;
}
