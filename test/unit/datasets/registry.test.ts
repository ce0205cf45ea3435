import { createHash } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { listDatasets, loadDataset } from '../../../src/datasets/registry.js';
import { isSetNativeError } from '../../../src/errors.js';
import { errorOf } from '../../support/errorOf.js';
import { idxFile } from '../../support/idxFile.js';
import { type MatVariable, matFile } from '../../support/matFile.js';

// Label files that stand for the published ones: those are not part of the repository.
vi.mock(import('../../../src/datasets/idxSums.js'), async () => ({
  idxSums: { 'fashion-mnist': [], mnist: [] },
}));
const { idxSums } = await import('../../../src/datasets/idxSums.js');

let root: string;
let dataDir: string;

beforeEach(() => {
  root = fs.mkdtempSync(path.join(os.tmpdir(), 'set-native-registry-'));
  dataDir = path.join(root, 'data');
  fs.mkdirSync(dataDir);
  fs.mkdirSync(path.join(root, 'environment'));
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
  write(
    folder,
    `${prefix}-images-idx3-ubyte${ending}`,
    pack(idxFile([count, 2, 2], Array(4 * count).fill(count))),
  );
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
const triedBy = (error: unknown) =>
  isSetNativeError(error, 'ERR_DATA_NOT_FOUND') ? error.details.tried : undefined;

const mat = (firstValue: number) => {
  const X: MatVariable = { name: 'X', class: 'double', dimensions: [2, 1], values: [firstValue, 9] };
  return matFile([X, { name: 'Y', class: 'double', dimensions: [2, 1], values: [1, 2] }]);
};

describe('lookup', () => {
  const cacheDir = () => path.join(root, 'cache', 'set-native', 'data');
  const environmentDir = () => path.join(root, 'environment');
  const loaded = () => loadDataset('glioma', { dataDir }).train.x[0];

  it('looks into dataDir, else what SET_NATIVE_DATA names, else the cache', () => {
    write(cacheDir(), 'GLIOMA.mat', mat(3));
    write(environmentDir(), 'GLIOMA.mat', mat(2));
    write(dataDir, 'GLIOMA.mat', mat(1));
    expect(loaded()).toBe(1);
    expect(loadDataset('glioma').train.x[0]).toBe(2);
    vi.stubEnv('SET_NATIVE_DATA', '');
    expect(loadDataset('glioma').train.x[0]).toBe(3);
  });

  it('never looks elsewhere when a folder is named, and says where there is what it lacks', () => {
    write(cacheDir(), 'GLIOMA.mat', mat(3));
    for (const [options, origin, folder] of [
      [{}, 'SET_NATIVE_DATA', environmentDir()],
      [{ dataDir }, 'dataDir', dataDir],
    ] as const) {
      const error = errorOf(() => loadDataset('glioma', options));
      expect(error.code).toBe('ERR_DATA_NOT_FOUND');
      expect(error.message).toContain(`${folder} (\`${origin}\`)`);
      expect(error.message).toContain(`the cache holds it, in ${cacheDir()}`);
      expect(listDatasets(options).find(({ name }) => name === 'glioma')?.found).toBe(false);
    }
  });

  it('refuses a named folder that is none, and names what named it and what there is', () => {
    const absent = path.join(root, 'absent', 'deep');
    const file = path.join(root, 'file');
    fs.writeFileSync(file, '');
    for (const [dataDir, problem] of [
      [absent, `there is no such folder, the nearest is ${root}`],
      [file, 'it is not a folder'],
    ] as const) {
      for (const attempt of [
        () => loadDataset('glioma', { dataDir }),
        () => listDatasets({ dataDir }),
        () => loadDataset('procedural', { dataDir }),
      ]) {
        const error = errorOf(attempt);
        expect(error.code).toBe('ERR_DATA_NOT_FOUND');
        expect(error.message).toContain('dataDir must name a readable folder');
        expect(error.message).toContain(problem);
      }
      vi.stubEnv('SET_NATIVE_DATA', dataDir);
      expect(errorOf(() => loadDataset('glioma')).message).toContain(
        'SET_NATIVE_DATA must name a readable folder',
      );
      expect(errorOf(() => listDatasets()).code).toBe('ERR_DATA_NOT_FOUND');
    }
    expect(loadDataset('procedural').name).toBe('procedural'); // which asks the environment for nothing
  });

  it.skipIf(process.platform === 'win32')('passes over what has the name of a file and is none', () => {
    fs.mkdirSync(path.join(dataDir, 'GLIOMA.mat'));
    expect(errorOf(() => loadDataset('glioma', { dataDir })).message).toContain('is no readable file');
    fs.writeFileSync(path.join(root, 'elsewhere'), mat(5));
    fs.symlinkSync(path.join(root, 'elsewhere'), path.join(dataDir, 'glioma.mat.GZ'));
    expect(loaded()).toBe(5);
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
    expect(triedBy(error)?.[0]).toContain(path.join(root, '.cache', 'set-native', 'data'));
    expect(error.message).not.toContain('(`SET_NATIVE_DATA`)');
  });

  it('lists every place tried, what is missing where a part is, and what to do', () => {
    write(path.join(dataDir, 'madelon'), 'madelon_train.data', Buffer.from('1 2\n'));
    const error = errorOf(() => loadDataset('madelon', { dataDir }));
    expect(error.code).toBe('ERR_DATA_NOT_FOUND');
    expect(triedBy(error)).toEqual([path.join(dataDir, 'madelon'), dataDir]);
    expect(error.message).toContain(
      'madelon lacks madelon_train.labels, madelon_valid.data, madelon_valid.labels',
    );
    expect(error.message).toContain('`dataDir` or SET_NATIVE_DATA');
    expect(error.message).toContain('`procedural` needs no files');
  });

  it('knows its names', () => {
    expect(errorOf(() => loadDataset('nonesuch'))).toMatchObject({
      code: 'ERR_DATA_NOT_FOUND',
      message: expect.stringContaining(
        'fashion-mnist, mnist, cifar10, madelon, lung, tox-171, glioma, higgs, procedural',
      ),
    });
  });
});

describe('data sets', () => {
  it('unknown images: train and test, named after the file, classes by number, divided by 255', () => {
    writeIdx(dataDir, 'train', 10, '.gz');
    writeIdx(dataDir, 't10k', 3);
    const dataset = loadDataset('fashion-mnist', { dataDir });
    expect(dataset).toMatchObject({
      name: 'train-images-idx3-ubyte',
      note: 'train-images-idx3-ubyte, not fashion-mnist as published: another shape',
      source: dataDir,
      features: 4,
      classes: 10,
      imageShape: [2, 2],
      scaling: { kind: 'divide', by: 255 },
      train: { count: 10 },
      test: { count: 3 },
    });
    expect(dataset.classNames[9]).toBe('9');
  });

  it('unknown images may have more classes than ten, or not all of them', () => {
    const labels = [46, 3, 46, 12];
    write(dataDir, 'train-images-idx3-ubyte', idxFile([4, 1, 1], [1, 2, 3, 4]));
    write(dataDir, 'train-labels-idx1-ubyte', idxFile([4], labels));
    write(dataDir, 't10k-images-idx3-ubyte', idxFile([1, 1, 1], [5]));
    write(dataDir, 't10k-labels-idx1-ubyte', idxFile([1], [12]));
    const { classes, classNames, train, test } = loadDataset('fashion-mnist', { dataDir });
    expect({ classes, classNames }).toEqual({ classes: 3, classNames: ['3', '12', '46'] });
    expect([...train.labels, ...test!.labels]).toEqual([2, 0, 2, 1, 1]);
  });

  it('refuses images of two sizes', () => {
    writeIdx(dataDir, 'train', 10);
    writeIdx(dataDir, 't10k', 3);
    write(dataDir, 't10k-images-idx3-ubyte', idxFile([3, 1, 2], [1, 2, 3, 4, 5, 6]));
    const { message } = errorOf(() => loadDataset('fashion-mnist', { dataDir }));
    expect(message).toContain('expected images of 2 × 2');
    expect(message, 'both files are sound').toContain('check that these files belong together');
  });

  it('mnist: the test set alone will do, and is called what it is', () => {
    writeIdx(dataDir, 't10k', 10);
    const half = loadDataset('mnist', { dataDir });
    expect(half.test).toBeUndefined();
    expect(half.note).toBe('t10k-images-idx3-ubyte, not mnist as published: another shape');
    writeIdx(path.join(dataDir, 'mnist'), 't10k', 10);
    writeIdx(path.join(dataDir, 'mnist'), 'train', 10);
    expect(loadDataset('mnist', { dataDir }).test?.count).toBe(10);
  });

  it('lung: the full-precision file before the rounded one, which says so', () => {
    const X: MatVariable = {
      name: 'X',
      class: 'uint8',
      dimensions: [203, 3312],
      values: Array(203 * 3312).fill(3),
    };
    const Y = (classes: number): MatVariable => ({
      ...{ name: 'Y', class: 'uint8', dimensions: [203, 1] },
      values: Array.from({ length: 203 }, (_, i) => i % classes),
    });
    const rounded = path.join(dataDir, 'lung-rounded');
    write(rounded, 'lung_rounded.mat', matFile([X, Y(5)]));
    expect(loadDataset('lung', { dataDir })).toMatchObject({
      name: 'lung',
      note: 'lung, rounded to 4 levels',
      scaling: { kind: 'standardise' },
    });
    write(rounded, 'lung_rounded.mat', matFile([X, Y(4)]));
    expect(loadDataset('lung', { dataDir })).toMatchObject({
      name: 'lung_rounded.mat',
      note: 'lung_rounded.mat, not lung as published: another shape',
    });
    write(dataDir, 'lung.mat', matFile([X, Y(5)]));
    const full = loadDataset('lung', { dataDir });
    expect(full.name).toBe('lung');
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

describe('MNIST and Fashion-MNIST', () => {
  const SETS = ['fashion-mnist', 'mnist'] as const;
  const labelsOf = { 'fashion-mnist': [9, 0, 1, 2], mnist: [5, 0, 4, 1] };
  const imageFile = idxFile([4, 1, 1], [1, 2, 3, 4]);
  const labelFile = (set: (typeof SETS)[number], part: string) =>
    idxFile([4], part === 'train' ? labelsOf[set] : [...labelsOf[set]].reverse());
  const sum = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

  beforeEach(() => {
    for (const set of SETS) {
      const parts = ['train', 't10k'].flatMap((part) => ['', sum(labelFile(set, part))]);
      idxSums[set].splice(0, 4, ...parts);
    }
  });

  /** Writes the labels of `set`, or others. */
  const put = (
    folder: string,
    part: 'train' | 't10k',
    set: (typeof SETS)[number] | undefined,
    dot = '-',
    end = '',
  ) => {
    const labels = set === undefined ? idxFile([4], [0, 1, 2, 3]) : labelFile(set, part);
    write(folder, `${part}-images${dot}idx3-ubyte${end}`, imageFile);
    write(folder, `${part}-labels${dot}idx1-ubyte${end}`, end === '' ? labels : gzipSync(labels));
  };
  const listed = (folder = dataDir) =>
    listDatasets({ dataDir: folder }).flatMap(({ name, where, note }) =>
      where === undefined || where === 'embedded'
        ? []
        : [`${name}: ${path.relative(folder, where)}: ${note ?? ''}`],
    );
  const tried = (name: string, folder = dataDir) => {
    try {
      return loadDataset(name, { dataDir: folder }).name;
    } catch (error) {
      return (error as Error).message;
    }
  };

  it('are told apart by their labels, whatever folder and files are called', () => {
    for (const [folder, dot, end] of [
      ['', '-', ''],
      ['fashion-mnist', '-', '.gz'],
      ['mnist', '.', ''],
      ['', '.', '.GZ'],
    ] as const) {
      for (const set of SETS) {
        const other = SETS.find((name) => name !== set)!;
        const place = fs.mkdtempSync(path.join(root, 'place-'));
        for (const part of ['train', 't10k'] as const) put(path.join(place, folder), part, set, dot, end);
        expect(listed(place)).toEqual([`${set}: ${folder}: `]);
        expect(tried(set, place)).toMatch(/^train-images.idx3-ubyte$/); // whose images are others
        expect(tried(other, place)).toMatch(
          /holds (Fashion-)?MNIST's labels, not (Fashion-)?MNIST's: load it as/,
        );
        expect(errorOf(() => loadDataset(other, { dataDir: place })).code).toBe('ERR_DATA_NOT_FOUND');
      }
    }
  });

  it('are both found in one data folder, and the published one before another of the same name', () => {
    for (const part of ['train', 't10k'] as const) {
      put(path.join(dataDir, 'mnist'), part, 'fashion-mnist');
      put(path.join(dataDir, 'fashion-mnist'), part, undefined);
      put(dataDir, part, 'mnist');
    }
    expect(listed()).toEqual(['fashion-mnist: mnist: ', 'mnist: : ']);
  });

  it('are refused where a folder mixes them', () => {
    put(dataDir, 'train', 'fashion-mnist');
    put(dataDir, 't10k', 'mnist');
    expect(listed()).toEqual([]);
    for (const set of SETS) {
      expect(tried(set)).toContain(
        'mixes train-labels-idx1-ubyte of fashion-mnist and t10k-labels-idx1-ubyte of mnist',
      );
    }
  });

  it('with labels of one set and others are that set with a note, never the other', () => {
    put(dataDir, 'train', 'mnist');
    put(dataDir, 't10k', undefined);
    expect(listed()).toEqual(['mnist: : train-images-idx3-ubyte, not mnist as published: other labels']);
    expect(tried('fashion-mnist')).toContain("holds MNIST's labels");
  });

  it('lend unknown files one name only: that of the folder, else that of the spelling', () => {
    for (const [folder, dot, claimant] of [
      ['', '-', 'fashion-mnist'],
      ['', '.', 'mnist'],
      ['mnist', '-', 'mnist'],
      ['fashion-mnist', '.', 'fashion-mnist'],
    ] as const) {
      const place = fs.mkdtempSync(path.join(root, 'place-'));
      for (const part of ['train', 't10k'] as const) put(path.join(place, folder), part, undefined, dot);
      const file = `train-images${dot}idx3-ubyte`;
      expect(listed(place)).toEqual([
        `${claimant}: ${folder}: ${file}, not ${claimant} as published: other labels`,
      ]);
      for (const set of SETS) {
        if (set === claimant) expect(tried(set, place)).toBe(file);
        else
          expect(tried(set, place)).toContain(
            `they load as ${claimant}, or, from a folder called ${set}, as ${set}`,
          );
      }
    }
  });

  it('are listed with what is wrong where labels cannot be read, and then refused', () => {
    for (const part of ['train', 't10k'] as const) put(dataDir, part, 'mnist', '-', '.gz');
    const file = path.join(dataDir, 't10k-labels-idx1-ubyte.gz');
    fs.writeFileSync(file, fs.readFileSync(file).subarray(0, 20));
    expect(listed()).toEqual([
      expect.stringMatching(/^mnist: : .*t10k-labels-idx1-ubyte.gz cannot be read: /),
    ]);
    expect(errorOf(() => loadDataset('mnist', { dataDir })).code).toBe('ERR_DATA_FORMAT');
  });

  it('are not looked for in more bytes than they have', () => {
    for (const part of ['train', 't10k'] as const) put(dataDir, part, 'mnist', '-', '.gz');
    for (const part of ['train', 't10k']) {
      write(dataDir, `${part}-labels-idx1-ubyte.gz`, gzipSync(Buffer.alloc(2 ** 22)));
    }
    expect(listed()).toEqual([
      'fashion-mnist: : train-images-idx3-ubyte, not fashion-mnist as published: other labels',
    ]);
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
    for (const options of [null, 'x', { dataDir: 5 }, { dataDir: '' }, { datadir: 'x' }]) {
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
