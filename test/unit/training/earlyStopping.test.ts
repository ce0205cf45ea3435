import { afterEach, describe, expect, test } from 'vitest';
import {
  type EpochReport,
  type FitOptions,
  type ModelOptions,
  type MonitorName,
  SetNativeError,
  SparseMLP,
} from '../../../src/index.js';
import {
  checkEarlyStopping,
  type EarlyStopping,
  monitors,
  Stopping,
} from '../../../src/training/stopping.js';
import { blobs } from './blobs.js';

/*
 * Early stopping: which epoch is the last, which the best, and what the model is then; against a reading of
 * the rule that is the test's own.
 */

const train = blobs(60, { noise: 6 });
const validation = blobs(40, { noise: 6, seed: 5 });
const onWarning = () => {};
/** Learns by heart: the loss of held-out samples turns, and is unsteady. */
const options: FitOptions = { epochs: 14, batchSize: 6, learningRate: 0.06, validation, onWarning };

const models: SparseMLP[] = [];
async function create(given: Partial<ModelOptions> = {}): Promise<SparseMLP> {
  const model = await SparseMLP.create({
    layers: [20, 30, 4],
    epsilon: 8,
    backend: 'cpu',
    threads: 1,
    seed: 4,
    ...given,
  });
  models.push(model);
  return model;
}
afterEach(() => {
  for (const model of models.splice(0)) model.dispose();
});
const bytesOf = async (model: SparseMLP) => Buffer.from(await model.toBuffer()).toString('base64');

type Figures = Pick<EpochReport, MonitorName>;

/**
 * The best epoch and the last, from 1, read off all of a history: after `patience` epochs in a row, at least
 * one, of which none betters the best by more than `minDelta`, there is no further one.
 */
function expectation(history: Figures[], monitor: MonitorName, patience: number, minDelta: number) {
  const height = history.map((report) => report[monitor]! * (monitor === 'validationAccuracy' ? 1 : -1));
  let best = 0;
  let last = 0;
  while (last < height.length - 1) {
    last += 1;
    if (height[last]! > height[best]! + minDelta) best = last;
    else if (last - best >= Math.max(patience, 1)) break;
  }
  return { best: best + 1, last: last + 1 };
}

describe.each(monitors)('%s', (monitor) => {
  test('ends where the rule says, for every patience and minDelta', async () => {
    const whole = (await (await create()).fit(train, options)).epochs;
    const ends = new Set<string>();
    for (const patience of [0, 1, 2, 3]) {
      for (const minDelta of [0, 0.01, 0.05, 0.2]) {
        const model = await create();
        const earlyStopping = { monitor, patience, minDelta };
        const history = await model.fit(train, { ...options, earlyStopping });
        const { best, last } = expectation(whole, monitor, patience, minDelta);
        expect(history.bestEpoch).toBe(best);
        expect(history.epochs.map(({ epoch }) => epoch)).toEqual(
          Array.from({ length: last }, (_, i) => i + 1),
        );
        for (const [i, { trainLoss, validationLoss, validationAccuracy }] of history.epochs.entries())
          expect(whole[i]).toMatchObject({ trainLoss, validationLoss, validationAccuracy });
        expect(model.epochs).toBe(last);
        ends.add(`${best} ${last}`);
      }
    }
    expect(ends.size).toBeGreaterThan(monitor === 'trainLoss' ? 1 : 2); // the cases differ
  });

  test.each(['set', 'set-motif', 'static'] as const)(
    '%s, restoreBest: the best epoch, byte for byte',
    async (method) => {
      for (const optimizer of ['sgd', 'adamw'] as const) {
        const own = {
          ...options,
          evolution: { method },
          ...(optimizer === 'adamw' && { learningRate: 0.02 }),
        };
        const model = await create({ optimizer });
        const earlyStopping = { monitor, patience: 2, restoreBest: true, minDelta: 0.02 };
        const { bestEpoch, epochs } = await model.fit(train, { ...own, earlyStopping });
        expect(model.epochs).toBe(bestEpoch);
        expect(epochs.length).toBeGreaterThanOrEqual(bestEpoch!);
        const other = await create({ optimizer });
        await other.fit(train, { ...own, epochs: bestEpoch! });
        expect(await bytesOf(model)).toBe(await bytesOf(other));
        expect(await model.evaluate(validation)).toMatchObject({
          loss: epochs[bestEpoch! - 1]!.validationLoss,
          accuracy: epochs[bestEpoch! - 1]!.validationAccuracy,
        });
        // And fit goes on from there, as if nothing had been.
        const uninterrupted = await create({ optimizer });
        await uninterrupted.fit(train, { ...own, epochs: bestEpoch! + 3 });
        await model.fit(train, { ...own, epochs: 3 });
        expect(await bytesOf(model)).toBe(await bytesOf(uninterrupted));
      }
    },
  );
});

