import { expect, test } from 'vitest';
import { modelSpec, trainingPlan } from '../../../src/training/options.js';
import { sgd } from '../../support/models.js';

const layers = [4, 8, 2];

test('a model needs layers only; the rest has defaults', () => {
  expect(modelSpec('create', { layers })).toEqual({
    sizes: layers,
    epsilon: 13,
    topology: 'erdos-renyi',
    motifSize: 2,
    init: 'he-fan-in',
    activation: 'relu',
    alpha: 0.6,
    optimizer: 'sgd',
    loss: 'softmax-cross-entropy',
    seed: 0,
    threads: 0,
    backend: 'cpu',
  });
});

test.each([
  [{ layers: [4] }, 'ERR_SHAPE', 'at least two sizes'],
  [{ layers: [5n] }, 'ERR_SHAPE', 'got [ 5n ]'],
  [{ layers: [4, 5n] }, 'ERR_INVALID_ARGUMENT', 'layers[1] must be a whole number'],
  // biome-ignore lint/suspicious/noSparseArray: what is tested
  [{ layers: [4, , 2] }, 'ERR_INVALID_ARGUMENT', 'layers[1] must be a whole number'],
  [{ layers: [4, 2.5] }, 'ERR_OUT_OF_RANGE', 'layers[1]'],
  [{ layers, threads: 1025 }, 'ERR_OUT_OF_RANGE', 'threads'],
  [{ layers, motifSize: 65 }, 'ERR_OUT_OF_RANGE', 'motifSize must be a whole number from 2 to 64'],
  [{ layers, init: Object.create(null) }, 'ERR_INVALID_ARGUMENT', 'init must be one of'],
  [{}, 'ERR_SHAPE', 'got undefined'],
  [{ layers: [4, 0] }, 'ERR_OUT_OF_RANGE', 'layers[1]'],
  [{ layers: [4, '3'] }, 'ERR_INVALID_ARGUMENT', 'layers[1] must be a whole number'],
  [{ layers, epsilon: 0 }, 'ERR_OUT_OF_RANGE', 'epsilon must be a number above 0, got 0'],
  [{ layers, epsilon: Number.NaN }, 'ERR_OUT_OF_RANGE', 'got NaN'],
  [
    { layers, topology: 'ring' },
    'ERR_INVALID_ARGUMENT',
    'one of erdos-renyi, motif, motif-printed, dense; got "ring"',
  ],
  [{ layers, seed: -1 }, 'ERR_OUT_OF_RANGE', 'seed'],
  [{ layers, activation: 'gelu' }, 'ERR_INVALID_ARGUMENT', 'activation must be one of relu, tanh'],
  [{ layers, alpha: 1.5 }, 'ERR_OUT_OF_RANGE', 'alpha must be a number from 0 to 1, got 1.5'],
  [{ layers, sigma: 3 }, 'ERR_INVALID_ARGUMENT', 'unknown option "sigma"'],
  [null, 'ERR_INVALID_ARGUMENT', 'expected an options object, got null'],
])('a model refuses %o', (options, code, message) => {
  expect(() => modelSpec('create', options as never)).toThrow(
    expect.objectContaining({ name: 'SetNativeError', code, message: expect.stringContaining(message) }),
  );
});

