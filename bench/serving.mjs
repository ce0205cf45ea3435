// Latency and throughput of predictions of one row, as a service asks for them:
//
//   node bench/serving.mjs [--seconds 3] [--threads 0] [--python python3]
//
// 1. One client that waits for each answer: median and 99th percentile, in turns with PyTorch's CSR matrices
//    on the same network and rows, where Python has them. Outputs are compared before anything is timed.
// 2. 1, 16 and 256 clients at once, each asking for the next row when it has its answer, with batching and
//    without: answers per second, and how long a client waits.

import { spawn } from 'node:child_process';
import { rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import readline from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { info, SparseMLP } from 'set-native';

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '3' },
    threads: { type: 'string', default: '0' },
    python: { type: 'string', default: 'python3' },
  },
});
const seconds = Number(values.seconds);
const threads = Number(values.threads);
const layers = [784, 3000, 3000, 3000, 10];
const rounds = 5;
const perRound = 400;

const rows = Array.from({ length: 64 }, (_, r) =>
  Float32Array.from({ length: 784 }, (_, i) => Math.sin(r * 784 + i)),
);

/** Value at a share of sorted numbers. */
const at = (sorted, share) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
const sorted = (list) => Float64Array.from(list).sort();
const us = (ms) => `${(1000 * ms).toFixed(0)} us`;

/** A process that answers a line of JSON with a line of JSON; undefined where it cannot. */
async function torchPeer(file) {
  const program = path.join(path.dirname(fileURLToPath(import.meta.url)), 'peers', 'serving_peer.py');
  const child = spawn(values.python, [program, file, String(threads || info().threads)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const lines = readline.createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const answer = async () => {
    const { value, done } = await lines.next();
    return done ? { skip: `${values.python} ended` } : JSON.parse(value);
  };
  child.on('error', () => {});
  child.stdin.on('error', () => {});
  const first = await answer();
  if (first.skip !== undefined) {
    console.log(`torch-csr is left out: ${first.skip}`);
    return undefined;
  }
  return {
    versions: first.versions,
    async ask(request) {
      child.stdin.write(`${JSON.stringify(request)}\n`);
      return answer();
    },
    end: () => child.stdin.end(),
  };
}

async function latencies(model, count) {
  const times = [];
  for (let k = 0; k < count; k++) {
    const start = performance.now();
    await model.predict(rows[k % rows.length]);
    times.push(performance.now() - start);
  }
  return times;
}

async function throughput(model, clients) {
  const waits = [];
  const end = performance.now() + seconds * 1000;
  const client = async (first) => {
    for (let k = first; performance.now() < end; k++) {
      const start = performance.now();
      await new Promise(setImmediate); // a server would read the request now, and those of others
      await model.predict(rows[k % rows.length]);
      waits.push(performance.now() - start);
    }
  };
  const start = performance.now();
  await Promise.all(Array.from({ length: clients }, (_, c) => client(c)));
  const list = sorted(waits);
  return {
    perSecond: (1000 * waits.length) / (performance.now() - start),
    p50: at(list, 0.5),
    p99: at(list, 0.99),
  };
}

const model = await SparseMLP.create({ layers, epsilon: 13, threads });
const { cpu, isa, node, version } = info();
console.log(`set-native ${version}, node ${node}, ${cpu}, ${isa.used}, ${model.threads} threads`);
console.log(`network ${layers.join(' x ')}, epsilon 13, one row per request\n`);

// 1. Latency, in turns.
const file = path.join(os.tmpdir(), `serving-${process.pid}.safetensors`);
await model.save(file, { optimizer: false });
const peer = await torchPeer(file);
await rm(file);
if (peer !== undefined) {
  const { outputs } = await peer.ask({ predict: [...rows[0]] });
  const own = await model.predict(rows[0]);
  const worst = outputs.reduce((most, value, i) => Math.max(most, Math.abs(value - own[i])), 0);
  if (!(worst < 1e-5)) throw new Error(`outputs differ by ${worst}`);
  console.log(`torch-csr: ${peer.versions}; its outputs differ by at most ${worst.toExponential(1)}`);
}
const times = { 'set-native': [], 'torch-csr': [] };
await latencies(model, perRound);
for (let round = 0; round < rounds; round++) {
  times['set-native'].push(...(await latencies(model, perRound)));
  if (peer !== undefined) times['torch-csr'].push(...(await peer.ask({ times: perRound })).times);
}
peer?.end();
console.log('\n| one client | median | 99th percentile | p99 / p50 |\n| --- | --: | --: | --: |');
for (const [name, list] of Object.entries(times)) {
  if (list.length === 0) continue;
  const all = sorted(list);
  const [p50, p99] = [at(all, 0.5), at(all, 0.99)];
  console.log(`| ${name} | ${us(p50)} | ${us(p99)} | ${(p99 / p50).toFixed(2)} |`);
}

// 2. Throughput.
const alone = await SparseMLP.create({ layers, epsilon: 13, threads, batching: false });
console.log(
  '\n| clients | batching | answers/s | median wait | 99th percentile |\n| --: | --- | --: | --: | --: |',
);
for (const clients of [1, 16, 256]) {
  for (const [name, served] of [
    ['on', model],
    ['off', alone],
  ]) {
    const { perSecond, p50, p99 } = await throughput(served, clients);
    console.log(`| ${clients} | ${name} | ${perSecond.toFixed(0)} | ${us(p50)} | ${us(p99)} |`);
  }
}
await Promise.all([model.close(), alone.close()]);
