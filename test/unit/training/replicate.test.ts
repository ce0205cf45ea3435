import { readFileSync } from 'node:fs';
import { inspect } from 'node:util';
import { afterEach, describe, expect, test } from 'vitest';
import { type FitOptions, type ModelOptions, SparseMLP } from '../../../src/index.js';
import { blobs } from './blobs.js';

/*
 * Copies of a model, and what is printed of one.
 */

const train = blobs(120);
const validation = blobs(40, { seed: 2 });
const options: FitOptions = { epochs: 3, batchSize: 16, onWarning() {} };

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
afterEach(() => {
  for (const model of models.splice(0)) model.dispose();
});
const bytesOf = async (model: SparseMLP) => Buffer.from(await model.toBuffer()).toString('base64');

const kinds: [string, Partial<ModelOptions>, FitOptions][] = [
  ['sgd', {}, options],
  ['adamw, srelu', { optimizer: 'adamw', activation: 'srelu' }, options],
  ['set-motif', { topology: 'motif', motifSize: 4 }, { ...options, evolution: { method: 'set-motif' } }],
  ['dense', { topology: 'dense' }, options],
  ['evolution by steps', {}, { ...options, evolution: { every: { steps: 3 } } }],
];

test.each(kinds)('%s: the same bits, and the same ones after further training', async (_, given, fit) => {
  const model = await create(given);
  for (let round = 0; round < 3; round++) {
    const twin = kept(await model.replicate());
    expect(await bytesOf(twin)).toBe(await bytesOf(model));
    expect(await twin.predict(validation.x)).toEqual(await model.predict(validation.x));
    expect(await twin.evaluate(validation)).toEqual(await model.evaluate(validation));
    const own = ({ inputs, outputs, sizes, loss, optimizer, seed, backend, threads, epochs }: SparseMLP) => ({
      ...{ inputs, outputs, sizes, loss, optimizer, seed, backend, threads, epochs },
    });
    expect(own(twin)).toEqual(own(model));
    await Promise.all([twin.fit(train, fit), model.fit(train, fit)]);
    expect(await bytesOf(twin)).toBe(await bytesOf(model));
  }
});

test('of the back end reference, which computes in double precision: its numbers in single', async () => {
  const model = await create({ backend: 'reference' });
  await model.fit(train, options);
  const twin = kept(await model.replicate());
  expect(await bytesOf(twin)).toBe(await bytesOf(model));
  const outputs = await model.predict(validation.x);
  for (const [i, output] of (await twin.predict(validation.x)).entries())
    expect(output).toBeCloseTo(outputs[i]!, 5);
});

test('each goes its own way: training, disposing, closing the one leaves the other', async () => {
  const model = await create();
  await model.fit(train, options);
  const before = await bytesOf(model);
  const twin = kept(await model.replicate());
  await twin.fit(blobs(120, { seed: 9 }), options);
  expect(await bytesOf(model)).toBe(before);
  expect(await bytesOf(twin)).not.toBe(before);
  const second = kept(await model.replicate());
  await model.fit(train, options);
  expect(await bytesOf(second)).toBe(before);
  model.dispose();
  expect(await bytesOf(second)).toBe(before);
  await second.fit(train, options);
  const third = kept(await second.replicate());
  await second.close();
  expect(third.epochs).toBe(6);
  await third.predict(validation.x);
  await expect(second.replicate()).rejects.toMatchObject({ code: 'ERR_DISPOSED' });
});

test('in onEpoch it is the model of the epoch, and goes on to the bits of the other', async () => {
  const model = await create();
  const twins: SparseMLP[] = [];
  const onEpoch = async () => {
    twins.push(kept(await model.replicate()));
  };
  await model.fit(train, { ...options, until: 5, epochs: undefined as never, onEpoch });
  expect(twins.map(({ epochs }) => epochs)).toEqual([1, 2, 3, 4, 5]);
  for (const twin of twins) {
    await twin.fit(train, { ...options, until: 5, epochs: undefined as never });
    expect(await bytesOf(twin)).toBe(await bytesOf(model));
  }
});

test('a copy serves the old weights while the original trains on', async () => {
  const model = await create({ layers: [20, 400, 400, 4], threads: 2 });
  await model.fit(train, options);
  const old = await model.predict(validation.x);
  const twin = kept(await model.replicate());
  let trains = true;
  const fitting = model.fit(blobs(6000), { ...options, epochs: 2 }).finally(() => {
    trains = false;
  });
  let served = 0;
  while (trains && served < 20) {
    expect(await twin.predict(validation.x)).toEqual(old);
    if (trains) served += 1;
  }
  await fitting;
  expect(served).toBeGreaterThan(1);
  expect(await twin.predict(validation.x)).toEqual(old);
  expect(await model.predict(validation.x)).not.toEqual(old);
});

test('the encoding goes along, as a copy', async () => {
  const encoding = {
    scaling: { offset: new Array(20).fill(0), divisor: new Array(20).fill(1) },
    classNames: ['a', 'b', 'c', 'd'],
  };
  const twin = kept(await (await create({ encoding })).replicate());
  expect(twin.encoding).toEqual(encoding);
  expect((await twin.classify([[...validation.x.subarray(0, 20)]]))[0]!.className).toMatch(/^[abcd]$/);
});

