import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { checkKeys, invalid, show } from '../checks.js';
import { SetNativeError } from '../errors.js';
import { readCifarSamples } from './cifar.js';
import { readCsvSamples } from './csv.js';
import { readIdxSamples } from './idx.js';
import { type DatasetFacts, makeDataset } from './labels.js';
import { readMatSamples } from './mat.js';
import { readNipsSamples } from './nips.js';
import { proceduralDataset } from './procedural.js';
import type { Dataset, Scaling } from './types.js';

/*
 * The data sets known by name: which files each is made of, where they are looked for, how they become a Dataset.
 */

/** Sizes of a data set; `test` is absent where it has no test set of its own. */
export interface DatasetShape {
  train: number;
  test?: number;
  features: number;
  classes: number;
}

/** One set of files that a data set can be loaded from. */
interface Source {
  /** File names; each may also end in .gz. */
  files: string[];
  shape: DatasetShape;
  note?: string;
  /** @param files where `files` were found, in the same order */
  load(files: string[], facts: DatasetFacts): Dataset;
}

interface KnownDataset {
  name: string;
  description: string;
  /** Sub-folders of a data folder it may lie in, beside its own name. */
  folders: string[];
  scaling: Scaling;
  /** The best first. */
  sources: Source[];
}

const DIVIDE_BY_255: Scaling = { kind: 'divide', by: 255 };
const STANDARDISE: Scaling = { kind: 'standardise' };

const IDX_TEST_FILES = ['t10k-images-idx3-ubyte', 't10k-labels-idx1-ubyte'];
const IDX_FILES = ['train-images-idx3-ubyte', 'train-labels-idx1-ubyte', ...IDX_TEST_FILES];

/** @param files images and labels, then perhaps those of the test set */
function loadIdx(files: string[], facts: DatasetFacts, classNames: string[]): Dataset {
  const train = readIdxSamples(files[0]!, files[1]!, classNames.length);
  const dataset: Dataset = {
    ...facts,
    features: train.samples.features,
    classes: classNames.length,
    classNames,
    train: train.samples,
    imageShape: train.imageShape,
  };
  if (files.length === 2) return dataset;
  const test = readIdxSamples(files[2]!, files[3]!, classNames.length);
  if (String(test.imageShape) !== String(train.imageShape)) {
    throw new SetNativeError(
      'ERR_DATA_FORMAT',
      `[data] ${files[2]}: expected images of ${train.imageShape.join(' × ')}, as in ${files[0]}, ` +
        `came ${test.imageShape.join(' × ')}; fetch the files again`,
      { details: { files, train: train.imageShape, test: test.imageShape } },
    );
  }
  return { ...dataset, test: test.samples };
}

/** A data set that is one MAT-file in the layout of scikit-feature. */
const matSource = (file: string, shape: DatasetShape, note?: string): Source => ({
  files: [file],
  shape,
  ...(note === undefined ? {} : { note }),
  load: (files, facts) => makeDataset(facts, readMatSamples(files[0]!)),
});

const CIFAR_TRAIN = [1, 2, 3, 4, 5].map((batch) => `data_batch_${batch}.bin`);
export const cifarFiles = [...CIFAR_TRAIN, 'test_batch.bin'];
const CIFAR_CLASSES = [
  ...['airplane', 'automobile', 'bird', 'cat', 'deer'],
  ...['dog', 'frog', 'horse', 'ship', 'truck'],
];

const FASHION_CLASSES = [
  ...['T-shirt/top', 'Trouser', 'Pullover', 'Dress', 'Coat'],
  ...['Sandal', 'Shirt', 'Sneaker', 'Bag', 'Ankle boot'],
];
const DIGITS = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9'];

