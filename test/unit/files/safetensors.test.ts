import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import v8 from 'node:v8';
import { describe, expect, test, vi } from 'vitest';
import { SetNativeError } from '../../../src/errors.js';
import {
  readSafetensors,
  safetensorsPieces,
  type Tensor,
  type TensorFile,
} from '../../../src/files/safetensors.js';

const bytesOf = (file: TensorFile) => new Uint8Array(Buffer.concat(safetensorsPieces(file)));

const sample: TensorFile = {
  tensors: new Map<string, Tensor>([
    ['w', { dtype: 'F32', shape: [2, 2], data: Float32Array.of(1, -2, 0.5, 3e38) }],
    ['born', { dtype: 'U16', shape: [3], data: Uint16Array.of(1, 2, 65535) }],
    ['scalar', { dtype: 'F64', shape: [], data: Float64Array.of(Math.PI) }],
    ['none', { dtype: 'I32', shape: [0, 7], data: new Int32Array(0) }],
    ['long', { dtype: 'I64', shape: [1], data: BigInt64Array.of(-(2n ** 62n)) }],
    ['flags', { dtype: 'BOOL', shape: [3], data: Uint8Array.of(1, 0, 1) }],
  ]),
  metadata: new Map([
    ['who', 'Zoë "x"'],
    ['a', ''],
  ]),
};

/** A file with this header, as it stands, and so many bytes of data. */
function fileOf(header: string | Uint8Array, data = 0, length?: bigint): Uint8Array {
  const text = Buffer.from(header);
  const bytes = Buffer.alloc(8 + text.length + data);
  bytes.writeBigUInt64LE(length ?? BigInt(text.length));
  text.copy(bytes, 8);
  return bytes;
}

const tensor = (dtype: unknown, shape: unknown, offsets: unknown) => ({
  dtype,
  shape,
  data_offsets: offsets,
});

function errorOf(bytes: Uint8Array): SetNativeError {
  try {
    readSafetensors(bytes, 'm.safetensors');
  } catch (error) {
    if (error instanceof SetNativeError && error.code === 'ERR_DATA_FORMAT') return error;
    throw error;
  }
  throw new Error('it was read');
}

test('what was written is read back, from any alignment', () => {
  const bytes = bytesOf(sample);
  for (const offset of [0, 1, 4]) {
    const shifted = new Uint8Array(bytes.length + offset);
    shifted.set(bytes, offset);
    expect(readSafetensors(shifted.subarray(offset), 'x')).toEqual(sample);
  }
  expect(readSafetensors(Buffer.from(bytes), 'x')).toEqual(sample);
  const empty = { tensors: new Map(), metadata: new Map() };
  expect(readSafetensors(bytesOf(empty), 'x')).toEqual(empty);
});

test('the bytes are those of the format, wide elements first, and depend on no order', () => {
  const small: TensorFile = {
    tensors: new Map<string, Tensor>([
      ['b', { dtype: 'U16', shape: [1], data: Uint16Array.of(0x1234) }],
      ['a', { dtype: 'F32', shape: [1], data: Float32Array.of(1) }],
    ]),
    metadata: new Map([['k', 'v']]),
  };
  const header =
    '{"__metadata__":{"k":"v"},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},' +
    '"b":{"dtype":"U16","shape":[1],"data_offsets":[4,6]}}';
  const padded = header.padEnd(Math.ceil(header.length / 8) * 8);
  const expected = Buffer.concat([fileOf(padded), Buffer.from('0000803f3412', 'hex')]);
  expect(Buffer.from(bytesOf(small))).toEqual(expected);
  small.tensors = new Map([...small.tensors].reverse());
  expect(Buffer.from(bytesOf(small))).toEqual(expected);
  const pairs: [string, string][] = [
    ['a', 'b,c'],
    ['a,b', 'c'], // the same as the other, when joined
  ];
  const empty = { tensors: new Map() };
  const one = bytesOf({ ...empty, metadata: new Map(pairs) });
  expect(bytesOf({ ...empty, metadata: new Map(pairs.reverse()) })).toEqual(one);
});

test('names of objects of JavaScript are names like any other', () => {
  const tensors = new Map<string, Tensor>(
    ['__proto__', 'constructor', 'toString', '', 'ä\u0000"'].map((name, i) => [
      name,
      { dtype: 'I32', shape: [1], data: Int32Array.of(i) },
    ]),
  );
  const file = { tensors, metadata: new Map([['__proto__', 'x']]) };
  const read = readSafetensors(bytesOf(file), 'x');
  expect(read.tensors).toEqual(tensors);
  expect(({} as Record<string, unknown>).dtype).toBe(undefined);
});

test('a shape that is not that of the data is a fault of the caller', () => {
  const tensors = new Map<string, Tensor>([['w', { dtype: 'F32', shape: [3], data: new Float32Array(2) }]]);
  expect(() => safetensorsPieces({ tensors, metadata: new Map() })).toThrow(RangeError);
});

