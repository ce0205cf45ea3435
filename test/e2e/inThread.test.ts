import assert from 'node:assert/strict'; // quick where arrays are long
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { expect, test } from 'vitest';
import type * as SetNative from '../../src/index.js';

/*
 * Loading and preparing on a worker thread, whose program is a file of the built package.
 */
const library = (await import(new URL('../../dist/index.js', import.meta.url).href)) as typeof SetNative;
const { loadDataset, loadDatasetAsync, prepare, prepareAsync, readCsv, readCsvAsync } = library;

const table = `age,city,income,bought\n${Array.from(
  { length: 90 },
  (_, i) => `${20 + (i % 40)},${['Rome', 'Oslo', 'Lima'][i % 3]},${i * 100},${i % 2 === 0 ? 'yes' : 'no'}\n`,
).join('')}`;

/** What a call throws or rejects with. */
async function failureOf(call: () => unknown): Promise<{ code: string; message: string }> {
  try {
    await call();
  } catch (error) {
    return { code: (error as { code: string }).code, message: (error as Error).message };
  }
  throw new Error('it did not fail');
}

test('each gives what the synchronous form gives', async () => {
  assert.deepEqual(await readCsvAsync(table), readCsv(table));
  assert.deepEqual(
    await readCsvAsync(Buffer.from(table), { label: 'city' }),
    readCsv(Buffer.from(table), { label: 'city' }),
  );
  const numbers = readCsv(table, { target: ['income', 'age'] });
  assert.deepEqual(await readCsvAsync(table, { target: ['income', 'age'] }), numbers);
  const options = { seed: 4, targetScaling: 'standardise', validation: 10 } as const;
  assert.deepEqual(await prepareAsync(numbers, options), prepare(numbers, options));
  const procedural = await loadDatasetAsync('procedural');
  assert.deepEqual(procedural, loadDataset('procedural'));
  for (const inputOrder of [
    'given',
    'tiles',
    Uint16Array.from({ length: 784 }, (_, k) => 783 - k),
  ] as const) {
    const parts = { train: 500, test: 100, inputOrder };
    assert.deepEqual(await prepareAsync(procedural, parts), prepare(procedural, parts));
  }
});

test('arrays that prepare hands through are those given, and what is given stays as it was', async () => {
  const dataset = readCsv(table);
  const split = {
    ...dataset,
    train: { ...dataset.train, weights: new Float32Array(90).fill(2) },
    test: dataset.train,
  };
  const before = structuredClone(split);
  const { train } = await prepareAsync(split);
  expect(train.labels).toBe(split.train.labels);
  expect(train.weights).toBe(split.train.weights);
  expect(split).toEqual(before);
});

test('each rejects as the synchronous form throws', async () => {
  const bad = readCsv(table) as SetNative.Dataset;
  bad.train.x[7] = Number.NaN;
  const wide = { ...bad, train: { ...bad.train, x: new Float64Array(4) } } as never;
  const pairs: [() => unknown, () => unknown][] = [
    [() => readCsv('a,b\n1'), () => readCsvAsync('a,b\n1')],
    [() => readCsv('/nowhere.csv'), () => readCsvAsync('/nowhere.csv')],
    [() => readCsv(table, { label: 'town' }), () => readCsvAsync(table, { label: 'town' })],
    [() => readCsv(5 as never), () => readCsvAsync(5 as never)],
    [() => readCsv(table, { lable: 1 } as never), () => readCsvAsync(table, { lable: 1 } as never)],
    [() => loadDataset('nothing'), () => loadDatasetAsync('nothing')],
    [() => prepare(bad), () => prepareAsync(bad)],
    [() => prepare(wide), () => prepareAsync(wide)],
    [() => prepare(null as never), () => prepareAsync(null as never)],
    [() => prepare(bad, { seed: -1 }), () => prepareAsync(bad, { seed: -1 })],
  ];
  // The cause comes along.
  await expect(readCsvAsync('/nowhere.csv')).rejects.toMatchObject({
    cause: { message: expect.stringContaining('ENOENT') },
  });
  for (const [call, callAsync] of pairs) expect(await failureOf(callAsync)).toEqual(await failureOf(call));
  // What no thread can be sent.
  for (const call of [
    () => readCsvAsync(table, { delimiter: () => ',' } as never),
    () => loadDatasetAsync(Symbol('name') as never),
    () => readCsvAsync(table, null as never),
    () => readCsvAsync(table, { signal: 5 as never }),
    () => readCsvAsync(table, [] as never),
    () => readCsvAsync(table, new Map() as never),
    () => readCsvAsync(new URL('file:///x') as never),
    () => readCsvAsync(new ArrayBuffer(8) as never),
    () => prepareAsync(Object.assign(bad, { note: bad }) as never),
  ])
    expect(await failureOf(call)).toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
});

test('a signal stops each, with its reason as the cause', async () => {
  const dataset = loadDataset('procedural');
  const calls = [
    (signal: AbortSignal) => loadDatasetAsync('procedural', { signal }),
    (signal: AbortSignal) => readCsvAsync(table, { signal }),
    (signal: AbortSignal) => readCsvAsync(Buffer.from(table), { signal }),
    (signal: AbortSignal) => prepareAsync(dataset, { signal }),
  ];
  for (const call of calls) {
    const reason = new Error('enough');
    await expect(call(AbortSignal.abort(reason))).rejects.toMatchObject({
      code: 'ERR_ABORTED',
      cause: reason,
    });
    for (const soon of [(act: () => void) => act(), queueMicrotask, setImmediate]) {
      const controller = new AbortController();
      const called = call(controller.signal);
      soon(() => controller.abort(reason));
      await expect(called).rejects.toMatchObject({ code: 'ERR_ABORTED', cause: reason });
    }
  }
});

test('the event loop goes on meanwhile', async () => {
  const delay = monitorEventLoopDelay({ resolution: 1 });
  const dataset = loadDataset('procedural');
  delay.enable();
  const start = performance.now();
  await prepareAsync(dataset);
  const took = performance.now() - start;
  delay.disable();
  // The longest pause is a small part of the work, however slow the machine.
  expect(delay.max / 1e6).toBeLessThan(Math.max(50, took / 2));
});
