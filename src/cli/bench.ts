import path from 'node:path';
import { Command, Option } from 'commander';
import { wholeNumber } from '../checks.js';
import { datasetNames, listDatasets } from '../datasets/registry.js';
import { isSetNativeError, SetNativeError } from '../errors.js';
import { type Events, follow } from '../events.js';
import {
  defaultSamples,
  defaultsOf,
  type ExperimentConfig,
  experimentDefaults,
  motifSizes,
} from '../experiment/config.js';
import type { ExperimentEvent } from '../experiment/events.js';
import { experimentEvents, resumeEvents } from '../experiment/experiment.js';
import { resultsJson } from '../experiment/json.js';
import { presets } from '../experiment/presets.js';
import { requireExperiment } from '../experiment/read.js';
import type { BenchResults } from '../experiment/results.js';
import { checkWritable } from '../files/output.js';
import { refuseForeign } from '../files/own.js';
import { writeReport } from '../report/index.js';
import { takesEscapeCodes } from '../report/terminal/escapeCodes.js';
import { renderTable } from '../report/terminal/experiment.js';
import { createJsonProgress, createProgress, type Progress } from '../report/terminal/progress.js';
import { optimizerDefaults, ranges } from '../training/options.js';
import {
  activations,
  backendChoices,
  benchMethods,
  benchRateSchedules,
  inits,
  optimizers,
  readings,
  regrowInits,
  scalings,
  sparseTopologies,
} from '../vocabulary.js';
import { presetCommand, resumeCommand } from './commandLines.js';
import { kernelsCommand } from './kernels.js';
import { besideResume, filePath, listOf, numberIn, oneOf, progressOption, typed } from './options.js';
import { checkApart, tableStream, writeAndShow } from './outputs.js';
import { rateScheduleOption, scheduleOptions } from './scheduleOptions.js';
import { shellCommand } from './shell.js';
import { interruptible } from './signals.js';
import { inputOrder, tableOf, tableOptions } from './tableOptions.js';

