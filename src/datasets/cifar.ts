import { ADVICE, checkSampleCount, formatError, readBytes } from './bytes.js';
import type { ImageShape, Samples } from './types.js';

/*
 * Reads CIFAR-10 in its binary version: records of one label byte and 3072 pixel bytes, 32 × 32 red, then
 * green, then blue, row by row. https://www.cs.toronto.edu/~kriz/cifar.html
 */

export const cifarShape: ImageShape = [32, 32, 3];

const PIXELS = 3 * 32 * 32;
const RECORD = 1 + PIXELS;

/**
 * Reads the records of several files, one after the other; pixels 0 .. 255 as stored.
 *
 * @param classes labels must be below this
 * @throws SetNativeError ERR_DATA_FORMAT (a length that is no whole number of records, no record, a label out
 * of range), ERR_DATA_NOT_FOUND, ERR_IO, ERR_OUT_OF_MEMORY
 */
export function readCifarSamples(files: string[], classes: number): Samples {
  let count = 0;
  const parts = files.map((file) => {
    const bytes = recordsOf(file);
    count += bytes.length / RECORD;
    checkSampleCount(file, count, PIXELS);
    return bytes;
  });
  const samples = {
    x: new Float32Array(count * PIXELS),
    labels: new Uint32Array(count),
    count,
    features: PIXELS,
  };
  let sample = 0;
  for (const [i, bytes] of parts.entries()) {
    for (let offset = 0; offset < bytes.length; offset += RECORD, sample++) {
      const label = bytes[offset]!;
      if (label >= classes) {
        throw formatError(files[i]!, { offset }, `a label below ${classes}`, String(label), ADVICE.content);
      }
      samples.labels[sample] = label;
      samples.x.set(bytes.subarray(offset + 1, offset + RECORD), sample * PIXELS);
    }
  }
  return samples;
}

function recordsOf(file: string): Uint8Array {
  const bytes = readBytes(file);
  if (bytes.length === 0 || bytes.length % RECORD !== 0) {
    const expected = `a whole number of records of ${RECORD} bytes, at least one`;
    throw formatError(file, {}, expected, `${bytes.length} bytes`, ADVICE.damaged);
  }
  return bytes;
}
