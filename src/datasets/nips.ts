import fs from 'node:fs';
import { ADVICE, checkSampleCount, formatError, machineMemory, readBytes } from './bytes.js';
import type { RawSamples } from './labels.js';
import { isMissing, NumberList, parseDecimal } from './numbers.js';

/*
 * Reads the text format of the NIPS 2003 feature selection challenge (dense form): NAME_train.data has one
 * sample per line, numbers between blanks; NAME_train.labels one label per line, in the same order;
 * NAME_valid likewise. NAME.param, where present, states sizes and a checksum of each part, which are
 * compared with the data.
 */

/** A table of numbers. */
interface NumberTable<Numbers> {
  rows: number;
  columns: number;
  /** Values, row by row. */
  values: Numbers;
  /** Sum of all values in double precision, one after the other. */
  sum: number;
}

const MAX_PARAM_BYTES = 2 ** 16;
const NEWLINE = 10;
const LONGEST_NUMBER = 64;
/** Whether a byte is a blank of the format: space, tab, carriage return. */
const isBlank = (byte: number) => byte === 32 || byte === 9 || byte === 13;

/**
 * Parses lines of numbers between blanks; empty lines may stand at the end only.
 *
 * @param Numbers Float32Array for features, Float64Array for labels, which must be exact
 * @param memory bytes that this process may use; see checkSampleCount
 * @throws SetNativeError ERR_DATA_FORMAT, naming line and column: no number at all, a row of another length
 * than the first, something that is not a decimal number (a column is a count of numbers in the line);
 * ERR_OUT_OF_MEMORY
 */
export function parseNumberTable<Numbers extends Float32Array | Float64Array>(
  bytes: Uint8Array,
  file: string,
  Numbers: new (length: number) => Numbers,
  memory = machineMemory(),
): NumberTable<Numbers> {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const values = new NumberList(Numbers);
  let sum = 0;
  let rows = 0;
  let columns = 0;
  let emptyLine = 0; // first of the empty lines that no other line has followed yet
  let at = 0;
  for (let line = 1; at < text.length; line++) {
    let column = 0;
    for (; at < text.length && text[at] !== NEWLINE; at++) {
      if (isBlank(text[at]!)) continue;
      const start = at;
      while (at + 1 < text.length && text[at + 1] !== NEWLINE && !isBlank(text[at + 1]!)) at++;
      column++;
      const token = text.toString('latin1', start, Math.min(at + 1, start + LONGEST_NUMBER));
      const value = at + 1 - start > LONGEST_NUMBER ? undefined : parseDecimal(token);
      if (value === undefined) {
        const advice = isMissing(token) ? ADVICE.missing : ADVICE.content;
        throw formatError(file, { line, column }, 'a number', JSON.stringify(token), advice);
      }
      if (emptyLine > 0) {
        throw formatError(file, { line: emptyLine }, `${columns} numbers`, 'an empty line', ADVICE.content);
      }
      if (rows > 0 && column > columns) {
        throw formatError(file, { line, column }, `${columns} numbers in the line`, 'more', ADVICE.content);
      }
      if (column === 1 || rows === 0) checkSampleCount(file, rows + 1, Math.max(column, columns), memory);
      values.push(value);
      sum += value;
    }
    at++; // skips the newline
    if (column === 0) {
      if (emptyLine === 0) emptyLine = line;
      continue;
    }
    if (rows === 0) columns = column;
    if (column < columns) {
      // Without a newline at its end, the line is short because the file was cut off.
      const advice = at > text.length ? ADVICE.damaged : ADVICE.content;
      throw formatError(file, { line, column }, `${columns} numbers in the line`, `${column}`, advice);
    }
    rows++;
  }
  if (rows === 0) throw formatError(file, {}, 'lines of numbers', 'none', ADVICE.foreign);
  return { rows, columns, values: values.toArray(), sum };
}

