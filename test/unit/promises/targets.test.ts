import { expect, test } from 'vitest';
import { type LossName, type ModelOptions, type TargetSamples, uploadSamples } from '../../../src/index.js';
import { bitsOf, failing, logitsOf, numbers, outputsOf, points, testModels } from './networks.js';

/* Numbers to predict: losses and figures against the plain formulas, and what is no such number. */

const { create } = testModels();
const { x, features, count } = points(40);

function withTargets(outputs: number, targetOf: (row: number, output: number) => number): TargetSamples {
  const targets = Float32Array.from({ length: count * outputs }, (_, i) =>
    targetOf(Math.floor(i / outputs), i % outputs),
  );
  return { x, count, features, targets };
}
const real = withTargets(2, (row, output) =>
  output === 0 ? 2 * x[row * 4]! - x[row * 4 + 1]! : 3 * x[row * 4 + 2]!,
);
const labels = withTargets(3, (row, output) => (x[row * 4 + output]! > 0.3 ? 1 : 0));
const draw = numbers(8);
const shares = withTargets(3, (row, output) => [0.5, 0.3, 0.2][(row + output) % 3]!);
const parts = withTargets(3, () => draw() + 0.5);

const mse: Partial<ModelOptions> = { layers: [4, 8, 2], loss: 'mse' };
const several: Partial<ModelOptions> = { loss: 'sigmoid-binary-cross-entropy' };
const mean = (values: number[]) => values.reduce((a, b) => a + b, 0) / values.length;

/** Targets and outputs, by row, of a model; outputs by the plain formulas. */
async function pairsOf(model: Awaited<ReturnType<typeof create>>, samples: TargetSamples, loss: LossName) {
  return logitsOf(await model.download(), samples.x).map((logits, row) => ({
    targets: [...samples.targets.subarray(row * logits.length, (row + 1) * logits.length)],
    outputs: outputsOf(loss, logits),
  }));
}

test('predict gives the outputs of the plain formulas', async () => {
  for (const [kind, samples] of [
    [mse, real],
    [several, labels],
    [{}, shares],
  ] as const) {
    const model = await create(kind);
    await model.fit(samples, { epochs: 2 });
    const pairs = await pairsOf(model, samples, model.loss);
    const outputs = await model.predict(x);
    pairs
      .flatMap((pair) => pair.outputs)
      .forEach((value, i) => {
        expect(outputs[i]).toBeCloseTo(value, 5);
      });
  }
});

test('mse: mean absolute error and r2 are those of the formulas, the mean over the outputs', async () => {
  const model = await create(mse);
  await model.fit(real, { epochs: 20, learningRate: 0.02 });
  const pairs = await pairsOf(model, real, 'mse');
  const { loss, mae, r2, ...rest } = await model.evaluate(real);
  const errors = pairs.flatMap(({ targets, outputs }) => targets.map((target, k) => outputs[k]! - target));
  expect(mae).toBeCloseTo(mean(errors.map(Math.abs)), 5);
  const r2Of = (k: number) => {
    const middle = mean(pairs.map(({ targets }) => targets[k]!));
    const unexplained = mean(pairs.map(({ targets, outputs }) => (outputs[k]! - targets[k]!) ** 2));
    return 1 - unexplained / mean(pairs.map(({ targets }) => (targets[k]! - middle) ** 2));
  };
  expect(r2Of(0)).not.toBeCloseTo(r2Of(1), 2);
  expect(r2).toBeCloseTo((r2Of(0) + r2Of(1)) / 2, 4);
  expect(loss).toBeGreaterThan(0);
  expect(rest).toEqual({});
});

test('mse: the loss is in proportion to the squared errors, and training lowers it', async () => {
  const model = await create(mse);
  const ratios: number[] = [];
  const losses: number[] = [];
  for (let k = 0; k < 3; k++) {
    const { loss } = await model.evaluate(real);
    const pairs = await pairsOf(model, real, 'mse');
    const squares = pairs.map(({ targets, outputs }) =>
      targets.reduce((sum, target, o) => sum + (outputs[o]! - target) ** 2, 0),
    );
    ratios.push(loss / mean(squares));
    losses.push(loss);
    await model.fit(real, { epochs: 10, learningRate: 0.02 });
  }
  for (const ratio of ratios) expect(ratio).toBeCloseTo(ratios[0]!, 4);
  expect(losses[2]).toBeLessThan(losses[0]! / 2);
});

