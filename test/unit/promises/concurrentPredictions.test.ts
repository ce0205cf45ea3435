import { expect, test } from 'vitest';
import { fromArrays, prepare, type SparseMLP, uploadSamples } from '../../../src/index.js';
import { failing, numbers, points, testModels } from './networks.js';

/* Many predictions at once: each to the bits that it gets alone, and a bad one rejects its own call only. */

const { create } = testModels();
const next = numbers(5);
const rowsOf = (count: number) => Float32Array.from({ length: count * 4 }, () => 4 * next());
const train = points(60);

async function trained(options: Parameters<typeof create>[0] = {}) {
  const model = await create({ layers: [4, 30, 3], epsilon: 3, ...options });
  await model.fit(train, { epochs: 2 });
  return model;
}

async function serially(model: SparseMLP, requests: Float32Array[]) {
  const results = [];
  for (const request of requests) results.push(await model.predict(request));
  return results;
}

const sizes: [string, (i: number) => number][] = [
  ['1 row', () => 1],
  ['3 rows', () => 3],
  ['1000 rows', () => 1000],
  ['1, 3 and 1000 rows in turn', (i) => [1, 3, 1000][i % 3]!],
  ['1 to 100 rows', (i) => i + 1],
];

for (const threads of [1, 2]) {
  test.each(sizes)(`100 predictions of %s at once, ${threads} thread(s)`, async (_, sizeOf) => {
    const model = await trained({ threads });
    const requests = Array.from({ length: 100 }, (_, i) => rowsOf(sizeOf(i)));
    const expected = await serially(model, requests);
    expect(await Promise.all(requests.map((request) => model.predict(request)))).toEqual(expected);
  });
}

test.each([
  ['relu', {}],
  ['motifs', { topology: 'motif', layers: [4, 32, 32, 3] }],
  ['dense', { topology: 'dense' }],
  ['tanh and sigmoid outputs', { activation: 'tanh', loss: 'sigmoid-binary-cross-entropy' }],
  ['all-relu and numbers', { activation: 'all-relu', loss: 'mse' }],
  ['AdamW', { optimizer: 'adamw' }],
] as const)('of a network of another kind, too: %s', async (_, kind) => {
  const model = await create({ layers: [4, 30, 3], epsilon: 3, ...kind, threads: 2 });
  const requests = Array.from({ length: 60 }, (_, i) => rowsOf([1, 2, 5, 17, 64][i % 5]!));
  const expected = await serially(model, requests);
  expect(await Promise.all(requests.map((request) => model.predict(request)))).toEqual(expected);
});

test('with batching and without: the same bits', async () => {
  const requests = Array.from({ length: 50 }, (_, i) => rowsOf([1, 3, 40][i % 3]!));
  const [on, off] = [await trained(), await trained({ batching: false })];
  const expected = await serially(on, requests);
  for (const model of [on, off]) {
    expect(await Promise.all(requests.map((request) => model.predict(request)))).toEqual(expected);
  }
});

test('they are computed together while a training keeps them waiting, to the same bits', async () => {
  const model = await trained();
  const requests = Array.from({ length: 100 }, (_, i) => rowsOf([1, 3, 1000][i % 3]!));
  const fitting = model.fit(train, { epochs: 3 });
  const waiting = Promise.all(requests.map((request) => model.predict(request)));
  await fitting;
  expect(await waiting).toEqual(await serially(model, requests));
});

test('uploaded rows, typed arrays and raw rows at once', async () => {
  const data = fromArrays(
    Array.from({ length: 60 }, (_, row) => train.x.subarray(row * 4, row * 4 + 4)),
    train.labels,
  );
  const { train: scaled, encoding } = prepare(data, { scaling: { kind: 'standardise' } });
  const model = await trained({ encoding });
  const uploaded = await uploadSamples(scaled);
  const rows = [[0.1, 0.2, 0.3, 0.4]];
  const calls: (() => Promise<unknown>)[] = [
    () => model.predict(uploaded),
    () => model.predict(scaled.x),
    () => model.classify(rows),
    () => model.predict(scaled.x.slice(0, 4)),
    () => model.classify([...rows, ...rows]),
  ];
  const expected = [];
  for (const call of calls) expected.push(await call());
  for (let round = 0; round < 5; round++) {
    expect(await Promise.all(calls.map((call) => call()))).toEqual(expected);
  }
  uploaded.dispose();
});