/** Facts that a .param file states about one part ("Train", "Valid"). */
interface NipsPart {
  samples: number;
  checkSum: number;
}

/**
 * Parses a .param file: the number of features, and for each part the number of samples and the sum of all
 * values.
 *
 * @throws SetNativeError ERR_DATA_FORMAT where the line of a part is not of the known form, or the file is
 * too long
 */
export function parseNipsParam(
  bytes: Uint8Array,
  file: string,
): { features?: number; parts: Map<string, NipsPart> } {
  if (bytes.length > MAX_PARAM_BYTES) {
    throw formatError(
      file,
      {},
      `at most ${MAX_PARAM_BYTES} bytes of parameters`,
      `${bytes.length}`,
      ADVICE.foreign,
    );
  }
  const parts = new Map<string, NipsPart>();
  let features: number | undefined;
  const lines = Buffer.from(bytes).toString('latin1').split('\n');
  for (const [index, text] of lines.entries()) {
    const words = text.trim().split(/\s+/);
    if (text.startsWith('Number of features:')) features = parseDecimal(words[3] ?? '');
    if (words[0] !== 'Train' && words[0] !== 'Valid') continue;
    const samples = parseDecimal(words[3] ?? '');
    const checkSum = parseDecimal(words[4] ?? '');
    if (samples === undefined || checkSum === undefined) {
      const expected = 'part, positive, negative, total and check-sum';
      throw formatError(file, { line: index + 1 }, expected, text, ADVICE.content);
    }
    parts.set(words[0], { samples, checkSum });
  }
  return { ...(features === undefined ? {} : { features }), parts };
}

/** Joins a table of features and a table of labels. */
function nipsSamples(
  data: NumberTable<Float32Array>,
  dataFile: string,
  labels: NumberTable<Float64Array>,
  labelFile: string,
): RawSamples {
  if (labels.columns !== 1) {
    throw formatError(
      labelFile,
      { line: 1 },
      'one label per line',
      `${labels.columns} numbers`,
      ADVICE.content,
    );
  }
  if (labels.rows !== data.rows) {
    const expected = `${data.rows} labels, as ${dataFile} has samples`;
    throw formatError(labelFile, {}, expected, `${labels.rows}`, ADVICE.mismatch);
  }
  return {
    file: dataFile,
    x: data.values,
    labels: labels.values,
    count: data.rows,
    features: data.columns,
  };
}

/**
 * Reads one part of a NIPS 2003 data set.
 *
 * @param paramFile file that the part is compared with where it exists; undefined for none
 * @param part `Train` or `Valid`, the name of the part in the .param file
 * @throws SetNativeError ERR_DATA_FORMAT (see parseNumberTable; also where numbers of labels and samples
 * differ, or the part differs from the .param file), ERR_DATA_NOT_FOUND, ERR_IO, ERR_OUT_OF_MEMORY
 */
export function readNipsSamples(
  dataFile: string,
  labelFile: string,
  paramFile: string | undefined,
  part: 'Train' | 'Valid',
): RawSamples {
  const data = parseNumberTable(readBytes(dataFile), dataFile, Float32Array);
  const labels = parseNumberTable(readBytes(labelFile), labelFile, Float64Array);
  if (paramFile !== undefined && fs.existsSync(paramFile)) {
    const param = parseNipsParam(readBytes(paramFile), paramFile);
    const expected = param.parts.get(part);
    const say = (features: number | undefined, samples: number, checkSum: number) =>
      `${samples} samples × ${features ?? data.columns} features with check-sum ${checkSum}`;
    if (expected !== undefined) {
      const promised = say(param.features, expected.samples, expected.checkSum);
      const came = say(data.columns, data.rows, data.sum);
      if (promised !== came) {
        throw formatError(dataFile, {}, `${promised}, as ${paramFile} says`, came, ADVICE.damaged);
      }
    }
  }
  return nipsSamples(data, dataFile, labels, labelFile);
}
