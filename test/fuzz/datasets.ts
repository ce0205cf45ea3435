import { deflateSync, gzipSync } from 'node:zlib';
import { gunzip } from '../../src/datasets/bytes.js';
import { readCifarSamples } from '../../src/datasets/cifar.js';
import { parseCsv } from '../../src/datasets/csv.js';
import { parseIdx, readIdxSamples } from '../../src/datasets/idx.js';
import { makeDataset, type RawSamples } from '../../src/datasets/labels.js';
import { matSamples } from '../../src/datasets/mat.js';
import { parseNipsParam, parseNumberTable, readNipsSamples } from '../../src/datasets/nips.js';
import { parseDecimal } from '../../src/datasets/numbers.js';
import type { Samples } from '../../src/datasets/types.js';
import { idxFile } from '../support/idxFile.js';
import { type MatVariable, matFile } from '../support/matFile.js';
import type { Target } from './engine.js';
import { joined, ScratchFolder, separated } from './folder.js';

/*
 * The parsers of data files, and what is promised of that which they accept.
 */

const scratch = new ScratchFolder();
const MEBIBYTE = 2 ** 20;

function promise(holds: boolean, what: string): void {
  if (!holds) throw new Error(`broken promise: ${what}`);
}

function checkSamples({ x, labels, count, features }: Samples, classes: number): void {
  promise(count >= 1 && features >= 1, 'at least one sample and feature');
  promise(
    x.length === count * features && labels.length === count,
    'as many values and labels as samples say',
  );
  promise(x.every(Number.isFinite), 'finite features');
  promise(
    labels.every((label) => label < classes),
    'labels below the number of classes',
  );
}

/** On to the form that training takes: what the whole way from file to data set must refuse or get right. */
function checkRaw(raw: RawSamples): void {
  promise(raw.x.length === raw.count * raw.features && raw.labels.length === raw.count, 'rows of one length');
  const dataset = makeDataset({ name: 'fuzzed', source: 'embedded', scaling: { kind: 'none' } }, raw);
  promise(
    dataset.classes === dataset.classNames.length && dataset.classes >= 2,
    'two classes or more, each with a name',
  );
  promise(new Set(dataset.classNames).size === dataset.classes, 'classes of different names');
  checkSamples(dataset.train, dataset.classes);
}

const dataset = { codes: ['ERR_DATA_FORMAT', 'ERR_NON_FINITE'], memory: 16 * MEBIBYTE, short: 10_000 };

const X: MatVariable = { name: 'X', class: 'double', dimensions: [3, 2], values: [1, -2.5, 3, 10, 20, 1e-3] };
const Y: MatVariable = { name: 'Y', class: 'uint8', dimensions: [3, 1], values: [2, 1, 2] };
const mats = [
  matFile([X, Y]),
  matFile([X, Y], { littleEndian: false }),
  matFile([X, Y], { small: false }),
  matFile([X, Y], { littleEndian: false, compressed: true }),
  matFile([{ ...X, values: [1, 2, 3, 4, 5, 6], storedAs: 2 }, Y]),
  matFile([
    { name: 'about', class: 'char', dimensions: [1, 2], values: [72, 105] },
    { ...X, class: 'single' },
    Y,
  ]),
  matFile([X, { ...Y, class: 'int32', dimensions: [1, 3] }]),
];
const matTypes = [1, 5, 6, 9, 14, 15].map((type) => Buffer.of(type, 0, 0, 0));
const matTokens = [...['MATLAB 5.0', 'MATLAB 7.3', 'IM', 'MI', 'X', 'Y'], ...matTypes];
const MAT_HEADER = 128;

/** A MAT-file with its variables packed, each as long as its tag says. */
function packedMat(bytes: Uint8Array): Buffer {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const parts: Uint8Array[] = [bytes.subarray(0, MAT_HEADER)];
  for (let at = MAT_HEADER; at < bytes.length; ) {
    const length = at + 8 <= bytes.length ? 8 + view.getUint32(at + 4, true) : 8;
    const variable = deflateSync(bytes.subarray(at, at + length), { level: 1 });
    const tag = Buffer.alloc(8);
    tag.writeUInt32LE(15, 0);
    tag.writeUInt32LE(variable.length, 4);
    parts.push(tag, variable);
    at += length;
  }
  return Buffer.concat(parts);
}

const param =
  'MADELON (type = dense)\nNumber of features: 3\n\n\t\tPos\tNeg\tTot\tCheck\nTrain\t1\t1\t2\t21.0\nValid\t1\t1\t2\t5\n';
const cifarRecord = Buffer.alloc(3073, 7);