test.each([
  [{ epochs: 0 }, 'epochs'],
  [{ batchSize: 1.5 }, 'batchSize'],
  [{ batchSize: 65_537 }, 'batchSize'],
  [{ learningRate: 0 }, 'learningRate'],
  [{ learningRate: 1e39 }, 'learningRate must be a number above 0 (in float32), got 1e+39'],
  [{ learningRate: 1e-60 }, 'learningRate'],
  [{ momentum: 1 - 1e-12 }, 'momentum'],
  [{ weightDecay: 1 - 1e-12 }, 'weightDecay'],
  [{ shuffle: 1 }, 'shuffle must be true or false, got 1'],
  [{ evolution: { evolveOutput: 'yes' } }, 'evolution.evolveOutput must be true or false, got "yes"'],
  [{ evolution: { method: 'static', evolveOutput: 0 } }, 'evolution.evolveOutput'],
  [{ momentum: 1 }, 'momentum'],
  [{ weightDecay: -1 }, 'weightDecay'],
  [{ weightDecayMode: 'adamw' }, 'weightDecayMode'],
  [{ evolution: { zeta: 1 } }, 'evolution.zeta'],
  [{ evolution: { method: 'rigl' } }, 'evolution.method'],
  [{ evolution: { motifSize: 1 } }, 'evolution.motifSize'],
  [{ evolution: { theta: 0.3 } }, 'unknown key "theta" of evolution; did you mean zeta?'],
  [{ evolution: { epochs: 3 } }, 'unknown key "epochs" of evolution; the keys are method'],
  [{ evolution: 'set-motif' }, 'evolution must be an object of method, zeta, every,'],
  [{ evolution: false }, 'regrowInit, motifSize, motifScore, motifParse, evolveOutput, got false'],
])('training refuses %j', (options, message) => {
  expect(() => trainingPlan('fit', options as never, sgd(2))).toThrow(message);
});

test('weight decay: thesis ignores the learning rate, decoupled scales by it, l2 goes into the gradient', () => {
  const epoch = (weightDecayMode: 'thesis' | 'decoupled' | 'l2') =>
    trainingPlan('fit', { weightDecay: 0.01, learningRate: 0.5, weightDecayMode }, sgd(2)).epoch({
      epoch: 1,
      epochs: 1,
      steps: 1,
    });
  expect(epoch('thesis')).toMatchObject({ decay: 0.01, l2: 0 });
  expect(epoch('decoupled')).toMatchObject({ decay: 0.005, l2: 0 });
  expect(epoch('l2')).toMatchObject({ decay: 0, l2: 0.01 });
});

test('the learning rate may follow the epoch, and is checked when it is asked for', () => {
  const plan = trainingPlan('fit', { learningRate: (epoch) => 2 - epoch }, sgd(2));
  expect(plan.epoch({ epoch: 1, epochs: 2, steps: 3 }).learningRate).toBe(1);
  expect(() => plan.epoch({ epoch: 2, epochs: 2, steps: 3 })).toThrow(
    'learningRate(2) must be a number above 0 (in float32), got 0',
  );
});

test('static has no evolution; the motif size is that of the model unless given', () => {
  expect(trainingPlan('fit', { evolution: { method: 'static' } }, sgd(2)).policy).toBeUndefined();
  expect(trainingPlan('fit', { evolution: { method: 'set-motif' } }, sgd(4)).policy).toMatchObject({
    motifSize: 4,
    parse: 'aligned',
    score: 'mean',
    prune: 'lowest',
    grow: 'random',
    regrowInit: 'he-dense',
    evolveOutput: false,
  });
  const three = { method: 'set-motif', motifSize: 3 } as const;
  expect(trainingPlan('fit', { evolution: three }, sgd(4)).policy?.motifSize).toBe(3);
});

test('growth is by any rule, and by no other', () => {
  for (const grow of ['random', 'walk', 'gradient'] as const) {
    for (const method of ['set', 'set-motif'] as const)
      expect(trainingPlan('fit', { evolution: { method, grow } }, sgd(2)).policy).toMatchObject({ grow });
  }
  expect(() => trainingPlan('fit', { evolution: { grow: 'everywhere' as 'walk' } }, sgd(2))).toThrow(
    'evolution.grow must be one of random, walk, gradient; got "everywhere"',
  );
});

test('SET exchanges single links of either sign, whatever the motifs of the model', () => {
  expect(trainingPlan('fit', { evolution: {} }, sgd(4)).policy).toMatchObject({
    motifSize: 1,
    prune: 'by-sign',
  });
  const thesis = { prune: 'thesis', motifSize: 3 } as const;
  expect(trainingPlan('fit', { evolution: thesis }, sgd(4)).policy).toMatchObject({
    motifSize: 1,
    prune: 'thesis',
  });
  const lowest = { prune: 'lowest', motifSize: 3 } as const;
  expect(trainingPlan('fit', { evolution: lowest }, sgd(4)).policy).toMatchObject({
    motifSize: 1,
    prune: 'lowest',
  });
});
