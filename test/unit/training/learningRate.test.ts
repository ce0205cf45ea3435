import { afterEach, describe, expect, test } from 'vitest';
import {
  type LearningRate,
  type LearningRateSchedule,
  type ModelOptions,
  SparseMLP,
} from '../../../src/index.js';
import { checkRates, rateOf } from '../../../src/training/learningRate.js';
import { errorOf } from '../../support/errorOf.js';
import { blobs } from './blobs.js';

/*
 * Learning rates by name: those of every step against formulas of the test's own, and what a model learns by
 * them.
 */

const models: SparseMLP[] = [];
async function create(options: Partial<ModelOptions> = {}): Promise<SparseMLP> {
  const model = await SparseMLP.create({ layers: [20, 24, 4], epsilon: 4, backend: 'cpu', ...options });
  models.push(model);
  return model;
}
afterEach(() => {
  for (const model of models.splice(0)) model.dispose();
});

/** Rates of all steps of a run, epoch by epoch. */
function ratesOf(given: LearningRate, { epochs, steps }: { epochs: number; steps: number }): number[] {
  const rates = checkRates('fit', given, 0.05);
  return Array.from({ length: epochs }, (_, i) => {
    const own = rates({ epoch: i + 1, epochs, steps });
    return typeof own === 'number' ? new Array<number>(steps).fill(own) : [...own];
  }).flat();
}

/** How far a run has come at its steps, from 0 at the first, where `warm` steps stand before. */
function progress(total: number, warm = 0): number[] {
  return Array.from({ length: total - warm }, (_, i) => i / (total - warm));
}
/** Steps of a warm-up: even, from above 0 to the rate. */
const climb = (rate: number, warm: number) => Array.from({ length: warm }, (_, i) => (rate / warm) * (i + 1));

const run = { epochs: 6, steps: 7 };
const total = run.epochs * run.steps;
const cosine = (from: number, to: number) => (p: number) =>
  to + (from - to) * Math.cos((Math.PI * p) / 2) ** 2;
const line = (from: number, to: number) => (p: number) => from * (1 - p) + to * p;

const schedules: [string, LearningRateSchedule, number[]][] = [
  ['constant', { schedule: 'constant', rate: 0.2 }, new Array(total).fill(0.2)],
  ['constant, the rate of the optimizer', { schedule: 'constant' }, new Array(total).fill(0.05)],
  ['linear', { schedule: 'linear', rate: 0.4 }, progress(total).map(line(0.4, 0))],
  ['linear to an end', { schedule: 'linear', rate: 0.4, end: 0.1 }, progress(total).map(line(0.4, 0.1))],
  ['linear upwards', { schedule: 'linear', rate: 0.1, end: 0.4 }, progress(total).map(line(0.1, 0.4))],
  ['cosine', { schedule: 'cosine', rate: 0.3 }, progress(total).map(cosine(0.3, 0))],
  ['cosine to an end', { schedule: 'cosine', rate: 0.3, end: 0.02 }, progress(total).map(cosine(0.3, 0.02))],
  [
    'step',
    { schedule: 'step', rate: 1, factor: 0.5, every: 2 },
    [1, 1, 0.5, 0.5, 0.25, 0.25].flatMap((rate) => new Array<number>(run.steps).fill(rate)),
  ],
  ['step, more epochs than the run has', { schedule: 'step', rate: 0.3 }, new Array(total).fill(0.3)],
  [
    'step, a tenth',
    { schedule: 'step', rate: 0.3, every: 5 },
    [0.3, 0.3, 0.3, 0.3, 0.3, 0.03].flatMap((rate) => new Array<number>(run.steps).fill(rate)),
  ],
  [
    'cosine after two epochs of warm-up',
    { schedule: 'cosine', rate: 0.3, warmup: 2 },
    [...climb(0.3, 14), ...progress(total, 14).map(cosine(0.3, 0))],
  ],
  [
    'linear after five steps of warm-up',
    { schedule: 'linear', rate: 0.3, end: 0.1, warmup: { steps: 5 } },
    [...climb(0.3, 5), ...progress(total, 5).map(line(0.3, 0.1))],
  ],
  [
    'constant after half an epoch of warm-up',
    { schedule: 'constant', rate: 0.3, warmup: 4 / 7 },
    [...climb(0.3, 4), ...new Array<number>(total - 4).fill(0.3)],
  ],
  [
    'a warm-up of no steps is none',
    { schedule: 'linear', rate: 0.3, warmup: { steps: 0 } },
    progress(total).map(line(0.3, 0)),
  ],
  ['a warm-up as long as the run', { schedule: 'cosine', rate: 0.3, warmup: 6 }, climb(0.3, total)],
  [
    'a warm-up longer than the run',
    { schedule: 'cosine', rate: 0.3, warmup: 12 },
    climb(0.3, 2 * total).slice(0, total),
  ],
];

