/*
 * Calls of the raw addon that TypeScript would never let through. Run in a process of its own by
 * addon.test.ts, with --expose-gc: whatever comes must be an error that JavaScript can catch, never a crash
 * or a silent acceptance.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import path from 'node:path';
import { inspect } from 'node:util';
import { isExternal } from 'node:util/types';
import { Worker } from 'node:worker_threads';

const file = path.resolve(import.meta.dirname, '../../build/release/set_native.node');
const addon = createRequire(import.meta.url)(file);

const spec = {
  sizes: [20, 30, 4],
  topology: 'erdos-renyi',
  epsilon: 4,
  motifSize: 2,
  init: 'he-fan-in',
  activation: 'relu',
  alpha: 0.6,
  optimizer: 'sgd',
  loss: 'softmax-cross-entropy',
  seed: 0,
  backend: 'cpu',
  threads: 1,
};
const options = {
  epoch: 1,
  batchSize: 10,
  learningRate: 0.1,
  momentum: 0.9,
  beta2: 0.999,
  tiny: 1e-8,
  l2: 0,
  decay: 0,
  dropout: 0,
  shuffle: true,
  firstStep: 0,
  steps: 9,
};
const policy = {
  zeta: 0.3,
  motifSize: 1,
  parse: 'aligned',
  score: 'mean',
  prune: 'by-sign',
  grow: 'random',
  regrowInit: 'he-dense',
  evolveOutput: false,
};
const augmentation = {
  seed: 0,
  rows: 4,
  columns: 5,
  channels: 1,
  shift: 2,
  flip: true,
  padding: 0,
  offset: new Float64Array(20),
  divisor: new Float64Array(20).map((_, k) => k + 1),
  order: new Uint32Array(20).map((_, k) => 19 - k),
};
const x = new Float32Array(200).fill(0.5);
const labels = new Uint32Array(10).map((_, i) => i % 4);

const trap = new Error('trap');
const thrower = () => {
  throw trap;
};
const noArrays = {}; // of samples that have only x: all right as those alone
/** No argument of the addon may be any of these. */
const strange = [
  undefined,
  null,
  -1,
  1e300,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  5n,
  'x',
  Symbol('s'),
  [],
  noArrays,
  () => {},
  new Float64Array(3),
  new DataView(new ArrayBuffer(8)),
  Promise.resolve(1),
  new Proxy({}, { get: thrower }),
];

let calls = 0;
let current; // the strange value that is tried
/** The error of a call that throws or rejects. */
async function errorOf(call) {
  calls += 1;
  try {
    await call();
  } catch (error) {
    return error;
  }
  return assert.fail(`accepted: ${call}, with ${inspect(current)}`);
}
async function refused(call, code = /^ERR_/) {
  const error = await errorOf(call);
  const unprintable = error instanceof TypeError && error.message.startsWith('Cannot convert'); // symbols, in messages
  if (error !== trap && !unprintable) assert.match(String(error.code), code, `${call}: ${error}`);
}
async function illegal(call) {
  assert.ok((await errorOf(call)) instanceof Error);
}

const shape = { labels: true, weights: false, outputs: 0 };
const draft = () => new addon.Samples(10, 20, shape);
const samples = new addon.Samples(x, 20, { labels });
const model = await addon.createModel(spec);
const benchOptions = { backend: 'cpu', isa: '', threads: 1, full: false, filter: 'loss' };
const bench = addon.createKernelBench(benchOptions);
const sweepPoint = { links: 1e5, motifSize: 1, threads: 1, isa: 'portable' };

