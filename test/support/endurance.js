/*
 * Memory of a process that serves for long, started by endurance.test.ts with --expose-gc:
 *
 *   node --expose-gc test/support/endurance.js [requests] [cycles]
 *
 * The first part answers requests of 1, 3 and 40 rows, 64 at a time; the second creates models, trains,
 * saves, loads and disposes of them. The last line is a JSON object of the resident bytes that each added.
 */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { SparseMLP } from '../../dist/index.js';

const [requests = 100_000, cycles = 2000] = process.argv.slice(2).map(Number);
const memory = '/dev/shm'; // where flushing a file costs nothing
const place = existsSync(memory) ? memory : tmpdir();
const folder = mkdtempSync(path.join(place, 'set-native-endurance-'));
process.on('exit', () => rmSync(folder, { recursive: true }));

const features = 64;
const encoding = {
  scaling: { offset: Array(features).fill(0), divisor: Array(features).fill(2) },
  classNames: ['a', 'b', 'c', 'd'],
};
const options = { layers: [features, 256, 256, 4], epsilon: 8, encoding };

/** Resident bytes once everything that can go has gone. */
async function resident() {
  for (let i = 0; i < 3; i++) {
    gc();
    await new Promise(setImmediate);
  }
  return process.memoryUsage.rss();
}

/** Bytes that `work`, done for a tenth of the times before to fill caches and pools, adds. */
async function growthOf(times, work) {
  await work(Math.ceil(times / 10));
  const before = await resident();
  await work(times);
  return (await resident()) - before;
}

const served = await SparseMLP.create(options);
const rows = Array.from({ length: 40 }, (_, r) =>
  Array.from({ length: features }, (_, i) => Math.sin(r + i)),
);
const x = Float32Array.from(rows.flat());
async function answer(times) {
  for (let done = 0; done < times; done += 64) {
    const batch = Array.from({ length: 64 }, (_, i) => {
      const count = [1, 3, 40][i % 3];
      if (i % 16 === 0) return served.classify(rows.slice(0, count));
      if (i % 16 === 1) return served.predict(new Float32Array(1)).catch(({ code }) => code); // refused
      return served.predict(x.subarray(0, count * features));
    });
    await Promise.all(batch);
  }
}

const samples = {
  x,
  labels: Uint32Array.from(rows, (_, r) => r % 4),
  count: rows.length,
  features,
};
const file = path.join(folder, 'model.safetensors');
async function cycle(times) {
  for (let i = 0; i < times; i++) {
    const model = await SparseMLP.create({ ...options, seed: i });
    await model.fit(samples, { epochs: 2 });
    await model.save(file);
    const loaded = await SparseMLP.load(i % 2 === 0 ? file : await model.toBuffer());
    await loaded.predict(x);
    if (i % 2 === 0) await loaded.close();
    else loaded.dispose();
    model.dispose();
  }
}

const start = performance.now();
const answered = await growthOf(requests, answer);
const between = performance.now();
const cycled = await growthOf(cycles, cycle);
console.log(
  JSON.stringify({
    requests: { times: requests, seconds: (between - start) / 1000, bytes: answered },
    cycles: { times: cycles, seconds: (performance.now() - between) / 1000, bytes: cycled },
  }),
);
served.dispose();