test.each(schedules)('%s: the rate of every step', (_, given, expected) => {
  const got = ratesOf(given, run);
  expect(got).toHaveLength(total);
  for (const [step, rate] of expected.entries()) expect(got[step]).toBeCloseTo(rate, 12);
});

test('a run of a single step has the rate of its start', () => {
  for (const schedule of ['constant', 'linear', 'cosine', 'step'] as const)
    expect(ratesOf({ schedule, rate: 0.3 }, { epochs: 1, steps: 1 })).toEqual([0.3]);
});

test('every rate is a number from end to rate, for many lengths of run', () => {
  for (const schedule of ['linear', 'cosine'] as const) {
    for (let steps = 1; steps <= 9; steps++) {
      for (let warm = 0; warm <= 12; warm++) {
        const given = { schedule, rate: 0.5, end: 0.125, warmup: { steps: warm } };
        const got = ratesOf(given, { epochs: 3, steps });
        const after = got.slice(warm);
        for (const rate of after) expect(rate >= 0.125 && rate <= 0.5).toBe(true);
        expect(after).toEqual([...after].sort((a, b) => b - a));
        expect(got.every((rate) => rate > 0)).toBe(true);
      }
    }
  }
});

describe('a model', () => {
  /** One batch per epoch: a function of the epoch is one of the step. */
  const train = blobs(64);
  const oneStep = { batchSize: 64, epochs: 6 };
  const byHand = (rates: number[]) => (epoch: number) => rates[epoch - 1]!;
  const single = { epochs: 6, steps: 1 };

  const named: [string, LearningRateSchedule, number[]][] = [
    ['constant', { schedule: 'constant', rate: 0.07 }, new Array(6).fill(0.07)],
    ['linear', { schedule: 'linear', rate: 0.1, end: 0.02 }, progress(6).map(line(0.1, 0.02))],
    ['cosine', { schedule: 'cosine', rate: 0.1 }, progress(6).map(cosine(0.1, 0))],
    [
      'step',
      { schedule: 'step', rate: 0.1, every: 2, factor: 0.25 },
      [0.1, 0.1, 0.025, 0.025, 0.00625, 0.00625],
    ],
    [
      'warm-up',
      { schedule: 'linear', rate: 0.1, warmup: 2 },
      [0.05, 0.1, ...progress(6, 2).map(line(0.1, 0))],
    ],
  ];
  test.each(named)('%s: the same as with the rates given by hand', async (_, learningRate, expected) => {
    for (const optimizer of ['sgd', 'adamw'] as const) {
      const [model, other] = [await create({ optimizer }), await create({ optimizer })];
      await model.fit(train, { ...oneStep, learningRate });
      await other.fit(train, { ...oneStep, learningRate: byHand(expected) });
      expect(await model.download()).toEqual(await other.download());
      expect(model.epochs).toBe(6);
    }
  });

  test('the rates of a schedule, handed over as numbers, give the same bits', async () => {
    for (const [, learningRate] of named) {
      const [model, other] = [await create(), await create()];
      await model.fit(train, { ...oneStep, learningRate });
      await other.fit(train, { ...oneStep, learningRate: byHand(ratesOf(learningRate, single)) });
      expect(Buffer.from(await model.toBuffer()).equals(Buffer.from(await other.toBuffer()))).toBe(true);
    }
  });

  test('constant by name is the number, with several steps in an epoch', async () => {
    const [model, other] = [await create(), await create()];
    await model.fit(train, { epochs: 3, batchSize: 10, learningRate: { schedule: 'constant', rate: 0.03 } });
    await other.fit(train, { epochs: 3, batchSize: 10, learningRate: 0.03 });
    expect(await model.download()).toEqual(await other.download());
  });

  test.each([
    ['sgd', 0.05],
    ['adamw', 0.001],
  ] as const)('of %s: without a rate, a schedule starts at %d', async (optimizer, rate) => {
    const [model, other] = [await create({ optimizer }), await create({ optimizer })];
    await model.fit(train, { epochs: 2, learningRate: { schedule: 'cosine' } });
    await other.fit(train, { epochs: 2, learningRate: { schedule: 'cosine', rate } });
    expect(await model.download()).toEqual(await other.download());
    expect(await model.download()).not.toEqual(await (await create({ optimizer })).download());
  });

  test('rates change from step to step: a schedule is not a rate per epoch', async () => {
    const [model, other] = [await create(), await create()];
    const learningRate = { schedule: 'linear', rate: 0.1 } as const;
    await model.fit(train, { epochs: 1, batchSize: 8, learningRate });
    await other.fit(train, { epochs: 1, batchSize: 8, learningRate: 0.1 });
    expect(await model.download()).not.toEqual(await other.download());
  });

  test.each(['sgd', 'adamw'] as const)(
    'of %s: any number of threads gives the same bits',
    async (optimizer) => {
      const learningRate = { schedule: 'cosine', warmup: { steps: 3 } } as const;
      const bytes = await Promise.all(
        [1, 2, 3, 5].map(async (threads) => {
          const model = await create({ optimizer, threads });
          await model.fit(train, { epochs: 3, batchSize: 7, learningRate });
          return Buffer.from(await model.toBuffer());
        }),
      );
      for (const other of bytes) expect(other.equals(bytes[0]!)).toBe(true);
    },
  );
});

