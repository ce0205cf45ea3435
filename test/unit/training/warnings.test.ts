import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { runExperiment, selectFeatures } from '../../../src/bench.js';
import { type Samples, SparseMLP, type TrainingWarning } from '../../../src/index.js';

/*
 * What keeps a network from learning is noticed, told once, kept in the record, and stops nothing.
 */

const samples = (features: number, classes: number, scale = 1, count = 60): Samples => ({
  x: Float32Array.from({ length: count * features }, (_, i) => Math.sin(i) * scale),
  labels: Uint32Array.from({ length: count }, (_, i) => i % classes),
  count,
  features,
});

const emitted = vi.spyOn(process, 'emitWarning').mockImplementation(() => {});
beforeEach(() => void emitted.mockClear());
afterEach(() =>
  expect(emitted.mock.calls.every(([, options]) => (options as { code: string }).code)).toBe(true),
);

const codes = (warnings: TrainingWarning[]) => warnings.map(({ code }) => code);

test('features far beyond ±100 are told in one process warning with a code, and in the history', async () => {
  using model = await SparseMLP.create({ layers: [8, 30, 20, 3], epsilon: 2, seed: 1 });
  const { warnings } = await model.fit(samples(8, 3, 3000), { epochs: 2, learningRate: 1e-6 });
  expect(warnings).toContainEqual({
    code: 'SET_NATIVE_LARGE_INPUTS',
    message: expect.stringContaining('about ±1000'),
    epoch: 0,
  });
  const told = emitted.mock.calls.filter(([, options]) => JSON.stringify(options).includes('LARGE_INPUTS'));
  expect(told).toEqual([
    [
      expect.stringMatching(/^\[fit\] the training samples hold/),
      { type: 'SetNativeWarning', code: 'SET_NATIVE_LARGE_INPUTS' },
    ],
  ]);
  const again = await model.fit(samples(8, 3, 3000), { epochs: 2, learningRate: 1e-6 });
  expect(codes(again.warnings)).not.toContain('SET_NATIVE_LARGE_INPUTS');
});

test('a loss above 100 ln(classes) is told with its epoch, and the training goes on', async () => {
  using model = await SparseMLP.create({ layers: [8, 40, 3], epsilon: 5, seed: 1 });
  const { epochs, warnings } = await model.fit(samples(8, 3, 99), {
    epochs: 3,
    batchSize: 60,
    learningRate: 0.5,
  });
  const epoch = epochs.find(({ trainLoss }) => trainLoss > 100 * Math.log(3))!.epoch;
  expect(warnings.filter(({ code }) => code === 'SET_NATIVE_LARGE_LOSS')).toEqual([
    { code: 'SET_NATIVE_LARGE_LOSS', message: expect.stringContaining('above 100 ln(3) = 110'), epoch },
  ]);
  expect(epochs).toHaveLength(3);
});

test.each([
  ['a hidden layer that epsilon makes dense', { layers: [8, 40, 30, 3], epsilon: 15 }, {}, ['1 (8 × 40)']],
  ['several', { layers: [8, 9, 10, 3], epsilon: 5 }, {}, ['layers 1 (8 × 9), 2 (9 × 10) are dense']],
  [
    'the output layer, where it may evolve',
    { layers: [30, 40, 3], epsilon: 5 },
    { evolveOutput: true },
    ['2 (40 × 3)'],
  ],
  ['the output layer, which never evolves: nothing', { layers: [30, 40, 3], epsilon: 5 }, {}, []],
  ['layers that were asked to be dense: nothing', { layers: [8, 9, 3], topology: 'dense' as const }, {}, []],
])('dense layers: %s', async (_, network, evolution, texts) => {
  using model = await SparseMLP.create({ ...network, seed: 1 });
  const { warnings } = await model.fit(samples(network.layers[0]!, 3), { evolution });
  const dense = warnings.filter(({ code }) => code === 'SET_NATIVE_DENSE_LAYER');
  expect(dense.map(({ message }) => message)).toEqual(texts.map((text) => expect.stringContaining(text)));
});

test('some outputs without a path are told as all of them are, each with their number', async () => {
  const told = async (epsilon: number, seed: number) => {
    using model = await SparseMLP.create({ layers: [30, 30, 30, 10], epsilon, seed });
    const { warnings } = await model.fit(samples(30, 10), { evolution: { method: 'static' } });
    return warnings
      .filter(({ code }) => code === 'SET_NATIVE_UNREACHABLE_OUTPUT')
      .map(({ message }) => message);
  };
  expect(await told(0.5, 1)).toEqual([expect.stringMatching(/to \d of 10 outputs: /)]);
  expect(await told(0.05, 1)).toEqual([
    expect.stringMatching(/from any input to any output, so nothing can be learned/),
  ]);
  expect(await told(13, 1)).toEqual([]);
});

test('an output that evolution cuts off is told when the training is done', async () => {
  const found = new Map<number, TrainingWarning>();
  for (let seed = 0; seed < 30 && found.size === 0; seed++) {
    using model = await SparseMLP.create({ layers: [12, 12, 12, 8], epsilon: 1, seed });
    const evolution = { zeta: 0.9, evolveOutput: true };
    const { warnings } = await model.fit(samples(12, 8), { epochs: 8, evolution });
    for (const warning of warnings) if (warning.epoch === 8) found.set(seed, warning);
  }
  expect([...found.values()]).toEqual([
    expect.objectContaining({
      code: 'SET_NATIVE_UNREACHABLE_OUTPUT',
      message: expect.stringContaining('of 8 outputs after epoch 8'),
    }),
  ]);
});

test('onWarning takes the place of process warnings; nothing is told of a network that can learn', async () => {
  const heard: TrainingWarning[] = [];
  using model = await SparseMLP.create({ layers: [8, 40, 30, 3], epsilon: 15, seed: 1 });
  const history = await model
    .fit(samples(8, 3, 1e30), { learningRate: 1e-30, onWarning: (each) => void heard.push(each) })
    .catch((error) => error);
  expect(heard.length).toBeGreaterThan(0);
  expect(history.warnings ?? heard).toEqual(heard);
  using sound = await SparseMLP.create({ layers: [30, 100, 100, 3], epsilon: 10, seed: 1 });
  expect((await sound.fit(samples(30, 3), { epochs: 3 })).warnings).toEqual([]);
  expect(emitted).not.toHaveBeenCalled();
});

test('experiments and selections note it, once, instead of process warnings', async () => {
  const small = { dataset: 'procedural', train: 60, test: 60, epochs: 1, runs: 2, threads: 1 };
  const { notes } = await runExperiment({
    ...small,
    methods: ['set', 'static'],
    hidden: [20, 20],
    epsilon: [13, 0.1],
  });
  expect(notes.filter((note) => /layer 2 \(20 × 20\) is dense, because epsilon 13/.test(note))).toHaveLength(
    2,
  ); // of either seed
  expect(notes).toContainEqual(
    expect.stringMatching(/^erdos-renyi at epsilon 0.1, seed 0: no path leads from any input/),
  );
  const { notes: selected } = await selectFeatures({
    ...small,
    runs: 1,
    keep: [1],
    hidden: [20],
    epsilon: 13,
  });
  expect(selected).toContainEqual(
    expect.stringMatching(/^Networks of 8 features: layer 1 \(8 × 20\) is dense/),
  );
  expect(emitted).not.toHaveBeenCalled();
});