// Wrong types and impossible values, argument by argument and key by key.
for (const value of strange) {
  current = value;
  await refused(() => addon.createModel(value));
  await refused(() => addon.modelBytes(value));
  await refused(() => addon.untried(value));
  await refused(() => addon.tryOut(value));
  await refused(() => addon.refuse(value, 'x'));
  if (value !== 'x') await refused(() => addon.refuse('cuda', value));
  await refused(() => addon.permutation(value, 3));
  await refused(() => addon.permutation(1, value));
  await refused(() => new addon.Samples(value, 20, { labels }));
  await refused(() => new addon.Samples(x, value, { labels }));
  if (value !== undefined && value !== noArrays) await refused(() => new addon.Samples(x, 20, value));
  for (const array of ['labels', 'targets', 'weights']) {
    if (value !== undefined) await refused(() => new addon.Samples(x, 20, { [array]: value }));
    await refused(() => draft().append(array, value));
  }
  for (const key of Object.keys(shape))
    await refused(() => new addon.Samples(10, 20, { ...shape, [key]: value }));
  await refused(() => draft().append('x', value));
  if (value !== 'x') await refused(() => draft().append(value, x));
  await refused(() => new addon.Samples(10, value, shape));
  await refused(() => new addon.Samples(10, 20, value));
  if (value !== undefined) {
    await refused(() => model.trainEpoch(samples, { ...options, learningRates: value }));
    await refused(() => model.trainEpoch(samples, { ...options, decays: value }));
  }
  await refused(() => samples.augmented(value, 1, 1));
  await refused(() => samples.augmented(augmentation, value, 1));
  await refused(() => samples.augmented(augmentation, 1, value));
  for (const key of Object.keys(augmentation)) {
    if (value === undefined && key === 'order') continue; // absent: in their own order
    if (key === 'padding' && (value === -1 || value === 1e300)) continue; // any number, unless it overflows
    await refused(() => samples.augmented({ ...augmentation, [key]: value }, 1, 1));
  }
  for (const method of ['trainEpoch', 'evaluate', 'predict'])
    await refused(() => model[method](value, options));
  await refused(() => model.trainEpoch(samples, value));
  await refused(() => model.evolve(value, 1));
  await refused(() => model.evolve(policy, value));
  await refused(() => model.evolve({ ...policy, grow: 'gradient' }, 1, undefined, value));
  for (const key of Object.keys(spec)) {
    if (key === 'epsilon' && value === 1e300) continue; // every cell is a link then
    await refused(() => addon.createModel({ ...spec, [key]: value }));
    // neither changes the bytes, and modelBytes does not look at them
    if (key !== 'backend' && key !== 'threads')
      await refused(() => addon.modelBytes({ ...spec, [key]: value }));
  }
  await refused(() => addon.createModel({ ...spec, sizes: [20, value, 4] }));
  for (const key of Object.keys(options)) {
    // l2 and decay are checked as numbers, whose range is the caller's business
    if (typeof value === 'number' && value === -1) continue;
    await refused(() => model.trainEpoch(samples, { ...options, [key]: value }));
  }
  for (const key of Object.keys(policy)) await refused(() => model.evolve({ ...policy, [key]: value }, 1));
  await refused(() => addon.createKernelBench(value));
  await refused(() => addon.measureSweepPoint(value));
  await refused(() => bench.ceilings(value));
  await refused(() => bench.run(value));
  for (const key of Object.keys(benchOptions)) {
    if (key === 'filter' && value === 'x') continue; // finds nothing, as it may
    await refused(() => addon.createKernelBench({ ...benchOptions, [key]: value }));
  }
  for (const key of Object.keys(sweepPoint))
    await refused(() => addon.measureSweepPoint({ ...sweepPoint, [key]: value }));
}

// Layers handed in: every array of them, damaged.
{
  const layers = await model.download();
  const damaged = (l, key, value) => layers.map((layer, i) => (i === l ? { ...layer, [key]: value } : layer));
  for (const value of strange) {
    if (value !== undefined) await refused(() => addon.createModel(spec, value));
    await refused(() => addon.createModel(spec, [layers[0], value]));
    for (const [l, layer] of layers.entries()) {
      for (const key of Object.keys(layer)) {
        if (layer.dense && ['rowOffsets', 'colIndices', 'birth'].includes(key)) continue; // not looked at
        if (value === undefined && layer[key].length === 0) continue; // absent is empty
        if (value === undefined && /[mM]oment/.test(key)) continue; // and moments start from zero
        await refused(() => addon.createModel(spec, damaged(l, key, value)));
      }
    }
  }
  await refused(() => addon.createModel(spec, layers.slice(1)), /ERR_SHAPE/);
  await refused(() => addon.createModel({ ...spec, sizes: [20, 31, 4] }, layers), /ERR_SHAPE/);
  const { rowOffsets, colIndices, weights } = layers[0];
  await refused(
    () => addon.createModel(spec, damaged(0, 'rowOffsets', rowOffsets.toReversed())),
    /ERR_INVALID_CSR/,
  );
  await refused(
    () =>
      addon.createModel(
        spec,
        damaged(
          0,
          'colIndices',
          colIndices.map(() => 30),
        ),
      ),
    /ERR_INVALID_CSR/,
  );
  await refused(
    () =>
      addon.createModel(
        spec,
        damaged(
          0,
          'colIndices',
          colIndices.map(() => 3),
        ),
      ),
    /ERR_INVALID_CSR/,
  );
  await refused(() => addon.createModel(spec, damaged(0, 'weights', weights.subarray(1))), /ERR_SHAPE/);
  await refused(
    () =>
      addon.createModel(
        spec,
        damaged(
          0,
          'weights',
          weights.map(() => Number.NaN),
        ),
      ),
    /ERR_NON_FINITE/,
  );
  const gone = weights.slice();
  structuredClone(gone.buffer, { transfer: [gone.buffer] });
  await refused(() => addon.createModel(spec, damaged(0, 'weights', gone)), /ERR_SHAPE/);
}

