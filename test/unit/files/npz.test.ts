import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { afterAll, describe, expect, it, test, vi } from 'vitest';
import { SetNativeError } from '../../../src/errors.js';
import { type NpyNumbers, type NpyTexts, npyBytes } from '../../../src/files/npy.js';
import { npzPieces, readNpz } from '../../../src/files/npz.js';
import { readZip, zipPieces } from '../../../src/files/zip.js';
import { type ZipPart, zipFile } from '../../support/zipFile.js';

const folder = mkdtempSync(path.join(os.tmpdir(), 'npz-'));
afterAll(() => rmSync(folder, { recursive: true }));

const arrays = new Map<string, NpyNumbers | NpyTexts<'S'>>([
  ['format', { dtype: 'S', shape: [], data: ['csr'] }],
  ['data', { dtype: 'f4', shape: [2, 2], data: Float32Array.of(1, -2, 0.5, 3e38) }],
  ['none', { dtype: 'i4', shape: [0], data: new Int32Array(0) }],
]);
const source = { operation: 'load', file: 'f.npz', most: 2 ** 30 };
const bytesOf = async (content = arrays) => Buffer.concat(await npzPieces(content));
const read = (bytes: Uint8Array) => readNpz(bytes, source, [...arrays.keys()], 'rename it');
const refusal = (text: string, code = 'ERR_DATA_FORMAT') =>
  expect.objectContaining({ code, message: expect.stringContaining(text) });

const entry = (name: string, data: Uint8Array = Buffer.from('some data'), more: Partial<ZipPart> = {}) => ({
  name,
  data,
  ...more,
});
const npy = Buffer.from(npyBytes(arrays.get('data') as NpyNumbers));
const unzip = async (bytes: Uint8Array, most = 2 ** 30) => {
  const entries = await readZip(bytes, { ...source, most });
  const all = new Map<string, Uint8Array>();
  for (const { name, read } of entries) all.set(name, await read());
  return all;
};

describe('.npz', () => {
  it('reads back what it writes, from any place in memory', async () => {
    const bytes = await bytesOf();
    expect(await read(bytes)).toEqual(arrays);
    const shifted = new Uint8Array(bytes.length + 5);
    shifted.set(bytes, 5);
    expect(await read(shifted.subarray(5))).toEqual(arrays);
  });

  it('writes the same bytes at any time, in any zone', async () => {
    const bytes = await bytesOf();
    vi.stubEnv('TZ', 'Pacific/Apia');
    vi.useFakeTimers({ toFake: ['Date'], now: 1e12 });
    try {
      expect(new Date().getHours()).toBe(14);
      expect(await bytesOf()).toEqual(bytes);
    } finally {
      vi.useRealTimers();
      vi.unstubAllEnvs();
    }
    // The entry's own header: version, flags (UTF-8, sizes behind the data), stored, 1980-01-01 12:00.
    expect(bytes.subarray(0, 14).toString('hex')).toBe('504b030414000808000000602100');
  });

  it('reads deflated entries, and archives without any', async () => {
    const deflated = [...arrays].map(([name, array]) => ({
      ...entry(`${name}.npy`, npyBytes(array as NpyNumbers)),
      deflate: true,
    }));
    expect(await read(zipFile(deflated))).toEqual(arrays);
    expect(await read(zipFile([]))).toEqual(new Map());
  });

  it.each([
    ['another name', [entry('other.npy', npy)], 'arrays format, data, none alone, came "other.npy"'],
    ['another extension', [entry('data.txt', npy)], 'came "data.txt"'],
    ['a folder', [entry('data.npy/', Buffer.alloc(0))], 'came "data.npy/"'],
    ['what is no .npy', [entry('data.npy')], 'f.npz, data.npy, byte 0: expected at least 12 bytes, came 9'],
    [
      'objects of Python',
      [entry('data.npy', Buffer.from(npy.toString('latin1').replace('<f4', '|O '), 'latin1'))],
      'f.npz, data.npy, byte 10',
    ],
    [
      'columns before rows',
      [entry('data.npy', Buffer.from(npy.toString('latin1').replace('False', 'True '), 'latin1'))],
      'the order of C, came that of Fortran',
    ],
  ])('refuses %s', async (_, parts, text) => {
    await expect(read(zipFile(parts))).rejects.toEqual(refusal(text));
  });

  it('unpacks nothing before all names are known', async () => {
    const parts = [entry('data.npy', npy, { says: { sum: 1 } }), entry('other.npy', npy)];
    await expect(read(zipFile(parts))).rejects.toEqual(refusal('other.npy'));
  });

  it('refuses a file that is cut anywhere', async () => {
    const bytes = await bytesOf();
    for (let length = 0; length < bytes.length; length++) {
      await expect(read(bytes.subarray(0, length)), `${length}`).rejects.toEqual(refusal('[load] f.npz'));
    }
  });

  it('gives what was written, or a refusal, whichever bit flips', async () => {
    const bytes = await bytesOf();
    let refused = 0;
    for (let bit = 0; bit < 8 * bytes.length; bit++) {
      const flipped = Buffer.from(bytes);
      flipped[bit >> 3]! ^= 1 << (bit & 7);
      try {
        expect(await read(flipped), `bit ${bit}`).toEqual(arrays); // a time stamp, a version
      } catch (error) {
        if (!(error instanceof SetNativeError)) throw error;
        expect(error.code, error.message).toBe('ERR_DATA_FORMAT');
        refused += 1;
      }
    }
    // Every bit of the arrays, and more.
    const data = [...arrays.values()].reduce((sum, each) => sum + npyBytes(each as NpyNumbers).length, 0);
    expect(refused).toBeGreaterThan(8 * data);
  }, 60_000);
});

