import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type FitOptions, type ModelOptions, type Progress, SparseMLP } from '../../../src/index.js';
import { blobs } from './blobs.js';

/*
 * What a caller sees of a training while it runs, how it ends one, and the file that keeps what was trained.
 */

const train = blobs(120);
const onWarning = () => {};
const options: FitOptions = { epochs: 4, batchSize: 16, onWarning };

const models: SparseMLP[] = [];
const kept = (model: SparseMLP) => {
  models.push(model);
  return model;
};
async function create(given: Partial<ModelOptions> = {}): Promise<SparseMLP> {
  return kept(
    await SparseMLP.create({ layers: [20, 30, 4], epsilon: 4, threads: 1, backend: 'cpu', ...given }),
  );
}
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'progress-'));
});
afterEach(() => {
  for (const model of models.splice(0)) model.dispose();
  rmSync(folder, { recursive: true, force: true });
});
const bytesOf = async (model: SparseMLP) => Buffer.from(await model.toBuffer());
const failing = (code: string, text = '') =>
  expect.objectContaining({ name: 'SetNativeError', code, message: expect.stringContaining(text) });

describe('onProgress', () => {
  const kinds: [string, ModelOptions, FitOptions, number][] = [
    ['epochs of a moment', { layers: [20, 30, 4] }, options, 120],
    [
      'evolution between steps',
      { layers: [20, 60, 60, 4] },
      { ...options, evolution: { every: { steps: 2 } } },
      120,
    ],
    [
      'a last batch that is small',
      { layers: [20, 30, 4] },
      { ...options, batchSize: 100, evolution: { every: { steps: 1 } } },
      130,
    ],
    ['epochs of a while', { layers: [20, 600, 600, 4] }, { ...options, epochs: 2 }, 6000],
  ];
  test.each(kinds)(
    '%s: grows from epoch to epoch, and ends at all samples',
    async (_, model, given, count) => {
      const seen: Progress[] = [];
      const done: number[] = [];
      await (await create(model)).fit(blobs(count), {
        ...given,
        onProgress: (progress) => seen.push({ ...progress }),
        onEpoch: ({ epoch }) => {
          expect(seen.at(-1)).toMatchObject({ epoch, samples: count });
          done.push(epoch);
        },
      });
      expect(done).toHaveLength(given.epochs!);
      for (const [i, { epoch, epochs, samples, of, samplesPerSecond }] of seen.entries()) {
        expect([epochs, of]).toEqual([given.epochs, count]);
        expect(samples >= 0 && samples <= count).toBe(true);
        expect(Number.isFinite(samplesPerSecond) && samplesPerSecond >= 0).toBe(true);
        const before = seen[i - 1];
        if (before?.epoch === epoch) expect(samples).toBeGreaterThanOrEqual(before.samples);
        else expect(epoch).toBe((before?.epoch ?? 0) + 1);
      }
      expect(seen.at(-1)!.epoch).toBe(given.epochs);
    },
  );

  test('samples per second are those since the epoch began, over its evolutions', async () => {
    const times: number[] = [];
    const onProgress = ({ samples, samplesPerSecond }: Progress) => times.push(samples / samplesPerSecond);
    await (await create()).fit(train, {
      onWarning,
      batchSize: 4,
      evolution: { every: { steps: 1 } },
      onProgress,
    });
    expect(times.length).toBeGreaterThanOrEqual(30);
    for (const [i, time] of times.entries()) if (i > 0) expect(time).toBeGreaterThan(times[i - 1]!);
  });

  test('a long epoch tells some times how far it has come', async () => {
    const model = await create({ layers: [20, 600, 600, 4] });
    const samples: number[] = [];
    const start = performance.now();
    await model.fit(blobs(30_000), { onWarning, onProgress: (progress) => samples.push(progress.samples) });
    const seconds = (performance.now() - start) / 1000;
    expect(samples.at(-1)).toBe(30_000);
    // Some times a second: at least once in one that is not the last, at most 50 times.
    expect(samples.length).toBeGreaterThanOrEqual(Math.max(1, Math.floor(seconds - 1)));
    expect(samples.length).toBeLessThanOrEqual(2 + 50 * seconds);
  });

  test('epochs count over the life of the model', async () => {
    const model = await create();
    await model.fit(train, options);
    const seen: Progress[] = [];
    await model.fit(train, { ...options, epochs: 2, onProgress: (progress) => seen.push(progress) });
    expect(new Set(seen.map(({ epoch, epochs }) => `${epoch} of ${epochs}`))).toEqual(
      new Set(['5 of 6', '6 of 6']),
    );
  });

  test('it changes no bit', async () => {
    const [model, other] = [await create(), await create()];
    await model.fit(train, { ...options, onProgress() {} });
    await other.fit(train, options);
    expect((await bytesOf(model)).equals(await bytesOf(other))).toBe(true);
  });

  test('an error thrown in it rejects fit, and leaves the model usable', async () => {
    const model = await create({ layers: [20, 600, 600, 4] });
    const failure = new Error('no more');
    const onProgress = () => {
      throw failure;
    };
    await expect(model.fit(blobs(20_000), { ...options, batchSize: 4, onProgress })).rejects.toBe(failure);
    expect(model.epochs).toBe(0);
    await model.evaluate(train);
    await model.save(path.join(folder, 'saved'));
    expect((await model.fit(train, options)).epochs.map(({ epoch }) => epoch)).toEqual([1, 2, 3, 4]);
  });

  test('an error in a loop of train, too', async () => {
    const model = await create();
    const onProgress = ({ epoch }: Progress) => {
      if (epoch === 2) throw new Error('no more');
    };
    const seen: number[] = [];
    const loop = async () => {
      for await (const { epoch } of model.train(train, { ...options, onProgress })) seen.push(epoch);
    };
    await expect(loop()).rejects.toThrow('no more');
    expect(seen).toEqual([1]);
    await model.fit(train, options);
  });

  test('its promise is not awaited', async () => {
    const never = () => new Promise<void>(() => {}) as unknown as undefined;
    expect((await (await create()).fit(train, { ...options, onProgress: never })).epochs).toHaveLength(4);
  });

  test.each([null, 1, 'log', {}])('%o in its place is refused', async (wrong) => {
    const onProgress = wrong as unknown as () => void;
    await expect((await create()).fit(train, { ...options, onProgress })).rejects.toEqual(
      failing('ERR_INVALID_ARGUMENT', '[fit] onProgress must be a function'),
    );
  });
});

