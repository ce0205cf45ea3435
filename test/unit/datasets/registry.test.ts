import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { listDatasets, loadDataset } from '../../../src/datasets/registry.js';
import { errorOf } from '../../support/fuzz.js';
import { idxFile } from '../../support/idxFile.js';
import { type MatVariable, matFile } from '../../support/matFile.js';

let root: string;
let dataDir: string;

beforeEach(() => {
  root = fs.mkdtempSync(path.join(os.tmpdir(), 'set-native-registry-'));
  dataDir = path.join(root, 'data');
  vi.stubEnv('SET_NATIVE_DATA', path.join(root, 'environment'));
  vi.stubEnv('XDG_CACHE_HOME', path.join(root, 'cache'));
});
afterEach(() => {
  vi.unstubAllEnvs();
  fs.rmSync(root, { recursive: true });
});

const write = (folder: string, name: string, bytes: Uint8Array) => {
  fs.mkdirSync(folder, { recursive: true });
  fs.writeFileSync(path.join(folder, name), bytes);
};
const writeIdx = (folder: string, prefix: string, count: number, ending = '') => {
  const pack = (bytes: Buffer) => (ending === '.gz' ? gzipSync(bytes) : bytes);
  write(folder, `${prefix}-images-idx3-ubyte${ending}`, pack(idxFile([count, 2, 2], Array(4 * count).fill(count))));
  write(
    folder,
    `${prefix}-labels-idx1-ubyte${ending}`,
    pack(
      idxFile(
        [count],
        Array.from({ length: count }, (_, i) => i),
      ),
    ),
  );
};
const mat = (firstValue: number) => {
  const X: MatVariable = { name: 'X', class: 'double', dimensions: [2, 1], values: [firstValue, 9] };
  return matFile([X, { name: 'Y', class: 'double', dimensions: [2, 1], values: [1, 2] }]);
};

describe('lookup', () => {
  const cacheDir = () => path.join(root, 'cache', 'set-native', 'data');
  const environmentDir = () => path.join(root, 'environment');
  const loaded = () => loadDataset('glioma', { dataDir }).train.x[0];

  it('tries --data-dir, SET_NATIVE_DATA and the cache, in this order', () => {
    write(cacheDir(), 'GLIOMA.mat', mat(3));
    expect(loaded()).toBe(3);
    write(environmentDir(), 'GLIOMA.mat', mat(2));
    expect(loaded()).toBe(2);
    write(dataDir, 'GLIOMA.mat', mat(1));
    expect(loaded()).toBe(1);
    expect(loadDataset('glioma').train.x[0]).toBe(2);
  });

  it('tries the sub-folder of the name before the folder itself', () => {
    write(dataDir, 'GLIOMA.mat', mat(1));
    write(path.join(dataDir, 'glioma'), 'GLIOMA.mat.gz', gzipSync(mat(4)));
    expect(loadDataset('glioma', { dataDir })).toMatchObject({ source: path.join(dataDir, 'glioma') });
    expect(loaded()).toBe(4);
  });

  it("uses ~/.cache without XDG_CACHE_HOME, and none of the places that aren't named", () => {
    vi.stubEnv('XDG_CACHE_HOME', '');
    vi.stubEnv('SET_NATIVE_DATA', '');
    vi.spyOn(os, 'homedir').mockReturnValue(root);
    const error = errorOf(() => loadDataset('glioma'));
    vi.restoreAllMocks();
    expect((error.details.tried as string[])[0]).toContain(path.join(root, '.cache', 'set-native', 'data'));
    expect(error.message).not.toContain('(SET_NATIVE_DATA)');
  });

  it('lists every place tried, what is missing where a part is, and what to do', () => {
    write(path.join(dataDir, 'madelon'), 'madelon_train.data', Buffer.from('1 2\n'));
    const error = errorOf(() => loadDataset('madelon', { dataDir }));
    expect(error.code).toBe('ERR_DATA_NOT_FOUND');
    for (const folder of [dataDir, environmentDir(), cacheDir()]) {
      expect(error.message).toContain(`${folder} (`);
      expect(error.message).toContain(`${path.join(folder, 'madelon')} (`);
    }
    expect(error.message).toContain('madelon lacks madelon_train.labels, madelon_valid.data, madelon_valid.labels');
    expect(error.message).toContain('--data-dir or SET_NATIVE_DATA');
    expect(error.message).toContain('`procedural` needs no files');
  });

  it('knows its names', () => {
    expect(errorOf(() => loadDataset('nonesuch'))).toMatchObject({
      code: 'ERR_DATA_NOT_FOUND',
      message: expect.stringContaining(
        'procedural, fashion-mnist, mnist, cifar10, madelon, lung, tox-171, glioma, higgs',
      ),
    });
  });
});

