import { runInNewContext } from 'node:vm';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  loadDataset,
  prepare,
  SetNativeError,
  SparseMLP,
  splitSamples,
  subsetSamples,
} from '../../../src/index.js';

/*
 * What people hand in by mistake, and what they are told: the call, what came, what to do.
 */

let model: SparseMLP;
let single: SparseMLP;
beforeAll(async () => {
  model = await SparseMLP.create({ layers: [4, 8, 3], threads: 1 });
  single = await SparseMLP.create({ layers: [4, 8, 1], loss: 'sigmoid-binary-cross-entropy', threads: 1 });
});
afterAll(() => {
  model.dispose();
  single.dispose();
});

const x = Float32Array.from({ length: 12 }, (_, i) => i / 12);
const labels = Uint32Array.of(0, 1, 2);
const samples = { x, labels, features: 4, count: 3 };
const dataset = loadDataset('procedural');

async function said(call: () => unknown): Promise<string> {
  const error = await Promise.resolve()
    .then(call)
    .then(
      () => expect.fail('expected a refusal'),
      (reason) => reason,
    );
  expect(error).toBeInstanceOf(SetNativeError);
  return `${error.code} ${error.message}`;
}

// biome-ignore lint/suspicious/noExplicitAny: what JavaScript lets through
type Wrong = any;

/** As TensorFlow.js has them. */
class Tensor {
  readonly shape = [3, 4];
  dataSync() {}
}

const asX = 'must be a Float32Array of count × features numbers, row by row, got';
test.each<[string, Wrong, string]>([
  ['an Array', [1, 2, 3, 4], `x ${asX} an Array of 4 numbers; use Float32Array.from(x)`],
  [
    'rows',
    [
      [1, 2],
      [3, 4],
    ],
    `x ${asX} an Array of 2 arrays; use Float32Array.from(x.flatMap((row) => [...row]))`,
  ],
  ['rows of typed arrays', [x, x], 'got an Array of 2 arrays; use Float32Array.from(x.flatMap('],
  ['an empty Array', [], 'got an Array of 0 values; use Float32Array.from(x)'],
  ['a Float64Array', new Float64Array(4), 'got a Float64Array of 4 numbers; use Float32Array.from(x)'],
  ['an Int32Array', new Int32Array(1), 'got an Int32Array of 1 number; use Float32Array.from(x)'],
  ['a Uint8Array', new Uint8Array(4), 'got a Uint8Array of 4 numbers; use Float32Array.from(x)'],
  [
    'a BigInt64Array',
    new BigInt64Array(4),
    'got a BigInt64Array of 4 numbers; use Float32Array.from(x, Number)',
  ],
  [
    'a Buffer',
    Buffer.alloc(16),
    'got a Buffer of 16 bytes; new Float32Array(x.buffer, x.byteOffset, x.byteLength / 4)',
  ],
  ['a DataView', new DataView(new ArrayBuffer(16)), 'got a DataView of 16 bytes; new Float32Array(x.buffer'],
  ['an ArrayBuffer', new ArrayBuffer(16), 'got an ArrayBuffer of 16 bytes; new Float32Array(x) reads'],
  ['a Promise', Promise.resolve(x), 'got a Promise, which must be awaited'],
  ['a tensor', new Tensor(), 'got an object with shape; of a tensor, use await x.data()'],
  ['big integers', [1n, 2n], 'got an Array of 2 bigints; use Float32Array.from(x, Number)'],
  ['rows of pixels', [[[1], [2]]], 'got an Array of 1 array; use Float32Array.from(x.flat(Infinity))'],
  ['a Set', new Set([1]), 'got a Set'],
  ['a text', 'x', 'got "x"'],
  ['nothing', undefined, 'got undefined'],
  ['null', null, 'got null'],
])('%s as x', async (_, wrong, message) => {
  for (const call of ['fit', 'evaluate'] as const) {
    const text = await said(() => model[call]({ ...samples, x: wrong }));
    expect(text).toContain(`ERR_INVALID_ARGUMENT [${call}] x must be a Float32Array`);
    expect(text).toContain(message);
  }
  const held = await said(() => model.fit(samples, { validation: { ...samples, x: wrong } }));
  expect(held).toContain('ERR_INVALID_ARGUMENT [fit] validation.x must be a Float32Array');
  const text = await said(() => model.predict(wrong));
  expect(text).toContain('ERR_INVALID_ARGUMENT [predict] x must be a Float32Array');
  expect(text).toContain(message);
});