export const datasetTargets: Target[] = [
  {
    name: 'idx',
    ...dataset,
    seeds: [idxFile([2, 2, 3], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 255]), idxFile([3], [0, 9, 3])],
    read(bytes) {
      const rank = bytes[3] === 1 ? 1 : 3;
      const { dimensions, values } = parseIdx(bytes, 'f.idx', rank);
      promise(
        dimensions.length === rank && dimensions.every((size) => size >= 1),
        'as many sizes as asked for',
      );
      promise(
        values.length === dimensions.reduce((product, size) => product * size),
        'as many values as sizes say',
      );
    },
    file: 'f.idx',
  },
  {
    name: 'idx-files',
    ...dataset,
    seeds: [
      joined(idxFile([2, 2, 1], [1, 2, 3, 4]), idxFile([2], [9, 0])),
      joined(gzipSync(idxFile([1, 1, 1], [5])), idxFile([1], [1])),
    ],
    read(bytes) {
      const [images, labels] = separated(bytes, 2) as [Uint8Array, Uint8Array];
      const { samples, imageShape } = readIdxSamples(
        scratch.file('images', images),
        scratch.file('labels', labels),
        10,
      );
      checkSamples(samples, 10);
      promise(imageShape[0] * imageShape[1] === samples.features, 'an image of as many pixels as features');
    },
    file: scratch.path,
    short: 1000,
  },
  {
    name: 'mat',
    ...dataset,
    seeds: mats,
    tokens: matTokens,
    short: 18_000, // 14,000 are plain changes of the seeds
    read: (bytes) => checkRaw(matSamples(bytes, 'f.mat')),
    file: 'f.mat',
  },
  {
    name: 'mat-packed',
    ...dataset,
    seeds: mats.filter((file) => file[MAT_HEADER - 2] === 'I'.charCodeAt(0)), // little-endian and unpacked
    tokens: matTokens,
    read: (bytes) => checkRaw(matSamples(packedMat(bytes), 'f.mat')),
    file: 'f.mat',
    short: 3000,
  },
  {
    name: 'csv',
    ...dataset,
    // The first character chooses the options.
    seeds: [
      ...['0x,y,class\n1,-2.5,"a b"\n3e1,4,c\n', '1class,x\r\na,1\r\nb,2\r\n'],
      ...['21;2;3\n4;5;6\n', '3\ufeffx,y,z\n1,2,a\n\n.5,2.,b'],
    ].map((text) => Buffer.from(text)),
    tokens: [
      ...'",;\n\r?',
      ...['""', '\r\n', 'class', 'nan', 'NA', 'null', '1e999', '-0', '0x10', '\ufeff', '\xff'],
    ],
    read(bytes) {
      const choices = [{}, { label: 'class' }, { delimiter: ';', header: false }, { header: true }];
      const { missing, ...samples } = parseCsv(
        bytes.subarray(1),
        'f.csv',
        choices[(bytes[0] ?? 0) % choices.length],
      );
      promise(
        (missing === undefined) === !samples.x.some(Number.isNaN),
        'a place where a value is missing, if one is',
      );
      checkRaw(samples);
    },
    file: 'f.csv',
    short: 6000,
  },
  {
    name: 'nips-table',
    ...dataset,
    seeds: ['12 -3.5 4e2 \n0 10 7 \n1 1 1 \n', '1\n-1\n\n', '  1\t2\r\n3 4'].map((text) => Buffer.from(text)),
    tokens: ['\n', ' ', '\r\n', '\t', '1e999', 'nan', '-', '.', 'e', '0'.repeat(64)],
    read(bytes) {
      const { rows, columns, values } = parseNumberTable(bytes, 'f.data', Float64Array);
      promise(rows >= 1 && columns >= 1 && values.length === rows * columns, 'a full table');
      promise(!values.some(Number.isNaN), 'numbers');
    },
    file: 'f.data',
  },
  {
    name: 'nips-param',
    ...dataset,
    seeds: [Buffer.from(param)],
    tokens: ['Train', 'Valid', 'Number of features:', '\t', '\n', ' ', '1e999', '-1', '\u2028', '__proto__'],
    read(bytes) {
      const { features, parts } = parseNipsParam(bytes, 'f.param');
      promise(!Number.isNaN(features ?? 0), 'a number of features');
      for (const { samples, checkSum } of parts.values())
        promise(!Number.isNaN(samples + checkSum), 'numbers of a part');
    },
    file: 'f.param',
  },
  {
    name: 'nips-files',
    ...dataset,
    seeds: [joined('1 2 3\n4 5 6\n', '1\n-1\n', param)],
    tokens: ['Train\t1\t1\t2\t21', '\n', '\x1c', '-1', '1e38', '1e39', '1e999'],
    read(bytes) {
      const [data, labels, sizes] = separated(bytes, 3) as [Uint8Array, Uint8Array, Uint8Array];
      const file = (name: string, content: Uint8Array) => scratch.file(`nips.${name}`, content);
      checkRaw(readNipsSamples(file('data', data), file('labels', labels), file('param', sizes), 'Train'));
    },
    file: scratch.path,
    short: 1000,
  },
  {
    name: 'cifar',
    ...dataset,
    seeds: [cifarRecord, Buffer.concat([cifarRecord, cifarRecord]), gzipSync(cifarRecord)],
    read: (bytes) => checkSamples(readCifarSamples([scratch.file('cifar.bin', bytes)], 10), 10),
    file: scratch.path,
    short: 1000,
  },
  {
    name: 'gunzip',
    ...dataset,
    seeds: [
      gzipSync('hello, hello, hello'),
      gzipSync(Buffer.alloc(3000)),
      Buffer.concat([gzipSync('a'), gzipSync('b')]),
    ],
    read: (bytes) =>
      promise(
        gunzip(bytes, 'f.gz', MEBIBYTE).length <= Math.max(MEBIBYTE, bytes.length),
        'no more than the limit',
      ),
    file: 'f.gz',
  },
  {
    name: 'decimal',
    ...dataset,
    seeds: ['-1.5e3', '+.5', '12.', '0', '1e400'].map((text) => Buffer.from(text)),
    tokens: [...'+-.eE019 _x', 'NaN', 'Infinity', '9'.repeat(2000)],
    read(bytes) {
      const text = Buffer.from(bytes).toString('latin1');
      const value = parseDecimal(text);
      if (value === undefined) return;
      promise(/^[-+.eE\d]+$/.test(text) && /\d/.test(text), 'nothing but what a decimal number is made of');
      promise(
        Object.is(value, Number.parseFloat(text)) || Object.is(value, Number(text)),
        'the number that the text says',
      );
      promise(!Number.isNaN(value), 'a number');
    },
    file: '',
  },
];
