import { describe, expect, it } from 'vitest';
import { type CsvOptions, parseCsv } from '../../../src/datasets/csv.js';
import { errorOf, fuzz } from '../../support/fuzz.js';

const parse = (text: string, options?: CsvOptions) => parseCsv(Buffer.from(text), 'f.csv', options);

describe('CSV', () => {
  it.each([
    ['no header', '1,2,a\n3,4,b\n', {}],
    ['a header', 'first,second,class\n1,2,a\n3,4,b\n', {}],
    ['a byte order mark, quotes, blanks, CRLF, empty lines', '\ufeff"1", 2,"a"\r\n\r\n3,4 ,b', {}],
    ['a label column by name', 'class,first,second\na,1,2\nb,3,4\n', { label: 'class' }],
    ['a header that looks like numbers', '1,2,3\n1,2,a\n3,4,b\n', { header: true }],
    ['another delimiter', '1;2;a\n3;4;b\n', { delimiter: ';' }],
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
    ['an empty cell', '1,2,a\n,4,b\n', {}, 'line 2, column 1: expected a number, came ""'],
    ['NaN', '1,nan,a\n', {}, 'came "nan"'],
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
    ['an open quote', '1,2,a\n3,"4,b\n', {}, 'well-formed CSV'],
    ['text behind a quote', '1,2,a\n3,"4"5,b\n', {}, 'line 2: expected well-formed CSV'],
  ])('refuses %s', (_, text, options, message) => {
    const error = errorOf(() => parse(text, options));
    expect(error.code).toBe('ERR_DATA_FORMAT');
    expect(error.message).toContain('f.csv');
    expect(error.message).toContain(message);
  });

  it('survives every cut and change', () => {
    const outcome = fuzz(Buffer.from('x,y,class\n1,-2.5,"a b"\n3e1,4,c\n'), (bytes) => parseCsv(bytes, 'f'));
    expect(Math.min(outcome.accepted, outcome.refused)).toBeGreaterThan(20);
  });
});
