import { describe, expect, it } from 'vitest';
import { type MatMatrix, matSamples, parseMat } from '../../../src/datasets/mat.js';
import { errorOf } from '../../support/errorOf.js';
import { type MatVariable, matElement, matFile } from '../../support/matFile.js';

const X: MatVariable = { name: 'X', class: 'double', dimensions: [3, 2], values: [1, -2.5, 3, 10, 20, 1e-3] };
const Y: MatVariable = { name: 'Y', class: 'uint8', dimensions: [3, 1], values: [2, 1, 2] };
const layouts = [
  { littleEndian: true, compressed: false },
  { littleEndian: true, compressed: true },
  { littleEndian: false, compressed: false },
  { littleEndian: false, compressed: true },
  { littleEndian: true, small: false },
];

const cells = (matrix: MatMatrix) => [...matrix.copyRows(new Float64Array(matrix.rows * matrix.columns))];
const XY = { x: [1, 10, -2.5, 20, 3, Math.fround(1e-3)], labels: [2, 1, 2] };
const read = (bytes: Buffer) => {
  const { x, labels } = matSamples(bytes, 'f.mat');
  return { x: [...x], labels: [...labels] };
};

describe('MAT level 5', () => {
  it.each(layouts)('reads matrices column by column: %o', (layout) => {
    const { X: x, Y: y } = parseMat(matFile([X, Y], layout), 'f.mat', ['X', 'Y']);
    expect([x.rows, x.columns, ...cells(x)]).toEqual([3, 2, 1, 10, -2.5, 20, 3, 1e-3]);
    expect([y.rows, y.columns, ...cells(y)]).toEqual([3, 1, 2, 1, 2]);
  });

  it.each([
    ['single', [0.5, -8]],
    ['int8', [-128, 127]],
    ['uint8', [0, 255]],
    ['int16', [-32768, 32767]],
    ['uint16', [0, 65535]],
    ['int32', [-(2 ** 31), 2 ** 31 - 1]],
    ['uint32', [0, 2 ** 32 - 1]],
    ['int64', [-(2 ** 53), 2 ** 53 - 1]],
    ['uint64', [2 ** 32, 2 ** 53]],
  ] as const)('reads class %s in both byte orders', (matClass, values) => {
    for (const littleEndian of [true, false]) {
      const file = matFile([{ name: 'A', class: matClass, dimensions: [1, 2], values: [...values] }], {
        littleEndian,
      });
      expect(cells(parseMat(file, 'f.mat', ['A']).A)).toEqual([...values]);
    }
  });

  it('reads doubles that are stored as bytes', () => {
    const file = matFile([{ ...X, values: [1, 2, 3, 4, 5, 6], storedAs: 2 }]);
    expect(cells(parseMat(file, 'f.mat', ['X']).X)).toEqual([1, 4, 2, 5, 3, 6]);
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
      expect(samples).toMatchObject({ count: 3, features: 2 });
      expect({ x: [...samples.x], labels: [...samples.labels] }).toEqual(XY);
    }
  });

  it('reads labels of 64-bit integers, and refuses those that a double cannot hold, naming the byte', () => {
    for (const littleEndian of [true, false]) {
      const labels = (values: bigint[]) => matFile([X, { ...Y, class: 'int64', values }], { littleEndian });
      expect(read(labels([2n, -1n, 2n ** 53n - 1n])).labels).toEqual([2, -1, 2 ** 53 - 1]);
      const error = errorOf(() => matSamples(labels([2n, 2n ** 53n + 1n, 1n]), 'f.mat'));
      expect(error).toMatchObject({ code: 'ERR_DATA_FORMAT', details: { offset: 296 } });
      expect(error.message).toContain('as label of sample 2, came 9007199254740992');
    }
    const huge = matFile([{ ...X, class: 'uint64', values: [0n, 1n, 2n, 3n, 4n, 2n ** 64n - 1n] }, Y]);
    expect(read(huge).x).toEqual([0, 3, 1, 4, 2, 2 ** 64]);
  });

  it.each([
    ['array flags of miINT32', { flags: 5 }],
    ['dimensions of miUINT32', { dimensions: 6 }],
    ['names of miUTF8', { name: 16 }],
    ['names of miUINT8', { name: 2 }],
  ])('reads %s', (_, tags) => {
    for (const layout of layouts) {
      expect(
        read(
          matFile(
            [
              { ...X, tags },
              { ...Y, tags },
            ],
            layout,
          ),
        ),
        JSON.stringify(layout),
      ).toEqual(XY);
    }
  });

  it('reads logical, sparse and flat three-dimensional matrices', () => {
    const sparse: MatVariable = {
      name: 'X',
      class: 'sparse',
      dimensions: [3, 2],
      sparse: { rows: [0, 2, 1], starts: [0, 2, 3] },
      values: [1.5, -2, 7],
    };
    for (const layout of layouts) {
      expect(read(matFile([sparse, Y], layout)).x).toEqual([1.5, 0, 0, 7, -2, 0]);
    }
    const room = { ...sparse, sparse: { rows: [0, 2, 1, 0, 0], starts: [0, 2, 3] }, values: [1.5, -2, 7, 0] };
    expect(read(matFile([room, Y])).x, 'with room for cells to come').toEqual([1.5, 0, 0, 7, -2, 0]);
    const empty = { ...sparse, sparse: { rows: [], starts: [0, 0, 0] }, values: [] };
    expect(read(matFile([empty, Y])).x).toEqual([0, 0, 0, 0, 0, 0]);
    const truth: MatVariable = { ...X, class: 'uint8', logical: true, values: [1, 0, 1, 0, 0, 1] };
    expect(read(matFile([truth, Y])).x).toEqual([1, 0, 0, 0, 1, 1]);
    expect(read(matFile([{ ...X, dimensions: [3, 2, 1] }, Y]))).toEqual(XY);
  });

  it.each([
    ['starts that fall', { rows: [0, 1, 2], starts: [0, 3, 2] }, '3 to 3 as start 2 of the columns'],
    ['starts beyond the values', { rows: [0, 2, 1], starts: [0, 2, 2 ** 30] }, 'came 1073741824'],
    ['a first start of 1', { rows: [0, 2, 1], starts: [1, 2, 3] }, '0 as start 0'],
    ['a start too few', { rows: [0, 2, 1], starts: [0, 3] }, '3 column starts of variable X, came 2'],
    ['a row outside', { rows: [0, 3, 1], starts: [0, 2, 3] }, '1 to 2 as row index 1 of variable X, came 3'],
    ['a negative row', { rows: [-1, 2, 1], starts: [0, 2, 3] }, 'came -1'],
    ['a cell twice', { rows: [1, 1, 1], starts: [0, 2, 3] }, '2 to 2 as row index 1'],
  ])('refuses a sparse matrix with %s', (_, sparse, message) => {
    const bytes = matFile([{ name: 'X', class: 'sparse', dimensions: [3, 2], sparse, values: [1, 2, 3] }, Y]);
    const error = errorOf(() => matSamples(bytes, 'f.mat'));
    expect(error).toMatchObject({ code: 'ERR_DATA_FORMAT', message: expect.stringContaining(message) });
  });

  const packed = matFile([{ ...Y, name: 'Z' }], { compressed: true }).subarray(128);
  const wrongPacked = Buffer.from(packed);
  wrongPacked.fill(0xff, 8);
  const others: [string, Buffer][] = [
    ['a long name', matFile([{ ...Y, name: 'a'.repeat(70) }]).subarray(128)],
    ['a name in UTF-8', matFile([{ ...Y, name: 'Größe', tags: { name: 16 } }]).subarray(128)],
    ['a name in UTF-16', matFile([{ ...Y, name: 'XX', tags: { name: 17 } }]).subarray(128)],
    ['flags of miINT32', matFile([{ ...Y, name: 'Z', tags: { flags: 5 } }]).subarray(128)],
    ['flags of doubles', matFile([{ ...Y, name: 'Z', tags: { flags: 9 } }]).subarray(128)],
    ['an object', matFile([{ ...Y, name: 'Z', class: 'opaque' }]).subarray(128)],
    ['a complex cube', matFile([{ ...Y, name: 'Z', dimensions: [3, 1, 4], complex: true }]).subarray(128)],
    ['no contents', matElement(14, Buffer.alloc(0))],
    ['cut contents', matElement(14, Buffer.alloc(8))],
    ['a type that is no matrix', matElement(20, Buffer.alloc(16, 'z'))],
    ['packed bytes that are none', wrongPacked],
    ['packed bytes that are cut', matElement(15, packed.subarray(8, 40))],
    ['a packed nothing', matElement(15, Buffer.alloc(0))],
  ];
  it.each(others)('passes over a variable of %s, in front, between and behind', (_, other) => {
    const [header, x, y] = [matFile([]), matFile([X]).subarray(128), matFile([Y]).subarray(128)];
    for (const parts of [
      [other, x, y],
      [x, other, y],
      [x, y, other],
    ]) {
      expect(read(Buffer.concat([header, ...parts]))).toEqual(XY);
    }
    expect(errorOf(() => read(Buffer.concat([header, x, other]))).message).toContain('a variable Y');
  });

  it('passes over whatever stands behind X and Y', () => {
    const file = matFile([X, Y]);
    const cut = matFile([{ ...X, name: 'Z' }]).subarray(128, 170);
    for (const rest of [Buffer.from('\n'), Buffer.alloc(7), Buffer.alloc(64), Buffer.alloc(8, 0xff), cut]) {
      expect(read(Buffer.concat([file, rest]))).toEqual(XY);
    }
    expect(errorOf(() => read(Buffer.concat([file, matFile([Y]).subarray(128)]))).message).toContain(
      'expected one variable Y, came a second',
    );
  });

  it('reads one feature that lies as Y does, and says of others that they are transposed', () => {
    const line = matFile([
      { ...X, dimensions: [1, 3], values: [1, 2, 3] },
      { ...Y, dimensions: [1, 3] },
    ]);
    expect(matSamples(line, 'f.mat')).toMatchObject({ count: 3, features: 1 });
    expect(errorOf(() => read(matFile([{ ...X, dimensions: [2, 3] }, Y]))).message).toContain('transpose X');
  });

  const changed = (file: Buffer, change: (bytes: Buffer) => void) => {
    const bytes = Buffer.from(file);
    change(bytes);
    return bytes;
  };
  const plain = matFile([X, Y]);
  const hdf5 = changed(plain, (bytes) => bytes.write('MATLAB 7.3 MAT-file'));
  const hdf5Behind = (count: number) =>
    Buffer.concat([Buffer.alloc(count, 'a'), Buffer.from('\x89HDF\r\n\x1a\n', 'latin1')]);
  it.each([
    ['version 7.3', hdf5, 'version 7.3 (HDF5)'],
    ['bare HDF5', Buffer.from('\x89HDF\r\n\x1a\n', 'latin1'), 'version 7.3 (HDF5)'],
    [
      'HDF5 of an older MATLAB',
      Buffer.concat([changed(plain, (bytes) => bytes.writeUInt16LE(0x0200, 124))]),
      '(HDF5)',
    ],
    ['HDF5 behind a block of its own', hdf5Behind(2048), '(HDF5); save it with `save -v7`'],
    ['level 4', changed(plain, (bytes) => bytes.fill(0, 0, 8)), 'level 4'],
    [
      'no byte order mark',
      changed(plain, (bytes) => bytes.write('XX', 126)),
      'IM or MI as byte order mark, came "XX"',
    ],
    ['another version', changed(plain, (bytes) => bytes.writeUInt16LE(0x0300, 124)), 'came 0x0300'],
    ['a cut header', plain.subarray(0, 100), 'bytes of header'],
    ['no variables', plain.subarray(0, 128), 'expected a variable X, came only none'],
    [
      'a foreign element',
      changed(plain, (bytes) => bytes.writeUInt32LE(9, 128)),
      'byte 128: expected a variable X, came what cannot be read here (expected a matrix',
    ],
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
    [
      'sizes that the values do not fill',
      matFile([{ ...X, dimensions: [2 ** 31 - 1, 2 ** 31 - 1] }, Y]),
      '2147483647 × 2147483647 values of variable X, came 6',
    ],
    ['Y of another length', matFile([X, { ...Y, dimensions: [2, 1], values: [1, 2] }]), 'Y of 3 × 1'],
    ['Y of several columns', matFile([X, { ...Y, dimensions: [2, 2], values: [1, 2, 1, 2] }]), 'came 2 × 2'],
    [
      'a cut in compressed data',
      matFile([X, Y], { compressed: true }).subarray(0, 150),
      'byte 136: expected',
    ],
  ])('refuses %s', (_, bytes, message) => {
    const error = errorOf(() => matSamples(bytes, 'f.mat'));
    expect(error.code).toBe('ERR_DATA_FORMAT');
    expect(error.message).toContain('f.mat');
    expect(error.message).toContain(message);
  });

  it('bounds what all compressed variables unpack to', () => {
    const zeros: MatVariable = {
      name: 'Z',
      class: 'double',
      dimensions: [1, 2 ** 16],
      values: Array(2 ** 16).fill(0),
    };
    const bomb = matFile([zeros, { ...zeros, name: 'W' }], { compressed: true });
    expect(bomb.length).toBeLessThan(3000);
    const limit = 2 ** 19 + 2 ** 18;
    expect(parseMat(bomb, 'f.mat', ['W'], limit).W.columns, 'Z is not unpacked').toBe(2 ** 16);
    const error = errorOf(() => parseMat(bomb, 'f.mat', ['W', 'Z'], limit));
    expect(error).toMatchObject({
      code: 'ERR_DATA_FORMAT',
      message: expect.stringContaining('when unpacked'),
    });
  });

  it('bounds what is unpacked to tell the names of variables that nobody wants', () => {
    const zeros: MatVariable = {
      name: 'Z',
      class: 'double',
      dimensions: [1, 2 ** 16],
      values: Array(2 ** 16).fill(0),
    };
    const bomb = matFile([zeros, zeros, zeros, X, Y], { compressed: true });
    expect(parseMat(bomb, 'f.mat', ['X', 'Y'], 2 ** 21).X.rows).toBe(3);
    const error = errorOf(() => parseMat(bomb, 'f.mat', ['X', 'Y'], 2 ** 18));
    expect(error).toMatchObject({
      code: 'ERR_DATA_FORMAT',
      message: expect.stringContaining('names of variables'),
    });
  });

  it('refuses more cells than the machine has room for, naming how many there may be', () => {
    const empty: MatVariable = {
      name: 'X',
      class: 'sparse',
      dimensions: [3, 2 ** 20],
      sparse: { rows: [], starts: Array(2 ** 20 + 1).fill(0) },
      values: [],
    };
    const bytes = matFile([empty, Y], { compressed: true });
    expect(bytes.length).toBeLessThan(10_000);
    expect(matSamples(bytes, 'f.mat', 64 * 2 ** 20).features).toBe(2 ** 20);
    const error = errorOf(() => matSamples(bytes, 'f.mat', 32 * 2 ** 20));
    expect(error).toMatchObject({
      code: 'ERR_OUT_OF_MEMORY',
      details: { count: 3, features: 2 ** 20, limit: 1 },
    });
  });

  it('gives up on a file of endless variables', () => {
    const bytes = Buffer.concat([matFile([]), Buffer.alloc(2 ** 20)]);
    expect(errorOf(() => matSamples(bytes, 'f.mat')).code).toBe('ERR_DATA_FORMAT');
  });
});