// biome-ignore lint/suspicious/noExplicitAny: what JavaScript lets through
type Wrong = any;

test.each<[string, Wrong, string, RegExp]>([
  [
    'no such schedule',
    { schedule: 'cosin' },
    'ERR_INVALID_ARGUMENT',
    /schedule must be one of .*cosine.*"cosin"/,
  ],
  [
    'no schedule',
    { rate: 0.1 },
    'ERR_INVALID_ARGUMENT',
    /schedule must be one of constant, linear, cosine, step/,
  ],
  [
    'a misspelt key',
    { schedule: 'cosine', warmUp: 1 },
    'ERR_INVALID_ARGUMENT',
    /"warmUp".*did you mean warmup/,
  ],
  [
    'a rate of 0',
    { schedule: 'cosine', rate: 0 },
    'ERR_OUT_OF_RANGE',
    /rate must be a number above 0.*got 0/,
  ],
  ['a rate below 0', { schedule: 'cosine', rate: -1 }, 'ERR_OUT_OF_RANGE', /got -1/],
  ['a rate that is none', { schedule: 'cosine', rate: Number.NaN }, 'ERR_OUT_OF_RANGE', /got NaN/],
  ['a rate beyond float32', { schedule: 'cosine', rate: 1e39 }, 'ERR_OUT_OF_RANGE', /1e\+39/],
  ['a rate as text', { schedule: 'cosine', rate: '0.1' }, 'ERR_INVALID_ARGUMENT', /number.*got "0\.1"/],
  [
    'an end below 0',
    { schedule: 'linear', end: -0.1 },
    'ERR_OUT_OF_RANGE',
    /end must be a number of at least 0/,
  ],
  ['an end that is none', { schedule: 'linear', end: Number.NaN }, 'ERR_OUT_OF_RANGE', /got NaN/],
  [
    'an end of step',
    { schedule: 'step', end: 0.1 },
    'ERR_INVALID_ARGUMENT',
    /end is given.*linear, cosine.*"step"/,
  ],
  ['an end of constant', { schedule: 'constant', end: 0 }, 'ERR_INVALID_ARGUMENT', /linear, cosine/],
  [
    'a factor of cosine',
    { schedule: 'cosine', factor: 0.5 },
    'ERR_INVALID_ARGUMENT',
    /factor is given.*step/,
  ],
  ['every of linear', { schedule: 'linear', every: 2 }, 'ERR_INVALID_ARGUMENT', /every is given.*step/],
  [
    'a factor of 1',
    { schedule: 'step', factor: 1 },
    'ERR_OUT_OF_RANGE',
    /factor.*above 0 and below 1.*got 1/,
  ],
  ['a factor of 0', { schedule: 'step', factor: 0 }, 'ERR_OUT_OF_RANGE', /factor.*got 0/],
  ['every 0', { schedule: 'step', every: 0 }, 'ERR_OUT_OF_RANGE', /every.*whole number from 1/],
  ['every 1.5', { schedule: 'step', every: 1.5 }, 'ERR_OUT_OF_RANGE', /every.*got 1\.5/],
  ['a warm-up below 0', { schedule: 'step', warmup: -1 }, 'ERR_OUT_OF_RANGE', /warmup.*at least 0.*got -1/],
  ['a warm-up without end', { schedule: 'step', warmup: Infinity }, 'ERR_OUT_OF_RANGE', /Infinity/],
  [
    'a warm-up as text',
    { schedule: 'step', warmup: '1' },
    'ERR_INVALID_ARGUMENT',
    /warmup.*epochs.*\{ steps \}.*"1"/,
  ],
  ['a warm-up of null', { schedule: 'step', warmup: null }, 'ERR_INVALID_ARGUMENT', /warmup.*null/],
  [
    'a warm-up of epochs',
    { schedule: 'step', warmup: { epochs: 1 } },
    'ERR_INVALID_ARGUMENT',
    /"epochs".*steps/,
  ],
  ['half a step of warm-up', { schedule: 'step', warmup: { steps: 0.5 } }, 'ERR_OUT_OF_RANGE', /steps.*0\.5/],
  ['a warm-up of nothing', { schedule: 'step', warmup: {} }, 'ERR_INVALID_ARGUMENT', /steps.*undefined/],
  ['a name alone', 'cosine', 'ERR_INVALID_ARGUMENT', /learningRate.*"cosine"/],
  ['a list', [0.1, 0.2], 'ERR_INVALID_ARGUMENT', /learningRate.*an Array of 2 numbers/],
  ['null', null, 'ERR_INVALID_ARGUMENT', /learningRate.*null/],
])('%s is refused, and the text says what was expected', (_, given, code, text) => {
  const error = errorOf(() => checkRates('fit', given, 0.05));
  expect(error).toMatchObject({ code });
  expect(error.message).toMatch(text);
  expect(error.message).toMatch(/^\[fit\] /);
});

