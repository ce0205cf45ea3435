import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { checkKeys, invalid, show } from '../checks.js';
import { SetNativeError } from '../errors.js';
import { ADVICE, formatError } from './bytes.js';
import { cifarShape, readCifarSamples } from './cifar.js';
import { readCsvSamples } from './csv.js';
import { readIdxSamples } from './idx.js';
import { differenceOfSamples, IDX_FILES, IDX_TEST_FILES, judgeLabels, type LabelVerdict } from './idxSets.js';
import type { IdxSet } from './idxSums.js';
import { type DatasetFacts, makeDataset } from './labels.js';
import { readMatSamples } from './mat.js';
import { readNipsSamples } from './nips.js';
import { proceduralDataset } from './procedural.js';
import type { Dataset, Samples, Scaling } from './types.js';

/*
 * Finds and loads the data sets known by name: the files of each, the folders in which they are looked for,
 * and the way they become a Dataset.
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
  /** File names; `locate` accepts other spellings too. */
  files: string[];
  /** Sizes as published: content of other sizes is not the data set. */
  shape: DatasetShape;
  note?: string;
  /** Data set among those that share file names, which differ by content. */
  idxSet?: IdxSet;
  /** Names of the published classes, where the files do not have them. */
  classNames?: string[];
  /**
   * Loads the data set.
   *
   * @param files paths of `files`, in the same order
   */
  load(files: string[], facts: DatasetFacts): Dataset;
}

interface KnownDataset {
  name: string;
  description: string;
  /** Sub-folders of the data folder in which it may lie, beside that of its own name. */
  folders: string[];
  scaling: Scaling;
  /** Sources of the data set, the best first. */
  sources: Source[];
}

const DIVIDE_BY_255: Scaling = { kind: 'divide', by: 255 };
const STANDARDISE: Scaling = { kind: 'standardise' };

/** A data set in IDX files: images and labels, then perhaps those of the test set. Labels stay as stored. */
const idxSource = (
  idxSet: IdxSet,
  files: string[],
  shape: DatasetShape,
  classNames: string[],
  note?: string,
): Source => ({
  files,
  shape,
  idxSet,
  classNames,
  ...(note === undefined ? {} : { note }),
  load: (found, facts) => {
    const train = readIdxSamples(found[0]!, found[1]!, 256);
    const dataset: Dataset = {
      ...facts,
      features: train.samples.features,
      classes: classNames.length,
      classNames,
      train: train.samples,
      imageShape: train.imageShape,
    };
    if (found.length === 2) return dataset;
    const test = readIdxSamples(found[2]!, found[3]!, 256);
    if (String(test.imageShape) !== String(train.imageShape)) {
      const expected = `images of ${train.imageShape.join(' × ')}, as in ${found[0]}`;
      throw formatError(found[2]!, { offset: 8 }, expected, test.imageShape.join(' × '), ADVICE.mismatch);
    }
    return { ...dataset, test: test.samples };
  },
});

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
const MNIST_SHAPE: DatasetShape = { train: 60_000, test: 10_000, features: 784, classes: 10 };
const DIGITS = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9'];

