import { isUtf8 } from 'node:buffer';
import type { SetNativeError } from '../errors.js';
import type { Place } from '../files/refusal.js';
import { ADVICE, checkSampleCount, formatError, machineMemory, readBytes } from './bytes.js';
import { csvRecords } from './csvRecords.js';
import { DistinctLabels, type RawSamples } from './labels.js';
import { isMissing, NumberList, parseDecimal } from './numbers.js';

/*
 * Reads CSV with one sample per record: numbers, and one label column.
 */

/** Options of a CSV file. */
export interface CsvOptions {
  /** Name of the label column in the header; default: the last column. */
  label?: string;
  /**
   * Whether the first line names the columns; default: true when `label` is given, else decided by
   * `isHeader`.
   */
  header?: boolean;
  /** Character between cells; default `,`. */
  delimiter?: string;
}

/** Samples in which a feature without a value is NaN, and the place of the first such cell. */
interface CsvSamples extends RawSamples {
  /** First cell without a value, and its text. */
  missing?: { place: Place; text: string };
}

/** Usual names of the label column, in lower case. */
const LABEL_NAMES = ['label', 'labels', 'class', 'classes', 'target', 'y', 'category', 'outcome'];

const LF = 10;
const CR = 13;

const NO_LABELS: ReadonlySet<string> = new Set();

/** A copy of a text: without it the engine would keep the whole record for as long as its part. */
const ownText = (text: string) => Buffer.from(text).toString();

const isWord = (cell: string) => parseDecimal(cell) === undefined && !isMissing(cell);

/** Whether cells count 0, 1, 2 .. or 1, 2, 3 .., which programs write as names of columns without names. */
function countUp(cells: string[]): boolean {
  const first = Number(cells[0]);
  return (
    cells.length >= 3 && (first === 0 || first === 1) && cells.every((cell, i) => Number(cell) === first + i)
  );
}

/**
 * Whether the first line names the columns, where the options leave it open. Words are names. Numbers are
 * names only above a word that is no label: a word that no other line has although the labels of the others
 * are numbers, or a usual name of the label column, or if the numbers count up.
 *
 * @param first cells of the first line, the label last
 * @param others labels of the other lines, each once
 */
export function isHeader(first: string[], others: ReadonlySet<string>): boolean {
  const names = first.slice(0, -1);
  const name = first.at(-1)!;
  const numbers = names.filter((cell) => parseDecimal(cell) !== undefined);
  if (numbers.length === 0) return names.some(isWord);
  if (numbers.length < names.length || !isWord(name) || others.has(name) || others.size === 0) return false;
  const labelsAreNumbers = [...others].every((label) => parseDecimal(label) !== undefined);
  return labelsAreNumbers || LABEL_NAMES.includes(name.toLowerCase()) || countUp(names);
}

/** Number of the first line, from 1, by any of the line ends, for which `test` holds. */
function findLine(bytes: Uint8Array, test: (line: Uint8Array) => boolean): number {
  let line = 1;
  let start = 0;
  for (let at = 0; at < bytes.length; at++) {
    if (bytes[at] !== LF && (bytes[at] !== CR || bytes[at + 1] === LF)) continue;
    if (test(bytes.subarray(start, at))) return line;
    line++;
    start = at + 1;
  }
  return line;
}

/**
 * ERR_DATA_FORMAT unless the bytes are text in UTF-8.
 *
 * @param start number of the first line
 */
export function checkText(bytes: Uint8Array, file: string, start = 1): void {
  const advice = 'save the file as text in UTF-8';
  const [first, second] = bytes;
  if ((first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff)) {
    throw formatError(file, { line: start }, 'UTF-8', 'UTF-16, by its byte order mark', advice);
  }
  if (!isUtf8(bytes)) {
    const line = start - 1 + findLine(bytes, (text) => !isUtf8(text));
    throw formatError(file, { line }, 'UTF-8', 'bytes of another encoding', advice);
  }
  if (bytes.includes(0)) {
    const line = start - 1 + findLine(bytes, (text) => text.includes(0));
    throw formatError(file, { line }, 'text in UTF-8', 'a byte of 0, as in UTF-16 or no text at all', advice);
  }
}

/** Collects the lines, one after the other, and makes samples of them. */
class CsvTable {
  private first: string[] | undefined;
  private firstIsSample = false;
  private labelColumn = -1;
  private missing: CsvSamples['missing'];
  private readonly values = new NumberList(Float32Array);
  private readonly labels: string[] = [];
  /**
   * All labels, each once: cells with the same text share one string, and too many different ones end the
   * parsing.
   */
  private readonly distinct: DistinctLabels<string>;

  constructor(
    private readonly file: string,
    private readonly options: CsvOptions,
    private readonly memory: number,
  ) {
    this.distinct = new DistinctLabels(file);
  }

  take(cells: string[], line: number): void {
    if (this.first !== undefined) {
      this.takeSample(cells, line);
      return;
    }
    const { header, label } = this.options;
    const isNamed = header ?? (label !== undefined || isHeader(cells, NO_LABELS));
    this.takeFirst(cells, isNamed, line);
    // Numbers may turn out to be names once all labels are known; until then they are a sample.
    this.firstIsSample = !isNamed;
    if (this.firstIsSample) this.takeSample(cells, line);
  }

