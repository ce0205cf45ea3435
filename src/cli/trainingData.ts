import type { TableChoice } from '../datasets/choice.js';
import type { Encoding } from '../datasets/encoding.js';
import type { TileOrder } from '../datasets/inputOrder.js';
import { readCsv } from '../datasets/readCsv.js';
import { loadDataset } from '../datasets/registry.js';
import { type PrepareOptions, prepare, splitSamples } from '../datasets/transform.js';
import type { AnySamples, Dataset, ImageShape, TargetDataset } from '../datasets/types.js';
import { SetNativeError } from '../errors.js';
import type { ScalingChoice } from '../vocabulary.js';

/*
 * Data of `set-native train`.
 */

/** Samples to train on, to watch the training by, and to test it once. */
export interface TrainingData {
  train: AnySamples;
  validation?: AnySamples;
  /** The test set, where the data set has one of its own. */
  test?: AnySamples;
  encoding: Encoding;
  /** Shape of an image, where the data set has one, or the order of tiles names it. */
  imageShape?: Readonly<ImageShape>;
  note?: string;
}

export interface DataChoice {
  table: TableChoice;
  /** Column of numbers to predict, in place of a label. */
  target?: string | undefined;
  dataset?: string | undefined;
  dataDir?: string | undefined;
  /** Share of the training samples, of each class, that is held out; 0 for none. */
  validation: number;
  seed: number;
  scaling: ScalingChoice;
  /** The given one, or tiles of an image. */
  inputOrder: 'given' | TileOrder;
}

/**
 * Loads a table or data set, holds samples out by the seed, scales all of it by those that are left to train
 * on, and puts its features in order. Targets are standardised; the encoding undoes it.
 */
export function trainingData(choice: DataChoice): TrainingData {
  const { table, target, dataset, dataDir } = choice;
  const { csv, ...options } = table;
  if (csv === undefined) {
    const known = loadDataset(dataset!, dataDir === undefined ? {} : { dataDir });
    return prepared(known, choice, (data, rest) => prepare(data, rest));
  }
  if (target === undefined) {
    return prepared(readCsv(csv, options), choice, (data, rest) => prepare(data, rest));
  }
  const standardised = (data: TargetDataset, rest: PrepareOptions) =>
    prepare(data, { ...rest, targetScaling: 'standardise' });
  return prepared(readCsv(csv, { ...options, target }), choice, standardised);
}

function prepared<D extends Dataset | TargetDataset>(
  dataset: D,
  { validation, seed, scaling, inputOrder }: DataChoice,
  scale: (dataset: D, options: PrepareOptions) => { train: AnySamples; test: AnySamples; encoding: Encoding },
): TrainingData {
  checkOrder(inputOrder, dataset);
  const split = validation > 0 ? splitSamples(dataset.train, { seed, testFraction: validation }) : undefined;
  const train = split?.train ?? dataset.train;
  const kind = scaling === 'own' ? dataset.scaling : ({ kind: scaling } as const);
  const scaledBeside = (test: AnySamples) =>
    scale({ ...dataset, train, test }, { scaling: kind, inputOrder });
  const main = scaledBeside(split?.test ?? train);
  const imageShape = (inputOrder !== 'given' && inputOrder.shape) || dataset.imageShape;
  return {
    train: main.train,
    ...(split && { validation: main.test }),
    ...(dataset.test && { test: scaledBeside(dataset.test).test }),
    encoding: main.encoding,
    ...(imageShape && { imageShape }),
    ...(dataset.note !== undefined && { note: dataset.note }),
  };
}

/** Throws ERR_USAGE for tiles of an image whose shape nobody knows. */
function checkOrder(order: DataChoice['inputOrder'], { name, imageShape }: Dataset | TargetDataset): void {
  if (order === 'given' || order.shape !== undefined || imageShape !== undefined) return;
  const flag = `--input-order tiles:${order.tiles}`;
  throw new SetNativeError(
    'ERR_USAGE',
    `[train] ${flag} takes the shape of an image, which ${name} does not have; give it, as ${flag}:28x28 or, of three ` +
      `channels, ${flag}:32x32x3`,
    { details: { flag: '--input-order' } },
  );
}
