import { getEventListeners } from 'node:events';
import { existsSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { resumeExperiment, runExperiment, selectFeatures } from '../../../src/bench.js';
import { type FitOptions, SetNativeError, SparseMLP } from '../../../src/index.js';
import { runKernelBench } from '../../../src/kernels/run.js';
import { blobs } from './blobs.js';

/*
 * A call that its signal stops rejects with ERR_ABORTED, called AbortError as on the platform, whose cause is
 * the signal's reason.
 */

const train = blobs(200);
const validation = blobs(100, { seed: 2 });
const models: SparseMLP[] = [];
async function create(layers = [20, 30, 4]): Promise<SparseMLP> {
  const model = await SparseMLP.create({ layers, threads: 1 });
  models.push(model);
  return model;
}
afterEach(() => {
  for (const model of models.splice(0)) model.dispose();
});

const caught = (call: Promise<unknown>) =>
  call.then(
    () => expect.fail('expected a rejection'),
    (error: SetNativeError) => error,
  );

function expectStopped(error: SetNativeError, reason: unknown, operation: string) {
  expect(error).toBeInstanceOf(SetNativeError);
  expect(error).toMatchObject({ name: 'AbortError', code: 'ERR_ABORTED' });
  expect(error.message).toMatch(`[${operation}] `);
  expect(error.message).toContain('stopped by the signal');
  expect(error.cause).toBe(reason);
}

test('errors are called by their kind', () => {
  expect(new SetNativeError('ERR_ABORTED', 'x').name).toBe('AbortError');
  expect(new SetNativeError('ERR_BUSY', 'x').name).toBe('SetNativeError');
});

describe('fit', () => {
  test.each([
    ['an error', new Error('enough')],
    ['a text', 'enough'],
    ['null', null],
    ['0', 0],
    ['NaN', Number.NaN],
    ['what abort() gives', undefined],
  ])('has %s as cause, wherever it stops', async (_, reason) => {
    const points: ((controller: AbortController) => FitOptions)[] = [
      (controller) => ({ signal: AbortSignal.abort(controller.abort(reason) ?? controller.signal.reason) }),
      (controller) => ({ learningRate: (epoch) => (epoch === 2 ? (controller.abort(reason) ?? 0.1) : 0.1) }),
      (controller) => ({ onEpoch: () => controller.abort(reason) }),
      (controller) => ({
        onEpoch: async () => {
          await sleep(1);
          controller.abort(reason);
          await sleep(1);
        },
      }),
      (controller) => ({
        onEpoch: async () => {
          setTimeout(() => controller.abort(reason), 1);
          await sleep(10_000, undefined, { signal: controller.signal });
        },
      }),
      (controller) => ({
        onEpoch: () => {
          controller.abort(reason);
          controller.signal.throwIfAborted();
        },
      }),
    ];
    for (const options of points) {
      const controller = new AbortController();
      const model = await create();
      const given = { epochs: 3, validation, signal: controller.signal, ...options(controller) };
      const error = await caught(model.fit(train, given));
      expectStopped(error, given.signal.reason, 'fit');
      expect(error.details).toMatchObject({
        history: { epochs: model.epochs === 0 ? [] : [{ epoch: 1 }] },
      });
      await model.fit(train);
    }
  });

  test('within an epoch, by a timeout', async () => {
    const model = await create([20, 1000, 1000, 4]);
    const signal = AbortSignal.timeout(30);
    expectStopped(await caught(model.fit(blobs(20_000), { epochs: 50, signal })), signal.reason, 'fit');
    expect(signal.reason).toMatchObject({ name: 'TimeoutError' });
  });

  test('a signal that has fired before costs no work, not even a look at the samples', async () => {
    const model = await create();
    const samples = {
      get x(): Float32Array {
        throw new Error('looked at');
      },
    };
    const signal = AbortSignal.abort('before');
    expectStopped(await caught(model.fit(samples as never, { signal })), 'before', 'fit');
  });

  test('a signal that fires when all is done changes nothing', async () => {
    const controller = new AbortController();
    const onEpoch = ({ epoch }: { epoch: number }) => {
      if (epoch === 2) controller.abort();
    };
    const { epochs } = await (await create()).fit(train, { epochs: 2, onEpoch, signal: controller.signal });
    expect(epochs).toHaveLength(2);
  });

  test('dispose() has no cause; with a signal that fired too, the signal counts', async () => {
    const disposing = await create();
    const error = await caught(disposing.fit(train, { epochs: 3, onEpoch: () => disposing.dispose() }));
    expect(error).toMatchObject({
      name: 'AbortError',
      code: 'ERR_ABORTED',
      details: { history: { epochs: [{}] } },
    });
    expect(error.message).toContain('dispose()');
    expect(error).not.toHaveProperty('cause');
    const model = await create();
    const controller = new AbortController();
    const onEpoch = () => {
      controller.abort('both');
      model.dispose();
    };
    expectStopped(
      await caught(model.fit(train, { epochs: 3, onEpoch, signal: controller.signal })),
      'both',
      'fit',
    );
  });

  test('an error of a callback stays what it is, whatever its code, also when the model is disposed', async () => {
    const model = await create();
    for (const error of [
      Object.assign(new TypeError('theirs'), { code: 'ERR_INVALID_ARG_TYPE' }),
      new SetNativeError('ERR_ABORTED', 'of another call'),
    ]) {
      const fail = () => {
        throw error;
      };
      expect(await caught(model.fit(train, { epochs: 2, onEpoch: fail }))).toBe(error);
      expect(await caught(model.fit(train, { epochs: 2, learningRate: fail }))).toBe(error);
    }
    for (const callback of ['onEpoch', 'learningRate']) {
      const disposing = await create();
      const error = new Error('after dispose');
      const fail = () => {
        disposing.dispose();
        throw error;
      };
      expect(await caught(disposing.fit(train, { epochs: 2, [callback]: fail }))).toBe(error);
    }
  });

  test('a signal of another realm is taken, by what it can do', async () => {
    class Foreign extends EventTarget {
      aborted = false;
      reason: unknown;
    }
    const signal = new Foreign();
    const onEpoch = () => {
      Object.assign(signal, { aborted: true, reason: 'foreign' });
      signal.dispatchEvent(new Event('abort'));
    };
    const model = await create();
    expectStopped(
      await caught(model.fit(train, { epochs: 3, onEpoch, signal: signal as never })),
      'foreign',
      'fit',
    );
    for (const wrong of [{}, { aborted: false }, new EventTarget(), new AbortController()]) {
      await expect(model.fit(train, { signal: wrong as never })).rejects.toMatchObject({
        code: 'ERR_INVALID_ARGUMENT',
        message: expect.stringContaining('[fit] signal must be an AbortSignal'),
      });
    }
  });

  test('no listener stays on a signal that lives long', async () => {
    const controller = new AbortController();
    const { signal } = controller;
    const model = await create();
    for (let call = 0; call < 20; call++) await model.fit(train, { signal, validation });
    const learningRate = () => 0;
    await caught(model.fit(train, { signal, learningRate }));
    expect(getEventListeners(signal, 'abort')).toEqual([]);
    await caught(model.fit(train, { epochs: 3, signal, onEpoch: () => controller.abort() }));
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });
});

const tiny = { dataset: 'procedural', hidden: [20], train: 100, test: 50, epochs: 3, runs: 1 };

describe('the other calls', () => {
  test('an experiment, before it began, in a network and in a callback', async () => {
    const out = path.join(os.tmpdir(), `set-native-${process.pid}-never-made`);
    const given = { signal: AbortSignal.abort('early') };
    const early = await caught(runExperiment({ ...tiny, epsilon: [2] }, { ...given, out }));
    expectStopped(early, 'early', 'bench');
    expect(early.details).toEqual({});
    expectStopped(await caught(resumeExperiment(out, {}, given)), 'early', 'bench');
    expect(existsSync(out)).toBe(false);
    for (const throws of [false, true]) {
      const controller = new AbortController();
      const { signal } = controller;
      const onEpoch = () => {
        controller.abort('in time');
        if (throws) signal.throwIfAborted();
      };
      const error = await caught(runExperiment({ ...tiny, epsilon: [2] }, { onEpoch, signal }));
      expectStopped(error, 'in time', 'bench');
      expect(error.details.results).toMatchObject({ complete: false, runs: [{ epochs: [{ epoch: 1 }] }] });
      expect(getEventListeners(signal, 'abort')).toEqual([]);
    }
  });

  test('a selection of features', async () => {
    const config = {
      dataset: 'procedural',
      train: 100,
      test: 50,
      hidden: [20],
      epochs: 2,
      runs: 2,
      keep: [10],
    };
    const early = caught(selectFeatures(config, { signal: AbortSignal.abort('early') }));
    expectStopped(await early, 'early', 'select');
    const controller = new AbortController();
    const { signal } = controller;
    const error = await caught(selectFeatures(config, { signal, onRun: () => controller.abort('in time') }));
    expectStopped(error, 'in time', 'fit');
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });

  test('a benchmark of kernels', async () => {
    const options = { filter: 'sparse-forward batch=1 ', full: false, threads: 1 };
    const early = caught(
      runKernelBench({ ...options, filter: 'no such' }, { signal: AbortSignal.abort('early') }),
    );
    expectStopped(await early, 'early', 'bench');
    const controller = new AbortController();
    const { signal } = controller;
    const error = await caught(
      runKernelBench(options, { signal, onStep: () => controller.abort('in time') }),
    );
    expectStopped(error, 'in time', 'bench');
    expect(error.details.results).toMatchObject({ complete: false, cases: [] });
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });
});
