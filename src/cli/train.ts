import { readFileSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import { Command, Option } from 'commander';
import { type NumberRange, wholeNumber } from '../checks.js';
import type { TableChoice } from '../datasets/choice.js';
import type { TileOrder } from '../datasets/inputOrder.js';
import { datasetNames } from '../datasets/registry.js';
import { isSetNativeError, SetNativeError } from '../errors.js';
import { checkWritable, writeInBackground } from '../files/output.js';
import { readSafetensors } from '../files/safetensors.js';
import { count, integer } from '../report/terminal/format.js';
import { createTrainingProgress, type TrainingProgress } from '../report/terminal/training.js';
import type { AugmentOptions } from '../training/augment.js';
import type { History } from '../training/fitting.js';
import { hasEnd, rateOf } from '../training/learningRate.js';
import { type Evaluation, SparseMLP, type TargetEvaluation } from '../training/model.js';
import { type ModelOptions, optimizerDefaults, ranges, type TrainingOptions } from '../training/options.js';
import {
  activations,
  backendChoices,
  growRules,
  inits,
  methods,
  optimizers,
  pruneRules,
  type RateScheduleName,
  rateSchedules,
  regrowInits,
  type ScalingChoice,
  scalings,
  topologies,
  type WeightDecayMode,
  type ZetaScheduleName,
} from '../vocabulary.js';
import { filePath, listOf, numberIn, oneOf, progressOption, typed } from './options.js';
import { tableStream } from './outputs.js';
import { rateScheduleOption, scheduleOptions } from './scheduleOptions.js';
import { pathWord, shellCommand } from './shell.js';
import { interruptible } from './signals.js';
import { inputOrder, tableOf, tableOptions } from './tableOptions.js';
import { type TrainingData, trainingData } from './trainingData.js';

/** Options of the network, which its file keeps. */
type NetworkFlags = Omit<
  ModelOptions,
  'layers' | 'loss' | 'threads' | 'backend' | 'batching' | 'encoding'
> & {
  layers: number[];
};

type TrainFlags = TableChoice &
  NetworkFlags &
  Pick<ModelOptions, 'threads' | 'backend'> & {
    target?: string;
    dataset?: string;
    dataDir?: string;
    scaling: ScalingChoice;
    inputOrder: 'given' | TileOrder;
    validation: number;
    epochs: number;
    batchSize: number;
    learningRate?: number;
    rateSchedule: RateScheduleName;
    rateEnd: number;
    warmup: number;
    momentum?: number;
    weightDecay?: number;
    weightDecayMode?: WeightDecayMode;
    dropout: number;
    method: (typeof methods)[number];
    zeta: number;
    zetaSchedule: ZetaScheduleName;
    evolveEvery: number | { steps: number };
    evolveUntil: number;
    prune: (typeof pruneRules)[number];
    grow: (typeof growRules)[number];
    regrowInit: (typeof regrowInits)[number];
    classWeight?: 'balanced';
    shift: number;
    flip?: boolean;
    patience?: number;
    average?: number;
    save?: string;
    resume?: string;
    progress: 'auto' | 'json';
  };

const networkFlags = [
  'layers',
  'epsilon',
  'topology',
  'motifSize',
  'init',
  'activation',
  'alpha',
  'optimizer',
  'seed',
] as const satisfies (keyof NetworkFlags)[];

/** Seconds between two writes of the model's file while it is trained: what a power cut costs at most. */
const saveSeconds = 30;

const heldOut: NumberRange = {
  text: 'a share from 0 to below 1',
  accepts: (value) => value >= 0 && value < 1,
};

export function trainCommand(): Command {
  const option = <T>(flags: string, text: string, parse: (value: string) => T, value?: T) => {
    const made = new Option(flags, text).argParser(parse);
    return value === undefined ? made : made.default(value, String(value));
  };
  const command = new Command('train').description('train one network on a table or data set, and save it');
  const { csv, label, columns, missing, delimiter } = tableOptions();
  const schedule = scheduleOptions();
  const all = [
    csv,
    label,
    option('--target <column>', 'column of --csv of numbers to predict, in place of a label', String),
    columns,
    missing,
    delimiter,
    option('--dataset <name>', 'a known data set: see `set-native data list`', oneOf(datasetNames)),
    option('--data-dir <dir>', 'where data sets are (also: SET_NATIVE_DATA)', filePath),
    option('--scaling <name>', `of the features: ${scalings.join(', ')}`, oneOf(scalings), 'own'),
    option(
      '--input-order <order>',
      'of the inputs: given; tiles of 2 x 2 pixels of an image; tiles:4 of 4 x 4; of a table tiles:4:28x28',
      inputOrder,
      'given',
    ),
    option(
      '--validation <share>',
      'share of the training samples, of each class, held out by seed to watch the training by',
      numberIn(heldOut),
      0.2,
    ),
    option(
      '--layers <list>',
      'hidden layer sizes',
      listOf(numberIn(ranges.layerSize), { repeats: true }),
      [200],
    ),
    option('--epsilon <x>', 'density: link probability ε (n + m) / (n m)', numberIn(ranges.epsilon), 13),
    option('--topology <name>', topologies.join(', '), oneOf(topologies), 'erdos-renyi'),
    option('--motif-size <n>', 'sources per motif', numberIn(ranges.motifSize), 2),
    option('--init <name>', `initial weights: ${inits.join(', ')}`, oneOf(inits), 'he-fan-in'),
    option('--activation <name>', activations.join(', '), oneOf(activations), 'relu'),
    option('--alpha <x>', 'slope below 0 of leaky-relu and all-relu', numberIn(ranges.alpha)),
    option(
      '--optimizer <name>',
      `${optimizers.join(', ')} (default: sgd, with --target adamw)`,
      oneOf(optimizers),
    ),
    option('--seed <n>', 'decides everything that is drawn', numberIn(ranges.seed), 0),
    option('--threads <n>', '0: all CPUs it may use', numberIn(ranges.threads), 0),
    option('--backend <name>', backendChoices.join(', '), oneOf(backendChoices), 'auto'),
    option('--epochs <n>', 'epochs in all, those of a resumed model among them', numberIn(ranges.epochs), 20),
    option('--batch-size <n>', 'samples per step', numberIn(ranges.batchSize), 40),
    option(
      '--learning-rate <x>',
      `step size (default: ${optimizerDefaults.sgd.learningRate}, with adamw ${optimizerDefaults.adamw.learningRate})`,
      numberIn(ranges.learningRate),
    ),
    rateScheduleOption('--schedule, --rate-schedule <name>', rateSchedules),
    schedule.rateEnd,
    schedule.warmup,
    option('--momentum <x>', 'of the gradient; with adamw beta1 (default: 0.9)', numberIn(ranges.momentum)),
    option(
      '--weight-decay <x>',
      `per step (default: ${optimizerDefaults.sgd.weightDecay}; with adamw ${optimizerDefaults.adamw.weightDecay}, scaled)`,
      numberIn(ranges.weightDecay),
    ),
    schedule.weightDecayMode,
    schedule.dropout,
    option('--method <name>', `how links evolve: ${methods.join(', ')}`, oneOf(methods), 'set'),
    option('--zeta <x>', 'fraction of links replaced by an evolution', numberIn(ranges.zeta), 0.3),
    schedule.zetaSchedule,
    schedule.evolveEvery,
    schedule.evolveUntil,
    option('--prune <name>', `what set prunes: ${pruneRules.join(', ')}`, oneOf(pruneRules), 'exact'),
    option('--grow <name>', `where links grow: ${growRules.join(', ')}`, oneOf(growRules), 'random'),
    option('--regrow-init <name>', `new weights: ${regrowInits.join(', ')}`, oneOf(regrowInits), 'he-dense'),
    option('--class-weight <name>', 'balanced: each class counts the same in sum', oneOf(['balanced'])),
    option(
      '--shift <n>',
      'shift each image by up to so many pixels, in each epoch anew',
      numberIn(wholeNumber(0, 2 ** 31 - 1)),
      0,
    ),
    new Option('--flip', 'mirror half of the images, left to right, in each epoch anew'),
    option(
      '--patience <epochs>',
      'stop after so many without a better validation loss, and keep the best',
      numberIn(wholeNumber(0, 65_535)),
    ),
    option(
      '--average <share>',
      'keep the mean of the network over the epochs after this share of them, where links stay',
      numberIn(ranges.average),
    ),
    option('--save <file>', 'keep the model there (default: the file of --resume, else nowhere)', filePath),
    option(
      '--resume <file>',
      'go on with a saved model, to the bits of a training that never stopped',
      filePath,
    ),
    progressOption(),
  ];
  for (const each of all) command.addOption(each);
  return command
    .addHelpText(
      'after',
      `
The model's file keeps columns, scaling, order and class names: set-native predict takes raw rows, set-native inspect
shows it. Motifs are neighbouring inputs: of a size of 4, in the order of tiles, they are patches of 2 x 2 pixels.
It is written while the training runs, at most every ${saveSeconds} seconds. Ctrl-C stops within a batch, saves the last whole
epoch and exits with 130, as SIGTERM does with 143; the same command with --resume goes on from there. A test set that a
data set has is looked at once, in the end.

Examples:
  $ set-native train --csv iris.csv --label species --save iris.safetensors
  $ set-native train --csv iris.csv --label species --resume iris.safetensors --epochs 40
  $ set-native train --dataset fashion-mnist --layers 1000,1000 --validation 0.1 --epochs 10 --save fashion.safetensors`,
    )
    .action(train);
}

async function train(flags: TrainFlags, command: Command): Promise<void> {
  const table = tableOf('train', flags);
  checkFlags(flags);
  const save = flags.save ?? flags.resume;
  if (save !== undefined) checkWritable('train', 'save', save);
  const stream = tableStream(save);
  const saved = flags.resume === undefined ? undefined : await load(flags.resume, flags, command);
  const seed = saved?.seed ?? flags.seed ?? 0;
  const data = trainingData({ ...flags, table, seed });
  const model = saved ?? (await create(flags, data));
  try {
    const augment = augmentOf(flags, data);
    if (saved !== undefined) checkSameData(flags.resume!, saved, data);
    const progress = createTrainingProgress(process.stderr, flags.progress, {
      before: model.epochs,
      epochs: flags.epochs,
      samples: data.train.count,
    });
    await describeStart(model, data, { save, progress });
    const began = performance.now();
    const run = { save, progress, augment, goOn: goOnCommand(save) };
    const history = await interruptible(progress, (signal) => trained(model, data, flags, run, signal));
    const seconds = (performance.now() - began) / 1000;
    const kept = data.validation && (await model.evaluate(data.validation));
    const tested = data.test && (await model.evaluate(data.test));
    const facts = await summary(model, { seconds, history, kept, tested, save });
    stream.write(`${facts.map(([name, text]) => `${name.padEnd(12)}${text}`).join('\n')}\n`);
  } finally {
    model.dispose();
  }
}

/** Throws ERR_USAGE for options that do not go together. */
function checkFlags(flags: TrainFlags): void {
  const usage = (text: string, flag: string) =>
    new SetNativeError('ERR_USAGE', `[train] ${text}`, { details: { flag } });
  const { csv, dataset, target, label, patience, average, validation, rateSchedule, rateEnd } = flags;
  if (csv === undefined && dataset === undefined) {
    throw usage('--csv must name a table, or --dataset a data set of `set-native data list`', '--csv');
  }
  if (target !== undefined && csv === undefined) throw usage('--target takes a --csv', '--target');
  if (target !== undefined && label !== undefined) {
    throw usage('--label names classes and --target numbers to predict; give one of them', '--target');
  }
  if (target !== undefined && flags.classWeight !== undefined) {
    throw usage('--class-weight takes classes, not --target', '--class-weight');
  }
  if (patience !== undefined && validation === 0) {
    throw usage('--patience takes samples held out: --validation above 0', '--patience');
  }
  if (patience !== undefined && average !== undefined) {
    throw usage(
      '--patience keeps the best epoch and --average the mean of epochs; give one of them',
      '--average',
    );
  }
  if (rateEnd !== 0 && !hasEnd(rateSchedule)) {
    throw usage('--rate-end takes --rate-schedule linear or cosine', '--rate-end');
  }
}

async function create(flags: TrainFlags, { train, encoding }: TrainingData): Promise<SparseMLP> {
  const outputs = encoding.classNames?.length ?? encoding.targets!.names.length;
  const { layers, epsilon, topology, motifSize, init, activation, alpha, seed } = flags;
  const optimizer = flags.optimizer ?? (encoding.targets && 'adamw'); // steps of sgd grow with the targets
  const given = { epsilon, topology, motifSize, init, activation, alpha, optimizer, seed };
  const { threads, backend } = flags;
  return SparseMLP.create({
    ...(present({ ...given, threads, backend }) as Partial<ModelOptions>),
    layers: [train.features, ...layers, outputs],
    ...(encoding.targets && { loss: 'mse' }),
    encoding,
  });
}

/** How images are augmented; throws ERR_USAGE for data that are none, and for a shift too large for them. */
function augmentOf(
  { shift, flip = false, dataset, csv }: TrainFlags,
  { imageShape }: TrainingData,
): AugmentOptions | undefined {
  if (shift === 0 && !flip) return undefined;
  const flag = shift > 0 ? '--shift' : '--flip';
  const refuse = (text: string) => new SetNativeError('ERR_USAGE', `[train] ${text}`, { details: { flag } });
  if (imageShape === undefined) {
    const table = csv === undefined ? '' : '; of a table, --input-order tiles:2:28x28 says it';
    throw refuse(`${flag} takes the shape of an image, which ${csv ?? dataset} does not have${table}`);
  }
  const [rows, columns] = imageShape;
  if (shift >= Math.min(rows, columns))
    throw refuse(`--shift ${shift} leaves nothing of images of ${rows} x ${columns} pixels; give less`);
  return { shift, flip, shape: imageShape };
}

/** The options that have a value. */
function present<T extends object>(options: T): Partial<T> {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as Partial<T>;
}

/** Loads a model to go on with; options of the network must be those that it was made with. */
async function load(file: string, flags: TrainFlags, command: Command): Promise<SparseMLP> {
  const { threads = 0, backend = 'auto' } = flags;
  const model = await SparseMLP.load(file, { threads, backend });
  try {
    const refuse = (text: string, flag: string) =>
      new SetNativeError('ERR_USAGE', `[train] ${text}`, { details: { flag } });
    const { tensors, metadata } = readSafetensors(readFileSync(file), file);
    const config = JSON.parse(metadata.get('config')!) as Record<string, unknown>;
    const given = typed(flags, command);
    for (const key of networkFlags) {
      const was = key === 'layers' ? (config.layers as number[]).slice(1, -1) : config[key];
      if (!(key in given) || isDeepStrictEqual(given[key], was)) continue;
      const flag = command.options.find((option) => option.attributeName() === key)!.long!;
      const text = `${flag} ${given[key]} contradicts ${file}, which was made with ${was}; leave it out, or train a new model`;
      throw refuse(text, flag);
    }
    if (![...tensors.keys()].some((name) => name.startsWith('optimizer.'))) {
      throw refuse(
        `--resume takes a model that was saved with the state of its optimizer; ${file} is without it`,
        '--resume',
      );
    }
    // The mean of all epochs may have yet to be kept.
    const averaging = flags.average !== undefined && metadata.has('averagedEpochs');
    if (model.epochs > flags.epochs || (model.epochs === flags.epochs && !averaging)) {
      throw refuse(
        `--epochs counts those of the resumed model, too: ${file} has ${model.epochs} already; give more than that`,
        '--epochs',
      );
    }
    return model;
  } catch (error) {
    model.dispose();
    throw error;
  }
}

/** Throws unless the data are encoded as those that the model was trained on. */
function checkSameData(file: string, model: SparseMLP, { encoding }: TrainingData): void {
  if (isDeepStrictEqual(model.encoding, JSON.parse(JSON.stringify(encoding)))) return;
  throw new SetNativeError(
    'ERR_DATA_FORMAT',
    `[train] ${file} was trained on data with other columns, class names, scaling or order; give the same table and the ` +
      'same --label, --missing, --scaling, --input-order and --validation',
    { details: { file } },
  );
}

interface Run {
  save: string | undefined;
  progress: TrainingProgress;
  augment: AugmentOptions | undefined;
  /** The command line that goes on. */
  goOn: string;
}

async function describeStart(
  model: SparseMLP,
  { train, validation, test, note }: TrainingData,
  { save, progress }: Pick<Run, 'save' | 'progress'>,
): Promise<void> {
  const layers = await model.layers();
  const sizes = [model.inputs, ...layers.map(({ outputs }) => outputs)].join(' → ');
  const links = layers.reduce((sum, { nnz }) => sum + nnz, 0);
  const held = validation === undefined ? '' : `, ${integer(validation.count)} held out`;
  const tests = test === undefined ? '' : `, ${integer(test.count)} to test`;
  progress.log(
    `${sizes}, ${integer(links)} links, ${model.backend}; ${count(train.count, 'sample')}${held}${tests}`,
  );
  if (note !== undefined) progress.log(`Note: ${note}`);
  progress.log(
    save === undefined ? 'The model is not kept: --save FILE does.' : `The model goes to ${save}.`,
  );
}

/**
 * Trains. However it ends, the file of --save has the last whole epoch: a training that goes on from the
 * middle of one would not come to the same bits.
 */
async function trained(
  model: SparseMLP,
  { train, validation }: TrainingData,
  flags: TrainFlags,
  { save, progress, augment, goOn }: Run,
  signal: AbortSignal,
): Promise<History> {
  let whole = save === undefined ? undefined : await model.toBuffer();
  let written = performance.now();
  const keep = async () => {
    if (save === undefined || whole === undefined) return;
    await writeInBackground(save, [whole]);
    written = performance.now();
  };
  try {
    const history = await model.fit(train, {
      ...trainingOptions(flags, model),
      ...(validation && { validation }),
      ...(flags.classWeight && { classWeight: flags.classWeight }),
      ...(augment && { augment }),
      ...(flags.patience !== undefined && {
        earlyStopping: { patience: flags.patience, restoreBest: true },
      }),
      ...(flags.average !== undefined && { average: flags.average }),
      signal,
      onWarning: ({ message }) => progress.log(`Note: ${message}.`),
      onEpoch: async (report) => {
        progress.epoch(report);
        if (save === undefined) return;
        whole = await model.toBuffer();
        if (save !== '-' && performance.now() - written >= 1000 * saveSeconds) await keep();
      },
    });
    if (save !== undefined) await model.save(save);
    return history;
  } catch (error) {
    const diverged = isSetNativeError(error, 'ERR_NON_FINITE');
    if (!diverged && !isSetNativeError(error, 'ERR_ABORTED')) throw error;
    await keep();
    if (save !== undefined && save !== '-') progress.log(`Go on with: ${goOn}`);
    throw error;
  }
}

function trainingOptions(flags: TrainFlags, { optimizer }: SparseMLP): TrainingOptions {
  const { epochs, batchSize, momentum, weightDecay, weightDecayMode, dropout } = flags;
  const { method, zeta, zetaSchedule, evolveEvery, evolveUntil, prune, grow, regrowInit } = flags;
  return {
    ...(present({
      batchSize,
      learningRate: rateOf(flags),
      weightDecay,
      weightDecayMode,
      dropout,
      [optimizer === 'adamw' ? 'beta1' : 'momentum']: momentum,
    }) as TrainingOptions),
    until: epochs,
    evolution: {
      method,
      zeta: { schedule: zetaSchedule, start: zeta },
      every: evolveEvery,
      until: evolveUntil,
      prune,
      grow,
      regrowInit,
    },
  };
}

/** The command line that goes on: the same one, from the file. */
function goOnCommand(save: string | undefined): string {
  const words = process.argv.slice(2);
  const at = words.indexOf('--resume');
  const rest = at < 0 ? words : words.toSpliced(at, 2);
  const others = rest.filter((word) => !word.startsWith('--resume='));
  return shellCommand(['set-native', ...others, '--resume', pathWord(save ?? '')]);
}

interface Outcome {
  seconds: number;
  history: History;
  kept: Evaluation | TargetEvaluation | undefined;
  tested: Evaluation | TargetEvaluation | undefined;
  save: string | undefined;
}

async function summary(
  model: SparseMLP,
  { seconds, history, kept, tested, save }: Outcome,
): Promise<[string, string][]> {
  const layers = await model.layers();
  const links = layers.reduce((sum, { nnz }) => sum + nnz, 0);
  const { bestEpoch, averagedEpochs } = history;
  const best = bestEpoch === undefined ? '' : ', the best one';
  return [
    ['epochs', `${model.epochs}${best}, in ${seconds.toFixed(1)} s`],
    ...(averagedEpochs ? [['averaged', averagedText(history, averagedEpochs)] as [string, string]] : []),
    ['links', integer(links)],
    ...(kept ? [['validation', figures(kept)] as [string, string]] : []),
    ...(tested ? [['test', figures(tested)] as [string, string]] : []),
    ['saved', save === undefined ? 'no' : save === '-' ? 'to standard output' : save],
  ];
}

/** How many epochs the network is the mean of and, beside the figures of that, those of the last alone. */
function averagedText({ epochs, averaged }: History, number: number): string {
  const text = number === 1 ? 'the last epoch' : `the last ${number} epochs`;
  const last = epochs.at(-1);
  if (averaged === undefined || last?.validationLoss === undefined) return text;
  const accuracy =
    last.validationAccuracy === undefined ? '' : `accuracy ${last.validationAccuracy.toFixed(4)}, `;
  return `${text}; validation of the last alone: ${accuracy}loss ${last.validationLoss.toFixed(4)}`;
}

function figures(evaluation: Evaluation | TargetEvaluation): string {
  const loss = `loss ${evaluation.loss.toFixed(4)}`;
  if ('accuracy' in evaluation) return `accuracy ${evaluation.accuracy.toFixed(4)}, ${loss}`;
  const { r2 } = evaluation as TargetEvaluation;
  return r2 === undefined ? loss : `r² ${r2.toFixed(4)}, ${loss}`;
}
