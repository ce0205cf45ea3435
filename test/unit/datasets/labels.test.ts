import { describe, expect, it } from 'vitest';
import { makeDataset, type RawSamples } from '../../../src/datasets/labels.js';
import { errorOf } from '../../support/errorOf.js';

const facts = { name: 'toy', source: 'a test', scaling: { kind: 'none' } } as const;
const raw = (labels: (number | string)[], features = 1): RawSamples => ({
  file: 'f',
  x: new Float32Array(labels.length * features),
  labels,
  count: labels.length,
  features,
});

describe('label values become 0 .. classes - 1 in sorted order', () => {
  it.each([
    ['-1 and +1', [1, -1, 1], ['-1', '1'], [1, 0, 1]],
    ['1 .. 5, by number, gaps closed', [10, 2, 5, 2], ['2', '5', '10'], [2, 0, 1, 0]],
    ['numbers as text', ['+1', '-1', '1.0'], ['-1', '1'], [1, 0, 1]],
    ['names, by character code', ['b', 'Z', 'a', 'b'], ['Z', 'a', 'b'], [2, 0, 1, 2]],
    ['names and numbers', ['9', 'x', '10'], ['10', '9', 'x'], [1, 2, 0]],
    ['both zeros', [0, -0, 1], ['0', '1'], [0, 0, 1]],
  ])('%s', (_, values, classNames, labels) => {
    const dataset = makeDataset(facts, raw(values));
    expect(dataset.classNames).toEqual(classNames);
    expect(dataset.classes).toBe(classNames.length);
    expect([...dataset.train.labels]).toEqual(labels);
    expect(dataset.test).toBeUndefined();
  });

  it('takes label values from a typed array', () => {
    const dataset = makeDataset(facts, { ...raw([0, 0, 0]), labels: Float64Array.of(7, -0, 7) });
    expect([dataset.classNames, [...dataset.train.labels]]).toEqual([
      ['0', '7'],
      [1, 0, 1],
    ]);
  });

  it('gives the test set the classes of train', () => {
    const dataset = makeDataset(facts, raw(['a', 'b', 'c']), raw(['c']));
    expect([...dataset.test!.labels]).toEqual([2]);
    expect(errorOf(() => makeDataset(facts, raw(['a', 'b']), raw(['a', 'd']))).message).toContain(
      'sample 2, came d',
    );
    expect(errorOf(() => makeDataset(facts, raw(['a', 'b']), raw(['a'], 2))).message).toContain(
      'expected 1 features',
    );
  });

  it.each([
    ['one class', ['a', 'a'], 'different labels, came 1'],
    ['measurements', [0.5, 1.5], 'label of sample 1, came "0.5"'],
    ['NaN', [1, Number.NaN], 'label of sample 2, came "NaN"'],
    ['infinity', ['a', '-Inf'], 'label of sample 2, came "-Inf"'],
    [
      'more labels than classes may be',
      Array.from({ length: 65_537 }, (_, i) => i),
      '65536 different labels, came more',
    ],
    ['empty text', ['a', ' '], 'label of sample 2, came ""'],
  ])('refuses %s', (_, values, message) => {
    const error = errorOf(() => makeDataset(facts, raw(values)));
    expect(error).toMatchObject({ code: 'ERR_DATA_FORMAT', message: expect.stringContaining(message) });
  });

  it('names row and feature of what is not finite', () => {
    const bad = raw([0, 1], 3);
    bad.x[4] = Number.POSITIVE_INFINITY;
    expect(errorOf(() => makeDataset(facts, bad))).toMatchObject({
      code: 'ERR_NON_FINITE',
      details: { where: 'f', row: 1, feature: 1 },
    });
  });
});