test('without restoreBest the model is that of the last epoch', async () => {
  const model = await create();
  const { epochs, bestEpoch } = await model.fit(train, { ...options, earlyStopping: { patience: 3 } });
  expect(bestEpoch).toBeLessThan(epochs.length);
  const other = await create();
  await other.fit(train, { ...options, epochs: epochs.length });
  expect(await bytesOf(model)).toBe(await bytesOf(other));
});

test('restoreBest also where the epochs run out before the patience does', async () => {
  const whole = (await (await create()).fit(train, options)).epochs;
  const { best } = expectation(whole, 'validationLoss', 100, 0);
  const model = await create();
  const earlyStopping = { patience: 100, restoreBest: true };
  const history = await model.fit(train, { ...options, earlyStopping });
  expect(history.epochs).toHaveLength(14);
  expect(history.bestEpoch).toBe(best);
  expect(best).toBeLessThan(14);
  expect(model.epochs).toBe(best);
});

test('restoreBest in a loop of train, in the file of a checkpoint, and where onEpoch ends it', async () => {
  const earlyStopping = { patience: 2, restoreBest: true };
  const [model, looped, ended] = [await create(), await create(), await create()];
  const { epochs, bestEpoch } = await model.fit(train, { ...options, earlyStopping });
  const reports: EpochReport[] = [];
  for await (const report of looped.train(train, { ...options, earlyStopping })) reports.push(report);
  expect(reports).toHaveLength(epochs.length);
  expect(looped.epochs).toBe(bestEpoch);
  expect(await bytesOf(looped)).toBe(await bytesOf(model));
  const onEpoch = ({ epoch }: EpochReport) => epoch !== bestEpoch! + 1;
  const history = await ended.fit(train, { ...options, earlyStopping, onEpoch });
  expect(history).toMatchObject({ bestEpoch, epochs: { length: bestEpoch! + 1 } });
  expect(await bytesOf(ended)).toBe(await bytesOf(model));
});

test('epochs count over the life of the model, and a call judges only its own', async () => {
  const model = await create();
  await model.fit(train, { ...options, epochs: 5 });
  const { epochs, bestEpoch } = await model.fit(train, {
    ...options,
    earlyStopping: { patience: 2, restoreBest: true },
  });
  expect(epochs[0]!.epoch).toBe(6);
  const { best, last } = expectation(epochs, 'validationLoss', 2, 0);
  expect([bestEpoch, epochs.at(-1)!.epoch]).toEqual([5 + best, 5 + last]);
  expect(model.epochs).toBe(bestEpoch);
});

test('without earlyStopping there is no bestEpoch', async () => {
  expect(await (await create()).fit(train, { ...options, epochs: 1 })).not.toHaveProperty('bestEpoch');
});

test('a loss of targets is monitored, too', async () => {
  const model = await create({ loss: 'mse', layers: [20, 10, 1] });
  const numbers = ({ x, count, features, labels }: typeof train) => ({
    ...{ x, count, features },
    targets: Float32Array.from(labels),
  });
  const held = numbers(validation);
  const given = { ...options, validation: held, learningRate: 0.01, epochs: 40 };
  const earlyStopping = { patience: 1, restoreBest: true };
  const { epochs, bestEpoch } = await model.fit(numbers(train), { ...given, earlyStopping });
  expect({ best: bestEpoch, last: epochs.length }).toEqual(expectation(epochs, 'validationLoss', 1, 0));
  expect((await model.evaluate(held)).loss).toBe(epochs[bestEpoch! - 1]!.validationLoss);
});

