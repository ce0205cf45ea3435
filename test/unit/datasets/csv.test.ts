import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parse as oracle } from 'csv-parse/sync';
import { afterAll, describe, expect, it } from 'vitest';
import { type CsvOptions, parseCsv, readCsvSamples } from '../../../src/datasets/csv.js';
import { csvRecords } from '../../../src/datasets/csvRecords.js';
import { errorOf } from '../../support/errorOf.js';

const parse = (text: string, options?: CsvOptions) => parseCsv(Buffer.from(text), 'f.csv', options);

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'set-native-csv-'));
afterAll(() => fs.rmSync(folder, { recursive: true }));
const read = (bytes: string | Buffer) => {
  const file = path.join(folder, 'f.csv');
  fs.writeFileSync(file, bytes);
  return readCsvSamples(file);
};

describe('CSV', () => {
  it.each([
    ['no header', '1,2,a\n3,4,b\n', {}],
    ['a header', 'first,second,class\n1,2,a\n3,4,b\n', {}],
    ['a byte order mark, quotes, blanks, CRLF, empty lines', '\ufeff"1", 2,"a"\r\n\r\n3,4 ,b', {}],
    ['a label column by name', 'class,first,second\na,1,2\nb,3,4\n', { label: 'class' }],
    ['a header that looks like numbers', '1,2,3\n1,2,a\n3,4,b\n', { header: true }],
    ['another delimiter', '1;2;a\n3;4;b\n', { delimiter: ';' }],
    ['tabs', 'x\ty\tclass\n1\t2\ta\n3\t4\tb\n', { delimiter: '\t' }],
    ['a header that ends in CRLF over rows that end in LF', 'x,y,class\r\n1,2,a\n3,4,b\n', {}],
    ['a header that ends in LF over rows that end in CRLF', 'x,y,class\n1,2,a\r\n3,4,b\r\n', {}],
    ['lines that end in CR, in CRLF and not at all', 'x,y,class\r1,2,a\r\n3,4,b', {}],
    ['lines of blanks', '1,2,a\n  \n3,4,b\n \t\n', {}],
    ['two features of one name', 'x,x,class\n1,2,a\n3,4,b\n', {}],
    ['a header of which a name is empty', ',y,class\n1,2,a\n3,4,b\n', {}],
    ['a header of numbers under a usual name', '450.5,460.5,Class\n1,2,a\n3,4,b\n', {}],
  ])('reads %s', (_, text, options) => {
    const samples = parse(text, options);
    expect(samples).toMatchObject({ labels: ['a', 'b'], count: 2, features: 2 });
    expect([...samples.x]).toEqual([1, 2, 3, 4]);
  });

  it.each([
    ['a short row', '1,2,a\n3,b\n', {}, 'line 2: expected 3 cells, came 2'],
    ['a long row', '1,2,a\n3,4,b,c\n', {}, 'line 2: expected 3 cells, came 4'],
    ['a word among numbers', '1,2,a\n3,x,b\n', {}, 'line 2, column 2: expected a number, came "x"'],
    ['a word in the first row', '1,x,a\n3,4,b\n', {}, 'line 1, column 2: expected a number, came "x"'],
    [
      'two label columns',
      'class,x,class\n1,2,a\n',
      { label: 'class' },
      'line 1: expected one column named class',
    ],
    ['two last columns', 'class,x,class\n1,2,a\n', {}, 'one column named class, came columns 1, 3'],
    ['two last columns under numbers', '7,label,label\n1,2,a\n', {}, 'expected a number, came "label"'],
    [
      'a label name without its column',
      'x,y,class\n1,2,a\n',
      { label: 'kind' },
      'a column named kind, came x, y, class',
    ],
    ['a label name without a header', '1,2,a\n', { label: 'kind', header: false }, 'came no header'],
    ['one column', '1\n2\n', {}, 'at least one feature and a label'],
    ['a header alone', 'x,y,class\n', {}, 'at least one sample'],
    ['nothing', '', {}, 'at least one sample'],
    ['an open quote', '1,2,a\n3,"4,b\n5,6,c\n', {}, 'line 2, column 2: expected a closing quote'],
    ['text behind a quote', '1,2,a\n3,"4"5,b\n', {}, 'line 2, column 2: expected quotes around a whole cell'],
    [
      'a quote within a cell',
      '1,2,a\n3,4"5",b\n',
      {},
      'line 2, column 2: expected quotes around a whole cell',
    ],
  ])('refuses %s', (_, text, options, message) => {
    const error = errorOf(() => parse(text, options));
    expect(error.code).toBe('ERR_DATA_FORMAT');
    expect(error.message).toContain('f.csv');
    expect(error.message).toContain(message);
  });

  it.each(['nan', 'NaN', 'NA', 'n/a', '?', 'null', 'NULL', 'None', '<NA>', '#N/A', '', '""'])(
    'takes %j for a missing value, and refuses it by line and column',
    (cell) => {
      const label = errorOf(() => read(`x,y,class\n1,2,a\n3,4,${cell}\n5,6,b\n`));
      expect(label).toMatchObject({ code: 'ERR_DATA_FORMAT', details: { line: 3, column: 3 } });
      const feature = errorOf(() => read(`x,y,class\n1,2,a\n3,${cell},b\n${cell},6,b\n`));
      expect(feature).toMatchObject({ code: 'ERR_DATA_FORMAT', details: { line: 3, column: 2 } });
      for (const { message } of [label, feature])
        expect(message).toContain('a missing value; drop such rows or fill');
    },
  );

  it('keeps a first line without values as a sample, for it names nothing', () => {
    for (const cell of ['?', 'NA', '']) {
      const samples = parse(`${cell},${cell},0\n1,2,1\n3,4,0\n`);
      expect([...samples.x]).toEqual([Number.NaN, Number.NaN, 1, 2, 3, 4]);
      expect(samples.missing).toMatchObject({ place: { line: 1, column: 1 } });
    }
  });

  it.each([
    ['that count up from 0', '0,1,2,kind\n5,6,7,a\n8,9,10,b\n', 1],
    ['that count up from 1', '1,2,3,kind\n5,6,7,a\n8,9,10,b\n', 1],
    ['over labels that are numbers', '10,20,kind\n5,6,0\n8,9,1\n', 1],
    ['under a usual name', '0.5,label\n5,a\n8,b\n', 1],
    ['that count up before a label', '0,1,2,a\n5,6,7,a\n8,9,10,b\n', 0],
    ['before a usual name that is a label', '0,1,2,y\n5,6,7,y\n8,9,10,n\n', 0],
    ['that do not count up', '5,6,8,kind\n5,6,7,a\n8,9,10,b\n', 0],
    ['of two columns', '0,1,c\n5,6,a\n8,9,b\n', 0],
    ['before a number', '0,1,2,3\n5,6,7,1\n8,9,10,2\n', 0],
    ['alone', '0,1,2,label\n', 0],
  ])('tells whether a first line of numbers %s is a header', (_, text, headers) => {
    const lines = text.trim().split('\n');
    const samples = parse(text);
    expect(samples.count).toBe(lines.length - headers);
    expect([...samples.x.subarray(0, samples.features)]).toEqual(
      lines[headers]!.split(',').slice(0, -1).map(Number),
    );
    expect(samples.labels[0]).toBe(lines[headers]!.split(',').at(-1));
    expect(parse(text, { header: false }).count, 'unless told').toBe(lines.length);
  });

  it.each([
    [
      'Latin-1',
      Buffer.from('x,class\r\n1,p\u00e9\r\n2,p\u00e8\r\n', 'latin1'),
      2,
      'bytes of another encoding',
    ],
    [
      'a cut character',
      Buffer.from('x,class\n1,a\n2,\u00e9').subarray(0, -1),
      3,
      'bytes of another encoding',
    ],
    ['UTF-16', Buffer.from('\ufeffx,class\n1,a\n', 'utf16le'), 1, 'UTF-16, by its byte order mark'],
    ['UTF-16, big-endian', Buffer.from('\ufeffx,class\n1,a\n', 'utf16le').swap16(), 1, 'UTF-16, by its'],
    ['UTF-16 without a mark', Buffer.from('x,class\n1,a\n', 'utf16le'), 1, 'a byte of 0'],
    ['a byte of 0', Buffer.from('x,class\n1,a\n2,\0\n'), 3, 'a byte of 0'],
  ])('refuses %s, naming the line', (_, bytes, line, came) => {
    const error = errorOf(() => parseCsv(bytes, 'f.csv'));
    expect(error).toMatchObject({ code: 'ERR_DATA_FORMAT', details: { line } });
    expect(error.message).toContain(came);
    expect(error.message).toContain('save the file as text in UTF-8');
  });

  it('keeps labels apart that differ in one letter', () => {
    expect(read('x,class\n1,p\u00e9\n2,p\u00e8\n3,p\u00e9\n').labels).toEqual([
      'p\u00e9',
      'p\u00e8',
      'p\u00e9',
    ]);
  });

  it('bounds samples by memory, labels by their number, and what a message repeats', () => {
    const rows = `x,class\n1,a\n2,b\n${'1,a\n'.repeat(98)}`;
    expect(parseCsv(Buffer.from(rows), 'f', {}, 100 * 36 * 4).count).toBe(100);
    const error = errorOf(() => parseCsv(Buffer.from(rows), 'f', {}, 99 * 36 * 4));
    expect(error).toMatchObject({ code: 'ERR_OUT_OF_MEMORY', details: { limit: 99, features: 1 } });
    const distinct = Array.from({ length: 2 ** 16 + 1 }, (_, i) => `1,${i}`).join('\n');
    expect(errorOf(() => parse(distinct)).message).toContain('2 to 65536 different labels, came more');
    const long = errorOf(() => parse(`1,${'\u001b'.repeat(2 ** 20)}x,a\n`));
    expect(long.message.length).toBeLessThan(500);
    expect(long.message).not.toContain('\u001b');
  });

  it.each(['\n', '\r\n', '\r'])('counts lines that end in %j, within quotes too', (end) => {
    const text = ['x,class', '', '1,"a', '', 'b"', '2,"c ""d"" "', 'no,e'].join(end);
    const records = [...csvRecords(Buffer.from(text), 'f.csv', ',')];
    expect(records.map(({ line }) => line)).toEqual([1, 3, 6, 7]);
    expect(records.map(({ cells }) => cells[1])).toEqual(['class', `a${end}${end}b`, 'c "d" ', 'e']);
    expect(errorOf(() => parse(text)).message).toContain('line 7, column 1: expected a number, came "no"');
  });

  it('finds the cells that another parser finds', () => {
    const pieces = ['1', 'é', '"a,b"', '"c\nd"', '" e "', '""', '"f""g"', ' ', '', '\t"h" '];
    for (let seed = 0; seed < 200; seed++) {
      const cells = Array.from(
        { length: 9 },
        (_, i) => pieces[(seed * 7 + i * i * (seed % 13) + i) % pieces.length]!,
      );
      const text = [0, 3, 6]
        .map((i) => `x,${cells.slice(i, i + 3).join(',')}`)
        .join(['\n', '\r\n', '\r'][seed % 3]);
      const expected = oracle(text, { record_delimiter: ['\r\n', '\n', '\r'], trim: true });
      expect([...csvRecords(Buffer.from(text), 'f.csv', ',')].map((record) => record.cells)).toEqual(
        expected,
      );
    }
  });

  it('refuses a row of endless cells, or a quote that never closes, before it fills the memory', () => {
    const commas = errorOf(() => parseCsv(Buffer.alloc(2 ** 24 + 1, ','), 'f.csv'));
    expect(commas).toMatchObject({ code: 'ERR_DATA_FORMAT', details: { line: 1 } });
    expect(commas.message).toContain('take fewer columns');
    const quote = Buffer.concat([Buffer.from('1,a\n2,"b\n'), Buffer.alloc(2 ** 24, '3,c\n')]);
    const open = errorOf(() => parseCsv(quote, 'f.csv'));
    expect(open).toMatchObject({ code: 'ERR_DATA_FORMAT', details: { line: 2 } });
    expect(open.message).toContain('close the quote');
  });
});