describe('refused', () => {
  const one = tensor('F32', [1], [0, 4]);
  const json = (header: unknown) => JSON.stringify(header);
  test.each<[string, Uint8Array, string]>([
    ['nothing', new Uint8Array(0), 'at least 10 bytes'],
    ['a header longer than the file', fileOf('{}', 0, 100n), 'a header of at most 2 bytes, came 100'],
    ['a header of 2^64 - 1 bytes', fileOf('{}', 0, 2n ** 64n - 1n), 'came 18446744073709551615'],
    [
      'a header of 100 MB, though there are as many',
      fileOf('{}', 2 ** 24, BigInt(2 ** 24 + 1)),
      'at most 16777216',
    ],
    ['a list', fileOf('[]'), 'does not begin with {'],
    ['space in front', fileOf(' {}'), 'does not begin with {'],
    ['a byte order mark', fileOf('\ufeff{}'), 'does not begin with {'],
    ['no UTF-8', fileOf(Uint8Array.of(0x7b, 0x22, 0xff, 0x22, 0x7d)), 'a header in JSON'],
    ['no JSON', fileOf('{"a":}'), 'a header in JSON'],
    ['text behind the JSON', fileOf('{} x'), 'a header in JSON'],
    ['a name twice', fileOf(`{"a":${json(one)},"a":${json(one)}}`, 4), '4 different keys, came 8'],
    [
      'a key twice',
      fileOf('{"a":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}}', 4),
      'twice',
    ],
    ['metadata twice', fileOf('{"__metadata__":{},"__metadata__":{}}'), 'twice'],
    ['a key of metadata twice', fileOf('{"__metadata__":{"a":"b","a":"c"}}'), 'twice'],
    ['an escaped name twice', fileOf(`{"a":${json(one)},"\\u0061":${json(one)}}`, 4), 'twice'],
    ['metadata of numbers', fileOf(json({ __metadata__: { a: 1 } })), 'texts in __metadata__'],
    ['metadata that is a list', fileOf(json({ __metadata__: ['a'] })), 'texts in __metadata__'],
    ['metadata that is null', fileOf(json({ __metadata__: null })), 'texts in __metadata__'],
    ['a tensor that is null', fileOf(json({ a: null })), 'of tensor "a", came null'],
    ['a tensor that is a list', fileOf(json({ a: [] })), 'of tensor "a"'],
    ['a key that is not known', fileOf(json({ a: { ...one, strides: [1] } }), 4), 'came ["strides"]'],
    ['no shape', fileOf(json({ a: { dtype: 'F32', data_offsets: [0, 4] } }), 4), 'a shape'],
    ['a dtype that is not known', fileOf(json({ a: tensor('F4', [1], [0, 4]) }), 4), 'a dtype out of'],
    ['half precision', fileOf(json({ a: tensor('BF16', [1], [0, 2]) }), 2), 'came "BF16"'],
    ['a dtype of Object.prototype', fileOf(json({ a: tensor('toString', [1], [0, 4]) }), 4), 'a dtype'],
    ['a negative size', fileOf(json({ a: tensor('F32', [-1], [0, 4]) }), 4), 'a shape of whole numbers'],
    ['a size in parts', fileOf(json({ a: tensor('F32', [0.5], [0, 2]) }), 2), 'a shape of whole numbers'],
    ['a size as text', fileOf(json({ a: tensor('F32', ['1'], [0, 4]) }), 4), 'a shape of whole numbers'],
    [
      'a size beyond whole numbers',
      fileOf('{"a":{"dtype":"U8","shape":[1e400],"data_offsets":[0,0]}}'),
      'a shape',
    ],
    [
      'sizes whose product overflows',
      fileOf(json({ a: tensor('U8', [2 ** 40, 2 ** 40], [0, 0]) })),
      '0 bytes',
    ],
    [
      'sizes whose product wraps to that of the bytes',
      fileOf(json({ a: tensor('F32', [2 ** 32, 2 ** 32], [0, 0]) })),
      '0 bytes',
    ],
    ['bytes for another shape', fileOf(json({ a: tensor('F32', [2], [0, 4]) }), 4), '4 bytes'],
    ['bytes within an element', fileOf(json({ a: tensor('F32', [1], [0, 3]) }), 3), '3 bytes'],
    ['offsets that descend', fileOf(json({ a: tensor('F32', [1], [4, 0]) }), 4), 'ascend'],
    ['negative offsets', fileOf(json({ a: tensor('F32', [1], [-4, 0]) }), 4), 'two data_offsets'],
    ['three offsets', fileOf(json({ a: tensor('F32', [1], [0, 4, 8]) }), 8), 'two data_offsets'],
    ['offsets beyond the file', fileOf(json({ a: tensor('F32', [2], [0, 8]) }), 4), 'at most 4'],
    ['a hole in front', fileOf(json({ a: tensor('F32', [1], [4, 8]) }), 8), 'leave a hole'],
    ['a hole between', fileOf(json({ a: one, b: tensor('F32', [1], [8, 12]) }), 12), 'leave a hole'],
    ['tensors that overlap', fileOf(json({ a: one, b: one }), 4), 'overlap'],
    [
      'tensors that overlap in part',
      fileOf(json({ a: tensor('U8', [4], [0, 4]), b: tensor('U8', [4], [2, 6]) }), 6),
      'overlap',
    ],
    ['bytes behind the last tensor', fileOf(json({ a: one }), 5), 'end at byte'],
    ['an empty tensor beyond the end', fileOf(json({ a: one, b: tensor('U8', [0], [5, 5]) }), 5), 'hole'],
    [
      'many tensors',
      fileOf(`{${Array.from({ length: 100_001 }, (_, i) => `"${i}":0`)}}`),
      'at most 100000 tensors',
    ],
    ['a tensor within a tensor', fileOf(json({ a: { b: { c: {} } } })), 'or some 4 deep'],
    ['control characters are not repeated', fileOf(json({ '\u001b[2J': null })), '\\u001b[2J'],
    ['nor are those beyond ASCII', fileOf(json({ '\u009b2J': null })), '"\ufffd2J"'],
  ])('%s', (_, bytes, text) => {
    const error = errorOf(bytes);
    expect(error.message).toContain(text);
    expect(error.message).toMatch(/^\[load\] m\.safetensors, byte \d+: expected .*, came /);
    expect(error.message).not.toMatch(/\p{Cc}/u);
  });

  test('deep JSON, without a crash', () => {
    errorOf(fileOf(`{"a":${'['.repeat(4_000_000)}`));
    errorOf(fileOf(`{"a":${'['.repeat(1_000_000)}${']'.repeat(1_000_000)}}`));
    errorOf(fileOf(`{"a":${'{"a":'.repeat(1_000_000)}1${'}'.repeat(1_000_000)}}`));
  });

  test('many lists, before they are made', () => {
    for (const items of ['[]', '{}']) {
      const file = fileOf(`{"a":[${Array(300_001).fill(items)}]}`);
      expect(errorOf(file).message).toContain('more than 300002 objects and lists');
    }
  });

  test('a long name, in a short message', () => {
    expect(errorOf(fileOf(json({ ['n'.repeat(1e6)]: null }))).message.length).toBeLessThan(1000);
  });

  test('a header for which the heap may have no room', () => {
    // Of 2 MiB: as metadata of short texts it would take more than 64 MiB.
    const file = fileOf(`{"__metadata__":{"a":"${'x'.repeat(2 ** 21)}"}}`);
    readSafetensors(file, 'x');
    const statistics = v8.getHeapStatistics();
    const heap = vi.spyOn(v8, 'getHeapStatistics');
    heap.mockReturnValue({ ...statistics, heap_size_limit: 64 * 2 ** 20 });
    try {
      expect(errorOf(file).message).toContain(`a header of at most ${2 ** 20} bytes`);
    } finally {
      heap.mockRestore();
    }
  });

  test('every file that was cut', () => {
    const bytes = bytesOf(sample);
    for (let length = 0; length < bytes.length; length++) errorOf(bytes.subarray(0, length));
  });
});

