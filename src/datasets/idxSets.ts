import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { SetNativeError } from '../errors.js';
import { gunzip } from './bytes.js';
import { type IdxSet, idxSums } from './idxSums.js';
import type { Dataset, Samples } from './types.js';

/*
 * Distinguishes MNIST from Fashion-MNIST, whose files have the same names, by their content. Files with other
 * content, such as KMNIST or a subset, are assigned by name: that of the folder, then those of the files.
 */

const TITLES: Record<IdxSet, string> = { 'fashion-mnist': 'Fashion-MNIST', mnist: 'MNIST' };

/** Files of images and labels, first of the training samples and then of the test samples. */
export const IDX_FILES = [
  ...['train-images-idx3-ubyte', 'train-labels-idx1-ubyte'],
  ...['t10k-images-idx3-ubyte', 't10k-labels-idx1-ubyte'],
];
export const IDX_TEST_FILES = IDX_FILES.slice(2);

/** Most bytes of a published label file, packed or unpacked; a larger file belongs to another set. */
const MAX_LABEL_BYTES = 2 ** 16;

const sha256 = (...pieces: Uint8Array[]) => {
  const hash = createHash('sha256');
  for (const piece of pieces) hash.update(piece);
  return hash.digest('hex');
};

const ownerOf = (sum: string): IdxSet | undefined =>
  (Object.keys(idxSums) as IdxSet[]).find((set) => idxSums[set].includes(sum));

/** Result of comparing the labels in a folder with those of a set. */
export interface LabelVerdict {
  /** Whether the set may be loaded from them. */
  accepted: boolean;
  /** Whether the labels are those that were published as the set's. */
  published: boolean;
  /** Reason why the files are not accepted, or not published. */
  reason: string;
}

/**
 * Decides whether the files are those of `set`. Reads the label files only, and no more of them than
 * published ones have; never throws: `reason` names a label file that cannot be read.
 *
 * @param files files of IDX_FILES, or of IDX_TEST_FILES, that were found in `folder`
 */
export function judgeLabels(set: IdxSet, folder: string, files: string[]): LabelVerdict {
  const labelFiles = files.filter((_, i) => i % 2 === 1);
  const problems: string[] = [];
  const sums = labelFiles.map((file) => {
    try {
      return labelSum(file);
    } catch (error) {
      problems.push(`${path.basename(file)} cannot be read: ${(error as Error).message}`);
      return undefined;
    }
  });
  const owners = sums.map((sum) => (sum === undefined ? undefined : ownerOf(sum)));
  const found = [...new Set(owners)].filter((owner) => owner !== undefined);
  const owner = found[0] ?? claimant(folder, files);
  if (found.length > 1) {
    const each = labelFiles.map((file, i) => `${path.basename(file)} of ${owners[i]}`);
    return { accepted: false, published: false, reason: `mixes ${each.join(' and ')}` };
  }
  if (owner !== set) {
    const reason =
      found.length > 0
        ? `holds ${TITLES[owner]}'s labels, not ${TITLES[set]}'s: load it as ${owner}`
        : `holds files of these names, but neither ${TITLES[set]}'s nor ${TITLES[owner]}'s: they load as ${owner}, or, from a folder called ${set}, as ${set}`;
    return { accepted: false, published: false, reason };
  }
  const expected = idxSums[set].filter((_, i) => i % 2 === 1).slice(-sums.length);
  const published = sums.every((sum, i) => sum === expected[i]);
  return { accepted: true, published, reason: published ? '' : (problems[0] ?? 'other labels') };
}

/**
 * The one set that files of unknown content can be loaded as: the one that their folder is named after, else
 * the one that the spelling of their names suggests. The archives of MNIST unpack to
 * `train-images.idx3-ubyte`, those of Fashion-MNIST to `train-images-idx3-ubyte`; only MNIST is published
 * with a test set alone.
 */
function claimant(folder: string, files: string[]): IdxSet {
  const name = path.basename(folder).toLowerCase();
  if (Object.hasOwn(idxSums, name)) return name as IdxSet;
  const isDotted = files.every((file) => /\.idx[13]-ubyte/i.test(path.basename(file)));
  return isDotted || files.length < IDX_FILES.length ? 'mnist' : 'fashion-mnist';
}

/** SHA-256 of the unpacked content of a label file; undefined where it is larger than any published one. */
function labelSum(file: string): string | undefined {
  if (fs.statSync(file).size > MAX_LABEL_BYTES) return undefined;
  try {
    return sha256(gunzip(fs.readFileSync(file), file, MAX_LABEL_BYTES));
  } catch (error) {
    if ((error as { cause?: NodeJS.ErrnoException }).cause?.code === 'ERR_BUFFER_TOO_LARGE') return undefined;
    throw error;
  }
}

/**
 * Part of the samples, in the form of IDX files, that differs from those published as `set`; undefined where
 * all are the same. Takes a fifth of a second.
 *
 * @param dataset data set of all of IDX_FILES, or of IDX_TEST_FILES alone
 * @throws SetNativeError ERR_DATA_FORMAT where labels are of one set and images of the other
 */
export function differenceOfSamples(set: IdxSet, dataset: Dataset): string | undefined {
  const [height, width] = dataset.imageShape!;
  const parts = [dataset.train, ...(dataset.test === undefined ? [] : [dataset.test])];
  const sums = parts.flatMap((samples: Samples) => [
    fileSum([samples.count, height, width], samples.x),
    fileSum([samples.count], samples.labels),
  ]);
  const owners = [...new Set(sums.map(ownerOf))].filter((owner) => owner !== undefined);
  if (owners.length > 1) {
    throw new SetNativeError(
      'ERR_DATA_FORMAT',
      `[data] ${dataset.source}: expected images and labels of one set, came some of ${owners.join(' and some of ')}; ` +
        'fetch the files again, each set into a folder of its own',
      { details: { folder: dataset.source, owners } },
    );
  }
  const expected = idxSums[set].slice(-sums.length);
  const differing = ['images', 'labels'].filter((_, kind) =>
    sums.some((sum, i) => i % 2 === kind && sum !== expected[i]),
  );
  return differing.length === 0 ? undefined : `other ${differing.join(' and ')}`;
}

/** SHA-256 of the IDX file that contains these bytes. */
function fileSum(dimensions: number[], values: Float32Array | Uint32Array): string {
  const header = Buffer.alloc(4 + 4 * dimensions.length);
  header.writeUInt16BE(0x0800 + dimensions.length, 2); // type 8, unsigned bytes, and the number of dimensions
  dimensions.forEach((size, d) => {
    header.writeUInt32BE(size, 4 + 4 * d);
  });
  return sha256(header, new Uint8Array(values));
}
