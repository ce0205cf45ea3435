import path from 'node:path';
import { Command, Option } from 'commander';
import { datasetNames } from '../datasets/registry.js';
import { isSetNativeError, SetNativeError } from '../errors.js';
import { type Events, follow } from '../events.js';
import { refuseForeign } from '../files/own.js';
import { figureFiles, loadRenderer } from '../report/figures/render.js';
import { figuresOf } from '../report/figures/selection.js';
import { takesEscapeCodes } from '../report/terminal/escapeCodes.js';
import { jsonDisplay, writeJsonLine } from '../report/terminal/jsonLines.js';
import { renderSelection } from '../report/terminal/selection.js';
import { type SelectionConfig, selectionDefaults, share as shareRange } from '../selection/config.js';
import type { SelectionResults } from '../selection/results.js';
import { resumeSelectionEvents, type SelectionEvent, selectionEvents } from '../selection/select.js';
import { ranges } from '../training/options.js';
import { methods } from '../vocabulary.js';
import { resumeCommand } from './commandLines.js';
import { besideResume, filePath, listOf, numberIn, oneOf, progressOption } from './options.js';
import { interruptible } from './signals.js';
import { tableOf, tableOptions } from './tableOptions.js';
import { type Display, plainDisplay } from './terminal.js';

type SelectOptions = Omit<SelectionConfig, 'dataset'> & {
  dataset?: string;
  out?: string;
  resume?: string;
  progress: 'auto' | 'json';
};

export function selectCommand(): Command {
  const option = <T>(
    flags: string,
    text: string,
    parse: (value: string) => T,
    key?: keyof typeof selectionDefaults,
  ) => {
    const made = new Option(flags, text).argParser(parse);
    return key ? made.default(selectionDefaults[key], String(selectionDefaults[key])) : made;
  };
  const table = tableOptions();
  return new Command('select')
    .description(
      'rank the features of a data set by the first layer of an evolved network, and train on the strongest alone',
    )
    .addOption(option('--dataset <name>', 'see `set-native data list`', oneOf(datasetNames)))
    .addOption(option('--data-dir <dir>', 'where data sets are (also: SET_NATIVE_DATA)', filePath))
    .addOption(table.csv)
    .addOption(table.label)
    .addOption(table.columns)
    .addOption(table.missing)
    .addOption(table.delimiter)
    .addOption(option('--keep <list>', 'percent of the features', listOf(numberIn(shareRange)), 'keep'))
    .addOption(option('--method <name>', methods.join(', '), oneOf(methods), 'method'))
    .addOption(
      option(
        '--epsilon <x>',
        'density: link probability ε (n + m) / (n m)',
        numberIn(ranges.epsilon),
        'epsilon',
      ),
    )
    .addOption(
      option(
        '--hidden <list>',
        'hidden layer sizes',
        listOf(numberIn(ranges.layerSize), { repeats: true }),
        'hidden',
      ),
    )
    .addOption(option('--epochs <n>', 'epochs of each network', numberIn(ranges.epochs), 'epochs'))
    .addOption(option('--batch-size <n>', 'samples per step', numberIn(ranges.batchSize), 'batchSize'))
    .addOption(option('--learning-rate <x>', 'step size', numberIn(ranges.learningRate), 'learningRate'))
    .addOption(option('--weight-decay <x>', 'per step', numberIn(ranges.weightDecay), 'weightDecay'))
    .addOption(
      option('--zeta <x>', 'fraction of links replaced after an epoch', numberIn(ranges.zeta), 'zeta'),
    )
    .addOption(option('--train <n>', 'training samples (default: all)', numberIn(ranges.samples)))
    .addOption(option('--test <n>', 'test samples (default: all)', numberIn(ranges.samples)))
    .addOption(option('--runs <n>', 'runs, with seeds seed, seed + 1 ...', numberIn(ranges.runs), 'runs'))
    .addOption(option('--seed <n>', 'seed of the first run', numberIn(ranges.seed), 'seed'))
    .addOption(option('--threads <n>', '0: all CPUs it may use', numberIn(ranges.threads), 'threads'))
    .addOption(option('--out <dir>', 'keep the selection there while it runs, and its figures', filePath))
    .addOption(progressOption())
    .addOption(option('--resume <dir>', 'go on with the selection of an --out that was stopped', filePath))
    .addHelpText(
      'after',
      `
Ctrl-C stops within a batch, shows what was done and exits with 130, as SIGTERM does with 143, SIGHUP with 129 and SIGQUIT with
131; with --out, --resume goes on from there.

Examples:
  $ set-native select --dataset madelon --keep 1,2,4,10,100 --runs 5
  $ set-native select --dataset fashion-mnist --train 5000 --test 1000 --out pixels     # Ctrl-C, then --resume pixels`,
    )
    .action(select);
}

