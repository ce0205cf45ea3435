import { describe, expect, it } from 'vitest';
import { checkSamples } from '../../../src/datasets/samples.js';
import { applyScaling, fitScaling } from '../../../src/datasets/scaling.js';
import { prepare, splitSamples, subsetSamples } from '../../../src/datasets/transform.js';
import type { Dataset, Samples, Scaling } from '../../../src/datasets/types.js';
import { errorOf } from '../../support/errorOf.js';

/** Rows [i, 1000 + i], so that a row tells where it came from. */
const numbered = (labels: number[]): Samples => ({
  x: Float32Array.from(labels.flatMap((_, row) => [row, 1000 + row])),
  labels: Uint32Array.from(labels),
  count: labels.length,
  features: 2,
});
const rowsOf = ({ x }: Samples) => [...x].filter((_, i) => i % 2 === 0);
const countsOf = ({ labels }: Samples) =>
  labels.reduce<number[]>((counts, label) => counts.with(label, counts[label]! + 1), [0, 0, 0]);
const mixed = numbered(Array.from({ length: 90 }, (_, i) => (i % 9 < 5 ? 0 : i % 9 < 8 ? 1 : 2)));

describe('checkSamples', () => {
  const check = (change: Partial<Samples>) =>
    errorOf(() => checkSamples({ ...numbered([0, 1, 2]), ...change }, { where: 'here', classes: 3 }));

  it('accepts sound samples', () => {
    expect(() => checkSamples(numbered([0, 1, 2]), { where: 'here', classes: 3 })).not.toThrow();
  });

  it('tells what is wrong', () => {
    expect(check({ count: 0, x: new Float32Array(0), labels: new Uint32Array(0) }).code).toBe(
      'ERR_OUT_OF_RANGE',
    );
    expect(check({ features: 0 }).code).toBe('ERR_OUT_OF_RANGE');
    expect(check({ features: 3 }).code).toBe('ERR_SHAPE');
    expect(check({ labels: Uint32Array.of(0, 1) }).code).toBe('ERR_SHAPE');
    expect(check({ labels: Uint32Array.of(0, 3, 1) })).toMatchObject({
      code: 'ERR_OUT_OF_RANGE',
      details: { row: 1, label: 3 },
    });
    expect(check({ x: Float32Array.of(0, 0, 0, Number.NaN, 0, 0) })).toMatchObject({
      code: 'ERR_NON_FINITE',
      details: { row: 1, feature: 1 },
    });
  });
});

describe('subsetSamples', () => {
  it('draws distinct rows with their labels; the same for the same seed', () => {
    const subset = subsetSamples(mixed, 40, 7);
    expect(subset).toMatchObject({ count: 40, features: 2 });
    expect(new Set(rowsOf(subset)).size).toBe(40);
    rowsOf(subset).forEach((row, i) => {
      expect(subset.labels[i]).toBe(mixed.labels[row]);
      expect(subset.x[2 * i + 1]).toBe(1000 + row);
    });
    expect(subsetSamples(mixed, 40, 7)).toEqual(subset);
    expect(subsetSamples(mixed, 40, 8)).not.toEqual(subset);
    expect(rowsOf(subsetSamples(mixed, 20, 7))).toEqual(rowsOf(subset).slice(0, 20));
  });

  it.each([0, -1, 1.5, 91, Number.NaN])('refuses %d of 90 samples', (count) => {
    expect(errorOf(() => subsetSamples(mixed, count, 1))).toMatchObject({
      code: 'ERR_OUT_OF_RANGE',
      message: expect.stringContaining('1 .. 90 samples'),
    });
  });

  it.each([-1, 0.5, 2 ** 53, Number.NaN])('refuses the seed %d', (seed) => {
    expect(errorOf(() => subsetSamples(mixed, 1, seed)).code).toBe('ERR_OUT_OF_RANGE');
    expect(errorOf(() => splitSamples(mixed, { seed })).code).toBe('ERR_OUT_OF_RANGE');
  });
});