type BenchOptions = Omit<ExperimentConfig, 'dataset' | 'readings'> & {
  dataset?: string;
  reading: ExperimentConfig['readings'];
  preset?: string;
  resume?: string;
  json?: string;
  out?: string;
  progress: 'auto' | 'json';
};

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
  const samplesDefault = (part: 'train' | 'test') =>
    `(default: ${defaultSamples[part]}, or all of a smaller data set)`;
  const table = tableOptions();
  const schedule = scheduleOptions();
  return new Command('bench')
    .description('train SET, SET-motif, static and dense networks side by side and compare them')
    .addOption(
      option('--preset <name>', presets.map(({ name, text }) => `${name} (${text})`).join('; '), preset),
    )
    .addOption(
      option(
        '--dataset <name>',
        'see `set-native data list` (default: fashion-mnist if found)',
        oneOf(datasetNames),
      ),
    )
    .addOption(option('--data-dir <dir>', 'where data sets are (also: SET_NATIVE_DATA)', filePath))
    .addOption(table.csv)
    .addOption(table.label)
    .addOption(table.columns)
    .addOption(table.missing)
    .addOption(table.delimiter)
    .addOption(
      option(
        '--reading <list>',
        `how the thesis is read: ${readings.join(', ')}; all: the first three`,
        readingList,
        'readings',
      ),
    )
    .addOption(
      option('--methods <list>', `of ${benchMethods.join(', ')}`, listOf(oneOf(benchMethods)), 'methods'),
    )
    .addOption(
      option(
        '--epsilon <list>',
        'density: link probability ε (n + m) / (n m)',
        listOf(numberIn(ranges.epsilon)),
        'epsilon',
      ),
    )
    .addOption(
      option('--runs <n>', 'runs of each, with seeds seed, seed + 1 ...', numberIn(ranges.runs), 'runs'),
    )
    .addOption(option('--epochs <n>', 'epochs per run', numberIn(ranges.epochs), 'epochs'))
    .addOption(
      option('--train <n>', `training samples, drawn by seed, or all ${samplesDefault('train')}`, samplesIn),
    )
    .addOption(
      option(
        '--validation <n>',
        `of the rest, to choose an epoch by (default: ${defaultSamples.validation} where they are left over, else 0)`,
        numberIn(wholeNumber(0, 2 ** 31 - 1)),
      ),
    )
    .addOption(
      option('--test <n>', `test samples, drawn by seed, or all ${samplesDefault('test')}`, samplesIn),
    )
    .addOption(
      option(
        '--hidden <list>',
        'hidden layer sizes',
        listOf(numberIn(ranges.layerSize), { repeats: true }),
        'hidden',
      ),
    )
    .addOption(option('--batch-size <n>', 'samples per step', numberIn(ranges.batchSize), 'batchSize'))
    .addOption(
      option(
        '--optimizer <name>',
        `${optimizers.join(', ')} (default: sgd; adamw: learning rate ${optimizerDefaults.adamw.learningRate}, weight decay ${optimizerDefaults.adamw.weightDecay})`,
        oneOf(optimizers),
      ),
    )
    .addOption(option('--learning-rate <x>', 'step size', numberIn(ranges.learningRate), 'learningRate'))
    .addOption(rateScheduleOption('--rate-schedule <name>', benchRateSchedules))
    .addOption(schedule.rateEnd)
    .addOption(schedule.warmup)
    .addOption(
      option('--momentum <x>', 'of the gradient; with adamw beta1', numberIn(ranges.momentum), 'momentum'),
    )
    .addOption(
      option(
        '--weight-decay <x>',
        'per step, not scaled by the learning rate; with adamw scaled',
        numberIn(ranges.weightDecay),
        'weightDecay',
      ),
    )
    .addOption(schedule.weightDecayMode)
    .addOption(schedule.dropout)
    .addOption(
      option('--zeta <x>', 'fraction of links replaced by an evolution', numberIn(ranges.zeta), 'zeta'),
    )
    .addOption(schedule.zetaSchedule)
    .addOption(schedule.evolveEvery)
    .addOption(schedule.evolveUntil)
    .addOption(
      option(
        '--average <x>',
        'share of the epochs after which the network is averaged; the mean is evaluated beside the last one',
        numberIn(ranges.average),
      ),
    )
    .addOption(
      option(
        '--scaling <name>',
        `of the features: ${scalings.join(', ')}; own: the data set's`,
        oneOf(scalings),
        'scaling',
      ),
    )
    .addOption(
      option(
        '--input-order <order>',
        'of the inputs: given, tiles, tiles:4, which makes motifs patches of images',
        inputOrder,
        'inputOrder',
      ),
    )
    .addOption(
      option(
        '--activation <name>',
        `of the hidden layers: ${activations.join(', ')}`,
        oneOf(activations),
        'activation',
      ),
    )
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
    .addOption(
      option(
        '--threads <n>',
        'of each training; 0: all CPUs it may use, shared out among the jobs',
        numberIn(ranges.threads),
        'threads',
      ),
    )
    .addOption(
      option(
        '--jobs <n>',
        'groups of trainings at once; 0: with cuda what fills the GPU, else one',
        numberIn(wholeNumber(0, 1024)),
        'jobs',
      ),
    )
    .addOption(option('--backend <name>', backendChoices.join(', '), oneOf(backendChoices), 'backend'))
    .addOption(
      option(
        '--json <file>',
        'write the results as JSON; -: to standard output, the table to standard error',
        filePath,
      ),
    )
    .addOption(
      option(
        '--out <dir>',
        'keep the experiment there while it runs, and its report: tables, figures, report.html',
        filePath,
      ),
    )
    .addOption(progressOption())
    .addOption(option('--resume <dir>', 'go on with the experiment of an --out that was stopped', filePath))
    .addHelpText(
      'after',
      `
Ctrl-C stops within a batch, keeps what was done and exits with 130; so do SIGTERM (143), SIGHUP (129), which nohup holds off,
and SIGQUIT (131). A second one quits at once. With --out, --resume goes on from there. A training that
diverges leaves the others alone; the exit code is then 1.

Examples:
  $ set-native bench
  $ set-native bench --methods set,set-motif,static --epsilon 1,5,13 --epochs 20 --runs 5 --out results
  $ set-native bench --methods set,set-motif,static --motif-size 1,2,4,8,16 --runs 5 --epochs 40
  $ set-native bench --rate-schedule cosine --warmup 1 --zeta-schedule cosine --evolve-every 500steps --evolve-until 0.75
  $ set-native bench --methods static,set,set-walk,set-gradient,rigl --average 0.75 --evolve-until 0.75
  $ set-native bench --preset thesis-fmnist --out thesis      # hours; Ctrl-C, then --resume thesis
  $ set-native bench --dataset fashion-mnist --data-dir ~/data --init he-dense --epsilon 13 --json thesis.json`,
    )
    .action(bench)
    .enablePositionalOptions() // options behind `kernels` are options of it, --json too
    .addCommand(kernelsCommand());
}