describe('onEpoch', () => {
  const ends: [string, () => unknown][] = [
    ['false', () => false],
    ['a promise of false', () => sleep(5, false)],
    ['an async function', async () => false],
  ];
  test.each(ends)('%s ends the training, and resolves', async (_, answer) => {
    const model = await create();
    const history = await model.fit(train, {
      ...options,
      onEpoch: ({ epoch }) => (epoch === 2 ? answer() : true),
    });
    expect(history.epochs.map(({ epoch }) => epoch)).toEqual([1, 2]);
    expect(model.epochs).toBe(2);
  });

  test.each([undefined, null, 0, '', Number.NaN])('%o does not: only false ends', async (answer) => {
    expect((await (await create()).fit(train, { ...options, onEpoch: () => answer })).epochs).toHaveLength(4);
  });

  test('false in the last epoch changes nothing', async () => {
    const [model, other] = [await create(), await create()];
    await model.fit(train, { ...options, onEpoch: ({ epoch }) => epoch < 4 });
    await other.fit(train, options);
    expect((await bytesOf(model)).equals(await bytesOf(other))).toBe(true);
  });

  test.each([
    [
      'thrown',
      () => {
        throw new Error('mine');
      },
    ],
    [
      'rejected',
      async () => {
        throw new Error('mine');
      },
    ],
  ])('an error that is %s rejects fit with it, and the model goes on', async (_, onEpoch) => {
    const model = await create();
    await expect(model.fit(train, { ...options, onEpoch })).rejects.toThrow('mine');
    expect(model.epochs).toBe(1);
    const other = await create();
    await model.fit(train, { ...options, epochs: undefined as never, until: 4 });
    await other.fit(train, options);
    expect((await bytesOf(model)).equals(await bytesOf(other))).toBe(true);
  });
});

