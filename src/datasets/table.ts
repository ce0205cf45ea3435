import { types } from 'node:util';
import { checkChoice, checkKeys, describe, isArrayLike, show } from '../checks.js';
import { SetNativeError } from '../errors.js';
import type { Place } from '../files/refusal.js';
import { ADVICE, checkSampleCount, formatError, machineMemory, readBytes } from './bytes.js';
import { checkText, isHeader } from './csv.js';
import { csvRecords } from './csvRecords.js';
import { makeDataset } from './labels.js';
import { isMissing, parseDecimal } from './numbers.js';
import type { Column, Dataset } from './types.js';

/*
 * Makes data sets of one's own tables: rows of cells, of which one column is the label and the others are
 * features. A column of numbers is one feature; a column of words is one feature for each word, 1 where the
 * cell has it (one-hot).
 */

/** What becomes of cells without a value. */
export const missingRules = ['refuse', 'drop', 'mean'] as const;
export type MissingRule = (typeof missingRules)[number];

/** A cell of a table. Without a value: null, undefined, NaN, or a text such as "", "NA", "?". */
export type Cell = number | string | boolean | bigint | null | undefined;

/** A row: its cells in order, or by the names of their columns. */
export type Row = readonly Cell[] | ArrayLike<number | bigint> | Readonly<Record<string, Cell>>;

export interface TableOptions {
  /** Columns that are features, by name, in this order. Default: all but the label. */
  columns?: readonly string[];
  /**
   * What becomes of features without a value. `refuse`, the default: an error names the first. `drop`: such
   * rows are left out. `mean`: a number becomes the mean of its column over the train samples that `prepare`
   * makes, a word none of the words. A label without a value is refused, or its row dropped.
   */
  missing?: MissingRule;
  /** Name of the data set; default: that of the file, or `table`. */
  name?: string;
}

export interface ReadCsvOptions extends TableOptions {
  /** Name of the label column. Default: the last column. */
  label?: string;
  /** Whether the first line names the columns. Default: decided by the cells. */
  header?: boolean;
  /**
   * Character between cells. Default: of `,`, `;`, tab and `|` the one that parts the first line most often.
   */
  delimiter?: string;
}

/** Most different words of a column: a column of names or free text is no feature. */
const mostWords = 1000;