async function bench(options: BenchOptions, command: Command): Promise<void> {
  const { json, resume } = options;
  if (json !== undefined) checkWritable('bench', 'json', json);
  checkApart({ ...filesOf(options.out ?? resume), '--json': json });
  const stream = tableStream(json);
  const out = options.resume ?? options.out;
  const begin = resume === undefined ? fresh(options, command) : resumed(resume, options, command);
  const progress =
    options.progress === 'json' ? createJsonProgress(process.stderr) : createProgress(process.stderr);
  let results: BenchResults;
  try {
    results = await interruptible(progress, (signal) =>
      follow(begin(signal), (event) => show(progress, event)),
    );
  } catch (error) {
    const partial = partialResults(error);
    if (partial && (partial.runs.length > 0 || isSetNativeError(error, 'ERR_ABORTED'))) {
      const failure = showResults(partial, json, stream);
      if (failure !== undefined) process.stderr.write(`${failure.message}\n`); // in addition to the error that stopped it
    }
    if (partial && out !== undefined) process.stderr.write(`Go on with: ${resumeCommand('bench', out)}\n`);
    throw asShapeOfFlag(error);
  }
  // Results, which took hours, come before the report, which can be made again from them.
  const problems = [
    showResults(results, json, stream),
    out === undefined ? undefined : await report(out, results),
    failureOf(results),
  ].filter((problem) => problem !== undefined);
  if (problems.length === 0) return;
  const code = problems[0] instanceof SetNativeError ? problems[0].code : 'ERR_INTERNAL';
  throw new SetNativeError(code, problems.map(({ message }) => message).join('\n'), { cause: problems[0] });
}

/** The error, in words of the flag where tiles lack the shape of an image. */
function asShapeOfFlag(error: unknown): unknown {
  const lacksShape =
    isSetNativeError(error, 'ERR_INVALID_ARGUMENT') && error.details.option === 'inputOrder.shape';
  if (!lacksShape) return error;
  return new SetNativeError(
    'ERR_USAGE',
    '[bench] --input-order takes the shape of an image, which the data set does not have; give it with the size of ' +
      'tiles, as tiles:2:28x28 or, of three channels, tiles:2:32x32x3',
    { details: { flag: '--input-order' }, cause: error },
  );
}

/** Results that an experiment had when the error stopped it. */
function partialResults(error: unknown): BenchResults | undefined {
  const results = error instanceof SetNativeError ? error.details.results : undefined;
  return results && 'command' in results ? results : undefined;
}

/** Failure of the first training that failed, and the number of the others. */
function failureOf({ runs }: BenchResults): SetNativeError | undefined {
  const [first, ...others] = runs.flatMap(({ failure }) => failure ?? []);
  if (first === undefined) return undefined;
  const more = others.length > 0 ? ` (and ${others.length} more, see the notes)` : '';
  return new SetNativeError(first.code, `${first.message}${more}`);
}

/** Files in the folder of an experiment, by their name in messages. */
function filesOf(dir: string | undefined): Record<string, string> {
  if (dir === undefined) return {};
  const names = ['experiment.json', 'results.jsonl', 'lock', 'summary.json', 'summary.csv', 'report.html'];
  return Object.fromEntries(names.map((name) => [`${name} of ${dir}`, path.join(dir, name)]));
}

/** Begins an experiment, which the signal can stop. */
type Begin = (signal: AbortSignal) => Events<ExperimentEvent, BenchResults>;

