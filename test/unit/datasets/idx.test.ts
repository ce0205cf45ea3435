import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, describe, expect, it } from 'vitest';
import { parseIdx, readIdxSamples } from '../../../src/datasets/idx.js';
import { errorOf } from '../../support/errorOf.js';
import { idxFile } from '../../support/idxFile.js';

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'set-native-idx-'));
afterAll(() => fs.rmSync(folder, { recursive: true }));

const write = (name: string, bytes: Uint8Array) => {
  const file = path.join(folder, name);
  fs.writeFileSync(file, bytes);
  return file;
};

const images = idxFile([3, 2, 2], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 255]);
const labels = idxFile([3], [2, 0, 1]);

describe('IDX', () => {
  it('reads images and labels, gzip or not', () => {
    const { samples, imageShape } = readIdxSamples(write('i', images), write('l.gz', gzipSync(labels)), 3);
    expect(imageShape).toEqual([2, 2]);
    expect(samples).toEqual({
      x: Float32Array.of(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 255),
      labels: Uint32Array.of(2, 0, 1),
      count: 3,
      features: 4,
    });
  });

  it.each([
    ['a foreign magic', Buffer.from('not an IDX file'), 'magic number 0x00000803'],
    ['the type float', Buffer.from([0, 0, 13, 3, 0, 0, 0, 1]), 'came 0x00000d03'],
    ['labels for images', labels, 'came 0x00000801'],
    ['no bytes', Buffer.alloc(0), 'expected 4 bytes of IDX magic number, came 0'],
    ['a dimension of zero', idxFile([0, 28, 28], []), 'expected a size of at least 1 as dimension 1, came 0'],
    ['too few values', images.subarray(0, -1), 'exactly 12 bytes for 3 × 2 × 2 values, came 11'],
    ['too many values', Buffer.concat([images, Buffer.of(1)]), 'came 13 to the end'],
    ['sizes far beyond the file', idxFile([2 ** 32 - 1, 2 ** 32 - 1, 2 ** 32 - 1], [1]), 'came 1 to the end'],
  ])('refuses %s', (_, bytes, message) => {
    const error = errorOf(() => parseIdx(bytes, 'images.idx', 3));
    expect(error.code).toBe('ERR_DATA_FORMAT');
    expect(error.message).toContain('images.idx, byte ');
    expect(error.message).toContain(message);
  });

  it.each([
    ['cut values', images.subarray(0, -1), true],
    ['another format', Buffer.from('not an IDX file'), false],
    ['a size of 0', idxFile([0, 28, 28], []), false],
  ])('says whether fetching again helps: %s', (_, bytes, helps) => {
    expect(errorOf(() => parseIdx(bytes, 'f', 3)).message.includes('fetch it again')).toBe(helps);
  });

  it('refuses counts that differ and labels out of range, naming the byte', () => {
    const two = write('two', idxFile([2], [0, 1]));
    expect(errorOf(() => readIdxSamples(write('i', images), two, 3)).message).toContain('expected 3 labels');
    const error = errorOf(() => readIdxSamples(write('i', images), write('l', labels), 2));
    expect(error).toMatchObject({ code: 'ERR_DATA_FORMAT', details: { offset: 8 } });
    expect(error.message).toContain('a label below 2, came 2');
  });
});