  /** Finds the label column. */
  private takeFirst(cells: string[], isNamed: boolean, line: number): void {
    this.first = cells;
    if (cells.length < 2) {
      const advice = 'check that it is the right file, and its delimiter';
      throw formatError(
        this.file,
        { line },
        'at least one feature and a label',
        `${cells.length} column`,
        advice,
      );
    }
    const { label } = this.options;
    this.labelColumn = label === undefined ? cells.length - 1 : isNamed ? cells.indexOf(label) : -1;
    if (this.labelColumn < 0) {
      const came = isNamed ? cells.slice(0, 20).join(', ') : 'no header';
      throw formatError(this.file, { line }, `a column named ${label}`, came, ADVICE.content);
    }
    if (isNamed) this.checkLabelName(line);
  }

  /**
   * Throws where the header has the name of the label twice: either column could be the label, and the other
   * one, as a feature, would reveal it.
   */
  private checkLabelName(line?: number): void {
    const name = this.first![this.labelColumn]!;
    const columns = this.first!.flatMap((other, column) => (other === name ? [column + 1] : []));
    if (columns.length === 1 || isMissing(name)) return;
    const came = `columns ${columns.slice(0, 5).join(', ')}`;
    const place = line === undefined ? {} : { line };
    throw formatError(this.file, place, `one column named ${name}`, came, ADVICE.content);
  }

  private takeSample(cells: string[], line: number): void {
    const columns = this.first!.length;
    if (cells.length !== columns) {
      throw formatError(this.file, { line }, `${columns} cells`, `${cells.length}`, ADVICE.content);
    }
    checkSampleCount(this.file, this.labels.length + 1, columns - 1, this.memory);
    for (let column = 0; column < columns; column++) {
      if (column !== this.labelColumn)
        this.values.push(this.feature(cells[column]!, { line, column: column + 1 }));
    }
    const label = cells[this.labelColumn]!;
    if (isMissing(label))
      throw missingError(this.file, { line, column: this.labelColumn + 1 }, 'a label', label);
    this.labels.push(this.distinct.take(label, ownText));
  }

  private feature(text: string, place: Place): number {
    const value = parseDecimal(text);
    if (value !== undefined) return value;
    if (!isMissing(text))
      throw formatError(this.file, place, 'a number', JSON.stringify(text), ADVICE.content);
    this.missing ??= { place, text };
    return Number.NaN;
  }

  samples(): CsvSamples {
    const features = (this.first?.length ?? 1) - 1;
    const skipped = this.firstIsNames() ? 1 : 0;
    if (skipped === 1) this.checkLabelName();
    if (this.labels.length === 0)
      throw formatError(this.file, {}, 'at least one sample', 'none', ADVICE.content);
    const x = this.values.toArray(skipped * features);
    const labels = skipped === 0 ? this.labels : this.labels.slice(1);
    const missing = this.missing === undefined ? {} : { missing: this.missing };
    return { file: this.file, x, labels, count: labels.length, features, ...missing };
  }

  /** Whether the first line, so far taken as a sample, names the columns. */
  private firstIsNames(): boolean {
    if (!this.firstIsSample || this.options.header !== undefined) return false;
    const others = new Set<string>();
    for (let i = 1; i < this.labels.length; i++) others.add(this.labels[i]!);
    return isHeader(this.first!, others);
  }
}

/**
 * Parses CSV in UTF-8. Features must be decimal numbers or missing, labels may be any text; empty lines are
 * skipped. Two features may share a name, because only that of the label is looked up.
 *
 * @param memory bytes that this process may use; see checkSampleCount
 * @throws SetNativeError ERR_DATA_FORMAT, naming the line: not UTF-8, no sample, rows of different length, a
 * feature that is neither a number nor missing, a missing label, too many labels, broken quotes, no column
 * with the name of the label or two; ERR_OUT_OF_MEMORY
 */
export function parseCsv(
  bytes: Uint8Array,
  file: string,
  options: CsvOptions = {},
  memory = machineMemory(),
): CsvSamples {
  checkText(bytes, file);
  const table = new CsvTable(file, options, memory);
  for (const { cells, line } of csvRecords(bytes, file, options.delimiter ?? ',')) table.take(cells, line);
  return table.samples();
}

/**
 * Reads a CSV file (.gz or not); see parseCsv.
 *
 * @throws SetNativeError ERR_DATA_FORMAT (also when a feature is missing, naming its line and column),
 *   ERR_DATA_NOT_FOUND, ERR_IO, ERR_OUT_OF_MEMORY
 */
export function readCsvSamples(file: string, options: CsvOptions = {}): RawSamples {
  const { missing, ...samples } = parseCsv(readBytes(file), file, options);
  if (missing !== undefined) throw missingError(file, missing.place, 'a number', missing.text);
  return samples;
}

function missingError(file: string, place: Place, expected: string, text: string): SetNativeError {
  const came = `${JSON.stringify(text)}, a missing value`;
  return formatError(file, place, expected, came, ADVICE.missing);
}