test('r2 of an output whose targets are all the same: 1 where all are met, else 0', async () => {
  const model = await create({ layers: [4, 6, 1], loss: 'mse' });
  const layers = await model.download();
  const outputs = await model.predict(x);
  expect(layers.at(-1)!.outputs).toBe(1);
  expect((await model.evaluate({ x, count, features, targets: outputs })).r2).toBeCloseTo(1, 6);
  const same = withTargets(1, () => 7);
  expect((await model.evaluate(same)).r2).toBe(0);
  const row = x.slice(0, 4);
  const [met] = await model.predict(row);
  const one = { x: row, count: 1, features, targets: Float32Array.of(met!) };
  expect(await model.evaluate(one)).toMatchObject({ loss: 0, mae: 0, r2: 1 });
});

test('r2 of two outputs, of which one is always the same: the mean of its 0 and the other', async () => {
  const model = await create(mse);
  const half = withTargets(2, (row, output) => (output === 0 ? x[row * 4]! : 7));
  const pairs = await pairsOf(model, half, 'mse');
  const middle = mean(pairs.map(({ targets }) => targets[0]!));
  const unexplained = mean(pairs.map(({ targets, outputs }) => (outputs[0]! - targets[0]!) ** 2));
  const first = 1 - unexplained / mean(pairs.map(({ targets }) => (targets[0]! - middle) ** 2));
  expect((await model.evaluate(half)).r2).toBeCloseTo(first / 2, 4);
});

test('several labels: precision, recall and f1 of each, compared at one half', async () => {
  const model = await create(several);
  await model.fit(labels, { epochs: 6 });
  const pairs = await pairsOf(model, labels, model.loss);
  const { loss, labels: found, ...rest } = await model.evaluate(labels);
  expect(found).toHaveLength(3);
  for (const [k, label] of found!.entries()) {
    const is = pairs.filter(({ targets }) => targets[k]! > 0.5).length;
    const taken = pairs.filter(({ outputs }) => outputs[k]! > 0.5).length;
    const both = pairs.filter(({ targets, outputs }) => targets[k]! > 0.5 && outputs[k]! > 0.5).length;
    expect(label.support).toBe(is);
    expect(label.precision).toBeCloseTo(taken === 0 ? 0 : both / taken);
    expect(label.recall).toBeCloseTo(is === 0 ? 0 : both / is);
    expect(label.f1).toBeCloseTo(both === 0 ? 0 : (2 * both) / (is + taken));
  }
  expect(loss).toBeGreaterThan(0);
  expect(rest).toEqual({});
});

const crossEntropies: [string, Partial<ModelOptions>, TargetSamples, (t: number, p: number) => number][] = [
  ['softmax', {}, shares, (t, p) => -t * Math.log(p)],
  ['sigmoid, of numbers from 0 to 1', several, parts, (t, p) => -t * Math.log(p) - (1 - t) * Math.log(1 - p)],
];

test.each(crossEntropies)(
  '%s: the loss is the cross entropy, each sample times its weight',
  async (_, kind, given, term) => {
    const model = await create(kind);
    await model.fit(given, { epochs: 2 });
    const weights = Float32Array.from({ length: count }, (_, row) => [2, 0, 1, 0.5][row % 4]!);
    const pairs = await pairsOf(model, given, model.loss);
    const losses = pairs.map(({ targets, outputs }) =>
      targets.reduce((sum, t, k) => sum + term(t, outputs[k]!), 0),
    );
    const { loss } = await model.evaluate(given);
    const ratio = loss / mean(losses); // 1, or one over the outputs
    expect([1, 1 / 3].some((expected) => Math.abs(ratio - expected) < 1e-4)).toBe(true);
    const weighted = await model.evaluate({ ...given, weights });
    expect(weighted.loss).toBeCloseTo(ratio * mean(losses.map((each, row) => each * weights[row]!)), 4);
  },
);

test('targets of one class each train to the bits of labels', async () => {
  const given = points(40);
  const oneHot = withTargets(3, (row, output) => (given.labels[row] === output ? 1 : 0));
  const [byLabels, byTargets] = [await create(), await create()];
  await byLabels.fit(given, { epochs: 3 });
  await byTargets.fit(oneHot, { epochs: 3 });
  const [a, b] = [await byLabels.predict(x), await byTargets.predict(x)];
  a.forEach((value, i) => {
    expect(b[i]).toBeCloseTo(value, 4);
  });
  expect((await byTargets.evaluate(oneHot)).loss).toBeCloseTo((await byLabels.evaluate(given)).loss, 4);
});

test('validation of targets: the loss in the reports, and no accuracy', async () => {
  const model = await create(mse);
  const { epochs } = await model.fit(real, { epochs: 2, validation: real, evolution: { method: 'static' } });
  expect(epochs[1]!.validationLoss).toBe((await model.evaluate(real)).loss);
  for (const report of epochs) expect(report.validationAccuracy).toBeUndefined();
  const earlyStopping = { monitor: 'validationAccuracy' } as const;
  await expect(model.fit(real, { validation: real, earlyStopping })).rejects.toEqual(
    failing('ERR_INVALID_ARGUMENT', 'accuracy'),
  );
});