// Getters that throw, and getters that pull the model from under the call.
for (const key of Object.keys(spec)) {
  const bad = Object.defineProperty({ ...spec }, key, { get: thrower });
  assert.equal(await errorOf(() => addon.createModel(bad)), trap);
}
for (const key of Object.keys(options)) {
  const bad = Object.defineProperty({ ...options }, key, { get: thrower });
  assert.equal(await errorOf(() => model.trainEpoch(samples, bad)), trap);
}
for (const key of Object.keys(policy)) {
  const bad = Object.defineProperty({ ...policy }, key, { get: thrower });
  assert.equal(await errorOf(() => model.evolve(bad, 1)), trap);
}
const sizes = Object.defineProperty([20, 30, 4], 1, { get: thrower });
assert.equal(await errorOf(() => addon.createModel({ ...spec, sizes })), trap);
{
  const victim = await addon.createModel(spec);
  const shuffle = {
    get() {
      victim.dispose();
      gc();
      return true;
    },
  };
  const bad = Object.defineProperty({ ...options }, 'shuffle', shuffle);
  await refused(() => victim.trainEpoch(samples, bad), /ERR_DISPOSED/);
}
{
  const victim = new addon.Samples(x, 20, { labels });
  const shuffle = {
    get() {
      victim.dispose();
      gc();
      return true;
    },
  };
  await model.trainEpoch(victim, Object.defineProperty({ ...options }, 'shuffle', shuffle));
  await refused(() => model.trainEpoch(victim, options), /ERR_DISPOSED/);
}

// Images that do not fit, of samples that may go while they are augmented.
{
  const changed = (change) => () => samples.augmented({ ...augmentation, ...change }, 1, 1);
  const last = (array, value) => array.slice().fill(value, 19);
  for (const sizes of [{ rows: 5 }, { channels: 2 }, { rows: 2 ** 16, columns: 2 ** 16 }])
    await refused(changed(sizes), /ERR_SHAPE/);
  const most = 2 ** 32 - 1;
  await refused(changed({ rows: most, columns: most, channels: most }), /ERR_SHAPE/);
  await refused(changed({ shift: 4 }), /ERR_OUT_OF_RANGE/);
  await refused(changed({ shift: most }), /ERR_OUT_OF_RANGE/);
  for (const value of [20, most, 5]) {
    await refused(changed({ order: last(augmentation.order, value) }), /ERR_SHAPE/);
  }
  for (const value of [Number.NaN, 0, -1, 1e-310])
    await refused(changed({ divisor: last(augmentation.divisor, value) }), /ERR_OUT_OF_RANGE/);
  for (const value of [Number.NaN, Number.POSITIVE_INFINITY])
    await refused(changed({ offset: last(augmentation.offset, value) }), /ERR_OUT_OF_RANGE/);
  for (const key of ['offset', 'divisor', 'order'])
    await refused(changed({ [key]: augmentation[key].subarray(1) }), /ERR_SHAPE/);
  await refused(changed({ padding: 1e300 }), /ERR_NON_FINITE/);
  await refused(() => draft().augmented(augmentation, 1, 1), /ERR_INVALID_ARGUMENT/);
  for (const key of Object.keys(augmentation)) {
    const bad = Object.defineProperty({ ...augmentation }, key, { get: thrower });
    assert.equal(await errorOf(() => samples.augmented(bad, 1, 1)), trap);
  }
  const victim = new addon.Samples(x, 20, { labels });
  const flip = {
    get() {
      victim.dispose();
      gc();
      return true;
    },
  };
  const bad = Object.defineProperty({ ...augmentation }, 'flip', flip);
  await refused(() => victim.augmented(bad, 1, 1), /ERR_DISPOSED/);
  // Copies keep what they share, and copies of them.
  const gone = new addon.Samples(x, 20, { labels, weights: new Float32Array(10).fill(1) });
  const pending = gone.augmented(augmentation, 1, 3);
  gone.dispose();
  const copy = await pending;
  assert.deepEqual([copy.count, copy.features, copy.classes, copy.outputs], [10, 20, true, 0]);
  assert.ok(copy instanceof addon.Samples);
  const next = await copy.augmented(augmentation, 2, 1);
  copy.dispose();
  gc();
  await model.trainEpoch(next, options);
  await refused(() => next.append('x', x), /ERR_INVALID_ARGUMENT/);
  await refused(() => next.finish(), /ERR_INVALID_ARGUMENT/);
  next.dispose();
  await refused(() => next.augmented(augmentation, 1, 1), /ERR_DISPOSED/);
}

