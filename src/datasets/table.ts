import { types } from 'node:util';
import { checkChoice, describe, isArrayLike, show } from '../checks.js';
import { SetNativeError } from '../errors.js';
import type { Place } from '../files/refusal.js';
import { ADVICE, checkSampleCount, formatError, machineMemory } from './bytes.js';
import { makeDataset } from './labels.js';
import { isMissing, parseDecimal } from './numbers.js';
import type { Column, Dataset, TargetDataset } from './types.js';

/*
 * Makes data sets of one's own tables: rows of cells, of which one column is the label, or some are numbers
 * to predict, and the others are features. A column of numbers is one feature; a column of words is one
 * feature for each word, 1 where the cell has it (one-hot).
 */

/** What becomes of cells without a value. */
export const missingRules = ['refuse', 'drop', 'mean'] as const;
export type MissingRule = (typeof missingRules)[number];

/** A cell of a table. Without a value: null, undefined, NaN, or a text such as "", "NA", "?". */
export type Cell = number | string | boolean | bigint | null | undefined;

/** A row: its cells in order, or by the names of their columns. */
export type Row = readonly Cell[] | ArrayLike<number | bigint> | Readonly<Record<string, Cell>>;

export interface TableOptions {
  /** Columns that are features, by name, in this order. Default: all but the label or the targets. */
  columns?: readonly string[];
  /**
   * What becomes of features without a value. `refuse`, the default: an error names the first. `drop`: such
   * rows are left out. `mean`: a number becomes the mean of its column over the train samples that `prepare`
   * makes, a word none of the words. A label or target without a value is refused, or its row dropped.
   */
  missing?: MissingRule;
  /** Name of the data set; default: that of the file, or `table`. */
  name?: string;
}

/** Most different words of a column: a column of names or free text is no feature. */
export const mostWords = 1000;

/** A table that can be read more than once. */
export interface Source {
  /** Its name, for messages. */
  file: string;
  /** Names of the columns, those of the label or the targets among them. */
  names: readonly string[];
  rows(): Iterable<{ cells: readonly Cell[]; place: Place }>;
}

/** Columns of what is to be predicted: the label, or numbers. */
export type Answers = { label: number } | { targets: readonly number[] };

/** The number that a cell states; undefined for a word and where there is no value. */
export function numberOf(cell: Cell): number | undefined {
  if (typeof cell === 'string') return parseDecimal(cell.trim());
  if (typeof cell === 'number') return Number.isNaN(cell) ? undefined : cell;
  return typeof cell === 'boolean' || typeof cell === 'bigint' ? Number(cell) : undefined;
}

/** Whether a cell has no value. */
export function hasNoValue(cell: Cell): boolean {
  return (
    cell === null ||
    cell === undefined ||
    (typeof cell === 'string' ? isMissing(cell.trim()) : Number.isNaN(cell))
  );
}

/** Features that a column makes. */
export function widthOf(column: Column): number {
  return 'categories' in column ? column.categories.length : 1;
}

/** What the first reading of a column finds. */
interface Survey {
  /** Different texts, as far as they may be words of a feature each. */
  texts: Set<string>;
  /** Whether there are more of them. */
  isFull: boolean;
  hasWords: boolean;
}

/**
 * Makes a data set of a table: one reading finds the rows that stay and what each column holds, a second one
 * fills in the features.
 */