test('a training that diverges rejects with ERR_NON_FINITE, whatever is judged', async () => {
  for (const monitor of monitors) {
    const model = await create();
    const earlyStopping = { monitor, patience: 5, restoreBest: true };
    const learningRate = (epoch: number) => (epoch < 3 ? 0.01 : 1e30);
    const training = model.fit(train, { ...options, learningRate, earlyStopping });
    await expect(training).rejects.toMatchObject({ code: 'ERR_NON_FINITE' });
  }
});

test('with restoreBest a model whose training diverges is that of its best epoch, else it is lost', async () => {
  const learningRate = (epoch: number) => (epoch < 3 ? 0.01 : 1e30);
  const earlyStopping = { monitor: 'trainLoss', patience: 5 } as const;
  const before = await create();
  await before.fit(train, { ...options, learningRate, epochs: 2 });

  const restored = await create();
  const diverging = { ...options, learningRate, earlyStopping: { ...earlyStopping, restoreBest: true } };
  await expect(restored.fit(train, diverging)).rejects.toMatchObject({ code: 'ERR_NON_FINITE' });
  expect(restored.epochs).toBe(2);
  expect(await bytesOf(restored)).toBe(await bytesOf(before));
  await restored.fit(train, { ...options, learningRate: 0.01, epochs: 1 });
  expect(restored.epochs).toBe(3);

  const lost = await create();
  await expect(lost.fit(train, { ...options, learningRate, earlyStopping })).rejects.toMatchObject({
    code: 'ERR_NON_FINITE',
  });
  await expect(lost.toBuffer()).rejects.toMatchObject({ code: 'ERR_NON_FINITE' });
});

test('so it is where the numbers of samples that are held out overflow', async () => {
  const model = await create({ activation: 'linear', loss: 'mse', layers: [20, 30, 1] });
  const numbers = (count: number, factor: number) => ({
    x: Float32Array.from({ length: count * 20 }, (_, i) => factor * Math.sin(i)),
    targets: new Float32Array(count).fill(0.5),
    count,
    features: 20,
  });
  const earlyStopping = { monitor: 'trainLoss', patience: 5, restoreBest: true } as const;
  const learningRate = (epoch: number) => (epoch < 3 ? 1e-4 : 1e9);
  const held = numbers(10, 1e30);
  const losses: number[] = [];
  const training = model.fit(numbers(40, 1), {
    epochs: 6,
    batchSize: 40,
    learningRate,
    validation: held,
    earlyStopping,
    onWarning,
    onEpoch: ({ trainLoss }) => {
      losses.push(trainLoss);
    },
  });
  await expect(training).rejects.toMatchObject({
    code: 'ERR_NON_FINITE',
    message: expect.stringContaining('[fit] validation: '),
  });
  // The third epoch overflowed, and the better of the two before is back.
  expect(losses).toHaveLength(2);
  expect(model.epochs).toBe(losses[0]! <= losses[1]! ? 1 : 2);
  expect((await model.evaluate(numbers(40, 1))).loss).toBeLessThan(10);
});

test('errors that callbacks throw come out as they are, whatever they say', async () => {
  const [model, other] = [await create(), await create()];
  const bad = { ...validation, labels: validation.labels.map(() => 99) };
  let mine: unknown;
  const onEpoch = () =>
    other.evaluate(bad).catch((error) => {
      mine = error;
      throw error;
    });
  const training = model.fit(train, { ...options, onEpoch: onEpoch as never });
  const came = await training.catch((error) => error);
  expect(came).toBe(mine);
  expect(mine).toMatchObject({ message: expect.stringContaining('[evaluate] ') });
  const own = new SetNativeError('ERR_NON_FINITE', '[train] mine');
  const onProgress = () => {
    throw own;
  };
  await expect(model.fit(train, { ...options, onProgress }).catch((error) => error)).resolves.toBe(own);
  expect((await model.evaluate(validation)).loss).toBeGreaterThan(0);
});

