import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { readCsvSamples } from '../../../src/datasets/csv.js';
import { readMatSamples } from '../../../src/datasets/mat.js';
import { listDatasets, loadDataset } from '../../../src/datasets/registry.js';
import type { Dataset } from '../../../src/datasets/types.js';
import { errorOf } from '../../support/errorOf.js';
import { idxFile } from '../../support/idxFile.js';
import { realDataDir, realDataSkip } from '../../support/realData.js';

const dataDir = realDataDir ?? '';

const classCounts = ({ labels }: { labels: Uint32Array }, classes: number) => {
  const counts = new Array<number>(classes).fill(0);
  for (const label of labels) counts[label]!++;
  return counts;
};
const sum = (values: Iterable<number>) => {
  let total = 0;
  for (const value of values) total += value;
  return total;
};

/** A test on a data set of the folder; skipped, saying why, where the folder does not hold it. */
function onReal(name: string, title: string, test: (dataset: Dataset) => void): void {
  it(`${name}: ${title}`, (context) => {
    const listing = listDatasets({ dataDir }).find((candidate) => candidate.name === name);
    context.skip(!listing?.found, `${name} is not in ${dataDir}`);
    const dataset = loadDataset(name, { dataDir });
    test(dataset);
    expect({ name: dataset.name, note: dataset.note }, 'as listed').toEqual({ name, note: listing?.note });
    const { train, test: testCount, features, classes } = listing!.shape;
    expect(
      [dataset.train.count, dataset.test?.count, dataset.features, dataset.classes],
      'as listed',
    ).toEqual([...[train, testCount, features, classes]]);
  });
}

describe.skipIf(realDataDir === undefined)(`real files${realDataSkip}`, () => {
  onReal(
    'fashion-mnist',
    '60000 + 10000 images, first an ankle boot',
    ({ train, test, classNames, imageShape }) => {
      expect(imageShape).toEqual([28, 28]);
      expect(classCounts(train, 10)).toEqual(Array(10).fill(6000));
      expect(classCounts(test!, 10)).toEqual(Array(10).fill(1000));
      expect(train.labels[0]).toBe(9);
      expect(classNames[9]).toBe('Ankle boot');
      expect(sum(train.x) / train.x.length).toBeCloseTo(72.94, 3);
    },
  );

  onReal('mnist', 'class counts of the test set', (dataset) => {
    expect(dataset.classNames[9]).toBe('9');
    const samples = dataset.test ?? dataset.train;
    expect(classCounts(samples, 10)).toEqual([980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]);
  });

  it('labels of MNIST beside other images are not MNIST, and beside images of Fashion-MNIST are nothing', (context) => {
    const [mnist, fashion] = ['mnist', 'fashion-mnist'].map((name) => path.join(dataDir, name));
    const [images, labels] = ['t10k-images-idx3-ubyte.gz', 't10k-labels-idx1-ubyte.gz'];
    const needed = [path.join(mnist!, labels!), path.join(fashion!, images!)];
    context.skip(!needed.every((file) => fs.existsSync(file)), `${needed.join(' or ')} is not there`);
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'set-native-real-'));
    try {
      fs.copyFileSync(needed[0]!, path.join(folder, labels!));
      fs.copyFileSync(needed[1]!, path.join(folder, images!));
      const error = errorOf(() => loadDataset('mnist', { dataDir: folder }));
      expect(error.code).toBe('ERR_DATA_FORMAT');
      expect(error.message).toContain('came some of fashion-mnist and some of mnist');
      fs.writeFileSync(path.join(folder, images!), idxFile([10_000, 28, 28], new Uint8Array(7_840_000)));
      expect(loadDataset('mnist', { dataDir: folder })).toMatchObject({
        name: 't10k-images-idx3-ubyte',
        note: 't10k-images-idx3-ubyte, not mnist as published: other images',
      });
    } finally {
      fs.rmSync(folder, { recursive: true });
    }
  });

  onReal(
    'madelon',
    'check-sums of madelon.param; madelon.mat holds the same',
    ({ train, test, classNames }) => {
      expect(sum(train.x)).toBe(488083511);
      expect(sum(test!.x)).toBe(146395833);
      expect(classNames).toEqual(['-1', '1']);
      expect(classCounts(train, 2)).toEqual([1000, 1000]);
      expect(classCounts(test!, 2)).toEqual([300, 300]);

      const mat = readMatSamples(path.join(dataDir, 'scikit-feature', 'madelon.mat'));
      expect([mat.count, mat.features]).toEqual([2600, 500]);
      expect(
        Buffer.from(mat.x.buffer).equals(
          Buffer.concat([Buffer.from(train.x.buffer), Buffer.from(test!.x.buffer)]),
        ),
      ).toBe(true);
      expect(Array.from<number | string, number>(mat.labels, (label) => (Number(label) + 1) / 2)).toEqual([
        ...train.labels,
        ...test!.labels,
      ]);
    },
  );

  onReal('tox-171', 'class counts', ({ train, classNames }) => {
    expect(classCounts(train, 4)).toEqual([45, 45, 39, 42]);
    expect(classNames).toEqual(['1', '2', '3', '4']);
  });

  onReal('glioma', 'class counts', ({ train }) => {
    expect(classCounts(train, 4)).toEqual([14, 7, 14, 15]);
  });

  onReal('lung', 'class counts; the rounded one equals Lung2.csv', ({ train, note, source }) => {
    expect(classCounts(train, 5)).toEqual([139, 17, 21, 20, 6]);
    if (note === undefined) return;
    const csv = readCsvSamples(path.join(source, 'Lung2.csv.gz'));
    expect([csv.count, csv.features]).toEqual([203, 3312]);
    expect(Buffer.from(csv.x.buffer).equals(Buffer.from(train.x.buffer))).toBe(true);
  });

  onReal('higgs', 'class counts and the first row', ({ train, classNames }) => {
    expect(classNames).toEqual(['0', '1']);
    expect(classCounts(train, 2)).toEqual([5163, 5821]);
    expect([...train.x.subarray(0, 2)]).toEqual([Math.fround(0.34186098), Math.fround(-1.313937902)]);
  });
});
