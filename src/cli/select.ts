import path from 'node:path';
import { Command, Option } from 'commander';
import pc from 'picocolors';
import { type Column, grid, integer, orDash, share } from '../bench/report/format.js';
import { datasetNames } from '../datasets/registry.js';
import { loadRenderer } from '../figures/render.js';
import { checkWritable, makeFolder, notWritable, writeAtomically } from '../files.js';
import { figuresOf } from '../selection/figures.js';
import {
  type SelectionConfig,
  type SelectionResults,
  type SelectionSummary,
  selectFeatures,
  selectionDefaults,
} from '../selection/select.js';
import { takesEscapeCodes } from '../terminal.js';
import { methods, ranges } from '../training/options.js';
import { filePath, listOf, numberIn, oneOf } from './options.js';
import { interruptible } from './signals.js';
import { plainDisplay } from './terminal.js';

type SelectOptions = SelectionConfig & { out?: string };

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
  const percent = { text: 'a number above 0, at most 100', accepts: (value: number) => value > 0 && value <= 100 };
  return new Command('select')
    .description(
      'rank the features of a data set by the first layer of an evolved network, and train on the strongest alone',
    )
    .addOption(option('--dataset <name>', 'see `set-native data list`', oneOf(datasetNames)).makeOptionMandatory())
    .addOption(option('--data-dir <dir>', 'where data sets are (also: SET_NATIVE_DATA)', filePath))
    .addOption(option('--keep <list>', 'percent of the features', listOf(numberIn(percent)), 'keep'))
    .addOption(option('--method <name>', methods.join(', '), oneOf(methods), 'method'))
    .addOption(
      option('--epsilon <x>', 'density: link probability ε (n + m) / (n m)', numberIn(ranges.epsilon), 'epsilon'),
    )
    .addOption(
      option('--hidden <list>', 'hidden layer sizes', listOf(numberIn(ranges.layerSize), { repeats: true }), 'hidden'),
    )
    .addOption(option('--epochs <n>', 'epochs of each network', numberIn(ranges.epochs), 'epochs'))
    .addOption(option('--batch-size <n>', 'samples per step', numberIn(ranges.batchSize), 'batchSize'))
    .addOption(option('--learning-rate <x>', 'step size', numberIn(ranges.learningRate), 'learningRate'))
    .addOption(option('--weight-decay <x>', 'per step', numberIn(ranges.weightDecay), 'weightDecay'))
    .addOption(option('--zeta <x>', 'fraction of links replaced after an epoch', numberIn(ranges.zeta), 'zeta'))
    .addOption(option('--train <n>', 'training samples (default: all)', numberIn(ranges.samples)))
    .addOption(option('--test <n>', 'test samples (default: all)', numberIn(ranges.samples)))
    .addOption(option('--runs <n>', 'runs, with seeds seed, seed + 1 ...', numberIn(ranges.runs), 'runs'))
    .addOption(option('--seed <n>', 'seed of the first run', numberIn(ranges.seed), 'seed'))
    .addOption(option('--threads <n>', '0: all cores', numberIn(ranges.threads), 'threads'))
    .addOption(option('--out <dir>', 'write selection.json and the figures into this folder', filePath))
    .addHelpText(
      'after',
      `
Examples:
  $ set-native select --dataset madelon --keep 1,2,4,10,100 --runs 5
  $ set-native select --dataset fashion-mnist --train 5000 --test 1000`,
    )
    .action(select);
}

async function select({ out, ...config }: SelectOptions): Promise<void> {
  const file = out === undefined ? undefined : path.join(out, 'selection.json');
  if (out !== undefined && file !== undefined) {
    try {
      makeFolder(out);
    } catch (cause) {
      throw notWritable('--out', out, cause);
    }
    checkWritable('--out', file);
  }
  const { log } = plainDisplay;
  const results = await interruptible(plainDisplay, (signal) =>
    selectFeatures(config, {
      signal,
      onRun: ({ seed, keep, accuracy, randomAccuracy }) =>
        log(
          `seed ${seed}  ${keep} % of the features  accuracy ${accuracy.toFixed(3)}  random ${randomAccuracy.toFixed(3)}`,
        ),
    }),
  );
  if (out !== undefined && file !== undefined) {
    writeAtomically(file, [`${JSON.stringify(results, undefined, 1)}\n`]);
    const renderer = await loadRenderer('--out');
    if (typeof renderer === 'string') log(renderer);
    else for (const { name, spec } of figuresOf(results)) await renderer.write(out, name, spec);
  }
  process.stdout.write(`${table(results)}\n`);
}

const columns: Column<SelectionSummary>[] = [
  ['kept', ({ keep }) => `${keep} %`],
  ['features', ({ features }) => integer(features)],
  ['accuracy', ({ accuracy }) => share(accuracy)],
  ['random\nfeatures', ({ randomAccuracy }) => share(randomAccuracy)],
  ['stability', ({ stability }) => orDash(stability, (value) => value.toFixed(2))],
];

function table({ config, dataset, summary }: SelectionResults): string {
  const { bold, dim, yellow } = pc.createColors(takesEscapeCodes(process.stdout));
  return [
    `${bold(dataset.name)}, ${dataset.train} training and ${dataset.test} test samples, ${config.method} at epsilon ${config.epsilon}`,
    '',
    grid(columns, summary, bold),
    '',
    ...(dataset.note === undefined ? [] : [yellow(`Note: ${dataset.note}`)]),
    ...[
      'Accuracy: of networks trained anew on the strongest features alone; random: on as many drawn by seed.',
      config.runs === 1
        ? 'One run: no interval.'
        : `Means of ${config.runs} runs; ± reaches to the ends of the 95 % confidence interval.`,
      'Stability: mean Jaccard index of the kept features over pairs of seeds; 1: always the same.',
    ].map(dim),
  ].join('\n');
}
