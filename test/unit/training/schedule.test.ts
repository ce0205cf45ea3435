import { expect, test } from 'vitest';
import { type EpochReport, type EvolutionOptions, type FitOptions, SparseMLP } from '../../../src/index.js';
import {
  everyText,
  evolutionSchedule,
  evolvesAfter,
  partsOfEpoch,
  zetaAt,
} from '../../../src/training/schedule.js';
import type { BackendChoice } from '../../../src/vocabulary.js';
import { blobs } from './blobs.js';

/*
 * When links evolve, and how many of them: in epochs or steps, up to a share of the run, by a number or a
 * function.
 */

const train = blobs(120); // 6 steps of 20
const backends: BackendChoice[] = ['cpu', 'reference'];

async function trained(evolution: EvolutionOptions, calls: number[], backend: BackendChoice = 'cpu') {
  const model = await SparseMLP.create({ layers: [20, 30, 30, 4], epsilon: 4, threads: 1, seed: 1, backend });
  const reports: EpochReport[] = [];
  const options: FitOptions = { evolution, batchSize: 20, onWarning: () => {} };
  for (const epochs of calls) reports.push(...(await model.fit(train, { ...options, epochs })).epochs);
  const layers = await model.download();
  model.dispose();
  return { reports, layers, pruned: reports.map(({ pruned }) => pruned) };
}

/** What came out, without its times. */
function untimed({ layers, pruned, reports }: Awaited<ReturnType<typeof trained>>) {
  return { layers, pruned, losses: reports.map(({ trainLoss }) => trainLoss) };
}

/** Links that one evolution exchanges, of layers that keep their number of links. */
const once = (await trained({}, [2])).pruned[0]!;
const isOf = (pruned: number, evolutions: number) => Math.abs(pruned - evolutions * once) <= 2 * evolutions;

test('the defaults are an evolution after each epoch, the last of a call left to the next', async () => {
  const explicit = await trained({ every: 1, until: 1, zeta: 0.3 }, [4]);
  expect(explicit.layers).toEqual((await trained({}, [4])).layers);
  expect(explicit.pruned.map((pruned) => pruned > 0)).toEqual([true, true, true, false]);
});

test('every counts epochs', async () => {
  const { pruned } = await trained({ every: 2 }, [6]);
  expect(pruned.map((links) => links > 0)).toEqual([false, true, false, true, false, false]);
});

test('until ends evolution at a share of the run, the moment itself included', async () => {
  for (const [until, evolutions] of [
    [0.5, [true, true, true, false, false, false]],
    [0.49, [true, true, false, false, false, false]],
    [0.1, [false, false, false, false, false, false]],
  ] as const) {
    expect((await trained({ until }, [6])).pruned.map((links) => links > 0)).toEqual(evolutions);
  }
});

test.each(backends)('every counts steps, within an epoch and beyond, on %s', async (backend) => {
  // Of 18 steps those after 4, 8, 12 (an epoch's end), 16.
  const four = await trained({ every: { steps: 4 } }, [3], backend);
  expect(four.pruned.map((links, e) => isOf(links, [1, 2, 1][e]!))).toEqual([true, true, true]);
  const nine = await trained({ every: { steps: 9 } }, [3], backend);
  expect(nine.pruned.map((links) => links > 0)).toEqual([false, true, false]);
  const births = new Set(nine.layers[0]!.birth);
  expect(births).toEqual(new Set([0, 2]));
});

test('evolutions by steps are those of one training, however it is cut into calls', async () => {
  const evolution = { every: { steps: 4 } };
  const { layers, reports } = await trained(evolution, [4]);
  for (const calls of [
    [2, 2],
    [1, 3],
    [1, 1, 1, 1],
  ]) {
    const cut = await trained(evolution, calls);
    expect(cut.layers).toEqual(layers);
    expect(cut.reports.map(({ trainLoss }) => trainLoss)).toEqual(reports.map(({ trainLoss }) => trainLoss));
  }
});

test('between evolutions by steps the samples are those of the epoch: nothing but links differs', async () => {
  const never = await trained({ every: { steps: 1000 } }, [3]);
  const still = await trained({ method: 'static' }, [3]);
  expect(never.layers).toEqual(still.layers);
  expect(never.reports.map(({ trainLoss }) => trainLoss)).toEqual(
    still.reports.map(({ trainLoss }) => trainLoss),
  );
});

test('zeta may be a function of the progress, and 0 is no evolution', async () => {
  const asked: number[] = [];
  const zeta = (progress: number) => {
    asked.push(progress);
    return progress === 0.5 ? 0 : 0.15 * (1 + Math.cos(Math.PI * progress));
  };
  const { pruned } = await trained({ zeta, until: 0.8 }, [5]);
  expect(asked).toEqual([0.25, 0.5, 0.75, 1]);
  expect(pruned[1]).toBe(0);
  expect(pruned[0]).toBeGreaterThan(pruned[2]!);
  expect(pruned.slice(3)).toEqual([0, 0]); // a cosine ends in 0
});