test('the rule, over many sequences of figures', () => {
  let state = 1;
  const uniform = () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
  for (let round = 0; round < 500; round++) {
    const monitor = monitors[round % 3]!;
    const [patience, minDelta] = [Math.floor(uniform() * 5), [0, 0.125, 0.25][Math.floor(uniform() * 3)]!];
    // Eighths, so that figures are often the same, or differ by minDelta itself.
    const history = Array.from(
      { length: 12 },
      () => ({ [monitor]: Math.floor(uniform() * 8) / 8 }) as unknown as Figures,
    );
    const stopping = new Stopping({ monitor, patience, minDelta, restoreBest: false });
    let last = 0;
    for (const figures of history) {
      last += 1;
      const epoch = last;
      const { isBest, ends } = stopping.judge({ ...figures, epoch, trainLoss: figures.trainLoss ?? 0 });
      expect(isBest).toBe(stopping.bestEpoch === epoch);
      if (ends) break;
    }
    expect({ best: stopping.bestEpoch, last }).toEqual(expectation(history, monitor, patience, minDelta));
  }
});

// biome-ignore lint/suspicious/noExplicitAny: what JavaScript lets through
type Wrong = any;

test.each<[string, Wrong, string, string]>([
  [
    'true',
    true,
    'ERR_INVALID_ARGUMENT',
    'earlyStopping must be an object of monitor, patience, minDelta, restoreBest',
  ],
  ['null', null, 'ERR_INVALID_ARGUMENT', 'earlyStopping must be an object of monitor'],
  ['false', false, 'ERR_INVALID_ARGUMENT', 'earlyStopping must be an object of monitor'],
  ['a number', 0, 'ERR_INVALID_ARGUMENT', 'earlyStopping must be an object of monitor'],
  [
    'a monitor of Keras',
    { monitor: 'val_loss' },
    'ERR_INVALID_ARGUMENT',
    'one of validationLoss, validationAccuracy',
  ],
  ['a key of Keras', { min_delta: 1 }, 'ERR_INVALID_ARGUMENT', 'did you mean minDelta'],
  ['a patience below 0', { patience: -1 }, 'ERR_OUT_OF_RANGE', 'whole number from 0'],
  ['half a patience', { patience: 0.5 }, 'ERR_OUT_OF_RANGE', 'whole number from 0'],
  ['a patience as text', { patience: '2' }, 'ERR_INVALID_ARGUMENT', 'got "2"'],
  ['a minDelta below 0', { minDelta: -1e-9 }, 'ERR_OUT_OF_RANGE', 'minDelta must be a number of at least 0'],
  ['a minDelta that is no number', { minDelta: Number.NaN }, 'ERR_OUT_OF_RANGE', 'got NaN'],
  ['a minDelta without end', { minDelta: Infinity }, 'ERR_OUT_OF_RANGE', 'got Infinity'],
  ['restoreBest 1', { restoreBest: 1 }, 'ERR_INVALID_ARGUMENT', 'true or false, got 1'],
])('%s is refused before anything is trained', async (_, earlyStopping, code, text) => {
  const model = await create();
  await expect(model.fit(train, { ...options, earlyStopping })).rejects.toMatchObject({
    name: 'SetNativeError',
    code,
    message: expect.stringContaining(text),
  });
  expect(model.epochs).toBe(0);
});

test.each([{}, { monitor: 'validationLoss' }, { monitor: 'validationAccuracy' }] as EarlyStopping[])(
  '%o without samples that are held out is refused',
  async (earlyStopping) => {
    const { validation: _, ...rest } = options;
    const model = await create();
    await expect(model.fit(train, { ...rest, earlyStopping })).rejects.toMatchObject({
      code: 'ERR_INVALID_ARGUMENT',
      message: expect.stringContaining('the option validation'),
      details: { option: 'validation' },
    });
    expect(model.epochs).toBe(0);
  },
);

test('trainLoss needs no samples that are held out', async () => {
  const { validation: _, ...rest } = options;
  const earlyStopping: EarlyStopping = { monitor: 'trainLoss', minDelta: 10 };
  const { epochs, bestEpoch } = await (await create()).fit(train, { ...rest, earlyStopping });
  expect([epochs.length, bestEpoch]).toEqual([2, 1]);
});

test('an accuracy of targets is refused: there is none', () => {
  expect(() => checkEarlyStopping('fit', { monitor: 'validationAccuracy' }, 'targets')).toThrow(
    /must be validationLoss or trainLoss: there is no accuracy of targets/,
  );
});
