import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { pipeline } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { ADVICE, formatError } from '../datasets/bytes.js';
import { checkText } from '../datasets/csv.js';
import { csvRecords } from '../datasets/csvRecords.js';
import { delimiterOf } from '../datasets/readCsv.js';
import { notJson, type RawRecord, recordStream } from '../datasets/recordStream.js';
import type { Cell } from '../datasets/table.js';
import { SetNativeError } from '../errors.js';

/*
 * Rows of a file or of standard input, in CSV or JSON lines, a few at a time.
 */

export const rowFormats = ['csv', 'jsonl'] as const;
export type RowFormat = (typeof rowFormats)[number];

/** A row, and what was wrong with it. */
export type SourceRow = { line: number } & (
  | { cells: readonly Cell[]; kept: readonly unknown[] }
  | { error: Error }
);

/** Which cells of a row are wanted. */
export interface Wanted {
  /** Columns of the model; undefined: a row is its features, so many. */
  columns: readonly string[] | undefined;
  features: number;
  /** Columns that are carried through. */
  keep: readonly string[];
}

export interface RowSource {
  format: RowFormat;
  delimiter: string;
  /** Rows, as many at a time as came at once. */
  batches: AsyncIterable<SourceRow[]>;
}

/** Bytes that are read from a file at once. */
const pieceBytes = 2 ** 18;

/**
 * Opens a file, or standard input (undefined).
 *
 * @param format undefined: by the name of the file or else the first byte that is no blank
 * @param header whether the first line of CSV names the columns
 */