describe('checkpoint', () => {
  test('after every epoch, and when the training is done, it holds the model', async () => {
    const file = path.join(folder, 'model.safetensors');
    const model = await create();
    const held: number[] = [];
    const onEpoch = async ({ epoch }: { epoch: number }) => {
      if (epoch > 1) held.push(kept(await SparseMLP.load(file)).epochs);
    };
    await model.fit(train, { ...options, checkpoint: { file }, onEpoch });
    expect(held).toEqual([1, 2, 3]);
    expect(readFileSync(file).equals(await bytesOf(model))).toBe(true);
    expect(readdirSync(folder)).toEqual(['model.safetensors']);
  });

  test('it changes no bit of the training', async () => {
    const [model, other] = [await create(), await create()];
    await model.fit(train, { ...options, checkpoint: { file: path.join(folder, 'a') } });
    await other.fit(train, options);
    expect((await bytesOf(model)).equals(await bytesOf(other))).toBe(true);
  });

  test.each([3600, Infinity])('everySeconds %d: only when the training is done', async (everySeconds) => {
    const file = path.join(folder, 'model');
    const model = await create();
    const there: boolean[] = [];
    const onEpoch = () => {
      there.push(existsSync(file));
    };
    await model.fit(train, { ...options, checkpoint: { file, everySeconds }, onEpoch });
    expect(there).toEqual([false, false, false, false]);
    expect(kept(await SparseMLP.load(file)).epochs).toBe(4);
  });

  test('everySeconds is the least time between two', async () => {
    const file = path.join(folder, 'model');
    const held: number[] = [];
    const onEpoch = async ({ epoch }: { epoch: number }) => {
      held.push(existsSync(file) ? kept(await SparseMLP.load(file)).epochs : 0);
      if (epoch === 3 || epoch === 4) await sleep(450);
    };
    await (await create()).fit(train, {
      ...options,
      epochs: 6,
      checkpoint: { file, everySeconds: 0.4 },
      onEpoch,
    });
    expect(held.slice(3)).toEqual([3, 4, 4]);
    expect(kept(await SparseMLP.load(file)).epochs).toBe(6);
  });

  test('false from onEpoch, early stopping and a loop that is left write it, too', async () => {
    const ways: ((model: SparseMLP, given: FitOptions) => Promise<unknown>)[] = [
      (model, given) => model.fit(train, { ...given, onEpoch: ({ epoch }) => epoch !== 2 }),
      (model, given) =>
        model.fit(train, {
          ...given,
          earlyStopping: { monitor: 'trainLoss', minDelta: 1e9, restoreBest: true },
        }),
      async (model, given) => {
        for await (const { epoch } of model.train(train, given)) if (epoch === 2) break;
      },
    ];
    for (const [i, way] of ways.entries()) {
      const file = path.join(folder, `way ${i}`);
      const model = await create();
      await way(model, { ...options, checkpoint: { file, everySeconds: 3600 } });
      expect(model.epochs).toBe(i === 1 ? 1 : 2);
      expect(readFileSync(file).equals(await bytesOf(model))).toBe(true);
    }
  });

  test('until that is reached: the file is there nevertheless', async () => {
    const file = path.join(folder, 'model');
    const model = await create();
    await model.fit(train, options);
    await model.fit(train, { until: 4, checkpoint: { file } });
    expect(readFileSync(file).equals(await bytesOf(model))).toBe(true);
  });

  test('a file is replaced in one piece: who holds the old one keeps all of it', async () => {
    const file = path.join(folder, 'model');
    writeFileSync(file, 'old');
    chmodSync(file, 0o640);
    const held = openSync(file, 'r');
    try {
      await (await create()).fit(train, { ...options, checkpoint: { file } });
      expect(readFileSync(held, 'utf8')).toBe('old');
    } finally {
      closeSync(held);
    }
    expect(statSync(file).mode & 0o777).toBe(0o640);
    kept(await SparseMLP.load(file));
    expect(readdirSync(folder)).toEqual(['model']); // nothing else is left
  });

  test('a reader at any moment finds a whole model', async () => {
    const file = path.join(folder, 'model');
    const model = await create();
    let done = false;
    let reads = 0;
    const reader = async () => {
      while (!done) {
        if (existsSync(file)) {
          (await SparseMLP.load(file)).dispose();
          reads += 1;
        }
        await sleep(1);
      }
    };
    const reading = reader();
    await model.fit(train, { ...options, epochs: 30, checkpoint: { file } });
    done = true;
    await reading;
    expect(reads).toBeGreaterThan(0);
  });

  test('a symbolic link stays', async () => {
    const [file, target] = [path.join(folder, 'link'), path.join(folder, 'target')];
    symlinkSync('target', file);
    await (await create()).fit(train, { ...options, checkpoint: { file } });
    expect(kept(await SparseMLP.load(target)).epochs).toBe(4);
  });

  const places: [string, (file: string) => string][] = [
    ['a folder that is not there', (file) => path.join(file, 'no', 'model')],
    [
      'a folder in its place',
      (file) => {
        mkdirSync(file);
        return file;
      },
    ],
    [
      'a file in place of a folder',
      (file) => {
        writeFileSync(file, '');
        return path.join(file, 'model');
      },
    ],
  ];
  test.each(places)(
    '%s: ERR_IO that names it; the epochs that are done are in the model',
    async (_, place) => {
      const file = place(path.join(folder, 'x'));
      const [model, other] = [await create(), await create()];
      await expect(model.fit(train, { ...options, checkpoint: { file } })).rejects.toEqual(
        failing('ERR_IO', file),
      );
      await model.fit(train, { ...options, epochs: undefined as never, until: 4 });
      await other.fit(train, options);
      expect((await bytesOf(model)).equals(await bytesOf(other))).toBe(true);
      await expect(model.train(train, { ...options, checkpoint: { file } }).next()).rejects.toEqual(
        failing('ERR_IO'),
      );
      await model.fit(train, { ...options, epochs: 1 });
    },
  );

  test.skipIf(!existsSync('/dev/full'))(
    'a disk that is full (/dev/full): ERR_IO, and the model goes on',
    async () => {
      const model = await create();
      await expect(model.fit(train, { ...options, checkpoint: { file: '/dev/full' } })).rejects.toEqual(
        failing('ERR_IO', '/dev/full'),
      );
      await model.evaluate(train);
    },
  );

  // biome-ignore lint/suspicious/noExplicitAny: what JavaScript lets through
  const wrong: [any, string, string][] = [
    ['model', 'ERR_INVALID_ARGUMENT', 'checkpoint must be an object of file, everySeconds'],
    [null, 'ERR_INVALID_ARGUMENT', 'checkpoint must be an object of file, everySeconds'],
    [{}, 'ERR_INVALID_ARGUMENT', 'checkpoint.file must be the name of a file'],
    [{ file: '' }, 'ERR_INVALID_ARGUMENT', 'checkpoint.file must be the name of a file'],
    [{ file: 3 }, 'ERR_INVALID_ARGUMENT', 'checkpoint.file must be the name of a file'],
    [
      { file: 'a', everySeconds: -1 },
      'ERR_OUT_OF_RANGE',
      'checkpoint.everySeconds must be a number of seconds',
    ],
    [{ file: 'a', everySeconds: Number.NaN }, 'ERR_OUT_OF_RANGE', 'got NaN'],
    [{ file: 'a', everySeconds: '1' }, 'ERR_INVALID_ARGUMENT', 'got "1"'],
    [{ file: 'a', everySecond: 1 }, 'ERR_INVALID_ARGUMENT', 'did you mean everySeconds'],
  ];
  test.each(wrong)('%o is refused before anything is trained', async (checkpoint, code, text) => {
    const model = await create();
    await expect(model.fit(train, { ...options, checkpoint })).rejects.toEqual(failing(code, text));
    expect(model.epochs).toBe(0);
  });
});

