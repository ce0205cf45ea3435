import type { SetNativeError } from '../errors.js';
import { ADVICE, formatError } from './bytes.js';
import { parseDecimal } from './numbers.js';
import { checkSamples } from './samples.js';
import type { Dataset, Samples } from './types.js';

/*
 * Makes a Dataset, whose labels are 0 .. classes - 1, of the features and the label values of any kind that a
 * file holds.
 */

/** Label values, one per row. */
export type Labels = readonly (number | string)[] | Float64Array;

/** Labelled rows as a file gives them. */
export interface RawSamples {
  /** File of the rows, for messages. */
  file: string;
  /** count × features, row-major. */
  x: Float32Array;
  /** Labels, one per row: whole numbers (also as text, "+1") or names. */
  labels: Labels;
  count: number;
  features: number;
  /** Whether NaN stands for a missing value. */
  gaps?: boolean;
}

/** Facts of a Dataset beside its rows. */
export type DatasetFacts = Pick<Dataset, 'name' | 'source' | 'scaling'> &
  Partial<Pick<Dataset, 'imageShape' | 'note'>>;

const MAX_CLASSES = 65_536;
const CHECK_COLUMN = 'check that the labels are the right column';

function wrongClassCount(file: string, came: string): SetNativeError {
  return formatError(file, {}, `2 to ${MAX_CLASSES} different labels`, came, CHECK_COLUMN);
}

/**
 * Distinct labels of a file, each with one kept value. Millions of rows then share a few strings, and a file
 * in which every row has a label of its own is refused before it fills the memory.
 */
export class DistinctLabels<Kept> {
  private readonly known = new Map<number | string, Kept>();

  constructor(private readonly file: string) {}

  /**
   * The kept value of a label; `keep` makes it once for all equal labels.
   *
   * @throws SetNativeError ERR_DATA_FORMAT: more different labels than there may be classes
   */
  take<Label extends number | string>(label: Label, keep: (label: Label) => Kept): Kept {
    const known = this.known.get(label);
    if (known !== undefined) return known;
    if (this.known.size === MAX_CLASSES) throw wrongClassCount(this.file, 'more');
    const kept = keep(label);
    this.known.set(label, kept);
    return kept;
  }
}

const INFINITE = /^[+-]?inf(?:inity)?$/i;

/** Name of the class of a label: "+1", 1.0 and 1 are one class, "1". Names are unchanged. */
function className(label: number | string, file: string, row: number): string {
  const text = String(label).trim();
  const number = parseDecimal(text);
  const isWord = typeof label === 'string' && text !== '' && number === undefined && !INFINITE.test(text);
  if (isWord) return text;
  if (!Number.isSafeInteger(number)) {
    const expected = `a whole number or a name as label of sample ${row + 1}`;
    throw formatError(file, {}, expected, JSON.stringify(text), CHECK_COLUMN);
  }
  return String(number! + 0); // + 0 makes -0 a 0
}

/**
 * Sorts class names by number where all are numbers, else by character codes: the same order in every locale.
 */
function sortClassNames(names: string[]): string[] {
  const numeric = names.every((name) => parseDecimal(name) !== undefined);
  return numeric ? names.sort((a, b) => Number(a) - Number(b)) : names.sort();
}

/**
 * Makes a Dataset of the content of files. Label values of any kind (-1/+1, 1..5, names) are sorted, by
 * number where all are numbers, else as text, and become 0 .. classes - 1.
 *
 * The classes are those of `train`.
 *
 * @throws SetNativeError ERR_DATA_FORMAT (fewer than two classes, a label that train does not have, train and
 * test of different width), ERR_NON_FINITE (naming row and feature)
 */
export function makeDataset(facts: DatasetFacts, train: RawSamples, test?: RawSamples): Dataset {
  const nameIn = (raw: RawSamples) => {
    const names = new DistinctLabels<string>(raw.file);
    return (row: number) => names.take(raw.labels[row]!, (label) => className(label, raw.file, row));
  };
  const trainNames = new Set<string>();
  const trainName = nameIn(train);
  for (let row = 0; row < train.count; row++) trainNames.add(trainName(row));
  const classNames = sortClassNames([...trainNames]);
  if (classNames.length < 2) throw wrongClassCount(train.file, String(classNames.length));
  const classOf = new Map(classNames.map((name, label) => [name, label]));
  const convert = (raw: RawSamples, nameOf: (row: number) => string): Samples => {
    const labels = new Uint32Array(raw.count);
    for (let row = 0; row < raw.count; row++) {
      const name = nameOf(row);
      const label = classOf.get(name);
      if (label === undefined) {
        const expected = `a label that the train samples have in sample ${row + 1}`;
        throw formatError(raw.file, {}, expected, name, ADVICE.mismatch);
      }
      labels[row] = label;
    }
    const samples = { x: raw.x, labels, count: raw.count, features: raw.features };
    checkSamples(samples, { where: raw.file, classes: classNames.length, gaps: raw.gaps });
    return samples;
  };

  const dataset: Dataset = {
    ...facts,
    features: train.features,
    classes: classNames.length,
    classNames,
    train: convert(train, trainName),
  };
  if (test !== undefined) {
    if (test.features !== train.features) {
      const expected = `${train.features} features, as in ${train.file}`;
      throw formatError(test.file, {}, expected, String(test.features), ADVICE.mismatch);
    }
    dataset.test = convert(test, nameIn(test));
  }
  return dataset;
}
