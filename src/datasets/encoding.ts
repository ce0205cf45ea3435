import { checkKeys, describe, isArrayLike, show } from '../checks.js';
import { SetNativeError } from '../errors.js';
import { faultOfOrder } from './inputOrder.js';
import { applyScaling, type FittedScaling } from './scaling.js';
import { cellsOf, encodeCell, hasNoValue, type Row, widthOf } from './table.js';
import type { Column, Dataset, TargetDataset } from './types.js';

/*
 * What was done to the data that a model was trained on, so that the same can be done to new rows: which
 * features each column makes, their scaling, and the names of the classes, or of the numbers to predict. It
 * is plain JSON, and kept in a model's file.
 */

/** Encoding of raw rows, as features of a model, and of its outputs, as names of classes. */
export interface Encoding {
  /** Columns of a row, in order. Absent where a row is its features, all numbers. */
  columns?: Column[];
  /**
   * Scaling, one number per feature: scaled = (x - offset) / divisor; without a divisor (null) it is 0.
   * `fill` takes the place of missing numbers.
   */
  scaling: { offset: number[]; divisor: (number | null)[]; fill?: number[] };
  /**
   * Order of the inputs of a model: the feature of each, a number from 0. Absent where they are the features
   * in the order of the columns, which is that of `scaling`, too.
   */
  order?: number[];
  /** Names of the classes, in the order of the outputs. Either these or `targets`. */
  classNames?: string[];
  /**
   * Numbers to predict: their names, in the order of the outputs, and how they were scaled,
   * scaled = (target - offset) / divisor.
   */
  targets?: { names: string[]; offset: number[]; divisor: number[] };
}

/** The encoding of a data set whose features were scaled by `fitted`, and put in an order. */
export function encodingOf(
  dataset: Dataset | TargetDataset,
  { offset, divisor, fill }: FittedScaling,
  { targetScaling, order }: { targetScaling?: FittedScaling | undefined; order?: Uint32Array | undefined },
): Encoding {
  return {
    ...(dataset.columns && { columns: dataset.columns }),
    scaling: {
      offset: [...offset],
      divisor: Array.from(divisor, (value) => (Number.isFinite(value) ? value : null)),
      ...(fill && { fill: [...fill] }),
    },
    ...(order && { order: [...order] }),
    ...('classNames' in dataset
      ? { classNames: dataset.classNames }
      : {
          targets: {
            names: dataset.targetNames,
            offset: [...targetScaling!.offset],
            divisor: [...targetScaling!.divisor],
          },
        }),
  };
}

/** A copy that nobody else changes, of this module's realm, as structuredClone's may not be. */
export function copyEncoding(encoding: Encoding): Encoding {
  return JSON.parse(JSON.stringify(encoding)) as Encoding;
}

/** Sizes of a model that an encoding must fit. */
interface Ends {
  inputs: number;
  outputs: number;
}

/**
 * Throws ERR_INVALID_ARGUMENT for anything but an encoding, ERR_SHAPE for one of a model with other inputs or
 * outputs.
 */
export function checkEncoding(operation: string, encoding: Encoding, { inputs, outputs }: Ends): Encoding {
  const fail = (option: string, expected: string, value: unknown) =>
    new SetNativeError(
      'ERR_INVALID_ARGUMENT',
      `[${operation}] encoding${option} must be ${expected}, got ${describe(value)}`,
      { details: { option: `encoding${option}` } },
    );
  const isObject = (value: unknown) => typeof value === 'object' && value !== null && !isArrayLike(value);
  if (!isObject(encoding)) throw fail('', 'what prepare gives as encoding', encoding);
  checkKeys(operation, encoding, ['columns', 'scaling', 'order', 'classNames', 'targets'], {
    of: 'encoding',
  });
  const { columns, scaling, order, classNames, targets } = encoding;
  const areNames = (values: unknown): values is string[] =>
    Array.isArray(values) &&
    values.every((value) => typeof value === 'string') &&
    new Set(values).size === values.length;
  // Classes, or targets: a name for each.
  if (targets === undefined) {
    if (!areNames(classNames)) throw fail('.classNames', 'a list of different names', classNames);
    const classes = Math.max(2, outputs);
    if (classNames.length !== classes)
      throw shape(operation, `classNames has ${classNames.length} names`, `${classes} classes`);
  } else {
    if (classNames !== undefined) throw fail('', 'of classNames or of targets, not both', encoding);
    if (!isObject(targets)) throw fail('.targets', '{ names, offset, divisor }', targets);
    checkKeys(operation, targets, ['names', 'offset', 'divisor'], { of: 'encoding.targets' });
    if (!areNames(targets.names)) throw fail('.targets.names', 'a list of different names', targets.names);
    for (const key of ['offset', 'divisor'] as const) {
      const accepts = (value: unknown) =>
        Number.isFinite(value) && (key === 'offset' || (value as number) > 0);
      if (!Array.isArray(targets[key]) || !targets[key].every(accepts))
        throw fail(`.targets.${key}`, 'a list of numbers', targets[key]);
    }
    const length = [targets.names, targets.offset, targets.divisor].find((list) => list.length !== outputs);
    if (length !== undefined)
      throw shape(operation, `targets have lists of ${length.length}`, `${outputs} outputs`);
  }
  // Scaling: a number for each feature.
  if (!isObject(scaling)) throw fail('.scaling', '{ offset, divisor }', scaling);
  checkKeys(operation, scaling, ['offset', 'divisor', 'fill'], { of: 'encoding.scaling' });
  for (const key of ['offset', 'divisor', 'fill'] as const) {
    const values = scaling[key];
    if (values === undefined && key === 'fill') continue;
    const accepts = (value: unknown) =>
      key === 'divisor'
        ? value === null || (Number.isFinite(value) && (value as number) > 0)
        : Number.isFinite(value);
    if (!Array.isArray(values) || !values.every(accepts))
      throw fail(`.scaling.${key}`, 'a list of numbers', values);
    if (values.length !== inputs)
      throw shape(operation, `scaling.${key} has ${values.length} numbers`, `${inputs} inputs`);
  }
  // Order: each feature once.
  if (order !== undefined) {
    if (!Array.isArray(order)) throw fail('.order', 'a list of features', order);
    if (order.length !== inputs)
      throw shape(operation, `order has ${order.length} numbers`, `${inputs} inputs`);
    const fault = faultOfOrder(order);
    if (fault >= 0)
      throw fail(`.order[${fault}]`, `a feature from 0 to ${inputs - 1}, each once`, order[fault]);
  }
  if (columns === undefined) return encoding;
  // Columns: as many features.
  const isColumn = (column: unknown): column is Column =>
    isObject(column) &&
    typeof (column as Column).name === 'string' &&
    (!('categories' in (column as Column)) || areNames((column as { categories: unknown }).categories));
  if (!Array.isArray(columns) || !columns.every(isColumn) || !areNames(columns.map(({ name }) => name))) {
    throw fail('.columns', 'a list of { name } or { name, categories }, of different names', columns);
  }
  const width = columns.reduce((sum, column) => sum + widthOf(column), 0);
  if (width !== inputs) throw shape(operation, `columns make ${width} features`, `${inputs} inputs`);
  return encoding;
}