test('any bit that flips gives a file of tensors, or its error', () => {
  const bytes = bytesOf(sample);
  let read = 0;
  for (let bit = 0; bit < 8 * bytes.length; bit++) {
    const flipped = bytes.slice();
    flipped[bit >> 3]! ^= 1 << (bit & 7);
    try {
      for (const { shape, data } of readSafetensors(flipped, 'x').tensors.values()) {
        expect(data.length).toBe(shape.reduce((product, size) => product * size, 1));
      }
      read += 1;
    } catch (error) {
      if (!(error instanceof SetNativeError)) throw error;
    }
  }
  expect(read).toBeGreaterThan(0); // flips within the data, at least
});

const python = (() => {
  try {
    execFileSync('python3', ['-c', 'import json, struct']);
    return true;
  } catch {
    return false;
  }
})();

test.skipIf(!python)('a reader of the format in Python finds the same (needs python3)', () => {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'safetensors-'));
  try {
    const file = path.join(folder, 'm.safetensors');
    writeFileSync(file, bytesOf(sample));
    const program = `
import json, struct, sys
raw = open(sys.argv[1], 'rb').read()
n, = struct.unpack('<Q', raw[:8])
header = json.loads(raw[8:8 + n])
out = {'metadata': header.pop('__metadata__')}
for name, t in header.items():
    begin, end = t['data_offsets']
    code = {'F32': 'f', 'F64': 'd', 'I32': 'i', 'I64': 'q', 'U16': 'H', 'BOOL': 'B'}[t['dtype']]
    part = raw[8 + n + begin:8 + n + end]
    out[name] = [t['shape'], [str(v) if code == 'q' else v for v in struct.unpack('<%d%s' % (len(part) // struct.calcsize('<' + code), code), part)]]
print(json.dumps(out))`;
    const got = JSON.parse(execFileSync('python3', ['-c', program, file], { encoding: 'utf8' }));
    expect(got.metadata).toEqual(Object.fromEntries(sample.metadata));
    for (const [name, { shape, data }] of sample.tensors) {
      const values = Array.from<number | bigint, number | string>(data as Float32Array, (value) =>
        typeof value === 'bigint' ? String(value) : value,
      );
      expect(got[name]).toEqual([shape, values]);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});