describe('splitSamples', () => {
  it('parts the rows, each class by itself, in their order', () => {
    const { train, test } = splitSamples(mixed, { seed: 3 });
    expect(countsOf(mixed)).toEqual([50, 30, 10]);
    expect(countsOf(test)).toEqual([17, 10, 3]);
    expect(countsOf(train)).toEqual([33, 20, 7]);
    expect([...rowsOf(train), ...rowsOf(test)].sort((a, b) => a - b)).toEqual(rowsOf(mixed));
    expect(rowsOf(test)).toEqual(rowsOf(test).sort((a, b) => a - b));
    expect(splitSamples(mixed, { seed: 4 }).test).not.toEqual(test);
  });

  it('splits plainly when asked', () => {
    const { train, test } = splitSamples(mixed, {
      seed: 3,
      testFraction: 0.1,
      stratified: false,
    });
    expect([train.count, test.count]).toEqual([81, 9]);
  });

  it('keeps a sample on either side of each class of two; leaves a lone one in train', () => {
    const { train, test } = splitSamples(numbered([0, 0, 1, 1, 2]), {
      seed: 1,
      testFraction: 0.01,
    });
    expect(countsOf(train)).toEqual([1, 1, 1]);
    expect(countsOf(test)).toEqual([1, 1, 0]);
    expect(countsOf(splitSamples(numbered([0, 0, 1]), { seed: 1, testFraction: 0.99 }).train)).toEqual([
      1, 1, 0,
    ]);
  });

  it('refuses fractions outside (0, 1) and sets too small', () => {
    for (const testFraction of [0, 1, -1, Number.NaN]) {
      expect(errorOf(() => splitSamples(mixed, { seed: 1, testFraction })).code).toBe('ERR_OUT_OF_RANGE');
    }
    expect(errorOf(() => splitSamples(numbered([0, 1, 2]), { seed: 1 })).code).toBe('ERR_OUT_OF_RANGE');
  });
});

describe('scaling', () => {
  const train: Samples = { ...numbered([0, 1, 2, 0]), x: Float32Array.of(0, 5, 1, 5, 2, 5, 3, 5) };
  const test: Samples = { ...numbered([1]), x: Float32Array.of(6, 7) };
  const scale = (scaling: Scaling) => {
    const fitted = fitScaling(train, scaling);
    return [applyScaling(train, fitted), applyScaling(test, fitted)].map(({ x }) =>
      [...x].map((value) => value + 0),
    );
  };

  it('divides by a known range', () => {
    expect(scale({ kind: 'divide', by: 2 })).toEqual([
      [0, 2.5, 0.5, 2.5, 1, 2.5, 1.5, 2.5],
      [3, 3.5],
    ]);
    const white = { ...test, x: Float32Array.of(255, 51) };
    expect([...applyScaling(white, fitScaling(white, { kind: 'divide', by: 255 })).x]).toEqual([
      1,
      Math.fround(0.2),
    ]);
  });

  it('scales by the range of train; constant features become 0', () => {
    const third = Math.fround(1 / 3);
    expect(scale({ kind: 'min-max' })).toEqual([
      [0, 0, third, 0, Math.fround(2 / 3), 0, 1, 0],
      [2, 0],
    ]);
  });

  it('standardises by mean and deviation of train; constant features become 0', () => {
    const deviation = Math.sqrt(1.25);
    const standard = [0, 1, 2, 3].flatMap((value) => [Math.fround((value - 1.5) / deviation), 0]);
    expect(scale({ kind: 'standardise' })).toEqual([standard, [Math.fround(4.5 / deviation), 0]]);
  });

  it('keeps a small spread on a large mean', () => {
    const far = { ...train, x: Float32Array.of(1e6, 0, 1e6 + 1, 0, 1e6, 0, 1e6 + 1, 0) };
    expect(
      [...applyScaling(far, fitScaling(far, { kind: 'standardise' })).x].filter((_, i) => i % 2 === 0),
    ).toEqual([-1, 1, -1, 1]);
  });

  it('leaves its input alone', () => {
    const before = train.x.slice();
    expect(scale({ kind: 'none' })[0]).toEqual([...before]);
    scale({ kind: 'standardise' });
    expect(train.x).toEqual(before);
  });

  it('refuses what is not finite, bad divisors, other widths and no samples', () => {
    const bad = { ...train, x: train.x.with(3, Number.NaN) };
    expect(errorOf(() => fitScaling(bad, { kind: 'none' }))).toMatchObject({
      code: 'ERR_NON_FINITE',
      details: { row: 1, feature: 1 },
    });
    const fitted = fitScaling(train, { kind: 'min-max' });
    expect(errorOf(() => applyScaling(bad, fitted)).code).toBe('ERR_NON_FINITE');
    for (const by of [0, -1, Number.NaN, Infinity]) {
      expect(errorOf(() => fitScaling(train, { kind: 'divide', by })).code).toBe('ERR_OUT_OF_RANGE');
    }
    const narrow = { ...test, features: 1, count: 2 };
    expect(errorOf(() => applyScaling(narrow, fitted)).code).toBe('ERR_SHAPE');
    for (const scaling of [{ kind: 'log' }, {}, null]) {
      expect(errorOf(() => fitScaling(train, scaling as never))).toMatchObject({
        code: 'ERR_INVALID_ARGUMENT',
        message: expect.stringContaining('scaling.kind must be one of none, divide, min-max, standardise'),
      });
    }
    const none = { ...train, count: 0, x: new Float32Array(0), labels: new Uint32Array(0) };
    expect(errorOf(() => fitScaling(none, { kind: 'none' })).code).toBe('ERR_OUT_OF_RANGE');
  });
});