const bad: [string, (rows: Float32Array<ArrayBuffer>) => Float32Array<ArrayBuffer>, string][] = [
  ['NaN', (rows) => rows.with(2, Number.NaN), 'ERR_NON_FINITE'],
  ['infinity', (rows) => rows.with(2, Number.NEGATIVE_INFINITY), 'ERR_NON_FINITE'],
  ['a number whose output overflows', (rows) => rows.fill(3e38), 'ERR_NON_FINITE'],
  ['half a row', (rows) => rows.slice(1), 'ERR_SHAPE'],
  ['no rows', () => new Float32Array(0), 'ERR_SHAPE'],
  ['a list', (rows) => [...rows] as never, 'ERR_INVALID_ARGUMENT'],
];

test.each(bad)('%s among others rejects its own call only', async (_, spoil, code) => {
  const model = await trained();
  const requests = Array.from({ length: 40 }, (_, i) => rowsOf([1, 3, 20][i % 3]!));
  const expected: unknown[] = await serially(model, requests);
  requests[7] = spoil(requests[7]!);
  for (const together of [false, true]) {
    const busy = together ? model.fit(train, { epochs: 1 }) : undefined; // keeps them waiting
    const results = await Promise.allSettled(requests.map((request) => model.predict(request)));
    await busy;
    expect(results[7]).toMatchObject({ status: 'rejected', reason: { code } });
    const values = results.map((result) => (result as PromiseFulfilledResult<Float32Array>).value);
    const alone = together ? await serially(model, requests.toSpliced(7, 1)) : expected.toSpliced(7, 1);
    expect(values.toSpliced(7, 1)).toEqual(alone);
  }
});

test('a bad row is named as a row of its own call, whatever calls it was computed with', async () => {
  const model = await trained();
  const requests = Array.from({ length: 20 }, () => rowsOf(5));
  requests[11]!.fill(3e38, 3 * 4, 4 * 4); // its outputs overflow
  requests[15]![4 * 4 + 1] = Number.NaN;
  const fitting = model.fit(train);
  const results = await Promise.allSettled(requests.map((request) => model.predict(request)));
  await fitting;
  expect(results[11]).toMatchObject({ reason: failing('ERR_NON_FINITE', 'row 3') });
  expect(results[15]).toMatchObject({ reason: failing('ERR_NON_FINITE', 'row 4') });
  expect(results.filter(({ status }) => status === 'rejected')).toHaveLength(2);
});

test('what was handed to predict may change when the call has returned', async () => {
  const model = await trained();
  for (const count of [1, 3, 1000, 5000]) {
    const x = rowsOf(count);
    const expected = await model.predict(x.slice());
    const [one, two] = [model.predict(x), model.predict(x)];
    x.fill(Number.NaN);
    expect(await one).toEqual(expected);
    expect(await two).toEqual(expected);
  }
});

test('answers are arrays of their own', async () => {
  const model = await trained();
  const x = rowsOf(2);
  const answers = await Promise.all([model.predict(x), model.predict(x), model.predict(x)]);
  const expected = answers[2].slice();
  answers[0].fill(7);
  expect(answers[1]).toEqual(expected);
  expect(answers[1].buffer).not.toBe(answers[2].buffer);
});

test('beyond 10,000 that wait ERR_BUSY, of classify too, and then room again', async () => {
  const { encoding } = prepare(
    fromArrays(
      Array.from({ length: 60 }, (_, row) => train.x.subarray(row * 4, row * 4 + 4)),
      train.labels,
    ),
  );
  const model = await create({ encoding });
  const row = rowsOf(1);
  const fitting = model.fit(train, { epochs: 2 });
  const waiting = Array.from({ length: 10_000 }, () => model.predict(row));
  const refused = [model.predict(row), model.classify([[1, 2, 3, 4]])];
  for (const call of refused) await expect(call).rejects.toEqual(failing('ERR_BUSY'));
  await fitting;
  const answers = await Promise.all(waiting);
  const expected = await model.predict(row);
  for (const at of [0, 4999, 9999]) expect(answers[at]).toEqual(expected);
  expect(await model.classify([[1, 2, 3, 4]])).toHaveLength(1);
});

test('rows of calls that have been given up leave their room to others', async () => {
  const model = await create();
  const row = rowsOf(1);
  const controller = new AbortController();
  const fitting = model.fit(train, { epochs: 2 });
  const waiting = Array.from({ length: 10_000 }, (_, i) =>
    model.predict(row, i < 10 ? { signal: controller.signal } : {}),
  );
  controller.abort();
  const settled = Promise.allSettled(waiting);
  const another = model.predict(row).then(
    () => 'answered',
    ({ code }: { code: string }) => code,
  );
  await fitting;
  expect((await settled).filter(({ status }) => status === 'rejected')).toHaveLength(10);
  expect(await another).toBe('answered');
});
