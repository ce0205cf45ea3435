import { ADVICE, formatError } from './bytes.js';

/*
 * CSV as far as it is about characters (RFC 4180): which bytes are a record and which text is a cell. Our
 * own, because files come from strangers: packages for it bound neither the cells of a record, of which some
 * hundred million end the process, nor, at some 20 µs each, the time that records take, and count a line
 * twice where a quoted cell breaks it by CRLF.
 */

/**
 * The most bytes of one record, and so of its cells: a quote that nobody closes would reach to the end of the
 * file.
 */
const MAX_RECORD_BYTES = 2 ** 24;

const LF = 10;
const CR = 13;
const QUOTE = 34;
const BOM = Buffer.from('\ufeff');

/** One record of a file. */
interface CsvRecord {
  /** The line it begins in, from 1. */
  line: number;
  cells: string[];
}

/**
 * The records of a text, one after the other, without those of blanks alone. They end in LF, CRLF or CR, of
 * which a file put together of several has a mixture. Cells come without the blanks around them; what stands
 * in quotes is kept as it is.
 *
 * @param bytes UTF-8, perhaps behind a byte order mark
 * @throws SetNativeError ERR_DATA_FORMAT: a quote within a cell or not closed, a record that is too long
 */
export function* csvRecords(bytes: Uint8Array, file: string, delimiter: string): Generator<CsvRecord> {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let start = BOM.equals(text.subarray(0, BOM.length)) ? BOM.length : 0;
  let line = 1;
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
 * How far the record reaches that begins at `start`, no further than to tell one too long, and the line ends
 * within its quotes.
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

/** The cells of a record in which some stand in quotes. */
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

/** Where the quote closes that encloses text from `from` on, or -1. */
function closingQuote(record: string, from: number): number {
  let close = record.indexOf('"', from);
  while (close >= 0 && record[close + 1] === '"') close = record.indexOf('"', close + 2);
  return close;
}
