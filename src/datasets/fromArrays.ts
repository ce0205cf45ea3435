import { types } from 'node:util';
import { checkKeys, describe, isArrayLike, show } from '../checks.js';
import { SetNativeError } from '../errors.js';
import { type Cell, cellsOf, makeTable, type Row, type TableOptions } from './table.js';
import type { Dataset, TargetDataset } from './types.js';

/** Labels of rows: names, numbers or truth values. */
export type RowLabels = readonly (string | number | boolean | bigint)[] | ArrayLike<number | bigint>;

export interface FromArraysOptions extends TableOptions {
  /** Number of numbers in a row, where `rows` is one typed array. */
  features?: number;
  /** Names of the columns, in the order of the cells, where rows are lists. Default: `column 1` and so on. */
  names?: readonly string[];
  /** Names of the numbers to predict, where the second argument holds such in place of labels. */
  targets?: readonly string[];
}

/** Numbers to predict: of each row one, or a list; or all in one typed array, row by row. */
export type RowTargets =
  | readonly (number | boolean | bigint)[]
  | readonly ArrayLike<number | boolean>[]
  | ArrayLike<number>;

/**
 * Makes a data set of rows in memory, as readCsv does of a file: lists of cells, objects by the names of
 * columns, or one typed array of numbers with `features` in a row.
 *
 * @param answers  labels, one per row, which become the names of the classes; or, with the option `targets`,
 * numbers to predict
 * @throws SetNativeError ERR_DATA_FORMAT, naming the row (from 1, as a line) and column; ERR_SHAPE for
 * another number of labels or targets than rows;
 * ERR_OUT_OF_MEMORY; ERR_INVALID_ARGUMENT for its options
 */
export function fromArrays(
  rows: readonly Row[] | ArrayLike<number | bigint>,
  targets: RowTargets,
  options: FromArraysOptions & { targets: readonly string[] },
): TargetDataset;
export function fromArrays(
  rows: readonly Row[] | ArrayLike<number | bigint>,
  labels: RowLabels,
  options?: FromArraysOptions & { targets?: never },
): Dataset;
export function fromArrays(
  rows: readonly Row[] | ArrayLike<number | bigint>,
  answers: RowLabels | RowTargets,
  options: FromArraysOptions = {},
): Dataset | TargetDataset {
  checkKeys('fromArrays', options, ['features', 'names', 'targets', 'columns', 'missing', 'name']);
  const fail = (code: 'ERR_INVALID_ARGUMENT' | 'ERR_SHAPE', text: string) =>
    new SetNativeError(code, `[fromArrays] ${text}`);
  if (!isArrayLike(rows) || types.isDataView(rows)) {
    throw fail(
      'ERR_INVALID_ARGUMENT',
      `rows must be an Array of rows or a typed array, got ${describe(rows)}`,
    );
  }
  const { targets } = options;
  const what = targets === undefined ? 'labels' : 'targets';
  if (!isArrayLike(answers) || types.isDataView(answers) || typeof answers === 'string') {
    throw fail('ERR_INVALID_ARGUMENT', `${what} must be an Array or a typed array, got ${describe(answers)}`);
  }
  const { features, names: given, name = 'table', columns, missing } = options;
  const isFlat = types.isTypedArray(rows);
  if (isFlat !== (features !== undefined) || (isFlat && !(Number.isInteger(features) && features! > 0))) {
    throw fail(
      'ERR_INVALID_ARGUMENT',
      `features must be the length of a row where rows is a typed array, and only there, got ${show(features)}`,
    );
  }
  if (isFlat && rows.length % features! !== 0) {
    throw fail('ERR_SHAPE', `rows must hold whole rows of ${features} features, got ${rows.length} numbers`);
  }
  const count = isFlat ? rows.length / features! : rows.length;
  if (count === 0) throw fail('ERR_SHAPE', 'expected at least one row, got none');
  const answerOf = targets === undefined ? labelsOf(answers, count) : targetsOf(answers, count, targets);
  const rowAt = (row: number): unknown =>
    isFlat
      ? Array.from({ length: features! }, (_, i) => (rows as ArrayLike<Cell>)[row * features! + i])
      : rows[row];
  const names = given ?? namesOf(rowAt(0), rows as readonly Row[]);
  if (!areNames(names))
    throw fail('ERR_INVALID_ARGUMENT', `names must be an Array of different names, got ${show(names)}`);
  // A column of answers may have the name of a feature: no column of the caller's is mistaken for it.
  const asked = targets ?? [labelName];
  function* records() {
    for (let row = 0; row < count; row++) {
      const cells = cellsOf('fromArrays', rowAt(row), names, row);
      yield { cells: [...cells, ...answerOf(row)], place: { line: row + 1 } };
    }
  }
  const source = { file: name, names: [...names, ...asked], rows: records };
  const places = asked.map((_, i) => names.length + i);
  return makeTable(source, targets === undefined ? { label: places[0]! } : { targets: places }, {
    name,
    ...(columns && { columns }),
    ...(missing && { missing }),
  });
}

/** Name of the labels that fromArrays is given; no column of the caller's can be mistaken for it. */
const labelName = '(label)';

function areNames(names: unknown): names is string[] {
  return (
    Array.isArray(names) && names.every((each, i) => typeof each === 'string' && names.indexOf(each) === i)
  );
}

/** What gives the label of a row. */
function labelsOf(labels: ArrayLike<unknown>, count: number): (row: number) => Cell[] {
  if (labels.length !== count) {
    throw new SetNativeError(
      'ERR_SHAPE',
      `[fromArrays] expected one label per row, ${count}, got ${labels.length}`,
    );
  }
  return (row) => [labels[row] as Cell];
}

/** What gives the targets of a row. */
function targetsOf(
  targets: ArrayLike<unknown>,
  count: number,
  names: readonly string[],
): (row: number) => readonly Cell[] {
  if (!areNames(names) || names.length === 0) {
    throw new SetNativeError(
      'ERR_INVALID_ARGUMENT',
      `[fromArrays] targets must be an Array of different names, one for each number to predict, got ${show(names)}`,
      { details: { option: 'targets', value: names } },
    );
  }
  const width = names.length;
  const shape = (expected: string, came: string) =>
    new SetNativeError('ERR_SHAPE', `[fromArrays] expected ${expected}, got ${came}`);
  if (targets.length === count && (width === 1 || isArrayLike(targets[0]))) {
    return (row) => {
      const own = targets[row];
      const list = isArrayLike(own) ? Array.from(own as ArrayLike<Cell>) : [own as Cell];
      if (list.length !== width) throw shape(`${width} targets in row ${row + 1}`, `${list.length}`);
      return list;
    };
  }
  if (targets.length !== count * width)
    throw shape(`${width} targets per row, ${count * width} in all`, `${targets.length}`);
  return (row) => Array.prototype.slice.call(targets, row * width, (row + 1) * width) as Cell[];
}

/** Names of the columns: the keys of the objects, else numbers. */
function namesOf(first: unknown, rows: readonly Row[]): string[] {
  if (isArrayLike(first))
    return Array.from(first as ArrayLike<unknown>, (_: unknown, column) => `column ${column + 1}`);
  const names = new Set<string>();
  for (const row of rows.slice(0, 1000)) for (const key of Object.keys(row ?? {})) names.add(key);
  return [...names];
}
