import { expect, test } from 'vitest';
import { type ExperimentConfig, experimentConfig } from '../../../src/experiment/config.js';
import { groupsOf, networkOf } from '../../../src/experiment/plan.js';
import type { Trial } from '../../../src/experiment/trial.js';

const dataset = 'procedural';

test('the defaults are the Fashion-MNIST configuration of the thesis', () => {
  expect(experimentConfig({ dataset })).toMatchObject({
    hidden: [3000, 3000, 3000],
    batchSize: 40,
    learningRate: 0.05,
    momentum: 0.9,
    weightDecay: 0.0002,
    zeta: 0.3,
    init: 'he-fan-in',
    ...{ rateSchedule: 'constant', rateEnd: 0, warmup: 0, weightDecayMode: 'thesis', dropout: 0 },
    ...{ zetaSchedule: 'constant', evolveEvery: 1, evolveUntil: 1, inputOrder: 'given' },
  });
  expect(experimentConfig({ dataset, optimizer: 'adamw' }).weightDecayMode).toBe('decoupled');
});

test.each([
  ['methods', []],
  ['methods', ['set', 'set']],
  ['methods', ['hebb']],
  ['epsilon', [1, 0]],
  ['epsilon', 5],
  ['hidden', []],
  ['hidden', [10, 2.5]],
  ['learningRate', 1e39],
  ['learningRate', 1e-60],
  ['momentum', 1 - 1e-12],
  ['threads', 1025],
  ['motifSize', [2, 65]],
  ['motifSize', [0]],
  ['motifSize', [2, 2]],
  ['motifSize', []],
  ['motifSize', 2],
  ['zeta', 1],
  ['epochs', 0],
  ['runs', '3'],
  ['init', 'xavier'],
  ['topology', 'dense'],
  ['seed', Number.MAX_SAFE_INTEGER + 1],
  ['rateSchedule', 'step'],
  ['rateSchedule', { schedule: 'cosine' }],
  ['rateEnd', -0.1],
  ['rateEnd', '0'],
  ['rateEnd', 0.01], // of a constant rate
  ['warmup', -1],
  ['warmup', Infinity],
  ['warmup', { steps: 5 }],
  ['weightDecayMode', 'none'],
  ['dropout', 1],
  ['dropout', -0.1],
  ['zetaSchedule', 'linear'],
  ['evolveEvery', 0],
  ['evolveEvery', 1.5],
  ['evolveEvery', '500steps'],
  ['evolveEvery', null],
  ['evolveUntil', 0],
  ['evolveUntil', 1.1],
  ['average', 1],
  ['average', -0.1],
  ['average', '0.5'],
  ['inputOrder', 'rows'],
  ['inputOrder', 'tiles:4'],
  ['inputOrder', [1, 0]],
  ['inputOrder', null],
  ['inputOrder', 4],
])('a bad %s is named: %j', (option, value) => {
  expect(() => experimentConfig({ dataset, [option]: value })).toThrow(
    expect.objectContaining({
      code: expect.stringMatching(/ERR_(INVALID_ARGUMENT|OUT_OF_RANGE)/),
      message: expect.stringContaining(`[bench] ${option}`),
      details: expect.objectContaining({ option }),
    }),
  );
});

test('an evolution every so many steps is checked by its parts', () => {
  const config = (steps: object) => experimentConfig({ dataset, evolveEvery: steps as { steps: number } });
  expect(config({ steps: 500 }).evolveEvery).toEqual({ steps: 500 });
  expect(() => config({ steps: 0 })).toThrow('[bench] evolveEvery.steps must be a whole number from 1');
  expect(() => config({ step: 5 })).toThrow('unknown key "step" of evolveEvery; did you mean steps?');
});

test('tiles of an order of inputs are checked by their parts', () => {
  const config = (inputOrder: object) =>
    experimentConfig({ dataset, inputOrder: inputOrder as { tiles: number } });
  expect(config({ tiles: 4 }).inputOrder).toEqual({ tiles: 4 });
  expect(() => config({ tiles: 1 })).toThrow('[bench] inputOrder.tiles must be a whole number from 2');
  expect(() => config({ tile: 4 })).toThrow('unknown key "tile" of inputOrder; did you mean tiles?');
});

test('seeds of later runs must exist too', () => {
  expect(() => experimentConfig({ dataset, seed: Number.MAX_SAFE_INTEGER, runs: 2 })).toThrow('seed');
});

test('a misspelt option does not pass unseen', () => {
  expect(() => experimentConfig({ dataset, epsilons: [1] } as never)).toThrow('unknown option "epsilons"');
});

test('dense runs once per seed, the others at every epsilon', () => {
  const config = experimentConfig({ dataset, methods: ['dense', 'set', 'static'], epsilon: [1, 5] });
  expect(trialsOf(config)).toEqual([
    { reading: 'plain', method: 'set', epsilon: 1, motifSize: 1, seed: 0 },
    { reading: 'plain', method: 'static', epsilon: 1, motifSize: 1, seed: 0 },
    { reading: 'plain', method: 'set', epsilon: 5, motifSize: 1, seed: 0 },
    { reading: 'plain', method: 'static', epsilon: 5, motifSize: 1, seed: 0 },
    { reading: 'plain', method: 'dense', epsilon: null, motifSize: null, seed: 0 },
  ]);
});