describe('data sets', () => {
  it('fashion-mnist: train and test, names of classes, divided by 255', () => {
    writeIdx(dataDir, 'train', 10, '.gz');
    writeIdx(dataDir, 't10k', 3);
    const dataset = loadDataset('fashion-mnist', { dataDir });
    expect(dataset).toMatchObject({
      name: 'fashion-mnist',
      source: dataDir,
      features: 4,
      classes: 10,
      imageShape: [2, 2],
      scaling: { kind: 'divide', by: 255 },
      train: { count: 10 },
      test: { count: 3 },
    });
    expect(dataset.classNames[9]).toBe('Ankle boot');
    expect(dataset.note).toBeUndefined();
  });

  it('refuses images of two sizes', () => {
    writeIdx(dataDir, 'train', 10);
    writeIdx(dataDir, 't10k', 3);
    write(dataDir, 't10k-images-idx3-ubyte', idxFile([3, 1, 2], [1, 2, 3, 4, 5, 6]));
    expect(errorOf(() => loadDataset('fashion-mnist', { dataDir })).message).toContain('expected images of 2 × 2');
  });

  it('mnist: the test set alone will do, with a note', () => {
    writeIdx(path.join(dataDir, 'mnist'), 't10k', 10);
    const half = loadDataset('mnist', { dataDir });
    expect(half.test).toBeUndefined();
    expect(half.note).toContain('test set only');
    writeIdx(path.join(dataDir, 'mnist'), 'train', 10);
    expect(loadDataset('mnist', { dataDir }).test?.count).toBe(10);
    expect(loadDataset('mnist', { dataDir }).note).toBeUndefined();
  });

  it('does not take a folder called fashion-mnist for MNIST', () => {
    writeIdx(path.join(dataDir, 'fashion-mnist'), 't10k', 10);
    expect(errorOf(() => loadDataset('mnist', { dataDir: path.join(dataDir, 'fashion-mnist') })).code).toBe(
      'ERR_DATA_NOT_FOUND',
    );
  });

  it('lung: the full-precision file before the rounded one, which says so', () => {
    write(path.join(dataDir, 'lung-rounded'), 'lung_rounded.mat', mat(2));
    expect(loadDataset('lung', { dataDir })).toMatchObject({
      note: 'lung, rounded to 4 levels',
      scaling: { kind: 'standardise' },
    });
    write(dataDir, 'lung.mat', mat(1));
    const full = loadDataset('lung', { dataDir });
    expect(full.train.x[0]).toBe(1);
    expect(full.note).toBeUndefined();
  });

  it('madelon: text, valid as test, held against madelon.param', () => {
    write(dataDir, 'madelon_train.data', Buffer.from('1 2\n3 4\n'));
    write(dataDir, 'madelon_train.labels', Buffer.from('1\n-1\n'));
    write(dataDir, 'madelon_valid.data.gz', gzipSync(Buffer.from('5 6\n')));
    write(dataDir, 'madelon_valid.labels', Buffer.from('-1\n'));
    const dataset = loadDataset('madelon', { dataDir });
    expect(dataset.classNames).toEqual(['-1', '1']);
    expect([...dataset.train.labels]).toEqual([1, 0]);
    expect([...dataset.test!.x]).toEqual([5, 6]);
    write(dataDir, 'madelon.param', Buffer.from('Train 1 1 2 11.00\n'));
    expect(errorOf(() => loadDataset('madelon', { dataDir })).message).toContain('check-sum 11');
  });

  it('higgs: CSV with a column called label', () => {
    write(dataDir, 'higgs.csv', Buffer.from('label,a,b\n1,2,3\n0,4,5\n'));
    const dataset = loadDataset('higgs', { dataDir });
    expect([...dataset.train.labels]).toEqual([1, 0]);
    expect([...dataset.train.x]).toEqual([2, 3, 4, 5]);
  });

  it('names row and feature of a value beyond float32', () => {
    write(dataDir, 'GLIOMA.mat', mat(1e300));
    expect(errorOf(() => loadDataset('glioma', { dataDir }))).toMatchObject({
      code: 'ERR_NON_FINITE',
      details: { row: 0, feature: 0 },
    });
  });
});

describe('listDatasets', () => {
  it('tells what is there, where, and how large, without reading', () => {
    write(path.join(dataDir, 'lung-rounded'), 'lung_rounded.mat', Buffer.from('not read'));
    const listings = listDatasets({ dataDir });
    const named = (name: string) => listings.find((listing) => listing.name === name);
    expect(named('lung')).toMatchObject({
      found: true,
      where: path.join(dataDir, 'lung-rounded'),
      shape: { train: 203, features: 3312, classes: 5 },
      note: 'lung, rounded to 4 levels',
    });
    expect(named('fashion-mnist')).toMatchObject({ found: false, shape: { train: 60_000, test: 10_000 } });
    expect(named('fashion-mnist')).not.toHaveProperty('where');
    expect(named('procedural')).toMatchObject({ found: true, where: 'embedded' });
    expect(new Set(listings.map(({ name }) => name)).size).toBe(9);
  });

  it('refuses what are no options, as loadDataset does', () => {
    for (const options of [null, 'x', { dataDir: 5 }, { datadir: 'x' }]) {
      expect(errorOf(() => listDatasets(options as never)).code).toBe('ERR_INVALID_ARGUMENT');
      expect(errorOf(() => loadDataset('procedural', options as never)).code).toBe('ERR_INVALID_ARGUMENT');
    }
    expect(errorOf(() => loadDataset(5n as never)).code).toBe('ERR_DATA_NOT_FOUND');
  });

  it('lists the procedural set with the sizes it has', () => {
    const { train, test, features, classes } = loadDataset('procedural');
    const shape = { train: train.count, test: test!.count, features, classes };
    expect(listDatasets().find(({ name }) => name === 'procedural')?.shape).toEqual(shape);
  });
});