test('samples that are held out and overflow: ERR_NON_FINITE, and the model is as sound as before', async () => {
  const model = await create();
  const far = { ...train, x: train.x.map(() => 3e38) };
  await expect(model.fit(train, { ...options, validation: far })).rejects.toEqual(failing('ERR_NON_FINITE'));
  await model.evaluate(train);
  await model.save(path.join(folder, 'model'));
  kept(await model.replicate());
  await model.fit(train, { ...options, checkpoint: { file: path.join(folder, 'other') } });
});

test('a training that diverged cannot be kept: no checkpoint of it replaces the last good one', async () => {
  const file = path.join(folder, 'model');
  const model = await create();
  const learningRate = (epoch: number) => (epoch < 3 ? 0.01 : 1e30);
  const training = model.fit(train, { ...options, learningRate, checkpoint: { file } });
  await expect(training).rejects.toEqual(failing('ERR_NON_FINITE'));
  expect(kept(await SparseMLP.load(file)).epochs).toBe(2);
  for (const keep of [() => model.save(file), () => model.toBuffer(), () => model.replicate()])
    await expect(keep()).rejects.toEqual(failing('ERR_NON_FINITE'));
});

test('a timer of onProgress does not outlive its training', () => {
  const code = `
    import { SparseMLP } from ${JSON.stringify(new URL('../../../dist/index.js', import.meta.url).href)};
    const model = await SparseMLP.create({ layers: [4, 8, 3], threads: 1 });
    const x = Float32Array.from({ length: 48 }, (_, i) => Math.sin(i));
    const labels = Uint32Array.from({ length: 12 }, (_, i) => i % 3);
    const fit = model.fit({ x, labels, features: 4, count: 12 }, { onWarning() {}, onProgress() { throw 1; } });
    console.log(await fit.catch((error) => error));
  `;
  const printed = execFileSync(process.execPath, ['--input-type=module', '-e', code], { timeout: 20_000 });
  expect(printed.toString()).toBe('1\n');
});

test('a checkpoint that cannot be written is refused before the first epoch', async () => {
  const model = await create();
  const file = path.join(folder, 'nowhere', 'model.safetensors');
  const onEpoch = () => expect.unreachable();
  await expect(model.fit(train, { checkpoint: { file }, onEpoch })).rejects.toMatchObject({
    code: 'ERR_IO',
    message: expect.stringContaining('[fit] '),
  });
  expect(model.epochs).toBe(0);
});

test.each(['dispose', 'close'] as const)('%s in the loop of train ends it with its history', async (end) => {
  const model = await create();
  const epochs: number[] = [];
  const loop = async () => {
    for await (const { epoch } of model.train(train, { epochs: 5 })) {
      epochs.push(epoch);
      if (epoch === 2) await model[end]();
    }
  };
  await expect(loop()).rejects.toMatchObject({
    code: 'ERR_ABORTED',
    details: { history: { epochs: [{ epoch: 1 }, { epoch: 2 }] } },
  });
  expect(epochs).toEqual([1, 2]);
});