async function select(options: SelectOptions, command: Command): Promise<void> {
  const display = options.progress === 'json' ? jsonDisplay(process.stderr) : plainDisplay;
  const show = showing(display, options.progress);
  const { log } = display;
  const out = options.resume ?? options.out;
  let results: SelectionResults;
  try {
    const begin = beginning(options, command);
    results = await interruptible(display, (signal) => follow(begin(signal), show));
  } catch (error) {
    const partial = partialResults(error);
    if (partial && (partial.runs.length > 0 || isSetNativeError(error, 'ERR_ABORTED'))) {
      await showResults(partial, out).catch(({ message }) => log(message)); // in addition to the error that stopped it
    }
    if (partial && out !== undefined) log(`Go on with: ${resumeCommand('select', out)}`);
    throw error;
  }
  await showResults(results, out);
}

/** Results that a selection had when the error stopped it. */
function partialResults(error: unknown): SelectionResults | undefined {
  const results = error instanceof SetNativeError ? error.details.results : undefined;
  return results && 'strength' in results ? results : undefined;
}

function beginning(
  { resume, progress: _progress, ...options }: SelectOptions,
  command: Command,
): (signal: AbortSignal) => Events<SelectionEvent, SelectionResults> {
  if (resume !== undefined) {
    const changes = besideResume(
      'select',
      resume,
      options,
      command,
      ['threads', 'dataDir', 'csv'],
      ['progress'],
    );
    return (signal) => resumeSelectionEvents(resume, changes, { signal });
  }
  const { out, dataset: known, ...config } = options;
  const { csv } = tableOf('select', options);
  const dataset = csv === undefined ? known : path.basename(csv);
  if (dataset === undefined) {
    throw new SetNativeError(
      'ERR_USAGE',
      '[select] --dataset must name a data set, `set-native data list` has them, or --csv a table',
      {
        details: { flag: '--dataset' },
      },
    );
  }
  return (signal) => selectionEvents({ ...config, dataset }, { signal, ...(out !== undefined && { out }) });
}

/** Shows events as lines, of text or JSON. */
function showing({ log }: Display, progress: 'auto' | 'json'): (event: SelectionEvent) => void {
  return (event) => {
    switch (event.kind) {
      case 'run': {
        const { seed, keep, features, accuracy, randomAccuracy } = event.run;
        if (progress === 'json') {
          const figures = { seed, keep, features: features.length, accuracy, randomAccuracy };
          writeJsonLine(process.stderr, { kind: 'run', ...figures });
          break;
        }
        log(
          `seed ${seed}  ${keep} % of the features  accuracy ${accuracy.toFixed(3)}  random ${randomAccuracy.toFixed(3)}`,
        );
        break;
      }
      case 'note':
        log(`Note: ${event.note}`);
        break;
      case 'wait':
        log(event.why);
        break;
    }
  };
}

/** Shows the table, then draws the figures. */
async function showResults(results: SelectionResults, out: string | undefined): Promise<void> {
  process.stdout.write(`${renderSelection(results, { color: takesEscapeCodes(process.stdout) })}\n`);
  if (out === undefined) return;
  const renderer = await loadRenderer();
  if (typeof renderer === 'string') plainDisplay.log(renderer);
  else {
    for (const { name, spec } of figuresOf(results)) {
      refuseForeign('out', out, figureFiles(name));
      await renderer.write(out, name, spec);
    }
  }
}