test.each<[string, Wrong, string]>([
  ['an Array', [0, 1, 2], 'got an Array of 3 numbers; use Uint32Array.from(labels)'],
  ['an Int32Array', Int32Array.from(labels), 'got an Int32Array of 3 numbers; use Uint32Array.from(labels)'],
  [
    'a Float64Array',
    Float64Array.from(labels),
    'got a Float64Array of 3 numbers; use Uint32Array.from(labels)',
  ],
  ['a Buffer', Buffer.from(labels), 'got a Buffer of 3 bytes; use Uint32Array.from(labels)'],
  ['a BigInt64Array', BigInt64Array.of(0n, 1n, 2n), 'use Uint32Array.from(labels, Number)'],
  [
    'texts',
    ['cat', 'dog', 'cat'],
    'got an Array of 3 strings; number the classes: const names = [...new Set(labels)]',
  ],
  [
    'one-hot rows',
    [
      [1, 0, 0],
      [0, 1, 0],
      [0, 0, 1],
    ],
    'of one-hot rows, use Uint32Array.from(labels, (row) =>',
  ],
  ['truth', [true, false, true], 'got an Array of 3 booleans; use Uint32Array.from(labels, Number)'],
  ['negative classes', Int8Array.of(1, 1, -1), '-1 in row 2 is no class: classes -1 and 1 become 0 and 1'],
  [
    'real targets',
    [0, 0.5, 1],
    '0.5 in row 1 is no class: hand in numbers to predict as targets, for the loss mse',
  ],
  ['NaN', Float32Array.of(0, Number.NaN), 'NaN in row 1 is no class'],
  ['big integers', [0n, 1n, 2n], 'use Uint32Array.from(labels, Number)'],
  ['a gap', [0, null, 2], 'row 1 has none: leave out such rows, and those of x'],
  ['a tensor', new Tensor(), 'of a tensor, use Uint32Array.from(await labels.data())'],
  [
    'nothing',
    undefined,
    'got undefined; every row needs one, or targets, numbers to predict; for outputs alone there is predict(x)',
  ],
])('%s as labels', async (_, wrong, message) => {
  for (const call of [
    () => model.fit({ ...samples, labels: wrong }),
    () => model.evaluate({ ...samples, labels: wrong }),
    () => model.fit(samples, { validation: { ...samples, labels: wrong } }),
    () => prepare({ ...dataset, train: { ...samples, labels: wrong } }),
    () => splitSamples({ ...samples, labels: wrong }),
    () => subsetSamples({ ...samples, labels: wrong }, 1, 0),
  ]) {
    const text = await said(call);
    expect(text).toMatch(
      /^ERR_INVALID_ARGUMENT \[(fit|evaluate|prepare|split|subset)\] .*labels must be a Uint32Array/,
    );
    expect(text).toContain(message);
  }
});