const KNOWN: readonly KnownDataset[] = [
  {
    name: 'fashion-mnist',
    description: 'Fashion-MNIST: 28 × 28 grey images of clothes (Xiao et al. 2017)',
    folders: [],
    scaling: DIVIDE_BY_255,
    sources: [
      {
        files: IDX_FILES,
        shape: { train: 60_000, test: 10_000, features: 784, classes: 10 },
        load: (files, facts) => loadIdx(files, facts, FASHION_CLASSES),
      },
    ],
  },
  {
    name: 'mnist',
    description: 'MNIST: 28 × 28 grey images of digits (LeCun et al. 1998)',
    folders: [],
    scaling: DIVIDE_BY_255,
    sources: [
      {
        files: IDX_FILES,
        shape: { train: 60_000, test: 10_000, features: 784, classes: 10 },
        load: (files, facts) => loadIdx(files, facts, DIGITS),
      },
      {
        files: IDX_TEST_FILES,
        shape: { train: 10_000, features: 784, classes: 10 },
        note: "MNIST's test set only, split into train and test",
        load: (files, facts) => loadIdx(files, facts, DIGITS),
      },
    ],
  },
  {
    name: 'cifar10',
    description: 'CIFAR-10: 32 × 32 colour images of ten kinds of things (Krizhevsky 2009)',
    folders: ['cifar-10-batches-bin'],
    scaling: DIVIDE_BY_255,
    sources: [
      {
        files: cifarFiles,
        shape: { train: 50_000, test: 10_000, features: 3072, classes: 10 },
        load: (files, facts) => {
          const [train, test] = [files.slice(0, -1), files.slice(-1)].map((part) => readCifarSamples(part, 10));
          return { ...facts, features: 3072, classes: 10, classNames: CIFAR_CLASSES, train: train!, test: test! };
        },
      },
    ],
  },
  {
    name: 'madelon',
    description: 'Madelon: 5 informative, 15 redundant and 480 useless features (NIPS 2003 challenge); test = valid',
    folders: [],
    scaling: STANDARDISE,
    sources: [
      {
        files: ['madelon_train.data', 'madelon_train.labels', 'madelon_valid.data', 'madelon_valid.labels'],
        shape: { train: 2000, test: 600, features: 500, classes: 2 },
        load: (files, facts) => {
          const param = path.join(path.dirname(files[0]!), 'madelon.param');
          return makeDataset(
            facts,
            readNipsSamples(files[0]!, files[1]!, param, 'Train'),
            readNipsSamples(files[2]!, files[3]!, param, 'Valid'),
          );
        },
      },
    ],
  },
  {
    name: 'lung',
    description: 'Lung: gene expression of four lung cancers and normal tissue (Bhattacharjee et al. 2001)',
    folders: ['scikit-feature', 'lung-rounded'],
    scaling: STANDARDISE,
    sources: [
      matSource('lung.mat', { train: 203, features: 3312, classes: 5 }),
      matSource('lung_rounded.mat', { train: 203, features: 3312, classes: 5 }, 'lung, rounded to 4 levels'),
    ],
  },
  {
    name: 'tox-171',
    description: 'TOX-171: gene expression in toxicology (scikit-feature)',
    folders: ['scikit-feature'],
    scaling: STANDARDISE,
    sources: [matSource('TOX-171.mat', { train: 171, features: 5748, classes: 4 })],
  },
  {
    name: 'glioma',
    description: 'GLIOMA: gene expression of brain tumours (scikit-feature)',
    folders: ['scikit-feature'],
    scaling: STANDARDISE,
    sources: [matSource('GLIOMA.mat', { train: 50, features: 4434, classes: 4 })],
  },
  {
    name: 'higgs',
    description: 'HIGGS, a sample: collisions that made a Higgs boson or not (Baldi et al. 2014)',
    folders: ['higgs-subset'],
    scaling: STANDARDISE,
    sources: [
      {
        files: ['higgs.csv'],
        shape: { train: 10_984, features: 28, classes: 2 },
        load: (files, facts) => makeDataset(facts, readCsvSamples(files[0]!, { label: 'label' })),
      },
    ],
  },
];

const PROCEDURAL = {
  name: 'procedural',
  description: 'Ten drawn shapes, 28 × 28 grey images, embedded: needs no files',
  shape: { train: 10_000, test: 2_000, features: 784, classes: 10 },
};

/** Where to look. */
export interface LookupOptions {
  /** Looked in first; the command line's `--data-dir`. */
  dataDir?: string | undefined;
}

function checkLookup(options: LookupOptions): void {
  checkKeys('data', options, ['dataDir']);
  const { dataDir } = options;
  if (dataDir !== undefined && typeof dataDir !== 'string') throw invalid('data', 'dataDir', 'a path', dataDir);
}

/** The data folders, in the order they are looked in; `origin` is what named them. */
export function dataFolders({ dataDir }: LookupOptions): { origin: string; folder: string }[] {
  const environment = process.env.SET_NATIVE_DATA;
  const cache = process.env.XDG_CACHE_HOME || path.join(os.homedir(), '.cache');
  return [
    ...(dataDir ? [{ origin: '--data-dir', folder: dataDir }] : []),
    ...(environment ? [{ origin: 'SET_NATIVE_DATA', folder: environment }] : []),
    { origin: 'cache', folder: path.join(cache, 'set-native', 'data') },
  ];
}

/**
 * The sub-folder of the data set's name, the usual other ones, and the data folder itself, unless that is called like
 * another data set: MNIST and Fashion-MNIST have the same file names.
 */
function foldersWithin(root: string, known: KnownDataset): string[] {
  const folders = [known.name, ...known.folders].map((inner) => path.join(root, inner));
  const rootName = path.basename(path.resolve(root));
  const isAnother = KNOWN.some(({ name }) => name === rootName && name !== known.name);
  return isAnother ? folders : [...folders, root];
}

/** Where all files of a source are in a folder, or which are missing. */
function locate(folder: string, source: Source): { files: string[]; missing: string[] } {
  const files: string[] = [];
  const missing: string[] = [];
  for (const file of source.files) {
    const found = [file, `${file}.gz`].map((name) => path.join(folder, name)).find((name) => fs.existsSync(name));
    if (found === undefined) missing.push(file);
    else files.push(found);
  }
  return { files, missing };
}