describe('archives that lie', () => {
  const twice = [entry('a'), entry('a', Buffer.from('other'))];
  const bomb = Buffer.alloc(2 ** 24);
  it.each<[string, Buffer, string]>([
    ['no archive', Buffer.from('\x93NUMPY, not zip'), 'a zip archive'],
    ['an empty file', Buffer.alloc(0), 'a zip archive'],
    ['a name twice', zipFile(twice), 'every name once, came a twice'],
    ['a name above the folder', zipFile([entry('../a')]), '../a'],
    ['an absolute name', zipFile([entry('/a')]), '/a'],
    ['a name of Windows', zipFile([entry('C:\\a')]), 'C:/a'],
    [
      'two names of one entry',
      zipFile([entry('a', npy, { says: { localName: 'b' } })]),
      'b in its own header',
    ],
    [
      'an encrypted entry',
      zipFile([entry('a', npy, { says: { flags: 1, size: npy.length - 12 } })]),
      'a in the clear',
    ],
    ['another method', zipFile([entry('a', npy, { says: { method: 12 } })]), 'method 12'],
    ['another sum', zipFile([entry('a', npy, { says: { sum: 5 } })]), 'the CRC-32 5 of a'],
    ['another size, stored', zipFile([entry('a', npy, { says: { size: 5 } })]), 'size mismatch'],
    ['less than it packs', zipFile([entry('a', npy, { deflate: true, says: { size: 5 } })]), '5 bytes of a'],
    [
      'more than it packs',
      zipFile([entry('a', npy, { deflate: true, says: { size: 1e6 } })]),
      '1000000 bytes of a',
    ],
    [
      'deflated bytes that are none',
      zipFile([entry('a', Buffer.alloc(9, 255), { says: { method: 8 } })]),
      'bytes of a, deflated',
    ],
    ['entries that overlap', zipFile([entry('a'), entry('a', npy, { says: { begin: 0 } })]), 'a twice'],
    [
      'an entry inside another',
      zipFile([entry('a', zipFile([entry('b', npy)])), entry('b', npy, { says: { begin: 31 } })]),
      'b within a',
    ],
    ['an entry beyond the end', zipFile([entry('a', npy, { says: { begin: 1e6 } })]), 'unexpected EOF'],
    ['fewer entries than there are', zipFile([entry('a'), entry('b')], { count: 1 }), 'of 1 entries'],
    ['more entries than there are', zipFile([entry('a')], { count: 2 }), 'a zip archive'],
    ['101 entries', zipFile(Array.from({ length: 101 }, (_, i) => entry(`${i}`))), 'at most 100 entries'],
    ['a bomb', zipFile([entry('a', bomb, { deflate: true })]), 'at most 200 times'],
    [
      'a bomb that says less',
      zipFile([entry('a', bomb, { deflate: true, says: { size: 1000 } })]),
      '1000 bytes of a, deflated',
    ],
  ])('%s', async (_, bytes, text) => {
    await expect(unzip(bytes)).rejects.toEqual(refusal(text));
  });

  it('takes no more memory than there is', async () => {
    const bytes = zipFile([entry('a', npy), entry('b', npy)]);
    const error = refusal('[load] f.npz unpacks to', 'ERR_OUT_OF_MEMORY');
    await expect(unzip(bytes, 2 * npy.length - 1)).rejects.toEqual(error);
    expect((await unzip(bytes, 2 * npy.length)).size).toBe(2);
  });
});

test('a large archive is written and read without holding up other work', async () => {
  const data = new Uint8Array(2 ** 26).map((_, i) => i * i);
  const delay = monitorEventLoopDelay({ resolution: 2 });
  delay.enable();
  const bytes = Buffer.concat(await zipPieces([['a', data]]));
  const back = (await unzip(bytes)).get('a')!;
  delay.disable();
  expect(Buffer.compare(back, data)).toBe(0);
  expect(delay.percentile(90) / 1e6).toBeLessThan(20);
});

const numpy = (() => {
  try {
    execFileSync('python3', ['-c', 'import numpy'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
})();

test.skipIf(!numpy)(
  'NumPy reads what is written, and the other way round (needs python3 with NumPy)',
  async () => {
    const [ours, theirs] = [path.join(folder, 'ours.npz'), path.join(folder, 'theirs.npz')];
    writeFileSync(ours, await bytesOf());
    const program = `
import sys, zipfile, numpy as np
assert zipfile.ZipFile(sys.argv[1]).testzip() is None
a = np.load(sys.argv[1])
assert a.files == ["format", "data", "none"] and a["format"].item() == b"csr" and a["none"].shape == (0,)
np.testing.assert_array_equal(a["data"], np.array([[1, -2], [0.5, 3e38]], np.float32))
np.savez_compressed(sys.argv[2], **{name: a[name] for name in a.files})`;
    execFileSync('python3', ['-c', program, ours, theirs]);
    expect(await read(readFileSync(theirs))).toEqual(arrays);
  },
);
