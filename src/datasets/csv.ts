import { CsvError, parse } from 'csv-parse/sync';
import { formatError, readBytes } from './bytes.js';
import type { RawSamples } from './labels.js';
import { parseDecimal } from './numbers.js';

/*
 * CSV: one sample per line, numbers and one label column. Quotes and line ends are csv-parse's work; what a cell
 * means is ours.
 */

/** How to read a CSV file. */
export interface CsvOptions {
  /** Name of the label column, in the header; default: the last column. */
  label?: string;
  /** Whether the first line names the columns; default: when `label` is given, or no cell but the last is a number. */
  header?: boolean;
  /** Default `,`. */
  delimiter?: string;
}

const MAX_RECORD_BYTES = 2 ** 24;

/**
 * Parses CSV. Features must be decimal numbers, labels may be anything; empty lines are passed over.
 *
 * @throws SetNativeError ERR_DATA_FORMAT, naming the line: no sample, rows of different length, a cell that is not a
 *   number, broken quotes, no column of the label's name
 */
export function parseCsv(bytes: Uint8Array, file: string, options: CsvOptions = {}): RawSamples {
  let columns = 0;
  let labelColumn = -1;
  let header = false;
  // A cell takes at least two bytes, itself and what ends it: this many fit, whatever the file says.
  const values = new Float32Array((bytes.length + 1) >> 1);
  let count = 0;
  const labels: string[] = [];

  const takeFirst = (cells: string[], line: number) => {
    columns = cells.length;
    if (columns < 2) throw formatError(file, { line }, 'at least one feature and a label', `${columns} column`);
    header =
      options.header ??
      (options.label !== undefined || cells.slice(0, -1).every((cell) => parseDecimal(cell) === undefined));
    labelColumn = columns - 1;
    if (options.label === undefined) return;
    labelColumn = header ? cells.indexOf(options.label) : -1;
    if (labelColumn < 0) {
      const came = header ? cells.slice(0, 20).join(', ') : 'no header';
      throw formatError(file, { line }, `a column named ${options.label}`, came);
    }
  };
  const takeRow = (cells: string[], line: number) => {
    if (cells.length !== columns) throw formatError(file, { line }, `${columns} cells`, `${cells.length}`);
    for (const [column, cell] of cells.entries()) {
      if (column === labelColumn) continue;
      const value = parseDecimal(cell);
      if (value === undefined) {
        throw formatError(file, { line, column: column + 1 }, 'a number', JSON.stringify(cell.slice(0, 80)));
      }
      values[count++] = value;
    }
    labels.push(cells[labelColumn]!);
  };

  try {
    parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength), {
      bom: true,
      delimiter: options.delimiter ?? ',',
      trim: true,
      skip_empty_lines: true,
      relax_column_count: true, // checked above, with our message
      max_record_size: MAX_RECORD_BYTES,
      on_record: (cells: string[], { lines }) => {
        const isFirst = columns === 0;
        if (isFirst) takeFirst(cells, lines);
        if (!isFirst || !header) takeRow(cells, lines);
        return undefined;
      },
    });
  } catch (cause) {
    if (!(cause instanceof CsvError)) throw cause;
    throw formatError(file, { line: Number(cause.lines) }, 'well-formed CSV', `"${cause.message}"`, cause);
  }
  if (labels.length === 0) throw formatError(file, {}, 'at least one sample', 'none');
  return { file, x: values.slice(0, count), labels, count: labels.length, features: columns - 1 };
}

/**
 * Reads a CSV file (.gz or not); see parseCsv.
 *
 * @throws SetNativeError ERR_DATA_FORMAT, ERR_DATA_NOT_FOUND, ERR_IO
 */
export function readCsvSamples(file: string, options: CsvOptions = {}): RawSamples {
  return parseCsv(readBytes(file), file, options);
}