test.each(backends)('zeta by name is the function that it stands for, on %s', async (backend) => {
  type Zeta = NonNullable<EvolutionOptions['zeta']>;
  const same = async (named: Zeta, other: Zeta, until: number) => {
    const written = JSON.parse(JSON.stringify(named)) as Zeta;
    const schedule = { until, every: { steps: 4 } };
    const one = await trained({ ...schedule, zeta: written }, [2, 3], backend);
    expect(untimed(one)).toEqual(untimed(await trained({ ...schedule, zeta: other }, [2, 3], backend)));
  };
  const cosine = (start: number) => (progress: number) => (start / 2) * (1 + Math.cos(Math.PI * progress));
  await same({ schedule: 'cosine', start: 0.6 }, cosine(0.6), 0.8);
  await same({ schedule: 'cosine' }, cosine(0.3), 1);
  await same({ schedule: 'constant', start: 0.4 }, 0.4, 1);
  await same({ schedule: 'constant' }, 0.3, 0.5);
});

test('cosine falls from its start to 0 at the end of the schedule', () => {
  const { zeta, ...rest } = evolutionSchedule('fit', {
    zeta: { schedule: 'cosine', start: 0.4 },
    until: 0.5,
  });
  expect(rest).toEqual({ every: { epochs: 1 }, until: 0.5 });
  const at = (done: number) => zetaAt({ ...rest, zeta }, { done, total: 8 }, () => {});
  expect([0, 1, 2, 3].map(at)).toEqual(
    [0, 0.25, 0.5, 0.75].map((progress) => expect.closeTo(0.2 + 0.2 * Math.cos(Math.PI * progress), 15)),
  );
  expect([4, 5, 8].map(at)).toEqual([undefined, undefined, undefined]);
});

test('what counts from one evolution to the next has words', () => {
  expect([everyText(2), everyText({ steps: 500 })]).toEqual(['2', '500 steps']);
});

test.each([Number.NaN, 1, -0.1, '0.3'])('a zeta function that gives %s is refused by name', async (value) => {
  await expect(trained({ zeta: () => value as number }, [2])).rejects.toMatchObject({
    code: expect.stringMatching(/ERR_(OUT_OF_RANGE|INVALID_ARGUMENT)/),
    message: expect.stringContaining('evolution.zeta(0.5)'),
  });
});

test.each([
  [{ every: 0 }, 'evolution.every'],
  [{ every: 1.5 }, 'evolution.every'],
  [{ every: { steps: 0 } }, 'evolution.every.steps'],
  [{ every: { step: 5 } }, 'steps'],
  [{ every: null }, 'evolution.every'],
  [{ until: 0 }, 'evolution.until'],
  [{ until: 1.1 }, 'evolution.until'],
  [{ zeta: 0 }, 'evolution.zeta'],
  [{ zeta: null }, 'evolution.zeta must be a number above 0 and below 1, got null'],
  [{ zeta: {} }, 'evolution.zeta.schedule must be one of constant, cosine; got undefined'],
  [{ zeta: { schedule: 'linear' } }, 'evolution.zeta.schedule must be one of constant, cosine; got "linear"'],
  [{ zeta: { schedule: 'cosine', start: 1 } }, 'evolution.zeta.start must be a number above 0 and below 1'],
  [{ zeta: { schedule: 'cosine', end: 0.1 } }, 'unknown key "end" of evolution.zeta'],
  [{ zeta: ['cosine'] }, 'evolution.zeta must be an object of schedule, start, got an Array'],
])('%j is refused', async (evolution, message) => {
  const attempt = trained(evolution as EvolutionOptions, [1]);
  await expect(attempt).rejects.toMatchObject({ message: expect.stringContaining(message) });
});

test('parts of an epoch end where evolutions stand, counted over the run', () => {
  const schedule = (steps: number) => ({ every: { steps }, until: 1, zeta: 0.3 });
  expect(partsOfEpoch(schedule(4), 0, 6)).toEqual([
    { first: 0, end: 4 },
    { first: 4, end: 6 },
  ]);
  expect(partsOfEpoch(schedule(4), 6, 6)).toEqual([
    { first: 0, end: 2 },
    { first: 2, end: 6 },
  ]);
  expect(partsOfEpoch(schedule(100), 60, 6)).toEqual([{ first: 0, end: 6 }]);
  expect(evolvesAfter(schedule(4), 2, 6)).toBe(true);
  expect(evolvesAfter(schedule(4), 1, 6)).toBe(false);
});

test('a share of the run that a float64 cannot hold is not cut short', () => {
  const schedule = { every: { epochs: 1 }, until: 0.7, zeta: 0.3 };
  expect(zetaAt(schedule, { done: 7, total: 10 }, () => {})).toBe(0.3);
  expect(zetaAt(schedule, { done: 8, total: 10 }, () => {})).toBeUndefined();
});