test('after a divergence it is refused, and the copies of before are sound', async () => {
  const model = await create();
  await model.fit(train, options);
  const twin = kept(await model.replicate());
  await expect(model.fit(train, { ...options, learningRate: 1e30 })).rejects.toMatchObject({
    code: 'ERR_NON_FINITE',
  });
  await expect(model.replicate()).rejects.toMatchObject({
    code: 'ERR_NON_FINITE',
    message: expect.stringMatching(/^\[replicate\] the training of this model diverged/),
  });
  await twin.fit(train, options);
});

test('a signal gives it up', async () => {
  const model = await create();
  await expect(model.replicate({ signal: AbortSignal.abort() })).rejects.toMatchObject({
    code: 'ERR_ABORTED',
  });
  const controller = new AbortController();
  const fitting = model.fit(train, options);
  const waiting = model.replicate({ signal: controller.signal });
  controller.abort();
  await expect(waiting).rejects.toMatchObject({ code: 'ERR_ABORTED' });
  await fitting;
});

/** Memory of this process that is in use, in bytes. */
const resident = () => Number(/VmRSS:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))![1]) * 1024;

test.skipIf(process.platform !== 'linux')(
  'copies that are disposed of leave no memory behind (Linux)',
  async () => {
    const model = await create({ layers: [500, 500, 10], epsilon: 60 }); // 0.8 MB of links
    const size = (await model.toBuffer()).length;
    const copies = async (count: number) => {
      for (let i = 0; i < count; i++) (await model.replicate()).dispose();
    };
    await copies(40);
    const before = resident();
    await copies(120);
    expect(resident() - before).toBeLessThan(40 * size);
    expect(120 * size).toBeGreaterThan(60e6); // what a leak would have left
  },
);

describe('what is printed', () => {
  const states: [string, (model: SparseMLP) => unknown, { epochs: number; state?: string }][] = [
    ['a new model', () => {}, { epochs: 0 }],
    ['a trained one', (model) => model.fit(train, options), { epochs: 3 }],
    [
      'one that diverged',
      (model) => model.fit(train, { ...options, learningRate: 1e30 }).catch(() => {}),
      { epochs: 0 },
    ],
    ['a closed one', (model) => model.close(), { epochs: 0, state: 'disposed' }],
    ['a disposed one', (model) => model.dispose(), { epochs: 0, state: 'disposed' }],
    [
      'a trained and disposed one',
      async (model) => {
        await model.fit(train, options);
        model.dispose();
      },
      { epochs: 3, state: 'disposed' },
    ],
  ];
  test.each(states)('%s', async (_, bring, { epochs, state }) => {
    const model = await create({ seed: 7, optimizer: 'adamw' });
    await bring(model);
    const text = inspect(model);
    expect(text).toMatch(/^SparseMLP \{/);
    for (const part of [
      ...['layers: [ 20, 30, 4 ]', "loss: 'softmax-cross-entropy'", "optimizer: 'adamw'", 'seed: 7'],
      ...["backend: 'cpu'", 'threads: 1'],
    ])
      expect(text).toContain(part);
    if (!text.includes('diverged')) expect(model.epochs).toBeGreaterThanOrEqual(epochs);
    expect(text).toContain(`epochs: ${model.epochs}`);
    if (state === undefined) expect(text).not.toContain('state');
    else expect(text).toContain(`state: '${state}'`);
  });

  test('a model that is closing, and what it is when that is done', async () => {
    const model = await create();
    const fitting = model.fit(train, options);
    const closing = model.close();
    expect(inspect(model)).toContain("state: 'closed'");
    await Promise.all([fitting, closing]);
    expect(inspect(model)).toContain("state: 'disposed'");
    expect(inspect(model)).toContain('epochs: 3');
  });

  test('in an object, and with colours', async () => {
    const model = await create();
    expect(inspect({ model })).toContain('model: SparseMLP {');
    expect(inspect(model, { colors: true })).toContain('\u001B[');
    expect(inspect([[[model]]], { depth: 0 })).not.toContain('Error');
  });

  test('a summary has a line for each layer, and one of all of it', async () => {
    const model = await create({ layers: [20, 300, 4] });
    for (const epochs of [0, 1]) {
      const lines = (await model.summary()).split('\n');
      const layers = await model.layers();
      expect(lines).toHaveLength(1 + layers.length + 1);
      expect(lines[0]!.trim().split(/ {2,}/)).toEqual(['layer', 'shape', 'links', 'density', 'parameters']);
      for (const [k, { inputs, outputs, nnz, dense, density }] of layers.entries()) {
        const [layer, shape, links, share, parameters] = lines[k + 1]!.trim().split(/ {2,}/);
        expect([layer, shape]).toEqual([`${k + 1}`, `${inputs} × ${outputs}`]);
        expect(links).toBe(dense ? `${nnz} (dense)` : `${nnz}`);
        expect(Number.parseFloat(share!)).toBeCloseTo(100 * density, 1);
        expect(parameters).toBe(`${nnz + outputs}`);
      }
      const parameters = layers.reduce((sum, { nnz, outputs }) => sum + nnz + outputs, 0);
      const trained = epochs === 0 ? 'trained for 0 epochs' : 'trained for 1 epoch';
      expect(lines.at(-1)).toBe(
        `${parameters} parameters, relu inside, loss softmax-cross-entropy, sgd, ${trained}`,
      );
      await model.fit(train, { ...options, epochs: 1 });
    }
    expect(await model.summary()).toMatch(/trained for 2 epochs$/);
    model.dispose();
    await expect(model.summary()).rejects.toMatchObject({ code: 'ERR_DISPOSED' });
  });
});