test.each<[string, () => unknown, string]>([
  [
    'x and y apart',
    () => model.fit(x as Wrong, labels as Wrong),
    'ERR_INVALID_ARGUMENT [fit] takes one samples object',
  ],
  [
    'tensors apart',
    () => (model as Wrong).fit(new Tensor(), new Tensor(), { epochs: 3 }),
    'ERR_INVALID_ARGUMENT [fit] takes one samples object and options: fit({ x, labels, features }, options), got an',
  ],
  [
    'a tensor, evaluated',
    () => model.evaluate(new Tensor() as Wrong),
    '[evaluate] expected one samples object',
  ],
  [
    'a Map of options',
    () => model.fit(samples, new Map([['epochs', 3]]) as Wrong),
    'an options object, got a Map',
  ],
  ['a signal alone', () => model.fit(samples, new AbortController().signal as Wrong), 'got an AbortSignal'],
  [
    'options not awaited',
    () => model.fit(samples, Promise.resolve({}) as Wrong),
    'got a Promise, which must be awaited',
  ],
  [
    'a Map of samples',
    () => model.fit(new Map([['x', x]]) as Wrong),
    'samples must be an object of x, labels, targets, weights, count',
  ],
  [
    'a scaling by name',
    () => prepare(dataset, { scaling: 'min-max' as Wrong }),
    'scaling must be an object as { kind: "min-max" }, got "min-max"',
  ],
  [
    'a divisor that would not be used',
    () => prepare(dataset, { scaling: { kind: 'min-max', by: 255 } as Wrong }),
    'ERR_INVALID_ARGUMENT [data] unknown key "by" of scaling; the keys are kind',
  ],
  [
    'a divisor in words',
    () => prepare(dataset, { scaling: { kind: 'divide', by: '255' } as Wrong }),
    'ERR_INVALID_ARGUMENT [data] scaling.by must be a divisor above 0, got "255"',
  ],
  [
    'a data set of other features than it says',
    () => prepare({ ...dataset, features: 3 }),
    'ERR_SHAPE [prepare] train samples: expected 3 features, as the data set says, came 784',
  ],
  [
    'test samples of other features',
    () =>
      prepare({
        train: samples,
        test: { ...samples, x: x.subarray(0, 6), features: 2 },
        classes: 3,
      } as Wrong),
    'ERR_SHAPE [prepare] test samples: expected 4 features, as the train samples have, came 2',
  ],
  [
    'a share in words',
    () => splitSamples(samples, { testFraction: '0.3' as Wrong }),
    'ERR_INVALID_ARGUMENT [split] testFraction must be a number above 0 and below 1, got "0.3"',
  ],
  [
    'no as a text',
    () => splitSamples(samples, { stratified: 'no' as Wrong }),
    'stratified must be true or false, got',
  ],
  [
    'x alone',
    () => model.fit(x as Wrong),
    'expected one samples object, { x, labels, features }, got a Float32Array of 12',
  ],
  [
    'a list of samples',
    () => model.fit([samples] as Wrong),
    'expected one samples object, { x, labels, features }, got an',
  ],
  [
    'a data set',
    () => model.fit(dataset as Wrong),
    'got a data set; prepare(dataset) gives its train and test samples',
  ],
  [
    'what prepare gives',
    () => model.fit(prepare(dataset, { train: 50, test: 50 }) as Wrong),
    'hand in one of them',
  ],
  [
    'samples not awaited',
    () => model.fit(Promise.resolve(samples) as Wrong),
    'got a Promise, which must be awaited',
  ],
  [
    'samples as options',
    () => model.fit(samples, samples as Wrong),
    'unknown option "x"; did you mean validation?',
  ],
  [
    'a data set as validation',
    () => model.fit(samples, { validation: dataset as Wrong }),
    '[fit] validation must be',
  ],
  ['x alone, evaluated', () => model.evaluate(x as Wrong), '[evaluate] expected one samples object'],
  [
    'samples, predicted',
    () => model.predict(samples as Wrong),
    '[predict] expected the Float32Array alone, got an object',
  ],
  [
    'a constructor',
    () => new (SparseMLP as Wrong)(),
    'ERR_INVALID_ARGUMENT [create] models are drawn on native threads',
  ],
  [
    'a constructor with options',
    () => new (SparseMLP as Wrong)({ layers: [4, 2] }),
    'use await SparseMLP.create({ layers',
  ],
  [
    'a network of nothing',
    () => (SparseMLP as Wrong).create(),
    '[create] expected an options object with layers, got',
  ],
  [
    'layers alone',
    () => SparseMLP.create([784, 10] as Wrong),
    'got an Array of 2 numbers; use { layers: [784, 10] }',
  ],
  ['layers as arguments', () => (SparseMLP as Wrong).create(784, 10), 'expected an options object, got 784'],
  [
    'typed layers',
    () => SparseMLP.create({ layers: Uint32Array.of(4, 2) as Wrong }),
    'layers must be an Array of at least',
  ],
  [
    'samples, prepared',
    () => prepare(samples as Wrong),
    'ERR_INVALID_ARGUMENT [prepare] expected a data set, as loadDataset',
  ],
  [
    'a name, prepared',
    () => prepare('mnist' as Wrong),
    '[prepare] expected a data set, as loadDataset gives it, got "mnist"',
  ],
  ['a data set, split', () => splitSamples(dataset as Wrong), '[split] expected samples, got a data set'],
  [
    'one-hot numbers',
    () => model.fit({ ...samples, labels: Uint32Array.of(1, 0, 0, 0, 1, 0, 0, 0, 1) }),
    'one-hot rows',
  ],
  [
    'no features',
    () => model.fit({ x, labels } as Wrong),
    '[fit] features must be the length of a row of x, a whole',
  ],
  [
    'features that do not divide x',
    () => model.fit({ ...samples, x: x.subarray(1) }),
    'whole rows of 4 features, got 11',
  ],
  [
    'other features',
    () => model.fit({ ...samples, features: 6 }),
    'ERR_SHAPE [fit] samples must have 4 features, as the',
  ],
  [
    'other rows',
    () => model.predict(x.subarray(0, 6)),
    'ERR_SHAPE [predict] x must hold one or more whole rows of 4',
  ],
  [
    'no samples',
    () => model.fit({ ...samples, x: new Float32Array(), labels: new Uint32Array() }),
    'ERR_SHAPE [fit] x must',
  ],
  [
    'no rows',
    () => model.predict(new Float32Array()),
    'ERR_SHAPE [predict] x must hold one or more whole rows of 4',
  ],
  [
    'classes from 1',
    () => model.fit({ ...samples, labels: Uint32Array.of(1, 2, 3) }),
    'got 3 in row 2; classes count from 0',
  ],
  [
    'three classes for one output',
    () => single.evaluate(samples),
    'ERR_OUT_OF_RANGE [evaluate] labels must be below 2',
  ],
  [
    'NaN',
    () => model.fit({ ...samples, x: x.with(6, Number.NaN) }),
    'ERR_NON_FINITE [fit] x must be finite, got NaN in row 1, feature 2',
  ],
  [
    'infinity',
    () => model.predict(x.with(11, Infinity)),
    '[predict] x must be finite, got Infinity in row 2, feature 3',
  ],
])('%s', async (_, call, message) => {
  const before = model.epochs;
  expect(await said(call)).toContain(message);
  expect(model.epochs).toBe(before);
});