function fresh(
  { json, out, resume, preset: chosen, reading, progress: _progress, ...options }: BenchOptions,
  command: Command,
): Begin {
  const preset = presets.find(({ name }) => name === chosen);
  const given = { ...options, readings: reading };
  const nameOf = (key: string) => (key === 'readings' ? 'reading' : key);
  const asked = typed(given, command, nameOf);
  const table = tableOf('bench', options);
  const ofPreset = table.csv === undefined ? preset?.options : withoutDataset(preset?.options);
  const config = { ...given, ...defaultsOf(options.optimizer), ...ofPreset, ...asked };
  const named = table.csv === undefined ? undefined : path.basename(table.csv);
  const dataset = named ?? config.dataset ?? defaultDataset(options.dataDir);
  if (preset !== undefined) process.stderr.write(`${preset.name}: ${presetCommand(preset)}\n`);
  const line = shellCommand(['set-native', ...process.argv.slice(2)]);
  const place = out === undefined ? {} : { out };
  return (signal) => experimentEvents({ ...config, dataset }, { signal, command: line, ...place }, asked);
}

function resumed(dir: string, options: BenchOptions, command: Command): Begin {
  const changes = besideResume(
    'bench',
    dir,
    options,
    command,
    ['jobs', 'threads', 'dataDir', 'csv'],
    ['json', 'progress'],
  );
  requireExperiment(dir);
  refuseForeign('dir', dir, ['report.html', 'summary.json', 'summary.csv']);
  return (signal) => resumeEvents(dir, changes, { signal });
}

function show(progress: Progress, event: ExperimentEvent): void {
  switch (event.kind) {
    case 'plan':
      progress.plan(event);
      break;
    case 'start':
      progress.start(event.run, event.facts.samples.train);
      break;
    case 'epoch':
      progress.epoch(event.run, event.report);
      break;
    case 'note':
      progress.log(`Note: ${event.note}`);
      break;
    case 'wait':
      progress.log(event.why);
      break;
  }
}

/** Options of a preset, but for the data. */
function withoutDataset({ dataset: _dataset, ...options }: Partial<ExperimentConfig> = {}) {
  return options;
}

const wholeSample = numberIn(ranges.samples);
const samplesIn = (text: string) => (text === 'all' ? text : wholeSample(text));
const preset = oneOf(presets.map(({ name }) => name));

function readingList(text: string): ExperimentConfig['readings'] {
  return text === 'all' ? ['published', 'described', 'improved'] : listOf(oneOf(readings))(text);
}

function defaultDataset(dataDir: string | undefined): string {
  // A named folder must hold it: a typing error must not start another experiment.
  const named = dataDir !== undefined || Boolean(process.env.SET_NATIVE_DATA);
  if (named || listDatasets().find(({ name }) => name === 'fashion-mnist')?.found) return 'fashion-mnist';
  process.stderr.write(
    'Fashion-MNIST was not found, using the embedded procedural data set. ' +
      'For the real one, point --data-dir or SET_NATIVE_DATA at its four .gz files ' +
      '(github.com/zalandoresearch/fashion-mnist).\n',
  );
  return 'procedural';
}

function showResults(
  results: BenchResults,
  json: string | undefined,
  stream: NodeJS.WriteStream,
): Error | undefined {
  const terminal = { color: takesEscapeCodes(stream), columns: stream.columns || Infinity }; // 0 or undefined: unknown
  return writeAndShow({ table: renderTable(results, terminal), stream }, json, resultsJson(results));
}

/** Writes the report; resolves to the reason where it could not. The results are shown already. */
async function report(
  dir: string,
  { runs, summary, ...experiment }: BenchResults,
): Promise<Error | undefined> {
  try {
    const missing = await writeReport(dir, [{ dir, experiment, runs }]);
    if (missing !== undefined) process.stderr.write(`${missing}\n`);
    process.stderr.write(`Report: ${path.join(dir, 'report.html')}\n`);
    return undefined;
  } catch (cause) {
    const why = `[report] the report of ${dir} could not be written: ${(cause as Error).message}`;
    return new SetNativeError(
      'ERR_IO',
      `${why}; the results are safe: mend that, then \`set-native report ${dir}\``,
      {
        cause,
      },
    );
  }
}
