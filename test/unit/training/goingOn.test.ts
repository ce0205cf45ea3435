import { afterEach, expect, test } from 'vitest';
import {
  type EpochReport,
  type FitOptions,
  type MethodName,
  type ModelOptions,
  SparseMLP,
  type TopologyName,
} from '../../../src/index.js';
import type { NativeModel, NativeSamples } from '../../../src/native.js';
import { trainingPlan } from '../../../src/training/options.js';
import { TrainingRun } from '../../../src/training/run.js';
import type { BackendChoice, GrowName } from '../../../src/vocabulary.js';
import { sgd } from '../../support/models.js';
import { blobs } from './blobs.js';

/*
 * However training is cut into calls of fit, it is the same training: same weights, momentum, births and
 * losses, bit for bit.
 */

const train = blobs(120);
const validation = blobs(40, { seed: 2 });

const models: SparseMLP[] = [];
async function create(options: Partial<ModelOptions> = {}): Promise<SparseMLP> {
  const model = await SparseMLP.create({ layers: [20, 30, 30, 4], epsilon: 4, threads: 1, ...options });
  models.push(model);
  return model;
}
afterEach(() => {
  for (const model of models.splice(0)) model.dispose();
});

/** What must not depend on the calls. */
function outcome(reports: EpochReport[]) {
  const sum = (key: 'pruned' | 'grown') => reports.reduce((total, report) => total + report[key], 0);
  const losses = reports.map(({ epoch, trainLoss, validationLoss }) => [epoch, trainLoss, validationLoss]);
  return { pruned: sum('pruned'), grown: sum('grown'), losses };
}

async function trainIn(calls: number[], model: SparseMLP, options: FitOptions) {
  const reports: EpochReport[] = [];
  for (const epochs of calls) reports.push(...(await model.fit(train, { ...options, epochs })).epochs);
  return { reports, ...outcome(reports), layers: await model.download() };
}

const splits = [
  [1, 1, 1, 1, 1],
  [3, 2],
  [1, 4],
  [2, 1, 2],
];
const kinds: [MethodName, TopologyName, BackendChoice, GrowName?][] = [
  ['set', 'erdos-renyi', 'cpu'],
  ['set', 'erdos-renyi', 'cpu', 'walk'],
  ['set', 'erdos-renyi', 'cpu', 'gradient'],
  ['set-motif', 'motif', 'cpu', 'walk'],
  ['set-motif', 'motif', 'cpu', 'gradient'],
  ['set-motif', 'motif', 'reference', 'gradient'],
  ['set-motif', 'motif', 'cpu'],
  ['set-motif', 'erdos-renyi', 'cpu'],
  ['set', 'motif', 'reference'],
  ['set-motif', 'motif', 'reference'],
  ['static', 'erdos-renyi', 'cpu'],
];

test.each(kinds)(
  '%s on %s, %s: calls of any number of epochs are one call',
  async (method, topology, backend, grow = 'random') => {
    const options = { validation, evolution: { method, grow, evolveOutput: true } };
    const model = () => create({ topology, backend, activation: 'srelu' });
    const whole = await trainIn([5], await model(), options);
    expect(whole.grown > 0).toBe(method !== 'static');
    for (const split of splits) {
      const { reports, ...parts } = await trainIn(split, await model(), options);
      expect(parts).toEqual({ ...outcome(whole.reports), layers: whole.layers });
      for (const { pruned, evolveMs } of reports) expect(evolveMs > 0).toBe(pruned > 0);
    }
  },
);

test('a network that is looked at between two calls is that of the last report', async () => {
  const model = await create();
  for (let call = 0; call < 3; call++) {
    const [report] = (await model.fit(train, { validation })).epochs;
    const { loss, accuracy } = await model.evaluate(validation);
    expect(report).toMatchObject({ validationLoss: loss, validationAccuracy: accuracy });
    const links = (await model.layers()).reduce((sum, { nnz }) => sum + nnz, 0);
    expect(report!.nnz).toBe(links);
    expect(report!.grown > 0).toBe(call > 0);
  }
});

test('learning rates follow the epochs of the life of the model', async () => {
  const asked: number[] = [];
  const learningRate = (epoch: number) => {
    asked.push(epoch);
    return 0.1 / epoch;
  };
  const whole = await trainIn([5], await create(), { learningRate });
  asked.length = 0;
  expect((await trainIn([2, 3], await create(), { learningRate })).layers).toEqual(whole.layers);
  expect(asked).toEqual([1, 2, 3, 4, 5]);
});