function shape(operation: string, what: string, model: string): SetNativeError {
  return new SetNativeError(
    'ERR_SHAPE',
    `[${operation}] the encoding fits another model: its ${what}, the model has ${model}`,
    { details: { option: 'encoding' } },
  );
}

/**
 * Raw rows as features of a model: count x inputs, scaled, in the order of its inputs.
 *
 * @param rows lists of cells, objects by the names of the columns, or one typed array of raw features
 * @throws SetNativeError ERR_DATA_FORMAT, naming the row (from 1) and the column, for a cell that the columns
 * do not know, or that has no value where the model was trained on none such; ERR_SHAPE, ERR_INVALID_ARGUMENT
 * for anything but rows; ERR_NON_FINITE
 */
export function encodeRows(
  operation: string,
  rows: readonly Row[] | ArrayLike<number>,
  { columns, scaling, order }: Encoding,
): Float32Array {
  const features = scaling.offset.length;
  if (!isArrayLike(rows) || typeof rows === 'string') {
    throw new SetNativeError(
      'ERR_INVALID_ARGUMENT',
      `[${operation}] expected an Array of rows, or a typed array of ${features} numbers for each, got ${describe(rows)}; ` +
        'of a single row, hand in [row]',
    );
  }
  const isFlat = ArrayBuffer.isView(rows);
  // Numbers alone are the cells or, where some columns are of words, the features that these make.
  const takesCells = columns !== undefined && !(isFlat && columns.some((column) => 'categories' in column));
  const described = takesCells
    ? columns
    : Array.from({ length: features }, (_, i) => ({ name: `feature ${i}` }));
  const width = isFlat ? described.length : 1;
  if (isFlat && (rows as ArrayLike<number>).length % width !== 0) {
    throw new SetNativeError(
      'ERR_SHAPE',
      `[${operation}] expected whole rows of ${width} numbers, got ${(rows as ArrayLike<number>).length}`,
    );
  }
  const count = (rows as ArrayLike<unknown>).length / width;
  if (count === 0)
    throw new SetNativeError('ERR_SHAPE', `[${operation}] expected at least one row, got none`);
  const names = described.map(({ name }) => name);
  const x = new Float32Array(count * features);
  let at = 0;
  for (let row = 0; row < count; row++) {
    const cells = isFlat
      ? Array.prototype.slice.call(rows, row * width, (row + 1) * width)
      : cellsOf(operation, (rows as readonly unknown[])[row], names, row);
    if (cells.length !== described.length) {
      throw new SetNativeError(
        'ERR_SHAPE',
        `[${operation}] row ${row + 1} must have ${described.length} cells, ${names.slice(0, 8).join(', ')}` +
          `${names.length > 8 ? ' ...' : ''}, got ${cells.length}`,
        { details: { row, expected: described.length, length: cells.length } },
      );
    }
    for (const [i, column] of described.entries()) {
      const refuse = (expected: string, came: string) =>
        new SetNativeError(
          'ERR_DATA_FORMAT',
          `[${operation}] row ${row + 1}: expected ${expected}, came ${came}`,
          {
            details: { line: row + 1, column: i + 1, expected, came },
          },
        );
      if (scaling.fill === undefined && hasNoValue(cells[i])) {
        throw refuse(`a value of ${column.name}`, `${show(cells[i])}, a missing value`);
      }
      encodeCell(cells[i], column, x, at, refuse);
      at += widthOf(column);
    }
  }
  const fitted = {
    offset: Float64Array.from(scaling.offset),
    divisor: Float64Array.from(scaling.divisor, (value) => value ?? Infinity),
    ...(scaling.fill && { fill: Float64Array.from(scaling.fill) }),
  };
  const naming = { operation, where: 'rows' };
  return applyScaling({ x, features }, fitted, naming, order && Uint32Array.from(order)).x;
}