describe('prepare', () => {
  const dataset: Dataset = {
    name: 'toy',
    source: 'a test',
    features: 2,
    classes: 3,
    classNames: ['a', 'b', 'c'],
    train: mixed,
    scaling: { kind: 'standardise' },
  };

  it('splits a set without test set 2/3 to 1/3, draws subsets and scales by the train subset', () => {
    const { train, test } = prepare(dataset, { seed: 5, train: 30, test: 15 });
    expect([train.count, test.count]).toEqual([30, 15]);
    const mean = rowsOf(train).reduce((sum, value) => sum + value, 0) / 30;
    const square = rowsOf(train).reduce((sum, value) => sum + value ** 2, 0) / 30;
    expect(mean).toBeCloseTo(0, 6);
    expect(square).toBeCloseTo(1, 5);
    expect(prepare(dataset, { seed: 5, train: 30, test: 15 })).toMatchObject({ train, test });
    expect(prepare(dataset, { seed: 6, train: 30, test: 15 })).not.toMatchObject({ train, test });
  });

  it('holds validation samples out of the training set; the train samples do not depend on how many', () => {
    const raw = { seed: 5, train: 30, test: 15, scaling: { kind: 'none' as const } };
    const without = prepare(dataset, raw);
    const { train, validation, test } = prepare(dataset, { ...raw, validation: 20 });
    expect(without).toMatchObject({ train, test });
    expect(without.validation).toBeUndefined();
    expect(validation!.count).toBe(20);
    const rest = prepare(dataset, { ...raw, train: undefined, validation: 20 });
    expect(rest.train.count + 20).toBe(prepare(dataset, { ...raw, train: undefined }).train.count);
    const all = [...rowsOf(rest.train), ...rowsOf(rest.validation!), ...rowsOf(test)].sort((a, b) => a - b);
    const whole = prepare(dataset, { ...raw, train: undefined });
    expect(all).toEqual([...rowsOf(whole.train), ...rowsOf(test)].sort((a, b) => a - b));
    expect(errorOf(() => prepare(dataset, { ...raw, train: 55, validation: 20 })).code).toBe(
      'ERR_OUT_OF_RANGE',
    );
  });

  it('shares no sample between train and test', () => {
    const { train, test } = prepare(dataset, { seed: 5, scaling: { kind: 'none' } });
    expect(new Set([...rowsOf(train), ...rowsOf(test)]).size).toBe(90);
    expect([train.count, test.count]).toEqual([60, 30]);
  });

  it('needs no options, and refuses those it does not know or cannot read', () => {
    expect(prepare(dataset).train.count).toBe(60);
    expect(prepare(dataset)).toEqual(prepare(dataset, { seed: 0 }));
    expect(splitSamples(mixed)).toEqual(splitSamples(mixed, { seed: 0 }));
    for (const [options, code, message] of [
      [null, 'ERR_INVALID_ARGUMENT', 'expected an options object, got null'],
      [{ sed: 1 }, 'ERR_INVALID_ARGUMENT', 'unknown option "sed"'],
      [{ train: '5' }, 'ERR_INVALID_ARGUMENT', 'train must be a whole number'],
      [{ test: 2.5 }, 'ERR_OUT_OF_RANGE', 'test must be a whole number'],
      [{ scaling: { kind: 'log' } }, 'ERR_INVALID_ARGUMENT', 'scaling.kind'],
      [{ seed: 'x' }, 'ERR_OUT_OF_RANGE', 'seed'],
    ] as const) {
      expect(errorOf(() => prepare(dataset, options as never))).toMatchObject({
        code,
        message: expect.stringContaining(message),
      });
    }
    expect(errorOf(() => splitSamples(mixed, { fraction: 0.5 } as never)).code).toBe('ERR_INVALID_ARGUMENT');
  });

  it('finds what is wrong in any row of the data set, drawn or not, and names the row as the data set has it', () => {
    const bad = (change: Partial<Samples>): Samples => ({ ...mixed, ...change });
    const nan = bad({ x: mixed.x.with(2 * 5 + 1, Number.NaN) });
    const beyond = bad({ labels: mixed.labels.with(7, 3) });
    const own = { ...dataset, test: mixed };
    for (const options of [{}, { train: 30, test: 15 }, { train: 1, validation: 1, test: 1 }]) {
      for (let seed = 0; seed < 5; seed++) {
        for (const [changed, where] of [
          [{ ...dataset, train: nan }, 'train samples'],
          [{ ...own, train: nan }, 'train samples'],
          [{ ...own, test: nan }, 'test samples'],
        ] as const) {
          expect(errorOf(() => prepare(changed, { ...options, seed }))).toMatchObject({
            code: 'ERR_NON_FINITE',
            message: expect.stringContaining(
              `[prepare] ${where}: expected finite numbers, came NaN in row 5, feature 1`,
            ),
            details: { row: 5, feature: 1 },
          });
        }
        expect(errorOf(() => prepare({ ...dataset, train: beyond }, { ...options, seed }))).toMatchObject({
          code: 'ERR_OUT_OF_RANGE',
          message: '[prepare] train samples: expected labels below 3, came 3 in row 7',
        });
      }
    }
  });

  it('names the row of the data set where scaling leaves the range of float32', () => {
    const far = { ...mixed, x: mixed.x.with(2 * 41, 3e38) };
    const scaling = { kind: 'divide' as const, by: 1e-3 };
    for (const options of [{ train: 30 }, { train: 30, validation: 29 }, {}]) {
      let found = 0;
      for (let seed = 0; seed < 6; seed++) {
        for (const changed of [
          { ...dataset, train: far },
          { ...dataset, test: far },
        ]) {
          const where = 'test' in changed ? 'test samples' : 'train samples';
          try {
            prepare(changed, { ...options, seed, scaling });
          } catch (error) {
            found += 1;
            expect(error).toMatchObject({
              code: 'ERR_NON_FINITE',
              message: expect.stringContaining(
                `[prepare] ${where}, scaled: expected finite numbers, came Infinity in row 41`,
              ),
            });
          }
        }
      }
      expect(found).toBeGreaterThanOrEqual(6);
    }
  });

  it('refuses what is no data set, and what a data set has not', () => {
    for (const [wrong, code, message] of [
      [{ ...dataset, validation: mixed }, 'ERR_INVALID_ARGUMENT', 'unknown key "validation" of the data set'],
      [{ ...dataset, train: undefined }, 'ERR_INVALID_ARGUMENT', 'train must be samples'],
      [
        { ...dataset, test: mixed.x },
        'ERR_INVALID_ARGUMENT',
        'test must be samples: expected one samples object',
      ],
      [{ ...dataset, classes: undefined }, 'ERR_INVALID_ARGUMENT', 'classes must be a whole number'],
      [
        { ...dataset, train: { ...mixed, count: 91 } },
        'ERR_SHAPE',
        '[prepare] train samples: expected 91 × 2 values',
      ],
      [{ ...dataset, train: { ...mixed, count: undefined } }, 'ERR_OUT_OF_RANGE', 'came undefined'],
      [undefined, 'ERR_INVALID_ARGUMENT', 'expected a data set, as loadDataset gives it, got undefined'],
    ] as const) {
      expect(errorOf(() => prepare(wrong as never))).toMatchObject({
        code,
        message: expect.stringContaining(message),
      });
    }
  });

  it("uses the data set's own test set", () => {
    const own = { ...dataset, test: numbered([2, 2]) };
    const { train, test } = prepare(own, { seed: 5, scaling: { kind: 'none' } });
    expect(train).toEqual(mixed);
    expect(test).toEqual(own.test);
    expect(errorOf(() => prepare(own, { seed: 5, test: 3 })).code).toBe('ERR_OUT_OF_RANGE');
  });
});