test('uploaded targets give the same figures, and are copied', async () => {
  const model = await create(mse);
  const expected = await model.evaluate(real);
  const mine = { ...real, targets: real.targets.slice() };
  const uploaded = await uploadSamples(mine);
  mine.targets.fill(0);
  expect(uploaded.targets).toEqual(real.targets);
  expect(await model.evaluate(uploaded)).toEqual(expected);
  uploaded.dispose();
});

const wrong: [string, Partial<ModelOptions>, object, string][] = [
  ['one too few', mse, { targets: real.targets.slice(1) }, 'ERR_SHAPE'],
  ['of another number of outputs', mse, { targets: labels.targets }, 'ERR_SHAPE'],
  ['none', mse, { targets: new Float32Array(0) }, 'ERR_SHAPE'],
  ['NaN', mse, { targets: real.targets.with(9, Number.NaN) }, 'ERR_NON_FINITE'],
  ['infinite', mse, { targets: real.targets.with(9, Number.NEGATIVE_INFINITY) }, 'ERR_NON_FINITE'],
  ['a list of lists', mse, { targets: Array.from({ length: count }, () => [1, 2]) }, 'ERR_INVALID_ARGUMENT'],
  ['double precision', mse, { targets: Float64Array.from(real.targets) }, 'ERR_INVALID_ARGUMENT'],
  ['labels, too', mse, { labels: new Uint32Array(count) }, 'ERR_INVALID_ARGUMENT'],
  ['beyond 1, of labels', several, { targets: labels.targets.with(100, 1.5) }, 'ERR_OUT_OF_RANGE'],
  ['below 0, of labels', several, { targets: labels.targets.with(100, -0.5) }, 'ERR_OUT_OF_RANGE'],
  ['shares of more than 1 in sum', {}, { targets: shares.targets.with(100, 0.9) }, 'ERR_OUT_OF_RANGE'],
];

test.each(wrong)(
  'targets that are wrong, %s: refused, and nothing is trained',
  async (_, kind, given, code) => {
    const model = await create(kind);
    const samples = { ...real, ...given } as TargetSamples;
    const before = await bitsOf(model);
    for (const call of [
      () => model.fit(samples, { batchSize: 3 }),
      () => model.train(samples, { batchSize: 3 }).next(),
      () => model.evaluate(samples),
    ]) {
      await expect(call()).rejects.toEqual(failing(code));
    }
    expect(await bitsOf(model)).toBe(before);
  },
);

test.each([
  ['fit', several, labels, labels.targets.with(100, 1.5)],
  ['fit', {}, shares, shares.targets.with(100, 0.9)],
  ['train', several, labels, labels.targets.with(100, 1.5)],
] as const)(
  '%s: samples held out with targets out of range are refused before an epoch',
  async (call, kind, good, targets) => {
    const model = await create(kind);
    const options = { validation: { ...good, targets } };
    const before = await bitsOf(model);
    const training = call === 'fit' ? model.fit(good, options) : model.train(good, options).next();
    await expect(training).rejects.toEqual(failing('ERR_OUT_OF_RANGE'));
    expect(await bitsOf(model)).toBe(before);
  },
);

test('samples held out with targets of another number are refused before an epoch', async () => {
  const model = await create(mse);
  for (const [targets, code] of [
    [labels.targets, 'ERR_SHAPE'],
    [real.targets.with(3, Number.NaN), 'ERR_NON_FINITE'],
  ] as const) {
    await expect(model.fit(real, { validation: { ...real, targets } })).rejects.toEqual(
      failing(code, '[fit]'),
    );
  }
  expect(model.epochs).toBe(0);
});

test('a target out of range is told of as an error of fit', async () => {
  const model = await create(several);
  const samples = { ...labels, targets: labels.targets.with(100, 1.5) };
  await expect(model.fit(samples)).rejects.toEqual(failing('ERR_OUT_OF_RANGE', '[fit]'));
});

test('a divergence is told of as an error of fit', async () => {
  const model = await create(mse);
  const options = { learningRate: 1e30, batchSize: 5, onWarning: () => {} };
  await expect(model.fit(real, options)).rejects.toEqual(failing('ERR_NON_FINITE', '[fit]'));
});

test.each([
  ['out of range', several, { ...labels, targets: labels.targets.with(100, 1.5) }, 33],
  ['NaN', mse, { ...real, targets: real.targets.with(9, Number.NaN) }, 4],
] as const)('details name the row of a target that is %s', async (_, kind, samples, row) => {
  const model = await create(kind);
  await expect(model.evaluate(samples)).rejects.toMatchObject({ details: { row } });
});
