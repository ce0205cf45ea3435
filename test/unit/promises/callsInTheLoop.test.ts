import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { fromArrays, prepare, SparseMLP } from '../../../src/index.js';
import { bitsOf, failing, points, testModels } from './networks.js';

/* In the body of a loop over `train`, and from elsewhere between two epochs, other calls take their turns. */

const { create, kept } = testModels();
const train = points(60);
const kind = { layers: [4, 12, 12, 3] };
const folder = mkdtempSync(path.join(os.tmpdir(), 'loop-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** Models of fits that ended after epoch 1, 2 and so on of `epochs`. */
async function stages(epochs: number) {
  const models = [];
  for (let last = 1; last <= epochs; last++) {
    const model = await create(kind);
    await model.fit(train, { epochs, onEpoch: ({ epoch }) => epoch !== last });
    models.push(model);
  }
  return models;
}

const looks: [string, (model: SparseMLP) => Promise<unknown>][] = [
  ['predict', (model) => model.predict(train.x)],
  ['evaluate', (model) => model.evaluate(train)],
  ['download', (model) => model.download()],
  ['layers', (model) => model.layers()],
  ['summary', (model) => model.summary()],
  ['toBuffer', (model) => model.toBuffer()],
  [
    'save and load',
    async (model) => {
      const file = path.join(folder, 'model.safetensors');
      await model.save(file);
      return kept(await SparseMLP.load(file, { backend: 'cpu' })).predict(train.x);
    },
  ],
  [
    'exportNpz and fromNpz',
    async (model) => {
      await model.exportNpz(path.join(folder, 'npz'));
      return kept(await SparseMLP.fromNpz(path.join(folder, 'npz'), { backend: 'cpu' })).predict(train.x);
    },
  ],
  ['replicate', async (model) => kept(await model.replicate()).toBuffer()],
];

test.each(looks)('%s sees the network of each epoch, and changes no bit of the training', async (_, look) => {
  const model = await create(kind);
  const expected = await stages(3);
  for await (const { epoch } of model.train(train, { epochs: 3 })) {
    expect(await look(model)).toEqual(await look(expected[epoch - 1]!));
  }
  expect(await bitsOf(model)).toBe(await bitsOf(expected[2]!));
});

test.each([
  ['a replica', async (model: SparseMLP) => model.replicate()],
  ['a saved model', async (model: SparseMLP) => SparseMLP.load(await model.toBuffer(), { backend: 'cpu' })],
] as const)('%s made in the body goes on to the bits of the loop', async (_, copyOf) => {
  const model = await create(kind);
  const copies: SparseMLP[] = [];
  for await (const _ of model.train(train, { until: 4 })) copies.push(kept(await copyOf(model)));
  for (const [k, copy] of copies.entries()) {
    expect(copy.epochs).toBe(k + 1);
    await copy.fit(train, { until: 4 });
    expect(await bitsOf(copy)).toBe(await bitsOf(model));
  }
});

test('a copy made in the body may be trained, by other samples, beside the loop', async () => {
  const [model, other] = [await create(kind), await create(kind)];
  const fits: Promise<unknown>[] = [];
  for await (const _ of model.train(train, { epochs: 3 })) {
    const copy = kept(await model.replicate());
    fits.push(copy.fit(points(100, { seed: 9 }), { epochs: 5 }));
  }
  await Promise.all(fits);
  await other.fit(train, { epochs: 3 });
  expect(await bitsOf(model)).toBe(await bitsOf(other));
});

test('classify of raw rows', async () => {
  const rows = Array.from({ length: 60 }, (_, i) => [i % 7, i % 3 === 0 ? 'a' : 'b']);
  const data = fromArrays(
    rows,
    rows.map(([size]) => (Number(size) > 3 ? 'large' : 'small')),
  );
  const prepared = prepare(data);
  const model = await create({ layers: [3, 8, 2], encoding: prepared.encoding });
  for await (const { epoch } of model.train(prepared.train, { epochs: 2 })) {
    const [answer] = await model.classify([[6, 'a']]);
    const other = await create({ layers: [3, 8, 2], encoding: prepared.encoding });
    await other.fit(prepared.train, { epochs: 2, onEpoch: (report) => report.epoch !== epoch });
    expect([answer]).toEqual(await other.classify([[6, 'a']]));
  }
});

test('many calls at once in the body, not awaited one by one', async () => {
  const model = await create(kind);
  const expected = await stages(2);
  for await (const { epoch } of model.train(train, { epochs: 2 })) {
    const stage = expected[epoch - 1]!;
    const [outputs, evaluation, bytes] = await Promise.all([
      model.predict(train.x),
      model.evaluate(train),
      model.toBuffer(),
    ]);
    expect(outputs).toEqual(await stage.predict(train.x));
    expect(evaluation).toEqual(await stage.evaluate(train));
    expect(bytes).toEqual(await stage.toBuffer());
  }
});

test('predictions from elsewhere are answered between two epochs, each by a whole epoch', async () => {
  const model = await create(kind);
  const epochs = 6;
  const expected = new Map<string, number>();
  const untrained = await (await create(kind)).predict(train.x);
  expected.set(untrained.join(), 0);
  for (const [k, stage] of (await stages(epochs)).entries()) {
    expected.set((await stage.predict(train.x)).join(), k + 1);
  }
  const answered: (number | undefined)[] = [];
  let training = true;
  const service = (async () => {
    while (training) {
      answered.push(expected.get((await model.predict(train.x)).join()));
      await new Promise((resolve) => setImmediate(resolve));
    }
  })();
  for await (const _ of model.train(train, { epochs })) {
    const before = answered.length;
    // A body that waits leaves room for the service, as often as that asks.
    while (answered.length < before + 2) await new Promise((resolve) => setImmediate(resolve));
  }
  training = false;
  await service;
  expect(answered).not.toContain(undefined);
  expect(answered).toEqual([...answered].sort((a, b) => a! - b!)); // never an older network than before
  for (let epoch = 1; epoch <= epochs; epoch++) expect(answered).toContain(epoch);
});

test('a prediction that waits is answered though the body of the loop asks for the next epoch at once', async () => {
  const model = await create(kind);
  let epochs = 0;
  let answeredAfter: number | undefined;
  for await (const { epoch } of model.train(train, { epochs: 20 })) {
    epochs = epoch;
    if (epoch === 1) {
      model.predict(train.x.subarray(0, 4)).then(
        () => {
          answeredAfter = epochs;
        },
        () => {},
      );
    }
  }
  expect(answeredAfter).toBeLessThanOrEqual(2);
});

test('fit and train in the body are refused, and the loop goes on', async () => {
  const [model, other] = [await create(kind), await create(kind)];
  for await (const _ of model.train(train, { epochs: 3 })) {
    await expect(model.fit(train)).rejects.toEqual(failing('ERR_BUSY', '[fit]'));
    await expect(model.train(train).next()).rejects.toEqual(failing('ERR_BUSY', '[train]'));
  }
  await other.fit(train, { epochs: 3 });
  expect(await bitsOf(model)).toBe(await bitsOf(other));
});

test('another model is trained in the body', async () => {
  const [model, inner, other] = [await create(kind), await create(kind), await create(kind)];
  for await (const _ of model.train(train, { epochs: 2 })) {
    for await (const report of inner.train(train, { epochs: 2 })) expect(report.trainLoss).toBeGreaterThan(0);
  }
  await other.fit(train, { epochs: 4 });
  expect(await bitsOf(inner)).toBe(await bitsOf(other));
  expect(model.epochs).toBe(2);
});