test('a bad schedule ends fit before anything is trained, with its code', async () => {
  const model = await create();
  const before = await model.toBuffer();
  const learningRate = { schedule: 'cosine', rate: -1 } as const;
  await expect(model.fit(blobs(40), { learningRate })).rejects.toMatchObject({
    name: 'SetNativeError',
    code: 'ERR_OUT_OF_RANGE',
    details: { option: 'learningRate.rate' },
  });
  expect(await model.toBuffer()).toEqual(before);
});

test.each([-1, 0, Number.NaN, Infinity])(
  'a function that gives %d is refused, naming the epoch',
  async (bad) => {
    const model = await create();
    const learningRate = (epoch: number) => (epoch === 2 ? bad : 0.05);
    await expect(model.fit(blobs(40), { epochs: 3, learningRate })).rejects.toMatchObject({
      code: 'ERR_OUT_OF_RANGE',
      message: expect.stringContaining('learningRate(2)'),
    });
    expect(model.epochs).toBe(1);
    await model.fit(blobs(40), { until: 2 });
  },
);

test('the options of experiments and commands: a number where the rate stays, else a schedule', () => {
  const still = { learningRate: 0.1, rateSchedule: 'constant', rateEnd: 0, warmup: 0 } as const;
  expect(rateOf(still)).toBe(0.1);
  expect(rateOf({ ...still, learningRate: undefined })).toBeUndefined();
  expect(rateOf({ ...still, warmup: 2 })).toEqual({ schedule: 'constant', rate: 0.1, warmup: 2 });
  expect(rateOf({ ...still, rateSchedule: 'step' })).toEqual({ schedule: 'step', rate: 0.1, warmup: 0 });
  expect(rateOf({ ...still, rateSchedule: 'cosine', rateEnd: 0.01, warmup: 0.5 })).toEqual({
    ...{ schedule: 'cosine', rate: 0.1, end: 0.01, warmup: 0.5 },
  });
  expect(rateOf({ rateSchedule: 'linear', rateEnd: 0, warmup: 0 })).toEqual({
    ...{ schedule: 'linear', end: 0, warmup: 0 },
  });
});