test('a static call leaves the links alone, and what was due before it lapses', async () => {
  const model = await create();
  await model.fit(train, { epochs: 2 });
  const links = async () =>
    (await model.download()).map(({ colIndices, birth }) => [...colIndices, ...birth]);
  const before = await links();
  const still = await model.fit(train, { epochs: 2, evolution: { method: 'static' } });
  expect(still.epochs.map(({ grown }) => grown)).toEqual([0, 0]);
  expect(await links()).toEqual(before);
  const { epochs } = await model.fit(train, { epochs: 2 });
  expect(epochs.map(({ grown }) => grown > 0)).toEqual([true, false]);
  const births = epochs[1]!.linksByBirth;
  expect(births.map((count) => count > 0)).toEqual([true, true, false, false, false, true]);
});

test('a call evolves by its own options what an earlier one left over', async () => {
  const options = (zeta: number): FitOptions => ({ evolution: { method: 'set', zeta } });
  const model = await create();
  await model.fit(train, options(0.1));
  const [second] = (await model.fit(train, options(0.5))).epochs;
  expect(second!.pruned / second!.nnz).toBeGreaterThan(0.3);
});

/** A signal that has fired when it is asked for the nth time. */
function firesAt(n: number): AbortSignal {
  let asked = 0;
  const { signal } = new AbortController();
  return Object.defineProperty(signal, 'aborted', { get: () => ++asked >= n });
}

test('an abort between any two steps, and going on, are one training', async () => {
  const whole = await trainIn([4], await create(), { validation });
  const stops = new Map<number, number>();
  for (let n = 1; ; n++) {
    const model = await create();
    await model.fit(train, { epochs: 1, validation });
    const stopped = await model
      .fit(train, { epochs: 3, validation, signal: firesAt(n) })
      .catch((error) => error);
    if (!(stopped instanceof Error)) break;
    expect(stopped).toMatchObject({ code: 'ERR_ABORTED' });
    stops.set(model.epochs, (stops.get(model.epochs) ?? 0) + 1);
    if (model.epochs < 4) await model.fit(train, { epochs: 4 - model.epochs, validation });
    expect(await model.download()).toEqual(whole.layers);
    model.dispose();
  }
  expect([...stops.keys()]).toEqual([1, 2, 3, 4]);
  expect(Math.min(...stops.values())).toBeGreaterThanOrEqual(2);
});

test('an epoch that is stopped half way does not count, and its network does not evolve again', async () => {
  const model = await create({ layers: [20, 400, 400, 4] });
  await model.fit(train, { epochs: 1 });
  const controller = new AbortController();
  const long = blobs(40_000);
  const training = model.fit(long, { batchSize: 1, signal: controller.signal });
  setTimeout(() => controller.abort(), 30);
  await expect(training).rejects.toMatchObject({ code: 'ERR_ABORTED' });
  expect(model.epochs).toBe(1);
  const births = async () => (await model.layers()).map(({ linksByBirth }) => linksByBirth);
  const evolved = await births();
  expect(evolved[0]!.length).toBe(2); // the evolution that was due came before the epoch
  const [report] = (await model.fit(train)).epochs;
  expect(report).toMatchObject({ epoch: 2, pruned: 0, grown: 0 });
  expect(await births()).toEqual(evolved);
});

test.each([
  ['ERR_NON_FINITE', 'is refused stays due', 1],
  ['ERR_OUT_OF_MEMORY', 'fails half way is not repeated', undefined],
])('an evolution that ends with %s: what %s', async (code, _, due) => {
  const calls: string[] = [];
  const fake = {
    trainEpoch: async () => calls.push('train'),
    evolve: async (_policy: unknown, epoch: number) => {
      calls.push(`evolve ${epoch}`);
      throw Object.assign(new Error('[evolve] no'), { code });
    },
  } as unknown as NativeModel;
  const samples = { train: {} as NativeSamples };
  const past = { epochsBefore: 1, evolutionDue: 1 };
  const run = new TrainingRun(fake, trainingPlan('fit', {}, sgd(2)), samples, past);
  await expect(run.next()).rejects.toMatchObject({ name: 'SetNativeError', code });
  expect(calls).toEqual(['evolve 1']);
  expect(run).toMatchObject({ trained: 1, evolutionDue: due });
});
