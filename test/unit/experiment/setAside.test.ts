import { expect, test } from 'vitest';
import { type ExperimentConfig, experimentConfig } from '../../../src/experiment/config.js';
import { runExperiment } from '../../../src/experiment/experiment.js';
import { networkOf, trainingOf } from '../../../src/experiment/plan.js';
import { presets } from '../../../src/experiment/presets.js';
import { setAside } from '../../../src/experiment/setAside.js';
import { loadDataset } from '../../../src/index.js';
import type { Reading } from '../../../src/vocabulary.js';

const dataset = loadDataset('procedural');

function notes(reading: Reading, given: Partial<ExperimentConfig>): string[] {
  return setAside(experimentConfig({ dataset: 'procedural', readings: [reading], ...given }), given, dataset);
}

test.each<[Reading, Partial<ExperimentConfig>, string]>([
  ['published', { epochs: 20 }, 'sets epochs 20 aside and uses the 11 '],
  ['published', { validation: 100 }, 'sets validation 100 aside and uses no such samples'],
  ['published', { scaling: 'standardise' }, 'sets scaling standardise aside and uses own'],
  ['published', { topology: 'motif' }, 'sets topology motif aside and uses erdos-renyi'],
  ['published', { motifSize: [2, 4] }, 'sets motifSize 2,4 aside and uses single links'],
  ['published', { init: 'normal' }, 'sets init normal aside and uses he-dense in sparse networks'],
  ['published', { activation: 'tanh' }, 'sets activation tanh aside and uses relu in sparse networks'],
  [
    'published',
    { methods: ['set', 'set-motif'] },
    'sets methods set,set-motif aside and uses static in the place of',
  ],
  ['described', { topology: 'motif' }, 'sets topology motif aside and uses erdos-renyi'],
  ['improved', { topology: 'erdos-renyi' }, 'sets topology erdos-renyi aside and uses erdos-renyi and motif'],
  ['improved', { init: 'he-dense' }, 'sets init he-dense aside and uses he-fan-in'],
  ['published', { rateSchedule: 'cosine' }, 'sets rateSchedule cosine aside and uses constant'],
  ['described', { warmup: 2 }, 'sets warmup 2 aside and uses 0'],
  ['improved', { dropout: 0.5 }, 'sets dropout 0.5 aside and uses 0'],
  ['published', { weightDecayMode: 'l2' }, 'sets weightDecayMode l2 aside and uses thesis'],
  ['described', { zetaSchedule: 'cosine' }, 'sets zetaSchedule cosine aside and uses constant'],
  ['improved', { evolveEvery: { steps: 500 } }, 'sets evolveEvery 500 steps aside and uses 1'],
  ['published', { evolveUntil: 0.75 }, 'sets evolveUntil 0.75 aside and uses 1'],
])('%s does not obey %o, and says so', (reading, given, text) => {
  expect(notes(reading, given)).toEqual([expect.stringContaining(`The reading ${reading} ${text}`)]);
});

test.each<[Reading, Partial<ExperimentConfig>]>([
  [
    'published',
    { epochs: 11, validation: 0, scaling: 'own', topology: 'erdos-renyi', motifSize: [1], init: 'he-dense' },
  ],
  ['published', { methods: ['dense'], init: 'normal', activation: 'tanh' }],
  [
    'published',
    { zeta: 0.2, learningRate: 0.1, batchSize: 10, epsilon: [3], runs: 2, seed: 4, train: 10, test: 'all' },
  ],
  ['described', { init: 'normal', epochs: 20, validation: 10, scaling: 'standardise', motifSize: [2, 4] }],
  ['improved', { methods: ['set', 'static'], topology: 'erdos-renyi', init: 'he-fan-in' }],
  [
    'plain',
    { topology: 'motif', init: 'normal', activation: 'tanh', epochs: 20, validation: 10, scaling: 'none' },
  ],
  ['plain', { rateSchedule: 'cosine', rateEnd: 0.01, warmup: 2, weightDecayMode: 'l2', dropout: 0.5 }],
  ['plain', { zetaSchedule: 'cosine', evolveEvery: { steps: 500 }, evolveUntil: 0.75 }],
  [
    'improved',
    { rateSchedule: 'constant', weightDecayMode: 'decoupled', optimizer: 'adamw', evolveEvery: 1 },
  ],
])('%s obeys %o', (reading, given) => {
  expect(notes(reading, given)).toEqual([]);
});

test('every option that changes nothing of what a reading runs is noted', () => {
  const base = { dataset: 'procedural', methods: ['set' as const], motifSize: [2], epsilon: [2] };
  const others: Partial<ExperimentConfig> = {
    ...{
      topology: 'motif',
      init: 'normal',
      activation: 'tanh',
      zeta: 0.1,
      learningRate: 0.1,
      momentum: 0.1,
      batchSize: 7,
    },
    ...{ weightDecay: 0.1, regrowInit: 'zero' },
    ...{ rateSchedule: 'cosine', warmup: 1, weightDecayMode: 'l2', dropout: 0.5 },
    ...{ zetaSchedule: 'cosine', evolveEvery: { steps: 2 }, evolveUntil: 0.5 },
  };
  for (const reading of ['described', 'improved', 'plain'] as const) {
    for (const [option, value] of Object.entries(others)) {
      const ran = (given: object) => {
        const config = experimentConfig({ ...base, readings: [reading], ...given });
        const trial = { reading, method: 'set' as const, epsilon: 2, motifSize: 1, seed: 0 };
        const plan = trainingOf(config, trial, 1, 2);
        return JSON.stringify([
          networkOf(config, trial, dataset),
          plan.epoch({ epoch: 1, epochs: 2, steps: 3 }),
          plan.policy,
          plan.schedule,
        ]);
      };
      const obeyed = ran({}) !== ran({ [option]: value });
      expect({ reading, option, noted: notes(reading, { [option]: value }).length > 0 }).toEqual({
        ...{ reading, option, noted: !obeyed },
      });
    }
  }
});

test('presets are not what a user chose: they bring no notes, with an option beside them only its own', () => {
  for (const { options } of presets) {
    const config = experimentConfig({ ...options, dataset: 'procedural', topology: 'motif', motifSize: [2] });
    expect(setAside(config, {}, dataset)).toEqual([]);
    const known = config.readings.filter((reading) => reading !== 'plain');
    expect(setAside(config, { topology: 'motif' }, dataset)).toHaveLength(known.length);
  }
});

test('the notes stand in the results, and are said before anything trains', async () => {
  const order: string[] = [];
  const tiny = {
    dataset: 'procedural',
    hidden: [20],
    train: 100,
    test: 50,
    methods: ['set' as const],
    epsilon: [5],
  };
  const results = await runExperiment(
    { ...tiny, readings: ['described', 'improved'], epochs: 1, topology: 'motif' },
    { onNote: (note) => void order.push(note), onEpoch: () => void order.push('epoch') },
  );
  expect(results.notes).toEqual(order.slice(0, 2));
  expect(order.slice(2)).toEqual(['epoch', 'epoch']);
});
