import { types } from 'node:util';
import { checkKeys, describe, show } from '../checks.js';
import { SetNativeError } from '../errors.js';
import { ADVICE, formatError, readBytes } from './bytes.js';
import { checkText, isHeader } from './csv.js';
import { csvRecords } from './csvRecords.js';
import { isMissing, parseDecimal } from './numbers.js';
import { makeTable, mostWords, type TableOptions } from './table.js';
import type { Dataset, TargetDataset } from './types.js';

export interface ReadCsvOptions extends TableOptions {
  /** Name of the label column. Default: the last column, unless there is a `target`. */
  label?: string;
  /** Names of columns of numbers to predict, in place of a label. */
  target?: string | readonly string[];
  /** Whether the first line names the columns. Default: decided by the cells. */
  header?: boolean;
  /**
   * Character between cells. Default: of `,`, `;`, tab and `|` the one that parts the first line most often.
   */
  delimiter?: string;
}

/**
 * Reads a table with one row per sample: the label column says what the row is, all others are features; or
 * the columns of `target` hold the numbers to predict. Columns of words become one feature per word. The data
 * set knows its columns and the names of classes or targets; `prepare` makes samples of it.
 *
 * @param source  a file (.gz or not), or the text itself: a string with a line end in it, or bytes
 * @throws SetNativeError ERR_DATA_FORMAT, naming line and column: not UTF-8, rows of different length, a
 * missing value, broken quotes, no such column, fewer than two classes; ERR_DATA_NOT_FOUND, ERR_IO,
 * ERR_OUT_OF_MEMORY; ERR_INVALID_ARGUMENT for its options
 */
export function readCsv(
  source: string | Uint8Array,
  options: ReadCsvOptions & { target: string | readonly string[] },
): TargetDataset;
export function readCsv(source: string | Uint8Array, options?: ReadCsvOptions & { target?: never }): Dataset;
export function readCsv(source: string | Uint8Array, options: ReadCsvOptions = {}): Dataset | TargetDataset {
  checkKeys('readCsv', options, ['label', 'target', 'columns', 'missing', 'name', 'header', 'delimiter']);
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
  const { label, target, header, name = isText ? 'table' : file } = options;
  const wanted = wantedColumns(label, target);
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
  const isNamed = header ?? (wanted.length > 0 || namesColumns(cells, csvRecords(bytes, file, delimiter)));
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
  const asked = wanted.length === 0 ? [names.length - 1] : wanted.map((each) => names.indexOf(each));
  const absent = asked.indexOf(-1);
  if (absent >= 0) {
    throw formatError(
      file,
      { line: first.line },
      `a column named ${wanted[absent]}`,
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
  const answers = target === undefined ? { label: asked[0]! } : { targets: asked };
  return makeTable({ file, names, rows }, answers, {
    name,
    ...(columns && { columns }),
    ...(missing && { missing }),
  });
}

/** Names of the columns that are to be predicted; none where the last column is the label. */
function wantedColumns(label: unknown, target: unknown): string[] {
  const fail = (option: string, expected: string, value: unknown) =>
    new SetNativeError(
      'ERR_INVALID_ARGUMENT',
      `[readCsv] ${option} must be ${expected}, got ${show(value)}`,
      {
        details: { option, value },
      },
    );
  if (label !== undefined && typeof label !== 'string') throw fail('label', 'the name of a column', label);
  if (target === undefined) return label === undefined ? [] : [label];
  if (label !== undefined) throw fail('target', 'absent where there is a label', target);
  const names: unknown[] = Array.isArray(target) ? target : [target];
  const are = (values: unknown[]): values is string[] => values.every((each) => typeof each === 'string');
  if (are(names) && names.length > 0 && new Set(names).size === names.length) return names;
  throw fail('target', 'the name of a column, or a list of different ones', target);
}

/** The first of some items, in a list; an empty one where there is none. */
function firstOf<T>(items: Iterable<T>): [T?] {
  for (const item of items) return [item];
  return [];
}

/** The delimiter that parts the first line most often; a comma where none does. */
export function delimiterOf(bytes: Uint8Array): string {
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
