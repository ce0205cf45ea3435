import { expect, test } from 'vitest';
import { SparseMLP } from '../../../src/index.js';
import { bitsOf, points, testModels } from './networks.js';

/* Calls take turns in the order in which they are made, and each sees what those before it left. */

const { create, kept } = testModels();
const train = points(60);
const kind = { layers: [4, 12, 12, 3] };

test('predict, fit, predict, fit, predict: each sees the fits before it', async () => {
  const [model, other] = [await create(kind), await create(kind)];
  const calls = [
    model.predict(train.x),
    model.fit(train, { epochs: 2 }),
    model.predict(train.x),
    model.fit(train),
    model.predict(train.x),
  ] as const;
  const results = await Promise.all(calls);
  expect(results[0]).toEqual(await other.predict(train.x));
  await other.fit(train, { epochs: 2 });
  expect(results[2]).toEqual(await other.predict(train.x));
  await other.fit(train);
  expect(results[4]).toEqual(await other.predict(train.x));
  expect(results[3].epochs[0]!.epoch).toBe(3);
});

test('a call between predictions parts them: those behind it are not computed with those before', async () => {
  const [model, other] = [await create(kind), await create(kind)];
  const row = train.x.slice(0, 4);
  const fitting = model.fit(train);
  const before = Array.from({ length: 20 }, () => model.predict(row));
  const second = model.fit(train);
  const after = Array.from({ length: 20 }, () => model.predict(row));
  await Promise.all([fitting, second]);
  await other.fit(train);
  const early = await other.predict(row);
  await other.fit(train);
  const late = await other.predict(row);
  expect(early).not.toEqual(late);
  for (const answer of await Promise.all(before)) expect(answer).toEqual(early);
  for (const answer of await Promise.all(after)) expect(answer).toEqual(late);
});

test('save, toBuffer, replicate, evaluate, layers and download, too', async () => {
  const [model, other] = [await create(kind), await create(kind)];
  const first = model.fit(train, { epochs: 2 });
  const calls = [
    model.toBuffer(),
    model.evaluate(train),
    model.layers(),
    model.download(),
    model.summary(),
    model.replicate(),
  ] as const;
  const second = model.fit(train, { epochs: 3 });
  const [bytes, evaluation, layers, arrays, summary, replica] = await Promise.all(calls);
  kept(replica);
  await Promise.all([first, second]);
  await other.fit(train, { epochs: 2 });
  expect(bytes).toEqual(await other.toBuffer());
  expect(evaluation).toEqual(await other.evaluate(train));
  expect(layers).toEqual(await other.layers());
  expect(arrays).toEqual(await other.download());
  expect(summary).toBe(await other.summary());
  expect(await bitsOf(replica)).toBe(await bitsOf(other));
});

test('calls settle in the order in which they were made', async () => {
  const model = await create(kind);
  const settled: string[] = [];
  const note = (name: string, call: Promise<unknown>) => call.then(() => settled.push(name));
  await Promise.all([
    note('fit', model.fit(train, { epochs: 3 })),
    note('predict', model.predict(train.x)),
    note('evaluate', model.evaluate(train)),
    note('fit again', model.fit(train)),
    note('classes', model.predict(train.x.slice(0, 4))),
  ]);
  expect(settled).toEqual(['fit', 'predict', 'evaluate', 'fit again', 'classes']);
});

test('a prediction asked for by a timer of onEpoch, while the next epoch is trained, waits for the fit', async () => {
  const many = points(20_000);
  const [model, other] = [await create(kind), await create(kind)];
  const options = { epochs: 3, batchSize: 1, onWarning: () => {} };
  const asked: Promise<Float32Array>[] = [];
  let training = true;
  const onEpoch = ({ epoch }: { epoch: number }) => {
    if (epoch === 3) return;
    setTimeout(() => {
      if (training) asked.push(model.predict(train.x));
    }, 1);
  };
  await model.fit(many, { ...options, onEpoch });
  training = false;
  await other.fit(many, options);
  const expected = await other.predict(train.x);
  expect(asked.length).toBeGreaterThan(0);
  for (const answer of await Promise.all(asked)) expect(answer).toEqual(expected);
});

test('a call that fails does not hold up or hurt those behind it', async () => {
  const [model, other] = [await create(kind), await create(kind)];
  const bad = { ...train, x: train.x.with(0, Number.NaN) };
  const results = await Promise.allSettled([
    model.fit(bad),
    model.fit(train),
    model.evaluate(bad),
    model.predict(train.x),
  ]);
  expect(results.map(({ status }) => status)).toEqual(['rejected', 'fulfilled', 'rejected', 'fulfilled']);
  await other.fit(train);
  expect((results[3] as PromiseFulfilledResult<Float32Array>).value).toEqual(await other.predict(train.x));
});

test('a replica serves the old weights while the original trains, and goes on to the same bits', async () => {
  const [model, other] = [await create(kind), await create(kind)];
  for (const each of [model, other]) await each.fit(train);
  const served = kept(await model.replicate());
  const old = await other.predict(train.x);
  let training = true;
  const fitting = model.fit(train, { epochs: 100 }).finally(() => {
    training = false;
  });
  let answers = 0;
  while (training) {
    expect(await served.predict(train.x)).toEqual(old);
    answers++;
    await new Promise((resolve) => setImmediate(resolve));
  }
  await fitting;
  expect(answers).toBeGreaterThan(2);
  expect(await model.predict(train.x)).not.toEqual(old);
  await served.fit(train, { until: 101 });
  expect(await bitsOf(served)).toBe(await bitsOf(model));
});

test('the exchange of docs/service.md: requests of the old copy are answered, then it is closed', async () => {
  const model = await create(kind);
  let served = await model.replicate();
  const untrained = await served.predict(train.x);
  await model.fit(train, { epochs: 2 });
  const asked = Array.from({ length: 50 }, () => served.predict(train.x));
  const old = served;
  served = kept(await model.replicate());
  await old.close();
  for (const answer of await Promise.all(asked)) expect(answer).toEqual(untrained);
  expect(await served.predict(train.x)).toEqual(await model.predict(train.x));
});

test('two models at once do not disturb each other', async () => {
  const [one, two, first, second] = await Promise.all(
    [1, 2, 3, 4].map((k) => create({ ...kind, seed: k % 2 })),
  );
  await Promise.all([one!.fit(train, { epochs: 5 }), two!.fit(train, { epochs: 5 })]);
  await first!.fit(train, { epochs: 5 });
  await second!.fit(train, { epochs: 5 });
  expect(await bitsOf(one!)).toBe(await bitsOf(first!));
  expect(await bitsOf(two!)).toBe(await bitsOf(second!));
});

test('loads of one file at once are models of their own', async () => {
  const model = await create(kind);
  const bytes = await model.toBuffer();
  const loaded = (await Promise.all([1, 2, 3].map(() => SparseMLP.load(bytes, { backend: 'cpu' })))).map(
    kept,
  );
  await loaded[0]!.fit(train);
  expect(await bitsOf(loaded[1]!)).toBe(await bitsOf(model));
  expect(await bitsOf(loaded[0]!)).not.toBe(await bitsOf(model));
});
