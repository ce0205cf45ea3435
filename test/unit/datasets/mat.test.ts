import { describe, expect, it } from 'vitest';
import { matSamples, parseMat } from '../../../src/datasets/mat.js';
import { errorOf, fuzz } from '../../support/fuzz.js';
import { type MatVariable, matFile } from '../../support/matFile.js';

const X: MatVariable = { name: 'X', class: 'double', dimensions: [3, 2], values: [1, -2.5, 3, 10, 20, 1e-3] };
const Y: MatVariable = { name: 'Y', class: 'uint8', dimensions: [3, 1], values: [2, 1, 2] };
const layouts = [
  { littleEndian: true, compressed: false },
  { littleEndian: true, compressed: true },
  { littleEndian: false, compressed: false },
  { littleEndian: false, compressed: true },
  { littleEndian: true, small: false },
];

describe('MAT level 5', () => {
  it.each(layouts)('reads matrices column by column: %o', (layout) => {
    const { X: x, Y: y } = parseMat(matFile([X, Y], layout), 'f.mat', ['X', 'Y']);
    expect(x).toEqual({ rows: 3, columns: 2, values: Float64Array.from(X.values) });
    expect(y).toEqual({ rows: 3, columns: 1, values: Float64Array.of(2, 1, 2) });
  });

  it.each([
    ['single', [0.5, -8]],
    ['int8', [-128, 127]],
    ['uint8', [0, 255]],
    ['int16', [-32768, 32767]],
    ['uint16', [0, 65535]],
    ['int32', [-(2 ** 31), 2 ** 31 - 1]],
    ['uint32', [0, 2 ** 32 - 1]],
  ] as const)('reads class %s in both byte orders', (matClass, values) => {
    for (const littleEndian of [true, false]) {
      const file = matFile([{ name: 'A', class: matClass, dimensions: [1, 2], values: [...values] }], { littleEndian });
      expect([...parseMat(file, 'f.mat', ['A']).A.values]).toEqual([...values]);
    }
  });

  it('reads doubles that are stored as bytes', () => {
    const file = matFile([{ ...X, values: [1, 2, 3, 4, 5, 6], storedAs: 2 }]);
    expect([...parseMat(file, 'f.mat', ['X']).X.values]).toEqual([1, 2, 3, 4, 5, 6]);
  });

  it('passes over what is not asked for, of whatever class', () => {
    const text: MatVariable = { name: 'about', class: 'char', dimensions: [1, 2], values: [72, 105] };
    const cube: MatVariable = { name: 'cube', class: 'double', dimensions: [1, 1, 2], values: [1, 2] };
    const file = matFile([text, cube, X]);
    expect(parseMat(file, 'f.mat', ['X']).X.rows).toBe(3);
    expect(errorOf(() => parseMat(file, 'f.mat', ['about'])).message).toContain('came char');
    expect(errorOf(() => parseMat(file, 'f.mat', ['cube'])).message).toContain('expected two dimensions');
    expect(errorOf(() => parseMat(file, 'f.mat', ['Z'])).message).toContain(
      'expected a variable Z, came only about, cube, X',
    );
  });

  it('turns X and Y into samples, Y standing or lying', () => {
    for (const dimensions of [
      [3, 1],
      [1, 3],
    ]) {
      const samples = matSamples(matFile([X, { ...Y, dimensions }]), 'f.mat');
      expect(samples).toMatchObject({ count: 3, features: 2, labels: [2, 1, 2] });
      expect([...samples.x]).toEqual([1, 10, -2.5, 20, 3, Math.fround(1e-3)]);
    }
  });

  const changed = (file: Buffer, change: (bytes: Buffer) => void) => {
    const bytes = Buffer.from(file);
    change(bytes);
    return bytes;
  };
  const plain = matFile([X, Y]);
  const hdf5 = changed(plain, (bytes) => bytes.write('MATLAB 7.3 MAT-file'));
  it.each([
    ['version 7.3', hdf5, 'version 7.3 (HDF5)'],
    ['bare HDF5', Buffer.from('\x89HDF\r\n\x1a\n', 'latin1'), 'version 7.3 (HDF5)'],
    ['level 4', changed(plain, (bytes) => bytes.fill(0, 0, 8)), 'level 4'],
    ['no byte order mark', changed(plain, (bytes) => bytes.write('XX', 126)), 'IM or MI as byte order mark, came "XX"'],
    ['another version', changed(plain, (bytes) => bytes.writeUInt16LE(0x0300, 124)), 'came 0x0300'],
    ['a cut header', plain.subarray(0, 100), 'bytes of header'],
    ['no variables', plain.subarray(0, 128), 'expected a variable X, came only none'],
    ['a foreign element', changed(plain, (bytes) => bytes.writeUInt32LE(9, 128)), 'byte 128: expected a matrix'],
    [
      'a size beyond the file',
      changed(plain, (bytes) => bytes.writeUInt32LE(2 ** 32 - 1, 132)),
      'expected 4294967295 bytes',
    ],
    ['complex values', matFile([{ ...X, complex: true }, Y]), 'real values in variable X, came complex'],
    [
      'no cells',
      matFile([{ ...X, dimensions: [0, 2], values: [] }, Y]),
      'a matrix with cells as variable X, came 0 × 2',
    ],
    ['negative sizes', matFile([{ ...X, dimensions: [-3, -2] }, Y]), 'came -3 × -2'],
    ['sizes that the values do not fill', matFile([{ ...X, dimensions: [2 ** 31 - 1, 2 ** 31 - 1] }, Y]), ', came 48'],
    ['Y of another length', matFile([X, { ...Y, dimensions: [2, 1], values: [1, 2] }]), 'Y of 3 × 1'],
    ['Y of several columns', matFile([X, { ...Y, dimensions: [2, 2], values: [1, 2, 1, 2] }]), 'came 2 × 2'],
    ['a cut in compressed data', matFile([X, Y], { compressed: true }).subarray(0, 150), 'byte 136: expected'],
  ])('refuses %s', (_, bytes, message) => {
    const error = errorOf(() => matSamples(bytes, 'f.mat'));
    expect(error.code).toBe('ERR_DATA_FORMAT');
    expect(error.message).toContain('f.mat');
    expect(error.message).toContain(message);
  });

  it('bounds what all compressed variables unpack to', () => {
    const zeros: MatVariable = { name: 'Z', class: 'double', dimensions: [1, 2 ** 16], values: Array(2 ** 16).fill(0) };
    const bomb = matFile([zeros, { ...zeros, name: 'W' }], { compressed: true });
    expect(bomb.length).toBeLessThan(3000);
    expect(parseMat(bomb, 'f.mat', ['W']).W.columns).toBe(2 ** 16);
    const error = errorOf(() => parseMat(bomb, 'f.mat', ['W'], 2 ** 19 + 2 ** 18));
    expect(error).toMatchObject({ code: 'ERR_DATA_FORMAT', message: expect.stringContaining('when unpacked') });
  });

  it.each(layouts)('survives every cut and change: %o', (layout) => {
    const file = matFile([X, Y], layout);
    const outcome = fuzz(file, (bytes) => matSamples(bytes, 'f'));
    expect(outcome.accepted).toBeGreaterThan(0); // the header text and values may be anything
    expect(outcome.refused).toBeGreaterThan(file.length);
  });
});
