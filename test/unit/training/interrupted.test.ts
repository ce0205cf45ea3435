import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type FitOptions, type ModelOptions, SparseMLP } from '../../../src/index.js';
import { blobs } from './blobs.js';

/*
 * A run of six epochs with a schedule over all of them: stopped after any epoch, in any way, and gone on with
 * `until`, it ends in the bytes of one that was never stopped.
 */

const train = blobs(120);
const validation = blobs(40, { seed: 2 });
const folder = mkdtempSync(path.join(os.tmpdir(), 'interrupted-'));
afterAll(() => rmSync(folder, { recursive: true }));

const models: SparseMLP[] = [];
const kept = (model: SparseMLP) => {
  models.push(model);
  return model;
};
afterEach(() => {
  for (const model of models.splice(0)) model.dispose();
});

interface Kind {
  model: ModelOptions;
  fit: FitOptions;
}
const base = { layers: [20, 30, 24, 4], epsilon: 4, backend: 'cpu', seed: 3 } as const;
const cosine = { schedule: 'cosine', warmup: 1, end: 0.001 } as const;
const onWarning = () => {}; // the small output layer is dense
const whole = { until: 6, batchSize: 16, validation, learningRate: cosine, onWarning } as const;
const kinds: [string, Kind][] = [
  ['sgd, set', { model: base, fit: whole }],
  ['sgd, static', { model: base, fit: { ...whole, evolution: { method: 'static' } } }],
  [
    'sgd, set-motif',
    {
      model: { ...base, topology: 'motif', motifSize: 4 },
      fit: { ...whole, evolution: { method: 'set-motif' } },
    },
  ],
  ['adamw, set', { model: { ...base, optimizer: 'adamw', activation: 'srelu' }, fit: whole }],
  [
    'adamw, static',
    { model: { ...base, optimizer: 'adamw' }, fit: { ...whole, evolution: { method: 'static' } } },
  ],
  [
    'adamw, set-motif',
    {
      model: { ...base, optimizer: 'adamw', motifSize: 2 },
      fit: { ...whole, evolution: { method: 'set-motif', evolveOutput: true } },
    },
  ],
  [
    'sgd, evolution every 5 steps, zeta that falls, until 0.8',
    {
      model: base,
      fit: { ...whole, evolution: { every: { steps: 5 }, zeta: (p) => 0.3 * (1 - p), until: 0.8 } },
    },
  ],
  [
    'adamw, evolution every 8 steps, as many as an epoch has',
    { model: { ...base, optimizer: 'adamw' }, fit: { ...whole, evolution: { every: { steps: 8 } } } },
  ],
  [
    'step with warm-up in steps, evolution every other epoch',
    {
      model: base,
      fit: {
        ...whole,
        learningRate: { schedule: 'step', every: 2, factor: 0.5, warmup: { steps: 11 } },
        evolution: { every: 2 },
      },
    },
  ],
];

/** Ways to stop a training after epoch `at`; each gives the model that goes on. */
const stops: [string, (model: SparseMLP, fit: FitOptions, at: number) => Promise<SparseMLP>][] = [
  [
    'an abort in onEpoch',
    async (model, fit, at) => {
      const controller = new AbortController();
      const onEpoch = ({ epoch }: { epoch: number }) => {
        if (epoch === at) controller.abort();
      };
      const training = model.fit(train, { ...fit, onEpoch, signal: controller.signal });
      await expect(training).rejects.toMatchObject({
        code: 'ERR_ABORTED',
        details: { history: { epochs: { length: at } } },
      });
      return model;
    },
  ],
  [
    'false from onEpoch',
    async (model, fit, at) => {
      const { epochs } = await model.fit(train, { ...fit, onEpoch: ({ epoch }) => epoch !== at });
      expect(epochs).toHaveLength(at);
      return model;
    },
  ],
  [
    'a loop that is left',
    async (model, fit, at) => {
      for await (const { epoch } of model.train(train, fit)) if (epoch === at) break;
      return model;
    },
  ],
  [
    'its bytes, taken in onEpoch',
    async (model, fit, at) => {
      let bytes: Uint8Array | undefined;
      const onEpoch = async ({ epoch }: { epoch: number }) => {
        if (epoch === at) bytes = await model.toBuffer();
      };
      await model.fit(train, { ...fit, onEpoch });
      return kept(await SparseMLP.load(bytes!, { backend: 'cpu' }));
    },
  ],
  [
    'an error in onEpoch, and its checkpoint',
    async (model, fit, at) => {
      const file = path.join(folder, 'thrown.safetensors');
      const onEpoch = ({ epoch }: { epoch: number }) => {
        if (epoch === at + 1) throw new Error('the power fails');
      };
      const training = model.fit(train, { ...fit, onEpoch, checkpoint: { file } });
      await expect(training).rejects.toThrow('the power fails');
      return kept(await SparseMLP.load(file, { backend: 'cpu' }));
    },
  ],
];

const bytesOf = async (model: SparseMLP) => Buffer.from(await model.toBuffer());
const same = (a: Buffer, b: Buffer) => a.equals(b);