const KNOWN: readonly KnownDataset[] = [
  {
    name: 'fashion-mnist',
    description: 'Fashion-MNIST: 28 × 28 grey images of clothes (Xiao et al. 2017)',
    folders: ['mnist'],
    scaling: DIVIDE_BY_255,
    sources: [idxSource('fashion-mnist', IDX_FILES, MNIST_SHAPE, FASHION_CLASSES)],
  },
  {
    name: 'mnist',
    description: 'MNIST: 28 × 28 grey images of digits (LeCun et al. 1998)',
    folders: ['fashion-mnist'],
    scaling: DIVIDE_BY_255,
    sources: [
      idxSource('mnist', IDX_FILES, MNIST_SHAPE, DIGITS),
      idxSource(
        'mnist',
        IDX_TEST_FILES,
        { train: 10_000, features: 784, classes: 10 },
        DIGITS,
        "MNIST's test set only, split into train and test",
      ),
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
        classNames: CIFAR_CLASSES,
        load: (files, facts) => {
          const [train, test] = [files.slice(0, -1), files.slice(-1)].map((part) =>
            readCifarSamples(part, 10),
          );
          return {
            ...facts,
            features: 3072,
            classes: 10,
            classNames: CIFAR_CLASSES,
            train: train!,
            test: test!,
            imageShape: cifarShape,
          };
        },
      },
    ],
  },
  {
    name: 'madelon',
    description:
      'Madelon: 5 informative, 15 redundant and 480 useless features (NIPS 2003 challenge); test = valid',
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

/** Options of a search for data sets. */
export interface LookupOptions {
  /** Folder of data sets; default: the folder that SET_NATIVE_DATA names, else the cache of the user. */
  dataDir?: string | undefined;
}

/** Throws ERR_INVALID_ARGUMENT for options that name no place. */
export function checkLookup(options: LookupOptions): void {
  checkKeys('data', options, ['dataDir']);
  const { dataDir } = options;
  if (dataDir !== undefined && (typeof dataDir !== 'string' || dataDir === '')) {
    throw invalid('data', 'dataDir', 'a path', dataDir);
  }
}

/** Folder of data sets, and the option or variable that named it. */
interface DataFolder {
  origin: 'dataDir' | 'SET_NATIVE_DATA' | 'cache';
  /** Absolute path. */
  folder: string;
}

/** The one folder to search: a named folder has no fallback. */
export function dataFolder({ dataDir }: LookupOptions): DataFolder {
  const environment = process.env.SET_NATIVE_DATA;
  if (dataDir !== undefined) return { origin: 'dataDir', folder: path.resolve(dataDir) };
  if (environment) return { origin: 'SET_NATIVE_DATA', folder: path.resolve(environment) };
  return cacheFolder();
}

function cacheFolder(): DataFolder {
  const cache = process.env.XDG_CACHE_HOME || path.join(os.homedir(), '.cache');
  return { origin: 'cache', folder: path.resolve(cache, 'set-native', 'data') };
}

/** Throws ERR_DATA_NOT_FOUND unless a named folder is one and can be read. The cache need not exist. */
function checkFolder({ origin, folder }: DataFolder): void {
  if (origin === 'cache') return;
  let problem: string;
  try {
    fs.readdirSync(folder);
    return;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') problem = `there is no such folder, the nearest is ${nearestFolder(folder)}`;
    else problem = code === 'ENOTDIR' ? 'it is not a folder' : message;
  }
  throw new SetNativeError(
    'ERR_DATA_NOT_FOUND',
    `[data] ${origin} must name a readable folder of data sets, came ${folder}: ${problem}; ` +
      'correct it, or leave it out for the folder of `set-native data pull`',
    { details: { origin, folder } },
  );
}

function nearestFolder(folder: string): string {
  const parent = path.dirname(folder);
  return parent === folder || fs.existsSync(parent) ? parent : nearestFolder(parent);
}

/**
 * Folders in which a data set may lie: the sub-folder of its name, other usual ones, and the data folder
 * itself.
 */
function foldersWithin(root: string, known: KnownDataset): string[] {
  return [...[known.name, ...known.folders].map((inner) => path.join(root, inner)), root];
}

/**
 * A common spelling of a file name: lower case, without .gz, and with `-idx3-ubyte` for the `.idx3-ubyte` of
 * 7-Zip and Kaggle.
 */
const plainName = (name: string) =>
  name
    .toLowerCase()
    .replace(/\.gz$/, '')
    .replace(/\.(idx[13]-ubyte)$/, '-$1');

/**
 * Finds the files of a source in a folder, and the names of those missing. The usual spelling is preferred.
 */
function locate(folder: string, source: Source): { files: string[]; missing: string[] } {
  const names = namesIn(folder);
  const files: string[] = [];
  const missing: string[] = [];
  for (const wanted of source.files) {
    const spellings = new Set([
      wanted,
      `${wanted}.gz`,
      ...names.filter((name) => plainName(name) === plainName(wanted)),
    ]);
    const there = [...spellings]
      .filter((name) => names.includes(name))
      .map((name) => path.join(folder, name));
    const file = there.find(isFile);
    if (file !== undefined) files.push(file);
    else missing.push(there.length === 0 ? wanted : `${wanted} (which is there, but is no readable file)`);
  }
  return { files, missing };
}

function namesIn(folder: string): string[] {
  try {
    return fs.readdirSync(folder).sort();
  } catch {
    return []; // usually there is no such folder; a named one has been checked
  }
}

function isFile(file: string): boolean {
  try {
    return fs.statSync(file).isFile();
  } catch {
    return false;
  }
}

/** Files in one folder that have the names of a data set. */
interface Candidate {
  source: Source;
  folder: string;
  files: string[];
  verdict: LabelVerdict;
}

/** Finds a data set in each folder: of its sources, the first that is complete there. */
function candidates(known: KnownDataset, { folder: root }: DataFolder): Candidate[] {
  return foldersWithin(root, known).flatMap((folder) => {
    for (const source of known.sources) {
      const { files, missing } = locate(folder, source);
      if (missing.length > 0) continue;
      const verdict = source.idxSet === undefined ? BY_NAME : judgeLabels(source.idxSet, folder, files);
      return [{ source, folder, files, verdict }];
    }
    return [];
  });
}

const BY_NAME: LabelVerdict = { accepted: true, published: true, reason: '' };

/**
 * Finds the best source; of several folders that hold it, the first with the published content, else the
 * first.
 */
function find(known: KnownDataset, where: DataFolder): Candidate | undefined {
  const accepted = candidates(known, where).filter(({ verdict }) => verdict.accepted);
  for (const source of known.sources) {
    const places = accepted.filter((candidate) => candidate.source === source);
    const best = places.find(({ verdict }) => verdict.published) ?? places[0];
    if (best !== undefined) return best;
  }
  return undefined;
}

/** The error of a data set that was not found: every folder searched, the files there instead, and advice. */
function notFound(known: KnownDataset, where: DataFolder): SetNativeError {
  const tried = foldersWithin(where.folder, known);
  const refused = candidates(known, where);
  const instead = refused.map(({ folder, verdict }) => `${folder} ${verdict.reason}`);
  for (const folder of tried.filter((place) => refused.every((candidate) => candidate.folder !== place))) {
    for (const source of known.sources) {
      const { missing } = locate(folder, source);
      const isBare = missing.join() === source.files.join();
      if (!isBare) instead.push(`${folder} lacks ${missing.join(', ')}`);
    }
  }
  const cached = where.origin === 'cache' ? undefined : find(known, cacheFolder());
  if (cached !== undefined) instead.push(`the cache holds it, in ${cached.folder}`);
  const wanted = known.sources.map((source) => source.files.join(' + ')).join(', or ');
  return new SetNativeError(
    'ERR_DATA_NOT_FOUND',
    `[data] ${known.name}: ${instead.map((text) => `${text}; `).join('')}expected ${wanted} (each may be .gz), ` +
      `found in none of: ${tried.join(', ')} (\`${where.origin}\`).` +
      ' Fetch them with `set-native data pull`, if it knows an address, put them into one of these folders, or name their folder with `dataDir` or SET_NATIVE_DATA;' +
      ' the data set `procedural` needs no files',
    {
      details: {
        name: known.name,
        wanted: known.sources.map(({ files }) => files),
        origin: where.origin,
        tried,
        instead,
      },
    },
  );
}

/** Names that `loadDataset` knows, with data sets in files first. */
export const datasetNames: readonly string[] = [...KNOWN.map(({ name }) => name), PROCEDURAL.name];

/**
 * Loads a data set by name: `fashion-mnist`, `mnist`, `cifar10`, `madelon`, `lung`, `tox-171`, `glioma`,
 * `higgs` or `procedural`. Features come as stored, unscaled; see `prepare`. Synchronous: the largest,
 * Fashion-MNIST, takes about a second and 220 MB.
 *
 * Files are looked for in one folder: `dataDir`, else the folder SET_NATIVE_DATA names, else the cache of the
 * user, ($XDG_CACHE_HOME or ~/.cache)/set-native/data; there in a sub-folder named like the data set, then in
 * the folder itself.
 *
 * Files that have the right names but another content than was published are loaded under another name:
 * `name` is the name of the first file, `note` says so, and classes of images are called by their numbers.
 *
 * @throws SetNativeError ERR_DATA_NOT_FOUND (no such name, no such folder, or no files: the message lists
 * every folder searched and the files there instead), ERR_DATA_FORMAT (naming file and place),
 * ERR_NON_FINITE, ERR_IO, ERR_OUT_OF_MEMORY
 */
export function loadDataset(name: string, options: LookupOptions = {}): Dataset {
  checkLookup(options);
  const where = dataFolder(options);
  if (name === PROCEDURAL.name) {
    if (where.origin === 'dataDir') checkFolder(where); // not needed, but a wrong folder is a mistake in this call
    return proceduralDataset();
  }
  const known = KNOWN.find((candidate) => candidate.name === name);
  if (known === undefined) {
    throw new SetNativeError(
      'ERR_DATA_NOT_FOUND',
      `[data] expected a data set of ${datasetNames.join(', ')}, came ${show(name)}`,
      { details: { name, names: datasetNames } },
    );
  }
  checkFolder(where);
  const found = find(known, where);
  if (found === undefined) throw notFound(known, where);
  try {
    return load(known, found);
  } catch (cause) {
    // The engine throws RangeError where it has no room for an array of that size.
    if (!(cause instanceof RangeError)) throw cause;
    throw new SetNativeError(
      'ERR_OUT_OF_MEMORY',
      `[data] ${found.folder}: expected room for ${name}, came "${cause.message}"`,
      { details: { name, folder: found.folder }, cause },
    );
  }
}

function load(known: KnownDataset, { source, folder, files }: Candidate): Dataset {
  const facts: DatasetFacts = { name: known.name, source: folder, scaling: known.scaling };
  const dataset = source.load(files, facts);
  const sizes = { train: dataset.train.count, features: dataset.features, classes: dataset.classes };
  const shape = dataset.test === undefined ? sizes : { ...sizes, test: dataset.test.count };
  const isOfShape = (Object.keys({ ...source.shape, ...shape }) as (keyof DatasetShape)[]).every(
    (key) => source.shape[key] === (shape as DatasetShape)[key],
  );
  let difference: string | undefined;
  if (!isOfShape) difference = 'another shape';
  else if (source.idxSet !== undefined) difference = differenceOfSamples(source.idxSet, dataset);
  if (difference === undefined)
    return source.note === undefined ? dataset : { ...dataset, note: source.note };

  const itself = source.classNames === undefined ? dataset : namedByNumber(dataset, facts, files);
  return { ...itself, name: ownName(files), note: unpublished(known, files, difference) };
}

/** Name of a data set whose files do not have the published content. */
const ownName = (files: string[]) => path.basename(files[0]!).replace(/\.gz$/i, '');

const unpublished = (known: KnownDataset, files: string[], difference: string) =>
  `${ownName(files)}, not ${known.name} as published: ${difference}`;

/** The same images, with classes for the labels that occur, called by their numbers. */
function namedByNumber({ train, test, imageShape }: Dataset, facts: DatasetFacts, files: string[]): Dataset {
  const raw = (samples: Samples, file: string) => ({ ...samples, file, labels: Array.from(samples.labels) });
  const shape = imageShape === undefined ? {} : { imageShape };
  return makeDataset(
    { ...facts, ...shape },
    raw(train, files[0]!),
    test === undefined ? undefined : raw(test, files.at(-1)!),
  );
}

/** One line of `set-native data list`. */
export interface DatasetListing {
  name: string;
  description: string;
  /** Whether all files exist; loading shows whether they are sound. */
  found: boolean;
  /** Folder of the files, or `embedded`; absent when not found. */
  where?: string;
  /** Published sizes of the files found, else of the best source. */
  shape: DatasetShape;
  /** Caveat, which also says where the labels are not the published ones or cannot be read. */
  note?: string;
}

/**
 * Lists all known data sets and whether their files exist. It is quick, because it reads names only and,
 * where two data sets share them, labels.
 *
 * @throws SetNativeError ERR_DATA_NOT_FOUND where `dataDir`, else SET_NATIVE_DATA, names no readable folder
 */
export function listDatasets(options: LookupOptions = {}): DatasetListing[] {
  checkLookup(options);
  const where = dataFolder(options);
  checkFolder(where);
  const listings = KNOWN.map((known): DatasetListing => {
    const found = find(known, where);
    const source = found?.source ?? known.sources[0]!;
    const note =
      found === undefined || found.verdict.published
        ? source.note
        : unpublished(known, found.files, found.verdict.reason);
    return {
      name: known.name,
      description: known.description,
      found: found !== undefined,
      ...(found === undefined ? {} : { where: found.folder }),
      shape: source.shape,
      ...(note === undefined ? {} : { note }),
    };
  });
  return [...listings, { ...PROCEDURAL, found: true, where: 'embedded' }];
}
