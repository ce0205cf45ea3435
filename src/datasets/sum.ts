import { createHash } from 'node:crypto';
import type { Dataset, Samples } from './types.js';

/**
 * SHA-256, in hexadecimal, of the content of a data set, independent of its name and place: a line with the
 * sizes, then features (float32) and labels (uint32), little-endian, of the training samples and of the test
 * samples where there are any.
 */
export function datasetSum({ features, classes, train, test }: Dataset): string {
  const sum = createHash('sha256');
  const counts = [train, test].map((samples) => samples?.count ?? 0);
  sum.update(`${[features, classes, ...counts].join(' ')}\n`);
  const add = ({ x, labels }: Samples) => {
    for (const array of [x, labels])
      sum.update(new Uint8Array(array.buffer, array.byteOffset, array.byteLength));
  };
  add(train);
  if (test !== undefined) add(test);
  return sum.digest('hex');
}