// Arrays whose memory is gone, or shrinks.
const detached = (array) => {
  structuredClone(array.buffer, { transfer: [array.buffer] });
  return array;
};
await refused(() => new addon.Samples(detached(new Float32Array(40)), 20), /ERR_SHAPE/);
await refused(() => new addon.Samples(x, 20, { labels: detached(new Uint32Array(10)) }), /ERR_SHAPE/);
const resizable = new ArrayBuffer(160, { maxByteLength: 320 });
const shrunk = new Float32Array(resizable, 0, 40);
resizable.resize(8);
await refused(() => new addon.Samples(shrunk, 20), /ERR_SHAPE/);

// Properties that describe native memory cannot be changed; methods know their own kind.
for (const [object, key] of [
  [samples, 'count'],
  [samples, 'features'],
  [model, 'backend'],
  [model, 'threads'],
]) {
  assert.deepEqual(
    { ...Object.getOwnPropertyDescriptor(object, key), value: 0 },
    { value: 0, writable: false, enumerable: true, configurable: false },
  );
  assert.throws(() => {
    object[key] = 1e9;
  }, TypeError);
}
const Model = model.constructor;
const foreign = [
  undefined,
  null,
  1,
  {},
  addon,
  [],
  Object.create(model),
  Object.create(samples),
  new Proxy(model, {}),
];
for (const [prototype, others] of [
  [Model.prototype, [...foreign, samples]],
  [addon.Samples.prototype, [...foreign, model]],
]) {
  for (const name of Object.getOwnPropertyNames(prototype)) {
    if (name === 'constructor') continue;
    for (const receiver of others) await illegal(() => prototype[name].call(receiver, samples, options));
  }
}
for (const bad of [
  model,
  Object.create(samples),
  new Proxy(samples, {}),
  Object.setPrototypeOf({}, addon.Samples),
]) {
  await refused(() => model.trainEpoch(bad, options), /ERR_INVALID_ARGUMENT/);
}

// Only createModel makes models: not from an external of Node's own, nor from any other value, nor by a
// subclass.
{
  const { Pipe } = process.binding('pipe_wrap');
  const external = new Pipe(0)._externalStream;
  assert.ok(isExternal(external));
  const bare = Object.create(Model.prototype);
  for (const value of [...strange, external, samples, model, bench, bare, model.constructor]) {
    await refused(() => new Model(value), /ERR_INVALID_ARGUMENT/);
    await refused(() => new (class extends Model {})(value), /ERR_INVALID_ARGUMENT/);
    await refused(() => Reflect.construct(Model, [value], Object), /ERR_INVALID_ARGUMENT/);
    await refused(() => Reflect.construct(Model, [value], addon.Samples), /ERR_INVALID_ARGUMENT/);
    if (value !== x) await refused(() => new addon.Samples(value, 20));
    await illegal(() => Model(value));
    await illegal(() => Model.call(model, value));
  }
  await illegal(() => addon.Samples(x, 20));
  await illegal(() => addon.Samples.call(samples, x, 20));
}

