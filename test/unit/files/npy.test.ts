import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { SetNativeError } from '../../../src/errors.js';
import { type NpyArray, type NpyNumbers, npyBytes, parseNpy } from '../../../src/files/npy.js';
import { mutate } from '../../fuzz/mutate.js';
import { Random } from '../../fuzz/random.js';
import { errorOf } from '../../support/errorOf.js';

/** A file with this header, as it stands, and these elements. */
function fileOf(
  header: string,
  elements: Uint8Array = Buffer.alloc(0),
  { version = [1, 0], length = Buffer.byteLength(header) } = {},
): Buffer {
  const size = Buffer.alloc(version[0] === 1 ? 2 : 4);
  size.writeUIntLE(length, 0, size.length);
  const front = [Buffer.from('\x93NUMPY', 'latin1'), Buffer.from(version), size, Buffer.from(header)];
  return Buffer.concat([...front, elements]);
}

const dict = (descr: string, shape: string, order = 'False') =>
  `{'descr': '${descr}', 'fortran_order': ${order}, 'shape': ${shape}, }\n`;
const read = (bytes: Uint8Array) => parseNpy(bytes, 'f.npy');
const hex = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex');

const matrix: NpyNumbers = {
  dtype: 'f4',
  shape: [2, 3],
  data: Float32Array.of(1, -2, 0.5, 3e38, 1e-45, -Infinity),
};
const arrays: NpyArray[] = [
  matrix,
  { dtype: 'i4', shape: [3], data: Int32Array.of(0, -(2 ** 31), 2 ** 31 - 1) },
  { dtype: 'u1', shape: [2, 1, 2], data: Uint8Array.of(0, 1, 254, 255) },
  { dtype: 'i1', shape: [2], data: Int8Array.of(-128, 127) },
  { dtype: 'b1', shape: [3], data: Uint8Array.of(1, 0, 1) },
  { dtype: 'i2', shape: [2], data: Int16Array.of(-32768, 32767) },
  { dtype: 'u2', shape: [2], data: Uint16Array.of(1, 65535) },
  { dtype: 'u4', shape: [1], data: Uint32Array.of(2 ** 32 - 1) },
  { dtype: 'i8', shape: [1], data: BigInt64Array.of(-(2n ** 63n)) },
  { dtype: 'u8', shape: [1], data: BigUint64Array.of(2n ** 64n - 1n) },
  { dtype: 'f8', shape: [], data: Float64Array.of(Math.PI) },
  { dtype: 'f4', shape: [0], data: new Float32Array(0) },
  { dtype: 'i4', shape: [3, 0, 7], data: new Int32Array(0) },
  { dtype: 'S', shape: [], data: ['csr'] },
  { dtype: 'S', shape: [2, 2], data: ['', 'a', '\xffé', 'a\0b'] },
  { dtype: 'S', shape: [0], data: [] },
];
const write = (array: NpyArray) => npyBytes(array as NpyNumbers);