function trialsOf(config: ExperimentConfig): Trial[] {
  return groupsOf(config).flatMap(({ trials }) => trials);
}

test('groups: all that is compared together, seed by seed, each with a name of its own', () => {
  const groups = groupsOf(
    experimentConfig({ dataset, methods: ['set', 'static', 'dense'], epsilon: [5, 1], runs: 2, seed: 3 }),
  );
  expect(groups.map(({ id, trials }) => [id, trials.map(({ method }) => method).join()])).toEqual([
    ['seed-3-plain-epsilon-5', 'set,static,dense'],
    ['seed-3-plain-epsilon-1', 'set,static'],
    ['seed-4-plain-epsilon-5', 'set,static,dense'],
    ['seed-4-plain-epsilon-1', 'set,static'],
  ]);
});

test('readings: published has no motifs and eleven epochs, described no motif topology, improved its own weights', () => {
  const config = experimentConfig({
    dataset,
    readings: ['published', 'described', 'improved'],
    methods: ['set', 'set-motif'],
    epsilon: [5],
    epochs: 40,
    init: 'he-dense',
  });
  const size = { features: 784, classes: 10 };
  const table = groupsOf(config).map(({ reading, epochs, trials }) => [
    reading,
    epochs,
    ...trials.map((trial) => {
      const { topology, init } = networkOf(config, trial, size);
      return `${trial.method} ${trial.motifSize} ${topology} ${init}`;
    }),
  ]);
  expect(table).toEqual([
    ['published', 11, 'set 1 erdos-renyi he-dense', 'static 1 erdos-renyi he-dense'],
    ['described', 40, 'set 1 erdos-renyi he-dense', 'set-motif 2 erdos-renyi he-dense'],
    ['improved', 40, 'set 1 erdos-renyi he-fan-in', 'set-motif 2 motif he-fan-in'],
  ]);
});

/** What runs at one epsilon, as `method size`. */
function runsOf(options: Partial<ExperimentConfig>): string[] {
  const config = experimentConfig({
    dataset,
    epsilon: [5],
    methods: ['set', 'set-motif', 'static'],
    ...options,
  });
  return trialsOf(config).map(({ method, motifSize }) => `${method} ${motifSize}`);
}

test('a single motif size is that of SET-motif alone; size 1 is SET, once', () => {
  expect(runsOf({})).toEqual(['set 1', 'set-motif 2', 'static 1']);
  expect(runsOf({ motifSize: [4] })).toEqual(['set 1', 'set-motif 4', 'static 1']);
  expect(runsOf({ motifSize: [1] })).toEqual(['set 1', 'static 1']);
  expect(runsOf({ motifSize: [1], methods: ['set-motif'] })).toEqual(['set 1']);
});

test('several motif sizes: SET-motif at each, SET where it is size 1 or asked for, static beside all of them', () => {
  const four = ['set 1', 'set-motif 2', 'set-motif 4', 'static 1', 'static 2', 'static 4'];
  expect(runsOf({ motifSize: [1, 2, 4] })).toEqual(four);
  expect(runsOf({ motifSize: [2, 4] })).toEqual(four);
  expect(runsOf({ motifSize: [1, 2, 4], methods: ['set-motif', 'static'] })).toEqual(four);
  expect(runsOf({ motifSize: [2, 4], methods: ['set-motif', 'static'] })).toEqual([
    ...['set-motif 2', 'set-motif 4', 'static 2', 'static 4'],
  ]);
  expect(runsOf({ motifSize: [4, 1], methods: ['static', 'set-motif', 'set'] })).toEqual([
    ...['static 1', 'static 4', 'set-motif 4', 'set 1'],
  ]);
});

test('with one topology for all, what does not depend on the motif size runs once', () => {
  const topology = 'erdos-renyi';
  expect(runsOf({ motifSize: [1, 2, 4], topology })).toEqual([
    'set 1',
    'set-motif 2',
    'set-motif 4',
    'static 1',
  ]);
  expect(runsOf({ motifSize: [4], topology: 'motif' })).toEqual(['set 4', 'set-motif 4', 'static 4']);
});

test.each<[Partial<ExperimentConfig>, string]>([
  [{ topology: 'motif', motifSize: [2, 4] }, 'a single size above 1 with topology motif, .*; got 2,4'],
  [{ topology: 'motif', motifSize: [1] }, 'a single size above 1 with topology motif'],
  [{ topology: 'motif-printed', motifSize: [1, 2] }, 'a single size above 1 with topology motif-printed'],
  [
    { methods: ['set', 'static'], motifSize: [1, 2] },
    'a single size unless one of set-motif, set-motif-walk, set-motif-gradient is among the methods',
  ],
])('motif sizes that say nothing are refused: %j', (options, message) => {
  expect(() => runsOf(options)).toThrow(
    expect.objectContaining({
      code: 'ERR_OUT_OF_RANGE',
      message: expect.stringMatching(`^\\[bench\\] motifSize must be ${message}`),
      details: expect.objectContaining({ option: 'motifSize' }),
    }),
  );
});
