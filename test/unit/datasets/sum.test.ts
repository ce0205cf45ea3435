import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { datasetSum } from '../../../src/datasets/sum.js';
import type { Dataset, Samples } from '../../../src/datasets/types.js';

function samples(values: number[], labels: number[]): Samples {
  // In the middle of a buffer, as parts of others are.
  const x = new Float32Array([9, ...values, 9]).subarray(1, 1 + values.length);
  return { x, labels: Uint32Array.from(labels), count: labels.length, features: 2 };
}

const dataset: Dataset = {
  ...{
    name: 'a',
    source: 'here',
    features: 2,
    classes: 3,
    classNames: ['0', '1', '2'],
    scaling: { kind: 'none' },
  },
  train: samples([1, 2, 3, 4], [0, 2]),
  test: samples([5, 6], [1]),
};

test('it is of what the data set holds, in the order that is written down', () => {
  const bytes = [
    new Float32Array([1, 2, 3, 4]),
    Uint32Array.of(0, 2),
    new Float32Array([5, 6]),
    Uint32Array.of(1),
  ];
  const expected = createHash('sha256').update('2 3 2 1\n');
  for (const part of bytes) expected.update(new Uint8Array(part.buffer));
  expect(datasetSum(dataset)).toBe(expected.digest('hex'));
  expect(datasetSum({ ...dataset, name: 'b', source: 'there' })).toBe(datasetSum(dataset));
});

test('any value, label or size that is another makes it another', () => {
  const { test: held, ...whole } = dataset;
  const others: Dataset[] = [
    { ...dataset, train: samples([1, 2, 3, 5], [0, 2]) },
    { ...dataset, train: samples([1, 2, 3, 4], [1, 2]) },
    { ...dataset, test: samples([5, 7], [1]) },
    { ...dataset, test: samples([5, 6], [2]) },
    { ...dataset, classes: 4 },
    whole,
    { ...dataset, train: held!, test: dataset.train },
  ];
  expect(new Set([dataset, ...others].map(datasetSum)).size).toBe(others.length + 1);
});