// A subclass of Samples makes samples; what only looks like one of either kind does not work.
{
  class Own extends addon.Samples {}
  const own = new Own(x, 20, { labels });
  assert.ok(own instanceof Own);
  assert.equal(own.count, 10);
  await model.evaluate(own);
  const disguised = Reflect.construct(addon.Samples, [x, 20, { labels }], Model);
  assert.ok(disguised instanceof Model);
  await illegal(() => disguised.stats());
  await illegal(() => disguised.dispose());
  await model.evaluate(disguised);
  for (const copy of [structuredClone(samples), { ...samples }, Object.create(addon.Samples.prototype)]) {
    await refused(() => model.evaluate(copy), /ERR_INVALID_ARGUMENT/);
  }
  for (const copy of [structuredClone(model), Object.create(Model.prototype)]) {
    await illegal(() => Model.prototype.stats.call(copy));
    await illegal(() => Model.prototype.dispose.call(copy));
  }
  await illegal(() => structuredClone(bench));
  for (const receiver of foreign) {
    await refused(() => bench.run.call(receiver, -1), /ERR_OUT_OF_RANGE/);
  }
}

// The same from another thread, whose classes are others.
{
  const worker = new Worker(
    `const { workerData, parentPort } = require('node:worker_threads');
     const addon = require(workerData.file);
     const { Pipe } = process.binding('pipe_wrap');
     addon.createModel(workerData.spec).then((model) => {
       const answers = [undefined, {}, new Pipe(0)._externalStream, workerData.samples].map((value) => {
         try {
           new model.constructor(value);
         } catch (error) {
           return error.code;
         }
       });
       try {
         model.evaluate(workerData.samples);
       } catch (error) {
         answers.push(error.code);
       }
       parentPort.postMessage(answers);
     });`,
    {
      eval: true,
      workerData: { spec, samples, file },
    },
  );
  const [answers] = await once(worker, 'message');
  assert.deepEqual(answers, Array(5).fill('ERR_INVALID_ARGUMENT'));
  await once(worker, 'exit');
}

// Sizes that no machine has, and shapes that mean nothing.
await refused(
  () => addon.createModel({ ...spec, sizes: [4294967295, 4294967295] }),
  /ERR_OUT_OF_(MEMORY|RANGE)/,
);
await refused(
  () => addon.modelBytes({ ...spec, sizes: [4294967295, 4294967295] }),
  /ERR_OUT_OF_(MEMORY|RANGE)/,
);
await refused(() => addon.createModel({ ...spec, sizes: [20, 30, 1] }), /ERR_SHAPE/);
await refused(() => addon.createModel({ ...spec, sizes: [20] }), /ERR_(SHAPE|OUT_OF_RANGE)/);
await refused(() => addon.createModel({ ...spec, topology: 'motif', motifSize: 65 }), /ERR_OUT_OF_RANGE/);
await refused(() => addon.permutation(0, 4294967295), /ERR_OUT_OF_RANGE/);

// A suite of no cases, one that is busy, and one that was stopped.
await refused(
  () => addon.createKernelBench({ ...benchOptions, filter: 'nothing' }).run(0),
  /ERR_OUT_OF_RANGE/,
);
const running = bench.run(0);
await refused(() => bench.run(0), /ERR_BUSY/);
assert.equal(JSON.parse(await running).op, 'loss');
bench.abort();
await refused(() => bench.run(0), /ERR_ABORTED/);

// One job at a time; nobody keeps what works but the job itself.
const epoch = model.trainEpoch(samples, options);
await refused(() => model.evolve(policy, 1), /ERR_BUSY/);
await epoch;
await (async () => {
  const own = await addon.createModel({ ...spec, sizes: [20, 2000, 2000, 4] });
  return own.trainEpoch(new addon.Samples(x, 20, { labels }), options);
})();
const jobs = Array.from({ length: 8 }, async () => (await addon.createModel(spec)).stats());
for (let i = 0; i < 5; i++) {
  gc();
  await new Promise(setImmediate);
}
assert.equal((await Promise.all(jobs)).length, 8);
const pending = addon.createModel(spec);
for (const name of Object.keys(addon)) delete addon[name];
gc();
const late = await pending;
gc();
assert.equal((await late.stats()).length, 2);
late.dispose();
late.dispose();
late.abort();
await refused(() => late.stats(), /ERR_DISPOSED/);
await refused(() => new late.constructor(late), /ERR_INVALID_ARGUMENT/);

console.log(`survived ${calls} calls`);