export async function openRows(
  file: string | undefined,
  wanted: Wanted,
  given: { format: RowFormat | undefined; delimiter: string | undefined; header: boolean },
): Promise<RowSource> {
  const name = file ?? 'standard input';
  const pieces = file === undefined ? (process.stdin as AsyncIterable<Buffer>) : await readPieces(file);
  const iterator = pieces[Symbol.asyncIterator]();
  const first = await firstPiece(iterator, name);
  const all = startingWith(first, iterator, name);
  const format = given.format ?? formatOf(file, first);
  const delimiter = given.delimiter ?? (format === 'csv' ? delimiterOf(first) : ',');
  if (delimiter.length !== 1 || /["\r\n]/.test(delimiter)) {
    throw new SetNativeError('ERR_USAGE', '[predict] --delimiter must be one character, or tab', {
      details: { flag: '--delimiter' },
    });
  }
  const records = recordStream(all, name, { quotes: format === 'csv' });
  const batches =
    format === 'csv'
      ? csvRows(records, name, wanted, { delimiter, header: given.header })
      : jsonRows(records, name, wanted);
  return { format, delimiter, batches };
}

async function readPieces(file: string): Promise<AsyncIterable<Buffer>> {
  try {
    if ((await stat(file)).isDirectory()) throw new Error('it is a folder');
  } catch (cause) {
    throw readError(file, cause as NodeJS.ErrnoException);
  }
  const bytes = createReadStream(file, { highWaterMark: pieceBytes });
  if (!file.endsWith('.gz')) return bytes;
  const unpacked = createGunzip({ chunkSize: pieceBytes });
  pipeline(bytes, unpacked, () => {}); // errors come out of `unpacked`
  return unpacked;
}

function readError(file: string, cause: NodeJS.ErrnoException): SetNativeError {
  if (cause.code === 'ENOENT' || cause.code === 'ENOTDIR') {
    return new SetNativeError(
      'ERR_DATA_NOT_FOUND',
      `[predict] ${file}: expected a file, there is none; check the path`,
      { details: { file }, cause },
    );
  }
  if (cause.code?.startsWith('Z_')) {
    return formatError(file, {}, 'whole and undamaged compressed data', cause.message, ADVICE.damaged, cause);
  }
  return new SetNativeError('ERR_IO', `[predict] ${file} could not be read: ${cause.message}`, {
    details: { file },
    cause,
  });
}

/** The first bytes, up to a line end; a pipe may bring them one by one. */
async function firstPiece(iterator: AsyncIterator<Buffer>, name: string): Promise<Buffer> {
  const parts: Buffer[] = [];
  let length = 0;
  while (length < pieceBytes) {
    const { done, value } = await nextOf(iterator, name);
    if (done) break;
    parts.push(value);
    length += value.length;
    if (value.some((byte) => byte === 10 || byte === 13)) break;
  }
  return Buffer.concat(parts);
}

async function nextOf(iterator: AsyncIterator<Buffer>, name: string): Promise<IteratorResult<Buffer>> {
  try {
    return await iterator.next();
  } catch (cause) {
    throw readError(name, cause as NodeJS.ErrnoException);
  }
}

async function* startingWith(first: Buffer, iterator: AsyncIterator<Buffer>, name: string) {
  try {
    yield first;
    for (;;) {
      const { done, value } = await nextOf(iterator, name);
      if (done) return;
      yield value;
    }
  } finally {
    await iterator.return?.();
  }
}

function formatOf(file: string | undefined, first: Buffer): RowFormat {
  if (file !== undefined && /\.(jsonl|ndjson)(\.gz)?$/i.test(file)) return 'jsonl';
  if (file !== undefined && /\.(csv|tsv)(\.gz)?$/i.test(file)) return 'csv';
  const byte = first.find((each) => !' \t\r\n\ufeff'.includes(String.fromCharCode(each)) && each < 0x80);
  return byte === 0x7b || byte === 0x5b ? 'jsonl' : 'csv'; // { or [
}

const isBlank = ({ bytes }: RawRecord) => bytes.every((byte) => byte === 32 || byte === 9);

async function* csvRows(
  batches: AsyncIterable<RawRecord[]>,
  file: string,
  wanted: Wanted,
  { delimiter, header }: { delimiter: string; header: boolean },
): AsyncGenerator<SourceRow[]> {
  let pick: ((cells: string[], line: number) => SourceRow) | undefined;
  for await (const records of batches) {
    const rows: SourceRow[] = [];
    for (const record of records) {
      if (isBlank(record)) continue;
      const { line } = record;
      let cells: string[] | undefined;
      try {
        checkText(record.bytes, file, line);
        for (const each of csvRecords(record.bytes, file, delimiter, line)) cells = each.cells;
      } catch (error) {
        if (pick === undefined) throw error; // without names of columns nothing can follow
        rows.push({ line, error: error as Error });
        continue;
      }
      if (cells === undefined) continue;
      if (pick !== undefined) rows.push(pick(cells, line));
      else {
        const names = header ? cells : cells.map((_, column) => `column ${column + 1}`);
        pick = picker(names, line, file, wanted, header);
        if (!header) rows.push(pick(cells, line));
      }
    }
    if (rows.length > 0) yield rows;
  }
}

/** How cells are taken out of a row, by the names of the columns. */
function picker(
  names: readonly string[],
  line: number,
  file: string,
  { columns, features, keep }: Wanted,
  header: boolean,
): (cells: string[], line: number) => SourceRow {
  const placeOf = (name: string) => {
    const at = names.indexOf(name);
    const again = at < 0 ? -1 : names.indexOf(name, at + 1);
    if (again >= 0) {
      throw formatError(
        file,
        { line },
        `one column named ${name}`,
        `columns ${at + 1}, ${again + 1}`,
        ADVICE.content,
      );
    }
    return at;
  };
  const require = (name: string) => {
    const at = placeOf(name);
    if (at >= 0) return at;
    const advice = header ? 'name the columns in the first line, or say --no-header' : 'check the file';
    throw formatError(file, { line }, `a column named ${name}`, names.slice(0, 20).join(', '), advice);
  };
  const kept = keep.map(require);
  // Without names in the file, columns of a model that has some are taken in their order.
  const byOrder = columns === undefined || (!header && columns.every((name) => placeOf(name) < 0));
  const count = columns?.length ?? features;
  const others = names.flatMap((_, at) => (kept.includes(at) ? [] : [at]));
  const taken = byOrder ? (names.length === count ? names.map((_, at) => at) : others) : columns.map(require);
  if (taken.length !== count) {
    throw formatError(
      file,
      { line },
      `${count} columns, as the model takes`,
      `${taken.length}`,
      ADVICE.content,
    );
  }
  return (cells, at) => {
    if (cells.length !== names.length) {
      const error = formatError(
        file,
        { line: at },
        `${names.length} cells`,
        `${cells.length}`,
        ADVICE.content,
      );
      return { line: at, error };
    }
    return {
      line: at,
      cells: taken.map((column) => cells[column]!),
      kept: kept.map((column) => cells[column]!),
    };
  };
}

async function* jsonRows(
  batches: AsyncIterable<RawRecord[]>,
  file: string,
  wanted: Wanted,
): AsyncGenerator<SourceRow[]> {
  for await (const records of batches) {
    const rows = records.filter((record) => !isBlank(record)).map((record) => jsonRow(record, file, wanted));
    if (rows.length > 0) yield rows;
  }
}

function jsonRow({ bytes, line }: RawRecord, file: string, { columns, features, keep }: Wanted): SourceRow {
  try {
    checkText(bytes, file, line);
    const text = bytes.toString('utf8').replace(/^\ufeff/, '');
    let row: unknown;
    try {
      row = JSON.parse(text);
    } catch (cause) {
      throw notJson(file, line, (cause as Error).message);
    }
    const count = columns?.length ?? features;
    if (Array.isArray(row)) {
      if (row.length !== count)
        throw formatError(file, { line }, `${count} cells`, `${row.length}`, ADVICE.content);
      if (keep.length > 0)
        throw formatError(file, { line }, `an object with ${keep.join(', ')}`, 'a list', ADVICE.content);
      return { line, cells: row.map(cellOf), kept: [] };
    }
    if (typeof row !== 'object' || row === null) throw notJson(file, line, JSON.stringify(row));
    if (columns === undefined) {
      throw formatError(
        file,
        { line },
        `a list of ${features} numbers`,
        'an object',
        'the model has no names of columns',
      );
    }
    const valueAt = (name: string): unknown =>
      Object.hasOwn(row, name) ? (row as Record<string, unknown>)[name] : undefined;
    const absent = columns.find((name) => !Object.hasOwn(row, name));
    if (absent !== undefined && columns.every((name) => !Object.hasOwn(row, name)))
      throw formatError(
        file,
        { line },
        `a column named ${absent}`,
        Object.keys(row).slice(0, 20).join(', '),
        ADVICE.content,
      );
    return {
      line,
      cells: columns.map((name) => cellOf(valueAt(name))),
      kept: keep.map((name) => valueAt(name) ?? null),
    };
  } catch (error) {
    return { line, error: error as Error };
  }
}

/** A value of JSON as a cell; a list or an object is none, and no column takes its text. */
function cellOf(value: unknown): Cell {
  return typeof value === 'object' && value !== null ? JSON.stringify(value) : (value as Cell);
}
