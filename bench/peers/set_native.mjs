// set-native, by its public API, answering the same requests as the Python peers (common.py). It also draws
// the network of a case and writes it for them. Epochs and evolutions are timed by the reports of `fit`,
// which measure on the native side; predictions by the clock around the call.

import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import readline from 'node:readline';

let setNative;
let model;
let samples;

const requests = {
  async versions() {
    try {
      setNative = await import('set-native');
    } catch (error) {
      if (error.code !== 'ERR_MODULE_NOT_FOUND') throw error;
      throw new Error('the package is not built: run `npm ci` in the repository', { cause: error });
    }
    const { version, node, platform, cpu, isa } = setNative.info();
    return { 'set-native': version, node, platform, cpu, isa: isa.used };
  },

  async load({ folder }) {
    const task = JSON.parse(await readFile(path.join(folder, 'case.json')));
    const { sizes: layers, epsilon, seed, threads } = task;
    model?.dispose();
    model = await setNative.SparseMLP.create({ layers, epsilon, seed, threads });
    const x = new Float32Array(await bytes(path.join(folder, 'x.f32')));
    const labels = new Uint32Array(await bytes(path.join(folder, 'labels.u32')));
    samples = { x, labels, count: task.samples, features: layers[0] };
    await writeNetwork(path.join(folder, 'network'));
  },

  async train({ steps, shuffle, hyper }) {
    const plan = { ...options(hyper), shuffle, evolution: { method: 'static' } };
    const { epochs } = await model.fit(first(steps * hyper.batch), plan);
    return { ms: epochs[0].trainMs, loss: epochs[0].trainLoss };
  },

  // `fit` evolves between epochs: two of one batch each
  async evolve({ zeta, hyper }) {
    const { epochs } = await model.fit(first(hyper.batch), {
      ...options(hyper),
      epochs: 2,
      evolution: { zeta },
    });
    return { ms: epochs[0].evolveMs || null }; // 0: every layer is dense
  },

  async predict({ count, repeat }) {
    const x = samples.x.subarray(0, count * samples.features);
    const ms = [];
    for (let call = 0; call < repeat; ++call) {
      const start = performance.now();
      await model.predict(x);
      ms.push(performance.now() - start);
    }
    return { ms };
  },

  async save({ folder }) {
    await writeNetwork(folder);
    const outputs = [await model.predict(first(samples.count).x), await model.predict(first(1).x)];
    await writeFile(
      path.join(folder, 'outputs.f32'),
      Buffer.concat(outputs.map(({ buffer }) => Buffer.from(buffer))),
    );
  },
};

const options = ({ batch, rate, momentum, decay }) => {
  return { batchSize: batch, learningRate: rate, momentum, weightDecay: decay };
};

/** An ArrayBuffer of the file alone. */
async function bytes(file) {
  const { buffer, byteOffset, byteLength } = await readFile(file);
  return buffer.slice(byteOffset, byteOffset + byteLength);
}

function first(count) {
  const { x, labels, features } = samples;
  const used = Math.min(count, samples.count);
  return { x: x.subarray(0, used * features), labels: labels.subarray(0, used), count: used, features };
}

async function writeNetwork(folder) {
  await mkdir(folder, { recursive: true });
  const layers = await model.download();
  const shapes = layers.map(({ inputs, outputs, dense }) => ({ inputs, outputs, dense }));
  await writeFile(path.join(folder, 'layers.json'), JSON.stringify(shapes));
  for (const [index, layer] of layers.entries())
    for (const name of ['rowOffsets', 'colIndices', 'weights', 'bias'])
      await writeFile(path.join(folder, `${index}.${name}`), layer[name]);
}

for await (const line of readline.createInterface({ input: process.stdin })) {
  const { op, ...request } = JSON.parse(line);
  const answer = await requests[op](request).catch((error) => ({ error: error.message }));
  process.stdout.write(`${JSON.stringify(answer ?? {})}\n`);
}
