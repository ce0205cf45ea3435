import { expect, test } from 'vitest';
import { experimentConfig } from '../../../src/bench/config.js';
import { pairings } from '../../../src/bench/experiment.js';

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
  });
});

test.each([
  ['methods', []],
  ['methods', ['set', 'set']],
  ['methods', ['rigl']],
  ['epsilon', [1, 0]],
  ['epsilon', 5],
  ['hidden', []],
  ['hidden', [10, 2.5]],
  ['learningRate', 1e39],
  ['learningRate', 1e-60],
  ['momentum', 1 - 1e-12],
  ['threads', 1025],
  ['motifSize', 65],
  ['zeta', 1],
  ['epochs', 0],
  ['runs', '3'],
  ['init', 'xavier'],
  ['topology', 'dense'],
  ['seed', Number.MAX_SAFE_INTEGER + 1],
])('a bad %s is named: %j', (option, value) => {
  expect(() => experimentConfig({ dataset, [option]: value })).toThrow(
    expect.objectContaining({
      code: expect.stringMatching(/ERR_(INVALID_ARGUMENT|OUT_OF_RANGE)/),
      message: expect.stringContaining(`[bench] ${option}`),
      details: expect.objectContaining({ option }),
    }),
  );
});

test('seeds of later runs must exist too', () => {
  expect(() => experimentConfig({ dataset, seed: Number.MAX_SAFE_INTEGER, runs: 2 })).toThrow('seed');
});

test('a misspelt option does not pass unseen', () => {
  expect(() => experimentConfig({ dataset, epsilons: [1] } as never)).toThrow('unknown option "epsilons"');
});

test('dense runs once per seed, the others at every epsilon', () => {
  const config = experimentConfig({ dataset, methods: ['dense', 'set', 'static'], epsilon: [1, 5] });
  expect(pairings(config)).toEqual([
    { method: 'set', epsilon: 1 },
    { method: 'static', epsilon: 1 },
    { method: 'set', epsilon: 5 },
    { method: 'static', epsilon: 5 },
    { method: 'dense', epsilon: null },
  ]);
});
