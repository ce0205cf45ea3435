import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, describe, expect, it } from 'vitest';
import {
  ADVICE,
  ByteReader,
  checkSampleCount,
  formatError,
  gunzip,
  machineMemory,
  maxSamples,
  readBytes,
  unpackedLimit,
} from '../../../src/datasets/bytes.js';
import { plainChanges } from '../../fuzz/engine.js';
import { errorOf } from '../../support/errorOf.js';

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'set-native-bytes-'));
afterAll(() => fs.rmSync(folder, { recursive: true }));

const write = (name: string, bytes: Uint8Array) => {
  const file = path.join(folder, name);
  fs.writeFileSync(file, bytes);
  return file;
};

const text = Buffer.from('a few bytes, packed or not; '.repeat(4));

describe('reading files', () => {
  it('gives plain bytes as they are and unpacks gzip whatever its name', () => {
    expect(Buffer.from(readBytes(write('plain.gz', text)))).toEqual(text);
    expect(Buffer.from(readBytes(write('packed', gzipSync(text))))).toEqual(text);
    expect(readBytes(write('empty', Buffer.alloc(0))).length).toBe(0);
  });

  it('tells missing, unreadable and damaged files apart', () => {
    const missing = path.join(folder, 'missing');
    expect(errorOf(() => readBytes(missing))).toMatchObject({
      code: 'ERR_DATA_NOT_FOUND',
      message: expect.stringContaining(missing),
    });
    expect(errorOf(() => readBytes(path.join(write('file', text), 'below'))).code).toBe('ERR_DATA_NOT_FOUND');
    expect(errorOf(() => readBytes(folder)).code).toBe('ERR_IO');
    const cut = write('cut.gz', gzipSync(text).subarray(0, 30));
    expect(errorOf(() => readBytes(cut))).toMatchObject({
      code: 'ERR_DATA_FORMAT',
      message: expect.stringContaining(cut),
    });
  });

  it.skipIf(process.getuid?.() === 0 || process.platform === 'win32')(
    'names a file it may not read (not as root)',
    () => {
      const file = write('secret', text);
      fs.chmodSync(file, 0);
      expect(errorOf(() => readBytes(file)).code).toBe('ERR_IO');
    },
  );
});

describe('gunzip', () => {
  it('refuses more than the limit: a gzip bomb', () => {
    const bomb = gzipSync(Buffer.alloc(2 ** 24));
    expect(bomb.length).toBeLessThan(20_000);
    expect(errorOf(() => gunzip(bomb, 'bomb.gz', 2 ** 20))).toMatchObject({
      code: 'ERR_DATA_FORMAT',
      message: expect.stringContaining('at most 1048576 bytes'),
    });
  });

  it('never lets damaged bytes pass as the right ones', () => {
    const packed = gzipSync(text);
    let refused = 0;
    for (const bytes of plainChanges([packed])) {
      try {
        const unpacked = gunzip(bytes, 'test.gz');
        if (unpacked !== bytes && unpacked.length > 0) expect(Buffer.from(unpacked)).toEqual(text);
      } catch (error) {
        expect(error).toMatchObject({ code: 'ERR_DATA_FORMAT' });
        refused++;
      }
    }
    expect(refused).toBeGreaterThan(packed.length);
  });
});

describe('limits', () => {
  it('unpacks what is made of several parts, the last of which tells a size of its own', () => {
    const parts = [gzipSync(Buffer.alloc(2 ** 20, 'a')), gzipSync(Buffer.from('b'))];
    expect(gunzip(Buffer.concat(parts), 'parts.gz')).toHaveLength(2 ** 20 + 1);
  });

  it('are shares of the memory that the machine gives, and end where no data set is so large', () => {
    expect(machineMemory()).toBeGreaterThan(0);
    expect(machineMemory()).toBeLessThanOrEqual(os.totalmem());
    expect([unpackedLimit(2 ** 30), unpackedLimit(2 ** 40)]).toEqual([2 ** 28, 2 ** 29]);
    expect(maxSamples(784, 2 ** 34), 'MNIST fits a small machine').toBeGreaterThan(60_000);
    expect([maxSamples(1, 2 ** 50), maxSamples(2 ** 30, 2 ** 50)]).toEqual([2 ** 25, 0]);
  });

  it('name what has room and what came', () => {
    checkSampleCount('f', 10, 8, 10 * 64 * 4);
    const error = errorOf(() => checkSampleCount('f', 11, 8, 10 * 64 * 4));
    expect(error).toMatchObject({
      code: 'ERR_OUT_OF_MEMORY',
      details: { limit: 10, count: 11, features: 8 },
    });
    expect(error.message).toContain('at most 10 samples of 8 features');
  });
});

describe('advice', () => {
  it('is to fetch again where that can help, and nowhere else', () => {
    const cut = errorOf(() => gunzip(gzipSync(text).subarray(0, 30), 'f'));
    expect(cut.message).toContain('fetch it again');
    expect(errorOf(() => new ByteReader(Buffer.alloc(3), 'f').u32('a')).message).toContain('fetch it again');
    const others = Object.entries(ADVICE).filter(([kind]) => kind !== 'damaged');
    for (const [, advice] of others)
      expect(formatError('f', {}, 'a', 'b', advice).message).not.toContain('fetch');
    expect(errorOf(() => gunzip(gzipSync(text), 'f', 4)).message).not.toContain('fetch');
  });
});

describe('ByteReader', () => {
  it('reads both byte orders and windows', () => {
    const bytes = Buffer.from([1, 2, 0xff, 0xff, 0xff, 0xfe, 7, 8, 9]);
    const reader = new ByteReader(bytes, 'f');
    expect(reader.u16('a')).toBe(0x0102);
    expect(reader.i32('b')).toBe(-2);
    const window = reader.window(2, 'c');
    expect(window.u8('d')).toBe(7);
    reader.littleEndian = true;
    expect(reader.remaining).toBe(1);
    expect(new ByteReader(bytes, 'f', true).u32('e')).toBe(0xffff0201);
  });

  it('names file, offset in the file, what was expected and what came', () => {
    const window = new ByteReader(Buffer.alloc(10), 'some.file').window(6, 'a window');
    window.u32('first');
    const error = errorOf(() => window.u32('second'));
    expect(error.code).toBe('ERR_DATA_FORMAT');
    expect(error.message).toContain('some.file, byte 4: expected 4 bytes of second, came 2 to the end');
    expect(error.details).toMatchObject({ file: 'some.file', offset: 4 });
  });
});