export function makeTable(
  source: Source,
  answers: Answers,
  { columns, missing = 'refuse', name }: TableOptions,
  memory = machineMemory(),
): Dataset | TargetDataset {
  const { file, names } = source;
  checkChoice('table', 'missing', missing, missingRules);
  const asked = 'label' in answers ? [answers.label] : answers.targets;
  const taken = columnsOf(source, asked, columns);
  // First reading.
  const surveys: Survey[] = taken.map(() => ({ texts: new Set(), isFull: false, hasWords: false }));
  const labels: (number | string)[] = [];
  const targets: number[] = [];
  let count = 0;
  const dropped = new Set<number>();
  let row = 0;
  let gaps = 0;
  for (const { cells, place } of source.rows()) {
    const at = (column: number): Place => ({ ...place, column: column + 1 });
    if (cells.length !== names.length) {
      throw formatError(file, place, `${names.length} cells`, `${cells.length}`, ADVICE.content);
    }
    const empty = [...asked, ...taken].find((column) => hasNoValue(cells[column]));
    if (empty !== undefined && (asked.includes(empty) || missing !== 'mean')) {
      if (missing !== 'drop') {
        const isLabel = 'label' in answers && empty === answers.label;
        const expected = isLabel ? 'a label' : `a value of ${names[empty]}`;
        throw formatError(
          file,
          at(empty),
          expected,
          `${show(cells[empty])}, a missing value`,
          ADVICE.missing,
        );
      }
      dropped.add(row);
    } else {
      if (empty !== undefined) gaps += 1;
      count += 1;
      if ('label' in answers) labels.push(labelOf(cells[answers.label]));
      else
        for (const column of asked)
          targets.push(
            targetOf(cells[column], (came) =>
              formatError(file, at(column), `a number in ${names[column]}`, came, ADVICE.content),
            ),
          );
      for (const [i, survey] of surveys.entries()) {
        const cell = cells[taken[i]!];
        if (hasNoValue(cell)) continue;
        if (typeof cell === 'object' || typeof cell === 'function' || typeof cell === 'symbol') {
          throw formatError(file, at(taken[i]!), 'a number or text', describe(cell), ADVICE.content);
        }
        survey.hasWords ||= numberOf(cell) === undefined;
        survey.isFull ||= survey.texts.size === mostWords && !survey.texts.has(textOf(cell));
        if (!survey.isFull) survey.texts.add(textOf(cell));
      }
      checkSampleCount(file, count, taken.length + asked.length, memory);
    }
    row += 1;
  }
  if (count === 0) {
    const came = dropped.size > 0 ? `none: each of ${dropped.size} rows lacks a value` : 'none';
    throw formatError(file, {}, 'at least one row', came, ADVICE.content);
  }
  const described = surveys.map(({ texts, isFull, hasWords }, i): Column => {
    const column = names[taken[i]!]!;
    if (!hasWords) return { name: column };
    if (isFull) {
      const came = 'more: leave the column out by the option columns, or group its words';
      throw formatError(
        file,
        { column: taken[i]! + 1 },
        `at most ${mostWords} different words in ${column}`,
        came,
        ADVICE.content,
      );
    }
    return { name: column, categories: [...texts].sort() };
  });
  // Second reading.
  const features = described.reduce((sum, column) => sum + widthOf(column), 0);
  checkSampleCount(file, count, features + asked.length, memory);
  const x = new Float32Array(count * features);
  let at = 0;
  row = 0;
  for (const { cells, place } of source.rows()) {
    if (!dropped.has(row)) {
      for (const [i, column] of described.entries()) {
        encodeCell(cells[taken[i]!], column, x, at, (expected, came) =>
          formatError(file, { ...place, column: taken[i]! + 1 }, expected, came, ADVICE.content),
        );
        at += widthOf(column);
      }
    }
    row += 1;
  }
  const facts = { name: name ?? file, source: file, scaling: { kind: 'standardise' } as const };
  const notes = [
    dropped.size > 0 ? `${dropped.size} of ${row} rows were left out: they lack a value` : '',
    gaps > 0 ? `${gaps} of ${row} rows lack a value: it becomes the mean` : '',
  ].filter((note) => note !== '');
  const about = { ...facts, ...(notes.length > 0 && { note: notes.join('; ') }) };
  const rest = { columns: described, ...(missing === 'mean' && { gaps: true }) };
  if ('label' in answers) {
    const raw = { file, x, labels, count, features, gaps: missing === 'mean' };
    return { ...makeDataset(about, raw), ...rest };
  }
  const train = { x, targets: Float32Array.from(targets), count, features };
  return { ...about, features, targetNames: asked.map((column) => names[column]!), train, ...rest };
}

function labelOf(cell: Cell): number | string {
  return typeof cell === 'number' ? cell : String(cell).trim();
}