/** A table that can be read more than once. */
interface Source {
  /** Its name, for messages. */
  file: string;
  /** Names of the columns, the label among them if it has one. */
  names: readonly string[];
  rows(): Iterable<{ cells: readonly Cell[]; place: Place }>;
}

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
function makeTable(
  source: Source,
  label: number,
  { columns, missing = 'refuse', name }: TableOptions,
  memory = machineMemory(),
): Dataset {
  const { file, names } = source;
  checkChoice('table', 'missing', missing, missingRules);
  const taken = columnsOf(source, label, columns);
  // First reading.
  const surveys: Survey[] = taken.map(() => ({ texts: new Set(), isFull: false, hasWords: false }));
  const labels: (number | string)[] = [];
  const dropped = new Set<number>();
  let row = 0;
  let gaps = 0;
  for (const { cells, place } of source.rows()) {
    const at = (column: number): Place => ({ ...place, column: column + 1 });
    if (cells.length !== names.length) {
      throw formatError(file, place, `${names.length} cells`, `${cells.length}`, ADVICE.content);
    }
    const empty = [label, ...taken].find((column) => hasNoValue(cells[column]));
    if (empty !== undefined && (empty === label || missing !== 'mean')) {
      if (missing !== 'drop') {
        const expected = empty === label ? 'a label' : `a value of ${names[empty]}`;
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
      labels.push(labelOf(cells[label]));
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
      checkSampleCount(file, labels.length, taken.length, memory);
    }
    row += 1;
  }
  if (labels.length === 0) {
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
  checkSampleCount(file, labels.length, features, memory);
  const x = new Float32Array(labels.length * features);
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
  const raw = { file, x, labels, count: labels.length, features, gaps: missing === 'mean' };
  const notes = [
    dropped.size > 0 ? `${dropped.size} of ${row} rows were left out: they lack a value` : '',
    gaps > 0 ? `${gaps} of ${row} rows lack a value: it becomes the mean` : '',
  ].filter((note) => note !== '');
  return {
    ...makeDataset({ ...facts, ...(notes.length > 0 && { note: notes.join('; ') }) }, raw),
    columns: described,
    ...(missing === 'mean' && { gaps: true }),
  };
}

function labelOf(cell: Cell): number | string {
  return typeof cell === 'number' ? cell : String(cell).trim();
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
function columnsOf({ file, names }: Source, label: number, columns: readonly string[] | undefined): number[] {
  const others = names.flatMap((_, column) => (column === label ? [] : [column]));
  if (columns === undefined) {
    if (others.length === 0)
      throw formatError(file, {}, 'at least one feature and a label', '1 column', 'check its delimiter');
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

/**
 * Reads a table with one row per sample: the label column says what the row is, all others are features.
 * Columns of words become one feature per word. The data set knows its columns and class names; `prepare`
 * makes samples of it.
 *
 * @param source  a file (.gz or not), or the text itself: a string with a line end in it, or bytes
 * @throws SetNativeError ERR_DATA_FORMAT, naming line and column: not UTF-8, rows of different length, a
 * missing value, broken quotes, no label column, fewer than two classes; ERR_DATA_NOT_FOUND, ERR_IO,
 * ERR_OUT_OF_MEMORY; ERR_INVALID_ARGUMENT for its options
 */
export function readCsv(source: string | Uint8Array, options: ReadCsvOptions = {}): Dataset {
  checkKeys('readCsv', options, ['label', 'columns', 'missing', 'name', 'header', 'delimiter']);
  const isText = typeof source === 'string' && /[\r\n]/.test(source);
  if (typeof source !== 'string' && !types.isUint8Array(source)) {
    throw new SetNativeError(
      'ERR_INVALID_ARGUMENT',
      `[readCsv] expected the name of a file, or its text or bytes, got ${describe(source)}`,
    );
  }
  const file = typeof source === 'string' && !isText ? source : 'the table';
  const bytes = typeof source !== 'string' ? source : isText ? Buffer.from(source) : readBytes(source);
  checkText(bytes, file);
  const { label, header, name = isText ? 'table' : file } = options;
  const delimiter = options.delimiter ?? delimiterOf(bytes);
  if (typeof delimiter !== 'string' || delimiter.length !== 1 || /["\r\n]/.test(delimiter)) {
    throw new SetNativeError(
      'ERR_INVALID_ARGUMENT',
      `[readCsv] delimiter must be one character, got ${show(delimiter)}`,
      {
        details: { option: 'delimiter', value: delimiter },
      },
    );
  }
  const [first] = firstOf(csvRecords(bytes, file, delimiter));
  if (first === undefined) throw formatError(file, {}, 'at least one row', 'none', ADVICE.content);
  const cells = first.cells;
  const isNamed = header ?? (label !== undefined || namesColumns(cells, csvRecords(bytes, file, delimiter)));
  const names = isNamed ? cells : cells.map((_, column) => `column ${column + 1}`);
  const twice = names.find((each, column) => names.indexOf(each) !== column);
  if (twice !== undefined)
    throw formatError(
      file,
      { line: first.line },
      'names of columns that differ',
      `${twice} twice`,
      ADVICE.content,
    );
  const at = label === undefined ? names.length - 1 : names.indexOf(label);
  if (at < 0) {
    throw formatError(
      file,
      { line: first.line },
      `a column named ${label}`,
      names.slice(0, 20).join(', '),
      ADVICE.content,
    );
  }
  function* rows() {
    for (const { cells: row, line } of csvRecords(bytes, file, delimiter)) {
      if (!isNamed || line !== first!.line) yield { cells: row, place: { line } };
    }
  }
  const { columns, missing } = options;
  return makeTable({ file, names, rows }, at, {
    name,
    ...(columns && { columns }),
    ...(missing && { missing }),
  });
}

/** The first of some items, in a list; an empty one where there is none. */
function firstOf<T>(items: Iterable<T>): [T?] {
  for (const item of items) return [item];
  return [];
}

/** The delimiter that parts the first line most often; a comma where none does. */
function delimiterOf(bytes: Uint8Array): string {
  const end = bytes.findIndex((byte) => byte === 10 || byte === 13);
  const line = Buffer.from(bytes.subarray(0, Math.min(end < 0 ? bytes.length : end, 2 ** 20))).toString();
  const unquoted = line.replace(/"[^"]*"/g, '');
  const count = (delimiter: string) => unquoted.split(delimiter).length;
  return [',', ';', '\t', '|'].reduce((best, each) => (count(each) > count(best) ? each : best));
}

/**
 * Whether the first of some records names the columns. Words that no other row has in the same column are
 * names; else the rules for columns of numbers decide.
 */
function namesColumns(first: string[], records: Iterable<{ cells: string[] }>): boolean {
  const areWords = first.every((cell) => !isMissing(cell) && parseDecimal(cell) === undefined);
  const labels = new Set<string>();
  let isFirst = true;
  for (const { cells } of records) {
    if (!isFirst) labels.add(cells.at(-1)!);
    if (!isFirst && areWords && cells.some((cell, column) => cell === first[column])) return false;
    isFirst = false;
    if (labels.size > mostWords) break;
  }
  return areWords || isHeader(first, labels);
}

/** Labels of rows: names, numbers or truth values. */
export type RowLabels = readonly (string | number | boolean | bigint)[] | ArrayLike<number | bigint>;

export interface FromArraysOptions extends TableOptions {
  /** Number of numbers in a row, where `rows` is one typed array. */
  features?: number;
  /** Names of the columns, in the order of the cells, where rows are lists. Default: `column 1` and so on. */
  names?: readonly string[];
}

/**
 * Makes a data set of rows in memory, as readCsv does of a file: lists of cells, objects by the names of
 * columns, or one typed array of numbers with `features` in a row.
 *
 * @param labels  one per row; they become the names of the classes
 * @throws SetNativeError ERR_DATA_FORMAT, naming the row (from 1, as a line) and column; ERR_SHAPE for
 * another number of labels than rows; ERR_OUT_OF_MEMORY; ERR_INVALID_ARGUMENT for its options
 */
export function fromArrays(
  rows: readonly Row[] | ArrayLike<number | bigint>,
  labels: RowLabels,
  options: FromArraysOptions = {},
): Dataset {
  checkKeys('fromArrays', options, ['features', 'names', 'columns', 'missing', 'name']);
  const fail = (code: 'ERR_INVALID_ARGUMENT' | 'ERR_SHAPE', text: string) =>
    new SetNativeError(code, `[fromArrays] ${text}`);
  if (!isArrayLike(rows) || types.isDataView(rows)) {
    throw fail(
      'ERR_INVALID_ARGUMENT',
      `rows must be an Array of rows or a typed array, got ${describe(rows)}`,
    );
  }
  if (!isArrayLike(labels) || types.isDataView(labels) || typeof labels === 'string') {
    throw fail('ERR_INVALID_ARGUMENT', `labels must be an Array or a typed array, got ${describe(labels)}`);
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
  if (labels.length !== count)
    throw fail('ERR_SHAPE', `expected one label per row, ${count}, got ${labels.length}`);
  if (count === 0) throw fail('ERR_SHAPE', 'expected at least one row, got none');
  const rowAt = (row: number): unknown =>
    isFlat
      ? Array.from({ length: features! }, (_, i) => (rows as ArrayLike<Cell>)[row * features! + i])
      : rows[row];
  const names = given ?? namesOf(rowAt(0), rows as readonly Row[]);
  if (
    !Array.isArray(names) ||
    names.some((each: unknown, i: number) => typeof each !== 'string' || names.indexOf(each) !== i)
  ) {
    throw fail('ERR_INVALID_ARGUMENT', `names must be an Array of different names, got ${show(names)}`);
  }
  function* records() {
    for (let row = 0; row < count; row++) {
      const cells = cellsOf('fromArrays', rowAt(row), names, row);
      yield { cells: [...cells, (labels as ArrayLike<Cell>)[row]], place: { line: row + 1 } };
    }
  }
  const source = { file: name, names: [...names, labelName], rows: records };
  return makeTable(source, names.length, { name, ...(columns && { columns }), ...(missing && { missing }) });
}

/** Name of the labels that fromArrays is given; no column of the caller's can be mistaken for it. */
const labelName = '(label)';

/** Names of the columns: the keys of the objects, else numbers. */
function namesOf(first: unknown, rows: readonly Row[]): string[] {
  if (isArrayLike(first))
    return Array.from(first as ArrayLike<unknown>, (_: unknown, column) => `column ${column + 1}`);
  const names = new Set<string>();
  for (const row of rows.slice(0, 1000)) for (const key of Object.keys(row ?? {})) names.add(key);
  return [...names];
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
  return names.map((name) => (Object.hasOwn(row, name) ? (row as Record<string, Cell>)[name] : undefined));
}
