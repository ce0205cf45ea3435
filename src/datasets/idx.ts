import { ADVICE, ByteReader, checkSampleCount, formatError, readBytes } from './bytes.js';
import type { Samples } from './types.js';

/*
 * Reads IDX, the format of MNIST and Fashion-MNIST: two zero bytes, the type (8 = u8), the number of
 * dimensions, then each dimension as big-endian u32, then the values row by row.
 * http://yann.lecun.com/exdb/mnist/
 */

const UNSIGNED_BYTE = 0x08;

/** An IDX array of unsigned bytes. */
interface IdxArray {
  dimensions: number[];
  values: Uint8Array;
}

/**
 * Parses IDX of unsigned bytes. `values` is a view into `bytes`.
 *
 * @param rank expected number of dimensions: 3 for images, 1 for labels
 * @throws SetNativeError ERR_DATA_FORMAT: wrong magic, a dimension of 0, a length that differs from the
 * header
 */
export function parseIdx(bytes: Uint8Array, file: string, rank: number): IdxArray {
  const reader = new ByteReader(bytes, file);
  const magic = reader.u32('IDX magic number');
  const expected = (UNSIGNED_BYTE << 8) | rank;
  if (magic !== expected) {
    const wanted = `the IDX magic number ${hex(expected)} (u8, ${rank} dimensions)`;
    throw reader.error(wanted, hex(magic), ADVICE.foreign, 0);
  }
  const dimensions: number[] = [];
  let size = 1;
  for (let d = 0; d < rank; d++) {
    const dimension = reader.u32(`dimension ${d + 1}`);
    if (dimension === 0) {
      throw reader.error(
        `a size of at least 1 as dimension ${d + 1}`,
        '0',
        ADVICE.content,
        reader.offset - 4,
      );
    }
    dimensions.push(dimension);
    size *= dimension;
  }
  if (reader.remaining !== size) {
    const expected = `exactly ${size} bytes for ${dimensions.join(' × ')} values`;
    throw reader.error(expected, `${reader.remaining} to the end`, ADVICE.damaged);
  }
  return { dimensions, values: reader.take(size, 'values') };
}

/**
 * Reads an image file and its label file.
 *
 * @param classes labels must be below this
 * @returns count × (rows · columns) samples, pixels 0 .. 255 as stored, and the shape of an image
 * @throws SetNativeError ERR_DATA_FORMAT (see parseIdx; also counts that differ, labels out of range),
 *   ERR_DATA_NOT_FOUND, ERR_IO, ERR_OUT_OF_MEMORY
 */
export function readIdxSamples(
  imageFile: string,
  labelFile: string,
  classes: number,
): { samples: Samples; imageShape: [number, number] } {
  const images = parseIdx(readBytes(imageFile), imageFile, 3);
  const labels = parseIdx(readBytes(labelFile), labelFile, 1).values;
  const [count, rows, columns] = images.dimensions as [number, number, number];
  if (labels.length !== count) {
    const expected = `${count} labels, as many as images`;
    throw formatError(labelFile, { offset: 4 }, expected, String(labels.length), ADVICE.mismatch);
  }
  const outOfRange = labels.findIndex((label) => label >= classes);
  if (outOfRange >= 0) {
    const came = String(labels[outOfRange]);
    throw formatError(
      labelFile,
      { offset: 8 + outOfRange },
      `a label below ${classes}`,
      came,
      ADVICE.content,
    );
  }
  checkSampleCount(imageFile, count, rows * columns);
  return {
    samples: {
      x: new Float32Array(images.values),
      labels: new Uint32Array(labels),
      count,
      features: rows * columns,
    },
    imageShape: [rows, columns],
  };
}

function hex(value: number): string {
  return `0x${value.toString(16).padStart(8, '0')}`;
}
