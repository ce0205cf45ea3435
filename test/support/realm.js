/*
 * The library in a context of node:vm, as Jest loads it: its modules see other classes than the addon and
 * Node do. Run in a process of its own by realm.test.ts, with --experimental-vm-modules.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import vm from 'node:vm';

const root = path.resolve(import.meta.dirname, '../..');
const context = vm.createContext({
  process,
  Buffer,
  URL,
  performance,
  console,
  AbortSignal,
  setTimeout,
  clearTimeout,
});

const modules = new Map();
/**
 * Files of dist/ as modules of the context; whatever else they import is Node's own, or a package, of this
 * realm.
 */
async function load(specifier, referrer) {
  const isOurs = specifier.startsWith('.');
  const url = isOurs ? new URL(specifier, referrer).href : specifier;
  if (modules.has(url)) return modules.get(url);
  const loading = isOurs ? ours(url) : foreign(url);
  modules.set(url, loading);
  return loading;
}
function ours(url) {
  return new vm.SourceTextModule(readFileSync(new URL(url), 'utf8'), {
    context,
    identifier: url,
    initializeImportMeta: (meta) => {
      meta.url = url;
    },
    importModuleDynamically: async (specifier) => {
      const module = await load(specifier, url);
      if (module.status === 'unlinked') await link(module);
      await module.evaluate();
      return module;
    },
  });
}
async function foreign(name) {
  const exports = await import(name);
  return new vm.SyntheticModule(
    Object.keys(exports),
    function () {
      for (const key of Object.keys(exports)) this.setExport(key, exports[key]);
    },
    { context, identifier: name },
  );
}
const link = (module) => module.link((specifier, { identifier }) => load(specifier, identifier));

const index = await load('./index.js', pathToFileURL(path.join(root, 'dist/index.js')).href);
await link(index);
await index.evaluate();
const inside = index.namespace;
const outside = await import(pathToFileURL(path.join(root, 'dist/index.js')).href);
const own = vm.runInContext('({ Array, Error, Float32Array, Object, Uint16Array, Uint32Array })', context);
assert.notEqual(own.Float32Array, Float32Array);
assert.notEqual(inside.SparseMLP, outside.SparseMLP);

/** Every object within is of the context's classes. */
function assertInside(value) {
  if (typeof value !== 'object' || value === null) return;
  const name = Object.prototype.toString.call(value).slice(8, -1);
  assert.ok(value instanceof own[name], `a ${name} of another realm`);
  if (!ArrayBuffer.isView(value)) for (const item of Object.values(value)) assertInside(item);
}

const options = { layers: [4, 6, 3], epsilon: 1, threads: 1 };
const encoding = {
  scaling: { offset: [0, 0, 0, 0], divisor: [1, null, 1, 2] },
  classNames: ['a', 'b', 'c'],
};
const model = await inside.SparseMLP.create({ ...options, encoding });
const x = new own.Float32Array(8).fill(0.5);
const samples = { x, labels: new own.Uint32Array(2), count: 2, features: 4 };
assertInside(await model.fit(samples, { validation: samples, epochs: 2 }));
assertInside(await model.evaluate(samples));
assertInside(await model.predict(x));
assertInside(await model.layers());
assertInside(await model.download());
assertInside(model.encoding);
assertInside(await model.classify([[1, 2, 3, 4]]));
const [first, second] = await Promise.all([model.predict(x), model.predict(x)]);
assert.deepEqual(first, second);
assertInside((await inside.SparseMLP.load(await model.toBuffer())).encoding);
assertInside(inside.info());

// The outputs are of the realm of x, wherever the library was loaded; subclasses count as what they descend
// from.
const another = vm.runInNewContext('Float32Array');
class Mine extends own.Float32Array {}
const expected = [...(await model.predict(x))];
for (const library of [inside, outside]) {
  const same = await library.SparseMLP.create(options);
  await same.fit(samples, { epochs: 2 });
  for (const [Given, Wanted] of [
    [own.Float32Array, own.Float32Array],
    [Float32Array, Float32Array],
    [another, another],
    [Mine, own.Float32Array],
  ]) {
    const outputs = await same.predict(new Given(x));
    assert.equal(Object.getPrototypeOf(outputs), Wanted.prototype);
    assert.deepEqual([...outputs], expected);
  }
  same.dispose();
}

// Errors are of the library's own class, whoever finds the fault.
for (const call of [
  () => model.predict(new own.Float32Array(3)),
  () => model.predict(new Float32Array(4).fill(Number.NaN)),
  () => model.predict([1]),
  () => inside.SparseMLP.create({ layers: [1] }),
]) {
  const error = await call().catch((reason) => reason);
  assert.ok(error instanceof inside.SetNativeError && error instanceof own.Error, `${error}`);
  assert.match(error.code, /^ERR_/);
}
for await (const epoch of model.train(samples, { epochs: 1 })) assertInside(epoch);
model.dispose();
console.log('all of its own realm');