/** The number of a cell that is to be predicted. */
function targetOf(cell: Cell, refuse: (came: string) => SetNativeError): number {
  const value = numberOf(cell);
  if (value === undefined || !Number.isFinite(Math.fround(value))) throw refuse(show(cell));
  return value;
}

/** A word as it is compared: text without the blanks around it. */
function textOf(cell: Cell): string {
  return typeof cell === 'boolean' ? String(Number(cell)) : String(cell).trim();
}

/**
 * Writes the features of a cell to x[at ...]: a number, NaN without a value; or 1 at its word.
 *
 * @param refuse makes the error of a cell that the column does not have
 */
export function encodeCell(
  cell: Cell,
  column: Column,
  x: Float32Array,
  at: number,
  refuse: (expected: string, came: string) => SetNativeError,
): void {
  if ('categories' in column) {
    if (hasNoValue(cell)) return;
    const { name, categories } = column;
    const word = categories.indexOf(textOf(cell));
    const known = categories.slice(0, 8).join(', ') + (categories.length > 8 ? ' ...' : '');
    if (word < 0) throw refuse(`one of ${known} in ${name}`, show(cell));
    x[at + word] = 1;
    return;
  }
  const value = hasNoValue(cell) ? Number.NaN : numberOf(cell);
  if (value === undefined || Math.abs(Math.fround(value)) === Infinity) {
    const expected = value === undefined ? 'a number' : 'a number that fits float32';
    throw refuse(`${expected} in ${column.name}`, show(cell));
  }
  x[at] = value;
}

/** Numbers of the columns that are features. */
function columnsOf(
  { file, names }: Source,
  asked: readonly number[],
  columns: readonly string[] | undefined,
): number[] {
  const others = names.flatMap((_, column) => (asked.includes(column) ? [] : [column]));
  if (columns === undefined) {
    if (others.length === 0)
      throw formatError(
        file,
        {},
        'at least one feature beside what is predicted',
        `${names.length} columns`,
        'check its delimiter',
      );
    return others;
  }
  if (!Array.isArray(columns) || columns.length === 0) {
    throw new SetNativeError(
      'ERR_INVALID_ARGUMENT',
      `[table] columns must be an Array of names, got ${describe(columns)}`,
      {
        details: { option: 'columns', value: columns },
      },
    );
  }
  return columns.map((name, i) => {
    const column = others.find((other) => names[other] === name);
    if (column === undefined || columns.indexOf(name) !== i) {
      throw new SetNativeError(
        'ERR_INVALID_ARGUMENT',
        `[table] columns must name features, each once: ${others
          .map((other) => names[other])
          .slice(0, 20)
          .join(', ')}; ` + `got ${show(name)}`,
        { details: { option: 'columns', value: name } },
      );
    }
    return column;
  });
}

/** Cells of a row in the order of `names`. */
export function cellsOf(
  operation: string,
  row: unknown,
  names: readonly string[],
  number: number,
): readonly Cell[] {
  if (isArrayLike(row) && typeof row !== 'string' && !types.isDataView(row))
    return Array.from(row as ArrayLike<Cell>);
  if (typeof row !== 'object' || row === null) {
    throw new SetNativeError(
      'ERR_INVALID_ARGUMENT',
      `[${operation}] row ${number + 1} must be a list of cells or an object, got ${describe(row)}`,
      { details: { option: 'rows' } },
    );
  }
  const foreign = Object.keys(row).find((key) => !names.includes(key));
  if (foreign !== undefined) {
    throw new SetNativeError(
      'ERR_INVALID_ARGUMENT',
      `[${operation}] row ${number + 1} has ${show(foreign)}; the columns are ${names.slice(0, 20).join(', ')}`,
      { details: { option: foreign } },
    );
  }
  // Values may be inherited, as the getters of a class are, but not from Object itself.
  const has = (name: string) => Object.hasOwn(row, name) || (name in row && !(name in Object.prototype));
  return names.map((name) => (has(name) ? (row as Record<string, Cell>)[name] : undefined));
}
