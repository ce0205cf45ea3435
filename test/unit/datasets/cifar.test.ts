import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, expect, it } from 'vitest';
import { selectFeatures } from '../../../src/bench.js';
import { readCifarSamples } from '../../../src/datasets/cifar.js';
import { cifarFiles, loadDataset } from '../../../src/datasets/registry.js';
import { prepare } from '../../../src/datasets/transform.js';
import { errorOf } from '../../support/errorOf.js';

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'set-native-cifar-'));
afterAll(() => fs.rmSync(folder, { recursive: true }));

/** A record per label; pixel k of record r is (r + k) mod 256. */
const records = (...labels: number[]) =>
  Buffer.concat(
    labels.map((label, r) => Buffer.from([label, ...Array.from({ length: 3072 }, (_, k) => (r + k) % 256)])),
  );
const write = (name: string, bytes: Uint8Array) => {
  const file = path.join(folder, name);
  fs.writeFileSync(file, bytes);
  return file;
};

it('reads the records of several files, gzip or not', () => {
  const samples = readCifarSamples([write('a', records(3, 9)), write('b.gz', gzipSync(records(0)))], 10);
  expect(samples).toMatchObject({ count: 3, features: 3072, labels: Uint32Array.of(3, 9, 0) });
  expect([samples.x[0], samples.x[255], samples.x[256], samples.x[3072], samples.x[2 * 3072 + 1]]).toEqual([
    0, 255, 0, 1, 1,
  ]);
  expect(samples.x).toHaveLength(3 * 3072);
});

it('makes a data set of images whose tiles hold their pixels channel by channel', () => {
  for (const name of cifarFiles) write(name, records(0, 1));
  const dataset = loadDataset('cifar10', { dataDir: folder });
  expect(dataset.imageShape).toEqual([32, 32, 3]);
  const { encoding, test } = prepare(dataset, { inputOrder: 'tiles', scaling: { kind: 'none' } });
  const patches = [0, 1, 32, 33, 1024, 1025, 1056, 1057, 2048, 2049, 2080, 2081, 2, 3, 34, 35];
  expect(encoding.order!.slice(0, 16)).toEqual(patches);
  expect([...test.x.subarray(0, 16)]).toEqual(patches.map((pixel) => pixel % 256));
});

it('pictures of inputs are drawn of one channel, not of three', async () => {
  for (const name of cifarFiles) write(name, records(0, 1, 0, 1));
  const few = { runs: 1, epochs: 1, hidden: [4], keep: [50], threads: 1 };
  const results = await selectFeatures({ dataset: 'cifar10', dataDir: folder, ...few });
  expect(results.dataset.features).toBe(3072);
  expect(results.dataset).not.toHaveProperty('image');
});

it.each([
  [
    'a cut record',
    records(1).subarray(0, -1),
    'whole number of records of 3073 bytes, at least one, came 3072 bytes',
  ],
  ['nothing', Buffer.alloc(0), 'came 0 bytes'],
  ['a label out of range', records(1, 10), 'byte 3073: expected a label below 10, came 10'],
])('refuses %s', (_, bytes, message) => {
  const error = errorOf(() => readCifarSamples([write('bad', bytes)], 10));
  expect(error).toMatchObject({ code: 'ERR_DATA_FORMAT', message: expect.stringContaining(message) });
});

it('is found by name', () => {
  const inner = path.join(folder, 'cifar-10-batches-bin');
  fs.mkdirSync(inner);
  for (let batch = 1; batch <= 5; batch++) {
    fs.writeFileSync(path.join(inner, `data_batch_${batch}.bin`), records(batch, batch + 4));
  }
  fs.writeFileSync(path.join(inner, 'test_batch.bin'), records(7));
  const dataset = loadDataset('cifar10', { dataDir: folder });
  expect(dataset).toMatchObject({
    features: 3072,
    note: 'data_batch_1.bin, not cifar10 as published: another shape',
  });
  const classOf = (label: number) => dataset.classNames[label];
  expect(Array.from(dataset.train.labels, classOf)).toEqual([
    '1',
    '5',
    '2',
    '6',
    '3',
    '7',
    '4',
    '8',
    '5',
    '9',
  ]);
  expect(Array.from(dataset.test!.labels, classOf)).toEqual(['7']);
});