test('a bad row of the validation samples is found before anything is trained', async () => {
  const validation = { ...samples, x: x.with(9, -Infinity) };
  const text = await said(() => model.fit(samples, { validation }));
  expect(text).toContain('[fit] validation.x must be finite, got -Infinity in row 2, feature 1');
  expect(model.epochs).toBe(0);
});

test.each([
  ['sampleWeight', 'what each sample counts are its weights'],
  ['y', 'did you mean labels?'],
  ['Labels', 'did you mean labels?'],
  ['n_features', 'did you mean features?'],
  ['mask', 'the keys are x, labels, targets, weights, count, features'],
])('samples with %s are refused, wherever samples come in', async (key, message) => {
  const more = { ...samples, [key]: labels };
  for (const [call, of] of [
    [() => model.fit(more), 'samples'],
    [() => model.evaluate(more), 'samples'],
    [() => model.fit(samples, { validation: more }), 'validation'],
    [() => splitSamples(more), 'samples'],
    [() => subsetSamples(more, 1, 0), 'samples'],
    [() => prepare({ ...dataset, train: more }), 'train'],
    [() => prepare({ ...dataset, test: more }), 'test'],
  ] as const) {
    const text = await said(call);
    expect(text).toMatch(/^ERR_INVALID_ARGUMENT /);
    expect(text).toContain(`unknown key "${key}" of ${of}; `);
    expect(text).toContain(message);
  }
});

describe('options of other spellings', () => {
  test.each([
    ['epoch', 'epochs'],
    ['Epochs', 'epochs'],
    ['epohcs', 'epochs'],
    ['lr', 'learningRate'],
    ['learning_rate', 'learningRate'],
    ['learningrat', 'learningRate'],
    ['batch_size', 'batchSize'],
    ['batch', 'batchSize'],
    ['validationData', 'validation'],
    ['weight_decay', 'weightDecay'],
    ['callbacks', 'onEpoch'],
    ['onepoch', 'onEpoch'],
    ['zeta', 'evolution'],
    ['abortSignal', 'signal'],
  ])('fit: %s', async (given, meant) => {
    const text = await said(() => model.fit(samples, { [given]: 1 }));
    expect(text).toContain(
      `ERR_INVALID_ARGUMENT [fit] unknown option "${given}"; did you mean ${meant}? the options are`,
    );
  });

  test.each([
    ['sigma', 'epsilon'],
    ['layer', 'layers'],
    ['hidden', 'layers'],
    ['random_state', 'seed'],
    ['device', 'backend'],
  ])('create: %s', async (given, meant) => {
    const text = await said(() => SparseMLP.create({ layers: [4, 2], [given]: 1 }));
    expect(text).toContain(`unknown option "${given}"; did you mean ${meant}?`);
  });

  test('nothing is guessed for what resembles none', async () => {
    for (const given of ['optimizer', 'x'.repeat(1e6), '', 'constructor']) {
      expect(await said(() => SparseMLP.create({ layers: [4, 2], [given]: 1 }))).not.toContain(
        'did you mean',
      );
    }
  });
});

test('arrays of another realm are taken', async () => {
  const theirs = (text: string) => runInNewContext(text);
  const x = theirs('Float32Array.from({ length: 12 }, (_, i) => i / 12)');
  expect(x).not.toBeInstanceOf(Float32Array);
  const another = await SparseMLP.create({ layers: [4, 8, 3], threads: 1 });
  await another.fit({ x, labels: theirs('Uint32Array.of(0, 1, 2)'), features: 4, count: 3 });
  expect(await another.predict(x)).toHaveLength(9);
  another.dispose();
});