describe('.npy', () => {
  it.each(arrays.map((array) => [`${array.dtype} [${array.shape}]`, array] as const))(
    'reads back %s, from any alignment',
    (_, array) => {
      const bytes = write(array);
      expect(bytes.indexOf(10) % 64).toBe(63); // the line ends where the elements begin
      for (const offset of [0, 1, 4]) {
        const shifted = new Uint8Array(bytes.length + offset);
        shifted.set(bytes, offset);
        expect(read(shifted.subarray(offset))).toEqual(array);
      }
    },
  );

  it('writes the bytes of the format', () => {
    const bytes = npyBytes({ dtype: 'i4', shape: [2], data: Int32Array.of(1, -2) });
    const expected = hex(
      '93 4e 55 4d 50 59 01 00 76 00' +
        '7b 27 64 65 73 63 72 27 3a 20 27 3c 69 34 27 2c 20' + // {'descr': '<i4',
        '27 66 6f 72 74 72 61 6e 5f 6f 72 64 65 72 27 3a 20 46 61 6c 73 65 2c 20' + // 'fortran_order': False,
        '27 73 68 61 70 65 27 3a 20 28 32 2c 29 2c 20 7d' + // 'shape': (2,), }
        `${'20'.repeat(60)} 0a 01 00 00 00 fe ff ff ff`,
    );
    expect(Buffer.from(bytes)).toEqual(expected);
    expect(Buffer.from(npyBytes({ dtype: 'S', shape: [2], data: ['ab', 'c'] })).subarray(-5)).toEqual(
      hex('0a 61 62 63 00'),
    );
  });

  it('gives copies', () => {
    const bytes = npyBytes(matrix);
    const { data } = read(bytes);
    bytes.fill(0);
    expect(data).toEqual(matrix.data);
  });

  it.each([
    ['>i2', '1234 ff00', 'i2', Int16Array.of(0x1234, -256)],
    ['>u4', '00000001 fffffffe', 'u4', Uint32Array.of(1, 2 ** 32 - 2)],
    ['>i8', 'fffffffffffffffe 0000000000000001', 'i8', BigInt64Array.of(-2n, 1n)],
    ['>f4', '3f800000 c0000000', 'f4', Float32Array.of(1, -2)],
    ['>f8', '3ff0000000000000 c000000000000000', 'f8', Float64Array.of(1, -2)],
    ['>i1', 'ff01', 'i1', Int8Array.of(-1, 1)],
    ['<U2', '61000000 00000000 1f600100 e4000000', 'U', ['a', '\u{1601f}ä']],
    ['>U2', '00000061 00000000 0001f600 000000e4', 'U', ['a', '😀ä']],
  ])('reads %s', (descr, elements, dtype, data) => {
    expect(read(fileOf(dict(descr, '(2,)'), hex(elements)))).toEqual({ dtype, shape: [2], data });
  });

  it('reads columns row by row, of texts too', () => {
    const columns = (descr: string, shape: string, elements: Uint8Array) =>
      read(fileOf(dict(descr, shape, 'True'), elements)).data;
    const bytes = (count: number) => Uint8Array.from({ length: count }, (_, i) => i);
    expect(columns('|u1', '(2, 3)', bytes(6))).toEqual(Uint8Array.of(0, 2, 4, 1, 3, 5));
    expect(columns('|u1', '(2, 1, 3, 1)', bytes(6))).toEqual(Uint8Array.of(0, 2, 4, 1, 3, 5));
    expect(columns('|u1', '(2, 2, 2)', bytes(8))).toEqual(Uint8Array.of(0, 4, 2, 6, 1, 5, 3, 7));
    expect(columns('|u1', '(4,)', bytes(4))).toEqual(bytes(4));
    expect(columns('|u1', '()', bytes(1))).toEqual(bytes(1));
    expect(columns('|u1', '(2, 0)', bytes(0))).toEqual(bytes(0));
    expect(columns('|S1', '(2, 2)', Buffer.from('abcd'))).toEqual(['a', 'c', 'b', 'd']);
  });

  it.each([
    ['version 2', fileOf(dict('|u1', '(1,)'), Buffer.of(7), { version: [2, 0] })],
    ['version 3', fileOf(dict('|u1', '(1,)'), Buffer.of(7), { version: [3, 0] })],
    ['keys in another order', fileOf("{'shape':(1,),'descr':'|u1','fortran_order':False}", Buffer.of(7))],
    [
      'other quotes, and spaces',
      fileOf('\t{ "descr":\n"|u1" , "fortran_order":False,"shape":( 1 , ) } \n', Buffer.of(7)),
    ],
    ['a long number of Python 2', fileOf(dict('|u1', '(1L,)'), Buffer.of(7))],
  ])('reads %s', (_, bytes) => {
    expect(read(bytes)).toEqual({ dtype: 'u1', shape: [1], data: Uint8Array.of(7) });
  });

  const one = Buffer.alloc(8);
  it.each<[string, Uint8Array, string]>([
    ['nothing', Buffer.alloc(0), 'at least 12 bytes, came 0'],
    ['another format', Buffer.from('PK\x03\x04 and more'), 'the magic number of .npy, came 504b0304'],
    ['version 4', fileOf(dict('|u1', '(1,)'), one, { version: [4, 0] }), 'came 4.0'],
    ['version 0', fileOf(dict('|u1', '(1,)'), one, { version: [0, 0] }), 'came 0.0'],
    ['version 1.1', fileOf(dict('|u1', '(1,)'), one, { version: [1, 1] }), 'came 1.1'],
    [
      'a header beyond the file',
      fileOf('{}', one, { version: [2, 0], length: 2 ** 32 - 1 }),
      'a header of at most 10 bytes, came 4294967295',
    ],
    [
      'a header of more than 10,000 bytes',
      fileOf(dict('|u1', '(1,)').padEnd(10_001), one),
      'a header of at most 10000 bytes, came 10001',
    ],
    ['an empty header', fileOf('', one), 'expected {, came the end of the header'],
    ['a list', fileOf('[]', one), 'expected {, came ['],
    ['a call', fileOf('__import__("os")', one), 'expected {, came __import__'],
    [
      'a call as value',
      fileOf("{'descr': exit(), 'fortran_order': False, 'shape': ()}", one),
      'a text, a truth value or a tuple, came exit',
    ],
    ['no entries', fileOf('{}          ', one), "a text as 'descr', came nothing"],
    ['no order', fileOf("{'descr': '<f8', 'shape': ()}", one), "True or False as 'fortran_order'"],
    ['no shape', fileOf("{'descr': '<f8', 'fortran_order': False}", one), "a tuple as 'shape', came nothing"],
    [
      'a key twice',
      fileOf("{'descr': '<f8', 'descr': '<f8', 'fortran_order': False, 'shape': ()}", one),
      "once each, came 'descr'",
    ],
    ['a key that is not known', fileOf("{'__proto__': 1}", one), "once each, came '__proto__'"],
    ['a key without quotes', fileOf("{descr: '<f8'}", one), 'once each, came descr'],
    ['a key without end', fileOf("{'descr", one), "once each, came '"],
    ['no colon', fileOf("{'descr' '<f8'}", one), "expected :, came '<f8'"],
    ['no comma', fileOf("{'descr': '<f8' 'shape': ()}", one), "a comma or }, came 'shape'"],
    ['two commas', fileOf("{'descr': '<f8',, 'shape': ()}", one), 'once each, came ,'],
    ['text behind the dict', fileOf(`${dict('<f8', '()')}x`, one), 'the end of the header, came x'],
    ['an escape', fileOf("{'descr': '\\x3cf8'}", one), "came '"],
    ['a dict without end', fileOf("{'descr': '<f8',", one), 'came the end of the header'],
    ['a number as type', fileOf(dict('<f8', '()').replace("'<f8'", '()'), one), "'descr', came a tuple"],
    ['a text as order', fileOf(dict('<f8', '()', "'no'"), one), "'fortran_order', came a string"],
    ['a text as shape', fileOf(dict('<f8', "'()'"), one), "'shape', came a string"],
    ['records', fileOf("{'descr': [('a', '<f4')]}", one), 'records of several; convert the array'],
    ['objects', fileOf(dict('|O', '(1,)'), one), '"|O", objects of Python, whose reading would run code'],
    ['half precision', fileOf(dict('<f2', '(4,)'), one), 'came "<f2"; convert the array'],
    ['complex numbers', fileOf(dict('<c8', '(1,)'), one), 'came "<c8"'],
    ['dates', fileOf(dict('<M8[ns]', '(1,)'), one), 'came "<M8[ns]"'],
    ['bytes of no type', fileOf(dict('|V8', '(1,)'), one), 'came "|V8"'],
    ['no byte order', fileOf(dict('f8', '(1,)'), one), 'came "f8"'],
    ['the byte order of the machine', fileOf(dict('=f8', '(1,)'), one), 'came "=f8"'],
    ['no byte order for wide numbers', fileOf(dict('|f8', '(1,)'), one), 'came "|f8"'],
    ['a type of Object.prototype', fileOf(dict('<toString', '(1,)'), one), 'came "<toString"'],
    ['texts of no bytes', fileOf(dict('|S0', `(${2 ** 52},)`)), 'came "|S0"'],
    ['texts of 64 KiB and more', fileOf(dict('<U16385', '(1,)'), one), 'came "<U16385"'],
    ['many texts', fileOf(dict('|S1', '(1048577,)'), Buffer.alloc(1048577)), 'at most 1048576 texts'],
    ['a negative size', fileOf(dict('<f8', '(-1,)'), one), 'a whole number as size, came -'],
    ['a size in parts', fileOf(dict('<f8', '(1.0,)'), one), 'a comma, came .'],
    ['a size beyond whole numbers', fileOf(dict('<f8', '(9007199254740993,)'), one), 'came 9007199254740993'],
    ['a size in other digits', fileOf(dict('<f8', '(0x1,)'), one), 'came 0x1'],
    ['a number as shape', fileOf(dict('<f8', '(1)'), one), 'a comma, came )'],
    ['a comma alone', fileOf(dict('<f8', '(,)'), one), 'a whole number as size, came ,'],
    ['65 sizes', fileOf(dict('<f8', `(${'1, '.repeat(65)})`), one), 'at most 64 sizes'],
    ['sizes whose product overflows', fileOf(dict('|u1', `(${2 ** 40}, ${2 ** 40})`)), 'came 0 to the end'],
    ['sizes beyond all numbers', fileOf(dict('|u1', `(${`${2 ** 52}, `.repeat(63)})`), one), 'came 8'],
    [
      'too few elements',
      npyBytes(matrix).subarray(0, -1),
      'exactly 24 bytes for shape (2, 3) of <f4, came 23',
    ],
    ['too many elements', Buffer.concat([npyBytes(matrix), Buffer.of(0)]), 'came 25 to the end'],
    ['no element for a scalar', fileOf(dict('<f8', '()')), 'exactly 8 bytes for shape () of <f8, came 0'],
    ['a truth value of 2', fileOf(dict('|b1', '(3,)'), Buffer.of(1, 0, 2)), 'a truth value, 0 or 1, came 2'],
    ['a character beyond Unicode', fileOf(dict('<U1', '()'), hex('00001100')), 'came 0x110000'],
    ['half a character', fileOf(dict('<U1', '()'), hex('00d80000')), 'came 0xd800'],
    ['control characters are not repeated', fileOf("{'\u001b[2J\u009b': 1}", one), "came '\ufffd[2J"],
    ['a long key, in a short message', fileOf(`{'${'n'.repeat(9000)}': 1}`, one), 'nnn…;'],
  ])('refuses %s', (_, bytes, text) => {
    const error = errorOf(() => read(bytes));
    expect(error.code).toBe('ERR_DATA_FORMAT');
    expect(error.message).toContain(text);
    expect(error.message).toMatch(/^\[load\] f\.npy, byte \d+: expected .*, came .*; .*/);
    expect(error.message).not.toMatch(/\p{Cc}/u);
    expect(error.message.length).toBeLessThan(1000);
  });

  it('names the byte', () => {
    const header = "{'descr': '<f8', 'shape': 7}";
    const truths = fileOf(dict('|b1', '(3,)'), Buffer.of(1, 0, 2));
    for (const [bytes, offset] of [
      [fileOf(header, one), 10 + header.indexOf('7')],
      [fileOf(header, one, { version: [2, 0] }), 12 + header.indexOf('7')],
      [truths, truths.length - 1],
    ] as const) {
      expect(errorOf(() => read(bytes))).toMatchObject({ details: { file: 'f.npy', offset } });
    }
  });

  it('takes no long time for zeros within texts, nor for spaces', () => {
    const text = Buffer.alloc(2 ** 16);
    text[text.length - 1] = 65;
    const start = performance.now();
    expect(read(fileOf(dict('|S65536', '(64,)'), Buffer.alloc(2 ** 22, text))).data).toHaveLength(64);
    errorOf(() => read(fileOf(`{'descr'${' '.repeat(9000)}x`, one)));
    expect(performance.now() - start).toBeLessThan(5000); // 10 minutes, where each zero starts a search
  });

  it.each<[string, NpyNumbers | (NpyArray & { dtype: 'S' })]>([
    ['a shape that is not that of the data', { ...matrix, shape: [2, 2] } as NpyNumbers],
    ['a negative shape', { ...matrix, shape: [-2, -3] } as NpyNumbers],
    ['65 sizes', { dtype: 'u1', shape: Array(65).fill(1), data: new Uint8Array(1) }],
    ['a text that is not of bytes', { dtype: 'S', shape: [1], data: ['€'] }],
    ['a text that ends in zero', { dtype: 'S', shape: [1], data: ['a\0'] }],
    ['a text of more than 64 KiB', { dtype: 'S', shape: [1], data: ['a'.repeat(65_537)] }],
  ])('blames the caller for %s', (_, array) => {
    expect(() => npyBytes(array)).toThrow(RangeError);
  });

  const files = [...arrays.map(write), fileOf(dict('<U2', '(2, 1)', 'True'), Buffer.alloc(16, 'a\0\0\0'))];

  it('refuses every file that was cut', () => {
    for (const bytes of files) {
      for (let length = 0; length < bytes.length; length++) {
        const error = errorOf(() => read(bytes.subarray(0, length)));
        expect(error.code).toBe('ERR_DATA_FORMAT');
      }
    }
  });

  /** Whether an array was read, with as many elements as its shape says. */
  const isRead = (bytes: Uint8Array): boolean => {
    try {
      const { shape, data } = read(bytes);
      expect(data.length).toBe(shape.reduce((product, size) => product * size, 1));
      return true;
    } catch (error) {
      if (error instanceof SetNativeError && error.code === 'ERR_DATA_FORMAT') return false;
      throw error;
    }
  };

  it('makes of any bit that flips an array, or its error', () => {
    let accepted = 0;
    for (const bytes of files) {
      for (let bit = 0; bit < 8 * bytes.length; bit++) {
        const flipped = new Uint8Array(bytes);
        flipped[bit >> 3]! ^= 1 << (bit & 7);
        if (isRead(flipped)) accepted += 1;
      }
    }
    expect(accepted).toBeGreaterThan(0); // flips within the elements, at least
  });

  it('makes of any file that changes an array, or its error', () => {
    const random = new Random(1);
    const seeds = files.map((bytes) => Buffer.from(bytes));
    for (let i = 0; i < 20_000; i++) {
      let bytes: Buffer = random.pick(seeds);
      for (let changes = 1 + random.below(4); changes > 0; changes--) {
        bytes = mutate(bytes, random, seeds, [Buffer.from("'"), Buffer.from('('), Buffer.from('>')]);
      }
      isRead(bytes);
    }
  });
});

