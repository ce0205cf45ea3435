// Pauses of the event loop while the library works, by calls of a service:
//
//   node bench/event-loop.mjs [--data-dir DIR]
//
// MNIST where DIR has it, else the embedded drawings; then a network of six million links. A pause is what
// perf_hooks measures: how much later than asked a timer of 1 ms came.

import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { parseArgs } from 'node:util';
import { loadDatasetAsync, prepareAsync, SparseMLP } from 'set-native';

const { values } = parseArgs({ options: { 'data-dir': { type: 'string' } } });
const dataDir = values['data-dir'];
const folder = mkdtempSync(path.join(os.tmpdir(), 'set-native-event-loop-'));
process.on('exit', () => rmSync(folder, { recursive: true }));
const delay = monitorEventLoopDelay({ resolution: 1 });

console.log('call | seconds | 99th percentile, ms | longest, ms');
async function during(what, call) {
  delay.reset();
  delay.enable();
  const start = performance.now();
  const result = await call();
  const seconds = (performance.now() - start) / 1000;
  delay.disable();
  const ms = (nanoseconds) => (nanoseconds / 1e6).toFixed(1);
  console.log(`${what} | ${seconds.toFixed(2)} | ${ms(delay.percentile(99))} | ${ms(delay.max)}`);
  return result;
}

const name = dataDir === undefined ? 'procedural' : 'mnist';
const data = await during(`loadDatasetAsync('${name}')`, () =>
  loadDatasetAsync(name, dataDir === undefined ? {} : { dataDir }),
);
const { train, validation, test } = await during('prepareAsync', () =>
  prepareAsync(data, { validation: 1000 }),
);
const file = path.join(folder, 'model.safetensors');
for (const [width, epsilon, trains] of [
  [3000, 13, true],
  [30_000, 40, false],
]) {
  const layers = [data.features, width, width, width, data.classes];
  const model = await during(`create, 3 x ${width}, epsilon ${epsilon}`, () =>
    SparseMLP.create({ layers, epsilon }),
  );
  if (trains) await during('fit, an epoch', () => model.fit(train, { validation, epochs: 1 }));
  if (trains) await during('evaluate', () => model.evaluate(test));
  await during('save', () => model.save(file));
  await model.close();
  const loaded = await during('load', () => SparseMLP.load(file));
  await during('predict, 1000 rows', () => loaded.predict(test.x.subarray(0, 1000 * data.features)));
  await loaded.close();
}
