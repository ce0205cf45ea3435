import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, describe, expect, it } from 'vitest';
import { parseNipsParam, parseNumberTable, readNipsSamples } from '../../../src/datasets/nips.js';
import { errorOf } from '../../support/errorOf.js';

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'set-native-nips-'));
afterAll(() => fs.rmSync(folder, { recursive: true }));

const write = (name: string, content: string | Uint8Array) => {
  const file = path.join(folder, name);
  fs.writeFileSync(file, content);
  return file;
};
const parse = (text: string) => parseNumberTable(Buffer.from(text), 'f.data', Float64Array);

describe('number tables', () => {
  it.each([
    ['trailing blanks', '1 2 3 \n4 5 6 \n'],
    ['no newline at the end', '1 2 3\n4 5 6'],
    ['tabs, carriage returns, empty lines at the end', '1\t2  3\r\n 4 5 6\r\n\r\n\n'],
    ['signs, fractions and exponents', '+1 2. 3.0e0\n4E0 .5e1 600e-2\n'],
  ])('reads %s', (_, text) => {
    expect(parse(text)).toEqual({ rows: 2, columns: 3, values: Float64Array.of(1, 2, 3, 4, 5, 6), sum: 21 });
  });

  it.each([
    ['a short row', '1 2 3\n4 5\n', 'line 2, column 2: expected 3 numbers in the line, came 2'],
    ['a long row', '1 2\n4 5 6\n', 'line 2, column 3: expected 2 numbers in the line, came more'],
    ['a word', '1 2\n3 x4\n', 'line 2, column 2: expected a number, came "x4"'],
    ['the sparse form', '3:1 8:2\n', 'line 1, column 1: expected a number, came "3:1"'],
    ['NaN', '1 NaN\n', 'came "NaN"'],
    ['hexadecimal', '0x10\n', 'came "0x10"'],
    ['an empty line within', '1 2\n\n3 4\n', 'line 2: expected 2 numbers, came an empty line'],
    ['an empty line in front', '\n1 2\n', 'line 1: expected'],
    ['nothing', ' \n\n', 'expected lines of numbers, came none'],
    ['a very long word', `1 ${'9'.repeat(1e6)}x\n`, 'line 1, column 2'],
  ])('refuses %s', (_, text, message) => {
    const error = errorOf(() => parse(text));
    expect(error.code).toBe('ERR_DATA_FORMAT');
    expect(error.message).toContain('f.data');
    expect(error.message).toContain(message);
    expect(error.message.length).toBeLessThan(300);
  });

  it('bounds what it reads by memory', () => {
    const lines = Buffer.from('1 2\n'.repeat(10));
    expect(parseNumberTable(lines, 'f', Float32Array, 10 * 40 * 4).rows).toBe(10);
    const error = errorOf(() => parseNumberTable(lines, 'f', Float32Array, 9 * 40 * 4));
    expect(error).toMatchObject({ code: 'ERR_OUT_OF_MEMORY', details: { limit: 9, features: 2 } });
    const wide = errorOf(() => parseNumberTable(Buffer.from('1 '.repeat(100)), 'f', Float32Array, 4 * 400));
    expect(wide.code).toBe('ERR_OUT_OF_MEMORY');
  });

  it.each([
    ['a cut last line', '1 2\n3', 'fetch it again'],
    ['a short last line', '1 2\n3\n', 'correct the file'],
    ['a missing value', '1 2\n3 ?\n', 'drop such rows'],
  ])('advises by what is wrong: %s', (_, text, advice) => {
    expect(errorOf(() => parse(text)).message).toContain(advice);
  });
});

describe('NIPS 2003 parts', () => {
  const data = write('toy_train.data.gz', gzipSync('1 2\n3 4\n5 6\n'));
  const labels = write('toy_train.labels', '1\n-1\n1\n');
  const param = (name: string, train: string) =>
    write(
      name,
      `Data type: non-sparse\nNumber of features: 2\n\tPos_ex\tNeg_ex\tTot_ex\tCheck_sum\nTrain\t ${train}\n`,
    );

  it('joins data and labels, with or without a .param file', () => {
    const expected = {
      x: Float32Array.of(1, 2, 3, 4, 5, 6),
      labels: Float64Array.of(1, -1, 1),
      count: 3,
      features: 2,
    };
    expect(readNipsSamples(data, labels, undefined, 'Train')).toMatchObject(expected);
    expect(readNipsSamples(data, labels, path.join(folder, 'none.param'), 'Train')).toMatchObject(expected);
    expect(readNipsSamples(data, labels, param('good.param', '2 1 3 21.00'), 'Train')).toMatchObject(
      expected,
    );
    expect(readNipsSamples(data, labels, param('good.param', '2 1 3 99.00'), 'Valid')).toMatchObject(
      expected,
    );
  });

  it('refuses what the .param file contradicts', () => {
    for (const [name, line] of [
      ['sum.param', '2 1 3 22.00'],
      ['count.param', '2 1 4 21.00'],
    ] as const) {
      const error = errorOf(() => readNipsSamples(data, labels, param(name, line), 'Train'));
      expect(error).toMatchObject({ code: 'ERR_DATA_FORMAT', message: expect.stringContaining(name) });
    }
    expect(errorOf(() => parseNipsParam(Buffer.from('Train 1 1\n'), 'p')).message).toContain('p, line 1');
    const endless = errorOf(() => parseNipsParam(Buffer.alloc(2 ** 16 + 1, '\n'), 'p'));
    expect(endless.message).toContain('at most 65536 bytes of parameters');
  });

  it('refuses labels that do not fit', () => {
    const four = write('four', '1\n1\n1\n1\n');
    const wide = write('wide', '1 1\n1 1\n1 1\n');
    expect(errorOf(() => readNipsSamples(data, four, undefined, 'Train')).message).toContain(
      'expected 3 labels',
    );
    expect(errorOf(() => readNipsSamples(data, wide, undefined, 'Train')).message).toContain(
      'one label per line',
    );
  });
});
