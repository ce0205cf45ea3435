import { formatError } from './bytes.js';
import { parseDecimal } from './numbers.js';
import { checkSamples } from './transform.js';
import type { Dataset, Samples } from './types.js';

/*
 * From what a file holds, features and label values of any kind, to a Dataset, where labels are 0 .. classes - 1.
 */

/** Labelled rows as a file gives them. */
export interface RawSamples {
  /** Where they come from, for messages. */
  file: string;
  /** count × features, row-major. */
  x: Float32Array;
  /** One per row: whole numbers (also as text, "+1") or names. */
  labels: readonly (number | string)[];
  count: number;
  features: number;
}

/** What a Dataset needs beside its rows. */
export type DatasetFacts = Pick<Dataset, 'name' | 'source' | 'scaling'> & Partial<Pick<Dataset, 'imageShape' | 'note'>>;

const MAX_CLASSES = 65_536;

/** "+1", 1.0 and 1 are one class, "1". Names stay names. */
function className(label: number | string, file: string, row: number): string {
  const text = String(label).trim();
  const number = parseDecimal(text);
  const isWord = typeof label === 'string' && text !== '' && number === undefined;
  if (isWord) return text;
  if (!Number.isSafeInteger(number)) {
    throw formatError(file, {}, `a whole number or a name as label of sample ${row + 1}`, JSON.stringify(text));
  }
  return String(number! + 0); // + 0 makes -0 a 0
}

/** By number where all are numbers, else by character codes: the same order in every locale. */
function sortClassNames(names: string[]): string[] {
  const numeric = names.every((name) => parseDecimal(name) !== undefined);
  return numeric ? names.sort((a, b) => Number(a) - Number(b)) : names.sort();
}

/**
 * Makes a Dataset of what files hold: label values, whatever they are (-1/+1, 1..5, names), are sorted (by number
 * where all are numbers, else as text) and become 0 .. classes - 1.
 *
 * The classes are those of `train`.
 *
 * @throws SetNativeError ERR_DATA_FORMAT (fewer than two classes, a label that train does not have, train and test of
 *   different width), ERR_NON_FINITE (naming row and feature)
 */
export function makeDataset(facts: DatasetFacts, train: RawSamples, test?: RawSamples): Dataset {
  const trainNames = train.labels.map((label, row) => className(label, train.file, row));
  const classNames = sortClassNames([...new Set(trainNames)]);
  if (classNames.length < 2 || classNames.length > MAX_CLASSES) {
    throw formatError(train.file, {}, `2 to ${MAX_CLASSES} different labels`, String(classNames.length));
  }
  const classOf = new Map(classNames.map((name, label) => [name, label]));
  const convert = (raw: RawSamples, names: string[]): Samples => {
    const labels = Uint32Array.from(names, (name, row) => {
      const label = classOf.get(name);
      if (label === undefined) {
        throw formatError(raw.file, {}, `a label that the train samples have in sample ${row + 1}`, name);
      }
      return label;
    });
    const samples = { x: raw.x, labels, count: raw.count, features: raw.features };
    checkSamples(samples, { where: raw.file, classes: classNames.length });
    return samples;
  };

  const dataset: Dataset = {
    ...facts,
    features: train.features,
    classes: classNames.length,
    classNames,
    train: convert(train, trainNames),
  };
  if (test !== undefined) {
    if (test.features !== train.features) {
      throw formatError(test.file, {}, `${train.features} features, as in ${train.file}`, String(test.features));
    }
    dataset.test = convert(
      test,
      test.labels.map((label, row) => className(label, test.file, row)),
    );
  }
  return dataset;
}