describe.each(kinds)('%s', (name, kind) => {
  const create = async (options = {}) => kept(await SparseMLP.create({ ...kind.model, ...options }));
  let expected: Buffer;
  beforeAll(async () => {
    const model = await SparseMLP.create({ ...kind.model, threads: 1 });
    const { epochs } = await model.fit(train, kind.fit);
    expect(epochs).toHaveLength(6);
    expected = await bytesOf(model);
    model.dispose();
  });

  // Every kind is stopped in each way and after each epoch; which goes with which turns from kind to kind.
  const turn = kinds.findIndex(([other]) => other === name);
  const pairs = stops.map(([way, stop], i) => ({ at: 1 + ((i + turn) % 5), way, stop }));
  test.each(pairs)('after epoch $at: $way, and going on', async ({ at, stop }) => {
    const model = await stop(await create({ threads: 2 }), kind.fit, at);
    expect(model.epochs).toBe(at);
    const { epochs } = await model.fit(train, kind.fit);
    expect(epochs.map(({ epoch }) => epoch)).toEqual([1, 2, 3, 4, 5, 6].slice(at));
    expect(same(await bytesOf(model), expected)).toBe(true);
  });

  test('after every epoch, with another number of threads each time', async () => {
    let model = await create({ threads: 1 });
    for (let threads = 1; model.epochs < 6; threads++) {
      await model.fit(train, { ...kind.fit, onEpoch: () => false });
      model = kept(
        await SparseMLP.load(await model.toBuffer(), { backend: 'cpu', threads: 1 + (threads % 3) }),
      );
    }
    expect(same(await bytesOf(model), expected)).toBe(true);
  });
});

test('a signal that has fired before trains nothing, and the run goes on', async () => {
  const [model, other] = [kept(await SparseMLP.create(base)), kept(await SparseMLP.create(base))];
  await model.fit(train, { ...whole, onEpoch: ({ epoch }) => epoch !== 3 });
  const before = await bytesOf(model);
  await expect(model.fit(train, { ...whole, signal: AbortSignal.abort() })).rejects.toMatchObject({
    code: 'ERR_ABORTED',
  });
  expect(same(await bytesOf(model), before)).toBe(true);
  await model.fit(train, whole);
  await other.fit(train, whole);
  expect(same(await bytesOf(model), await bytesOf(other))).toBe(true);
});

test('with `epochs` in place of `until` each call is a run of its own, so the schedule differs', async () => {
  const [model, other] = [await SparseMLP.create(base), await SparseMLP.create(base)];
  models.push(model, other);
  const options = { batchSize: 16, learningRate: cosine };
  await model.fit(train, { ...options, epochs: 6 });
  await other.fit(train, { ...options, epochs: 3 });
  await other.fit(train, { ...options, epochs: 3 });
  expect(other.epochs).toBe(6);
  expect(same(await bytesOf(model), await bytesOf(other))).toBe(false);
});

test('until that is reached leaves nothing to do', async () => {
  const model = kept(await SparseMLP.create(base));
  await model.fit(train, { until: 2 });
  const before = await bytesOf(model);
  for (const until of [1, 2])
    expect(await model.fit(train, { until })).toMatchObject({ epochs: [], warnings: [] });
  expect(model.epochs).toBe(2);
  expect(same(await bytesOf(model), before)).toBe(true);
});

test('epochs and until at once are refused', async () => {
  const model = kept(await SparseMLP.create(base));
  await expect(model.fit(train, { epochs: 2, until: 4 })).rejects.toMatchObject({
    code: 'ERR_INVALID_ARGUMENT',
  });
  for (const until of [0, -1, 1.5, Number.NaN, 65_536])
    await expect(model.fit(train, { until })).rejects.toMatchObject({ code: 'ERR_OUT_OF_RANGE' });
});

describe('a process that is killed', () => {
  const index = pathToFileURL(path.resolve(import.meta.dirname, '../../../dist/index.js')).href;
  /** Trains a model, or goes on with the one of the file; prints each epoch and waits before the next. */
  const program = (file: string, options: ModelOptions, fit: FitOptions) => `
    import { existsSync } from 'node:fs';
    import { SparseMLP } from ${JSON.stringify(index)};
    const file = ${JSON.stringify(file)};
    const samples = (list) => ({ ...list, x: Float32Array.from(list.x), labels: Uint32Array.from(list.labels) });
    const train = samples(${JSON.stringify({ ...train, x: [...train.x], labels: [...train.labels] })});
    const model = existsSync(file)
      ? await SparseMLP.load(file, { backend: 'cpu', threads: 1 })
      : await SparseMLP.create(${JSON.stringify({ ...options, threads: 1 })});
    const onEpoch = async ({ epoch }) => {
      console.log(epoch);
      await new Promise((resolve) => setTimeout(resolve, 20));
    };
    await model.fit(train, { ...${JSON.stringify(fit)}, checkpoint: { file }, onEpoch });
    model.dispose();
    console.log('done');
  `;
  const { validation: _, onWarning: __, ...rest } = whole;

  test.each([
    ['sgd', { ...base }, { ...rest, evolution: { every: { steps: 5 } } }],
    ['adamw', { ...base, optimizer: 'adamw' }, rest],
  ] as [string, ModelOptions, FitOptions][])(
    '%s: after epochs 2 and 4, and going on',
    async (name, options, fit) => {
      const model = kept(await SparseMLP.create(options));
      await model.fit(train, fit);
      const file = path.join(folder, `${name}.safetensors`);
      const code = program(file, options, fit);
      const seen: string[] = [];
      for (let round = 0; round < 12; round++) {
        const child = spawn(process.execPath, ['--input-type=module', '-e', code], {
          stdio: ['ignore', 'pipe', 'inherit'],
        });
        let printed = '';
        child.stdout.on('data', (chunk) => {
          printed += chunk;
          if (/^[24]$/m.test(printed) && round < 2) child.kill('SIGKILL');
        });
        await once(child, 'close');
        seen.push(...printed.trim().split('\n'));
        expect(existsSync(file)).toBe(true);
        if (printed.includes('done')) break;
      }
      expect(seen.at(-1)).toBe('done');
      expect(seen.filter((line) => line === '1')).toHaveLength(1);
      const loaded = kept(await SparseMLP.load(file, { backend: 'cpu' }));
      expect(loaded.epochs).toBe(6);
      expect(same(await bytesOf(loaded), await bytesOf(model))).toBe(true);
    },
  );
});