interface Found {
  source: Source;
  folder: string;
  files: string[];
}

/** The first place that holds a source's files: an earlier data folder beats a better source. */
function find(known: KnownDataset, options: LookupOptions): Found | undefined {
  for (const { folder: root } of dataFolders(options)) {
    for (const source of known.sources) {
      for (const folder of foldersWithin(root, known)) {
        const { files, missing } = locate(folder, source);
        if (missing.length === 0) return { source, folder, files };
      }
    }
  }
  return undefined;
}

/** Every place tried, what is missing in those that hold a part, and what to do. */
function notFound(known: KnownDataset, options: LookupOptions): SetNativeError {
  const tried: string[] = [];
  const partial: string[] = [];
  for (const { origin, folder: root } of dataFolders(options)) {
    for (const folder of foldersWithin(root, known)) {
      tried.push(`${folder} (${origin})`);
      for (const source of known.sources) {
        const { files, missing } = locate(folder, source);
        if (files.length > 0) partial.push(`${folder} lacks ${missing.join(', ')}`);
      }
    }
  }
  const wanted = known.sources.map((source) => source.files.join(' + ')).join(', or ');
  return new SetNativeError(
    'ERR_DATA_NOT_FOUND',
    `[data] ${known.name}: expected ${wanted} (each may be .gz), found in none of: ${tried.join(', ')}.` +
      `${partial.length > 0 ? ` ${partial.join('; ')}.` : ''}` +
      ' Fetch them with `set-native data pull`, if it knows an address, put them into one of these folders, or name their folder with --data-dir or SET_NATIVE_DATA;' +
      ' the data set `procedural` needs no files',
    { details: { name: known.name, wanted: known.sources.map(({ files }) => files), tried, partial } },
  );
}

/**
 * Loads a data set by name: `fashion-mnist`, `mnist`, `cifar10`, `madelon`, `lung`, `tox-171`, `glioma`, `higgs` or `procedural`.
 * Features come as stored, unscaled; see `prepare`. Synchronous: the largest, Fashion-MNIST, takes about a
 * second and 220 MB.
 *
 * Files are looked for in `dataDir`, then in the folder SET_NATIVE_DATA names, then in the user's cache
 * ($XDG_CACHE_HOME or ~/.cache)/set-native/data; in each, in a sub-folder named like the data set, then
 * in the folder itself.
 *
 * @throws SetNativeError ERR_DATA_NOT_FOUND (no such name, or files not there: the message lists every place tried),
 *   ERR_DATA_FORMAT (naming file and place), ERR_NON_FINITE, ERR_IO, ERR_OUT_OF_MEMORY
 */
export function loadDataset(name: string, options: LookupOptions = {}): Dataset {
  checkLookup(options);
  if (name === PROCEDURAL.name) return proceduralDataset();
  const known = KNOWN.find((candidate) => candidate.name === name);
  if (known === undefined) {
    const names = [PROCEDURAL, ...KNOWN].map((candidate) => candidate.name);
    throw new SetNativeError(
      'ERR_DATA_NOT_FOUND',
      `[data] expected a data set of ${names.join(', ')}, came ${show(name)}`,
      { details: { name, names } },
    );
  }
  const found = find(known, options);
  if (found === undefined) throw notFound(known, options);
  const { source, folder, files } = found;
  const note = source.note === undefined ? {} : { note: source.note };
  try {
    return source.load(files, { name, source: folder, scaling: known.scaling, ...note });
  } catch (cause) {
    // How the engine says that an array of the file's size cannot be had.
    if (!(cause instanceof RangeError)) throw cause;
    throw new SetNativeError(
      'ERR_OUT_OF_MEMORY',
      `[data] ${folder}: expected room for ${name}, came "${cause.message}"`,
      {
        details: { name, folder },
        cause,
      },
    );
  }
}

/** One line of `set-native data list`. */
export interface DatasetListing {
  name: string;
  description: string;
  /** Whether all files are there; whether they are sound shows only when loaded. */
  found: boolean;
  /** Where: a folder, or `embedded`; absent when not found. */
  where?: string;
  /** Sizes as published, of the files found, else of the best ones; nothing is read. */
  shape: DatasetShape;
  note?: string;
}

/** All known data sets and whether their files are there. Looks only at names, so it is quick. */
export function listDatasets(options: LookupOptions = {}): DatasetListing[] {
  checkLookup(options);
  const listings = KNOWN.map((known): DatasetListing => {
    const found = find(known, options);
    const source = found?.source ?? known.sources[0]!;
    return {
      name: known.name,
      description: known.description,
      found: found !== undefined,
      ...(found === undefined ? {} : { where: found.folder }),
      shape: source.shape,
      ...(source.note === undefined ? {} : { note: source.note }),
    };
  });
  return [...listings, { ...PROCEDURAL, found: true, where: 'embedded' }];
}
