import { existsSync, mkdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { Command, Option } from 'commander';
import {
  benchMethods,
  defaultSamples,
  type ExperimentConfig,
  experimentDefaults,
  motifSizes,
  sparseTopologies,
} from '../bench/config.js';
import { runExperiment } from '../bench/experiment.js';
import { resultsJson } from '../bench/report/json.js';
import { createProgress } from '../bench/report/progress.js';
import { renderTable } from '../bench/report/table.js';
import type { BenchResults } from '../bench/results.js';
import { listDatasets } from '../datasets/registry.js';
import { SetNativeError } from '../errors.js';
import { backendChoices, inits, ranges, regrowInits } from '../training/options.js';
import { checkWritable, notWritable, writeAtomically } from './files.js';
import { kernelsCommand } from './kernels.js';
import { filePath, listOf, numberIn, oneOf } from './options.js';
import { interruptible, useColor } from './terminal.js';

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
  const samplesDefault = (part: 'train' | 'test') => `(default: ${defaultSamples[part]}, or all of a smaller data set)`;
  const datasets = listDatasets().map(({ name }) => name);
  return new Command('bench')
    .description('train SET, SET-motif, static and dense networks side by side and compare them')
    .addOption(
      option('--dataset <name>', 'see `set-native data list` (default: fashion-mnist if found)', oneOf(datasets)),
    )
    .addOption(option('--data-dir <dir>', 'where data sets are (also: SET_NATIVE_DATA)', filePath))
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
    .addOption(
      option(
        '--motif-size <list>',
        'sources per motif of set-motif; 1 is SET; with several, static runs beside each',
        listOf(numberIn(motifSizes)),
        'motifSize',
      ),
    )
    .addOption(option('--seed <n>', 'seed of the first run', numberIn(ranges.seed), 'seed'))
    .addOption(option('--threads <n>', '0: all cores', numberIn(ranges.threads), 'threads'))
    .addOption(option('--backend <name>', backendChoices.join(', '), oneOf(backendChoices), 'backend'))
    .addOption(option('--json <file>', 'write the results as JSON', filePath))
    .addOption(option('--out <dir>', 'write results.json and table.txt there', filePath))
    .addHelpText(
      'after',
      `
Ctrl-C stops within a batch, keeps what was done and exits with 130. A training that diverges leaves the others
alone; the exit code is then 1.

Examples:
  $ set-native bench
  $ set-native bench --methods set,set-motif,static --epsilon 1,5,13 --epochs 20 --runs 5 --out results
  $ set-native bench --methods set,set-motif,static --motif-size 1,2,4,8,16 --runs 5 --epochs 40
  $ set-native bench --dataset fashion-mnist --data-dir ~/data --init he-dense --epsilon 13 --json thesis.json`,
    )
    .action(bench)
    .enablePositionalOptions() // what follows `kernels` is for it, --json too
    .addCommand(kernelsCommand());
}

async function bench({ json, out, dataset, ...options }: BenchOptions): Promise<void> {
  const files = outputFiles(json, out);
  const config: ExperimentConfig = { ...options, dataset: dataset ?? defaultDataset(options.dataDir) };
  const progress = createProgress(config, process.stderr);
  let results: BenchResults;
  try {
    results = await interruptible(
      (text) => progress.log(text),
      (signal) =>
        runExperiment(config, {
          onEpoch: (run, report) => progress.epoch(run, report),
          onNote: (note) => progress.log(`Note: ${note}`),
          signal,
        }),
    );
  } catch (error) {
    progress.stop();
    const partial = error instanceof SetNativeError && (error.details.results as BenchResults | undefined);
    if (partial && (partial.runs.length > 0 || error.code === 'ERR_ABORTED')) deliver(partial, files);
    throw error;
  }
  progress.stop();
  deliver(results, files);
  const failures = results.runs.flatMap(({ failure }) => failure ?? []);
  if (failures.length > 0) {
    const others = failures.length > 1 ? ` (and ${failures.length - 1} more, see the notes)` : '';
    throw new SetNativeError(failures[0]!.code, `${failures[0]!.message}${others}`);
  }
}

function defaultDataset(dataDir: string | undefined): string {
  // A folder that was named must hold it: nobody wants another experiment because of a typing error.
  const named = dataDir !== undefined || Boolean(process.env.SET_NATIVE_DATA);
  if (named || listDatasets().find(({ name }) => name === 'fashion-mnist')?.found) return 'fashion-mnist';
  process.stderr.write(
    'Fashion-MNIST was not found, using the embedded procedural data set. ' +
      'For the real one, point --data-dir or SET_NATIVE_DATA at its four .gz files ' +
      '(github.com/zalandoresearch/fashion-mnist).\n',
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
      makeFolder(path.resolve(out));
    } catch (cause) {
      throw notWritable('--out', out, cause);
    }
    files.json.push(path.join(out, 'results.json'));
    files.table.push(path.join(out, 'table.txt'));
    for (const file of [...files.json, ...files.table]) checkWritable('--out', file);
  }
  return files;
}

/** Node's own recursion never ends where a folder exists and mkdir in it says that it does not, as in /proc. */
function makeFolder(folder: string): void {
  if (existsSync(folder)) {
    if (statSync(folder).isDirectory()) return;
    throw new Error(`${folder} is a file, not a folder`);
  }
  makeFolder(path.dirname(folder));
  mkdirSync(folder);
}

/** Writes every file and the table, even when one of them fails; then that failure is thrown. */
function deliver(results: BenchResults, files: OutputFiles): void {
  const failures: unknown[] = [];
  const attempt = (write: () => void) => {
    try {
      write();
    } catch (error) {
      failures.push(error);
    }
  };
  for (const file of files.json) attempt(() => writeAtomically(file, resultsJson(results)));
  for (const file of files.table) {
    attempt(() => writeAtomically(file, [`${renderTable(results, { color: false })}\n`]));
  }
  const terminal = { color: useColor(), columns: process.stdout.columns || Infinity }; // 0 or undefined: unknown
  process.stdout.write(`${renderTable(results, terminal)}\n`);
  if (failures.length > 0) throw failures[0];
}
