import { ADVICE, formatError } from './bytes.js';

/*
 * Splits CSV into records and cells (RFC 4180). It is our own because files may be hostile: the packages for
 * it bound neither the number of cells of a record, some hundred million of which end the process, nor the
 * time of a record, at some 20 µs per cell, and they count a line twice where a quoted cell breaks it by
 * CRLF.
 */

/**
 * Most bytes of one record, and so of its cells: a quote that is never closed would reach to the end of the
 * file.
 */
export const MAX_RECORD_BYTES = 2 ** 24;

const LF = 10;
const CR = 13;
const QUOTE = 34;
const BOM = Buffer.from('\ufeff');

/** One record of a file. */
interface CsvRecord {
  /** Number of its first line, from 1. */
  line: number;
  cells: string[];
}

/**
 * The records of a text, one after the other, without blank ones. They end in LF, CRLF or CR; a file joined
 * from several has a mixture. Cells come without the blanks around them; quoted text is kept unchanged.
 *
 * @param bytes UTF-8, which may begin with a byte order mark
 * @param first number of the first line
 * @throws SetNativeError ERR_DATA_FORMAT: a quote within a cell or not closed, a record that is too long
 */
export function* csvRecords(
  bytes: Uint8Array,
  file: string,
  delimiter: string,
  first = 1,
): Generator<CsvRecord> {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let start = BOM.equals(text.subarray(0, BOM.length)) ? BOM.length : 0;
  let line = first;
  while (start < text.length) {
    const { end, breaks, hasQuotes, isOpen } = extent(text, start);
    if (end - start > MAX_RECORD_BYTES) {
      const advice = isOpen ? 'close the quote' : 'take fewer columns or shorter cells';
      throw formatError(file, { line }, `at most ${MAX_RECORD_BYTES} bytes in a row`, 'more', advice);
    }
    const record = end === start ? '' : text.toString('utf8', start, end);
    if (record.trim() !== '') {
      const cells = hasQuotes
        ? quotedCells(record, file, delimiter, line)
        : record.split(delimiter).map(trim);
      yield { line, cells };
    }
    line += breaks + 1;
    start = end + 1;
  }
}

/**
 * Finds the end of the record that begins at `start`, looking no further than the longest record, and counts
 * the line ends within its quotes.
 */
function extent(
  text: Buffer,
  start: number,
): { end: number; breaks: number; hasQuotes: boolean; isOpen: boolean } {
  let isOpen = false;
  let hasQuotes = false;
  let breaks = 0;
  let end = start;
  const stop = Math.min(text.length, start + MAX_RECORD_BYTES + 1);
  for (; end < stop; end++) {
    const byte = text[end];
    if (byte === QUOTE) {
      isOpen = !isOpen;
      hasQuotes = true;
    } else if (byte === LF || (byte === CR && text[end + 1] !== LF)) {
      if (!isOpen) break;
      breaks++;
    }
  }
  return { end, breaks, hasQuotes, isOpen };
}

const trim = (cell: string) => cell.trim();

/** Cells of a record, some of which are in quotes. */
function quotedCells(record: string, file: string, delimiter: string, line: number): string[] {
  const cells: string[] = [];
  const broken = (expected: string, came: string) =>
    formatError(file, { line, column: cells.length + 1 }, expected, came, ADVICE.content);
  for (let at = 0; at <= record.length; ) {
    while (isBlank(record[at]) && !record.startsWith(delimiter, at)) at++;
    const isQuoted = record[at] === '"';
    const close = isQuoted ? closingQuote(record, at + 1) : at;
    if (close < 0) throw broken('a closing quote', 'none');
    const found = record.indexOf(delimiter, close);
    const end = found < 0 ? record.length : found;
    const outside = record.slice(isQuoted ? close + 1 : at, end).trim();
    if (isQuoted ? outside !== '' : outside.includes('"')) {
      const came = isQuoted ? `${JSON.stringify(outside)} behind them` : JSON.stringify(outside);
      throw broken('quotes around a whole cell or none (doubled within it)', came);
    }
    cells.push(isQuoted ? record.slice(at + 1, close).replaceAll('""', '"') : outside);
    at = end + delimiter.length;
  }
  return cells;
}

const isBlank = (character: string | undefined) => character !== undefined && character.trim() === '';

/** Position of the quote that closes text from `from` on, or -1. */
function closingQuote(record: string, from: number): number {
  let close = record.indexOf('"', from);
  while (close >= 0 && record[close + 1] === '"') close = record.indexOf('"', close + 2);
  return close;
}