const numpy = (() => {
  try {
    execFileSync('python3', ['-c', 'import numpy'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
})();

describe.skipIf(!numpy)('NumPy (needs python3 with numpy)', () => {
  const inFolder = (action: (folder: string) => void) => {
    const folder = mkdtempSync(path.join(os.tmpdir(), 'set-native-npy-'));
    try {
      action(folder);
    } finally {
      rmSync(folder, { recursive: true });
    }
  };
  const python = (program: string, folder: string) =>
    execFileSync(
      'python3',
      ['-c', `import json, sys, numpy as np\nfolder = sys.argv[1]\n${program}`, folder],
      {
        encoding: 'utf8',
      },
    );

  it('reads what is written here, and writes the same arrays', () => {
    inFolder((folder) => {
      for (const [i, array] of arrays.entries()) writeFileSync(path.join(folder, `${i}.npy`), write(array));
      const got = JSON.parse(
        python(
          `
out = []
for i in range(${arrays.length}):
    a = np.load(f'{folder}/{i}.npy')
    np.save(f'{folder}/again{i}.npy', a)
    out.append([a.dtype.kind + str(a.dtype.itemsize), list(a.shape), [b.decode('latin1') if a.dtype.kind == 'S' else repr(b) for b in a.ravel().tolist()]])
print(json.dumps(out))`,
          folder,
        ),
      );
      for (const [i, { dtype, shape, data }] of arrays.entries()) {
        const values = Array.from<unknown, string>(data as ArrayLike<unknown>, (value) =>
          dtype === 'b1' ? (value === 1 ? 'True' : 'False') : String(value),
        );
        const [type, gotShape, gotValues] = got[i];
        expect(type.slice(0, dtype.length)).toBe(dtype);
        expect(gotShape).toEqual(shape);
        if (dtype.startsWith('f')) {
          expect(gotValues.map((text: string) => Number(text.replace('inf', 'Infinity')))).toEqual([...data]);
        } else expect(gotValues).toEqual(values);
        expect(read(readFileSync(path.join(folder, `again${i}.npy`)))).toEqual(arrays[i]);
      }
    });
  });
  it('writes what is read here', () => {
    inFolder((folder) => {
      python(
        `
a = np.arange(24).reshape(2, 3, 4)
for t in ['<i2', '>i2', '<i4', '>i4', '<i8', '>i8', '<u2', '>u8', '<f4', '>f4', '<f8', '>f8', '|i1', '|u1']:
    np.save(f'{folder}/{t[1:]}{"b" if t[0] == ">" else "l"}.npy', a.astype(t))
np.save(f'{folder}/fortran.npy', np.asfortranarray(a.astype('<f4')))
np.save(f'{folder}/transposed.npy', a.astype('<f4').T)
np.save(f'{folder}/truths.npy', a % 2 == 0)
np.save(f'{folder}/texts.npy', np.array([['a', 'Größe'], ['😀', '']]))
np.save(f'{folder}/format.npy', np.array(b'csr'))
for v in [(2, 0), (3, 0)]:
    with open(f'{folder}/version{v[0]}.npy', 'wb') as f:
        np.lib.format.write_array(f, a.astype('<i4'), version=v)
np.save(f'{folder}/objects.npy', np.array([None, {}]), allow_pickle=True)
np.save(f'{folder}/records.npy', np.zeros(2, [('a', '<f4'), ('b', '<i4')]))
np.save(f'{folder}/half.npy', a.astype('<f2'))`,
        folder,
      );
      const load = (name: string) => read(readFileSync(path.join(folder, `${name}.npy`)));
      const numbers = Array.from({ length: 24 }, (_, i) => i);
      const names = ['i2l', 'i2b', 'i4l', 'i4b', 'i8l', 'i8b', 'u2l', 'u8b', 'f4l', 'f4b', 'f8l', 'f8b'];
      for (const name of [...names, 'i1l', 'u1l']) {
        const { dtype, shape, data } = load(name);
        expect([dtype, shape], name).toEqual([name.slice(0, 2), [2, 3, 4]]);
        expect(Array.from<unknown, number>(data as ArrayLike<unknown>, Number), name).toEqual(numbers);
      }
      expect(load('fortran')).toEqual({ dtype: 'f4', shape: [2, 3, 4], data: Float32Array.from(numbers) });
      const transposed = numbers.map((i) => 12 * (i % 2) + 4 * (Math.floor(i / 2) % 3) + Math.floor(i / 6));
      expect(load('transposed')).toEqual({
        dtype: 'f4',
        shape: [4, 3, 2],
        data: Float32Array.from(transposed),
      });
      expect(load('truths').data).toEqual(Uint8Array.from(numbers, (i) => 1 - (i % 2)));
      expect(load('texts')).toEqual({ dtype: 'U', shape: [2, 2], data: ['a', 'Größe', '😀', ''] });
      expect(load('format')).toEqual({ dtype: 'S', shape: [], data: ['csr'] });
      for (const name of ['version2', 'version3']) {
        expect(load(name)).toEqual({ dtype: 'i4', shape: [2, 3, 4], data: Int32Array.from(numbers) });
      }
      for (const name of ['objects', 'records', 'half']) {
        expect(errorOf(() => load(name)).message, name).toContain('convert the array in Python');
      }
    });
  });
});
