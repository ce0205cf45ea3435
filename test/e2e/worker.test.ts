import { spawnSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';

const root = path.resolve(import.meta.dirname, '../..');
const index = path.join(root, 'dist/index.js');
const bench = path.join(root, 'dist/bench.js');

/** Runs a program of its own and hands back its exit code, signal and output. */
function node(program: string) {
  const { status, signal, stdout, stderr } = spawnSync(
    process.execPath,
    ['--input-type=module', '-e', program],
    {
      encoding: 'utf8',
      timeout: 25_000,
    },
  );
  return { status, signal, stdout, stderr };
}

const training = `
  const { SparseMLP } = await import(${JSON.stringify(`file://${index}`)});
  const count = 4000, features = 50;
  const x = new Float32Array(count * features).map((_, i) => (i % 7) / 7);
  const labels = new Uint32Array(count).map((_, i) => i % 4);
  const model = await SparseMLP.create({ layers: [features, 1000, 1000, 4] });
  const fit = model.fit({ x, labels, count, features }, { epochs: 1000, onEpoch });
`;

/** Runs a worker five times and terminates it at another moment each time after its first message. */
function terminated(worker: string) {
  return node(`
    import { once } from 'node:events';
    import { setTimeout } from 'node:timers/promises';
    import { Worker } from 'node:worker_threads';
    for (let i = 0; i < 5; i++) {
      const worker = new Worker(new URL('data:text/javascript,' + encodeURIComponent(${JSON.stringify(worker)})));
      await once(worker, 'message');
      await setTimeout(7 * i);
      console.log(await worker.terminate());
    }
    console.log('alive');`);
}

test('a worker terminated while it trains takes nothing down', () => {
  const worker = `
    import { parentPort } from 'node:worker_threads';
    const onEpoch = () => parentPort.postMessage('epoch');
    ${training}
    await fit;`;
  expect(terminated(worker)).toEqual({
    status: 0,
    signal: null,
    stderr: '',
    stdout: `${'1\n'.repeat(5)}alive\n`,
  });
});

test.each([
  ['draws a network', 'ready(); for (;;) (await addon.createModel(spec)).dispose();'],
  [
    'evolves',
    `const model = await addon.createModel(spec);
     ready();
     for (let epoch = 1; ; epoch++) await model.evolve(policy, epoch);`,
  ],
])('a worker terminated while it %s takes nothing down', (_, forever) => {
  const worker = `
    import { createRequire } from 'node:module';
    import { parentPort } from 'node:worker_threads';
    const addon = createRequire(${JSON.stringify(path.join(root, 'package.json'))})('./build/release/set_native.node');
    const spec = {
      sizes: [3000, 3000, 3000, 10], topology: 'erdos-renyi', epsilon: 100, motifSize: 2, init: 'he-fan-in', activation: 'relu',
      alpha: 0.6, loss: 'softmax-cross-entropy', seed: 0, backend: 'cpu', threads: 2, optimizer: 'sgd',
    };
    const policy = {
      zeta: 0.3, motifSize: 1, parse: 'aligned', score: 'mean', prune: 'by-sign', grow: 'random', regrowInit: 'he-dense',
      evolveOutput: false,
    };
    const ready = () => parentPort.postMessage('ready');
    ${forever}`;
  expect(terminated(worker)).toEqual({
    status: 0,
    signal: null,
    stderr: '',
    stdout: `${'1\n'.repeat(5)}alive\n`,
  });
});

test('process.exit in the middle of an epoch ends cleanly', () => {
  const { status, signal, stderr } = node(`
    const onEpoch = () => setTimeout(() => process.exit(7), 5);
    ${training}
    await fit;`);
  expect({ status, signal, stderr }).toEqual({ status: 7, signal: null, stderr: '' });
});

test('an experiment of several workers that its signal stops has the reason of the signal as cause', () => {
  const program = `
    import { getEventListeners } from 'node:events';
    const { runExperiment } = await import(${JSON.stringify(`file://${bench}`)});
    const controller = new AbortController();
    const reason = { only: 'on this side' };
    const error = await runExperiment(
      { dataset: 'procedural', train: 200, test: 100, hidden: [40], epochs: 1000, epsilon: [2, 4], jobs: 2 },
      { signal: controller.signal, onEpoch: () => controller.abort(reason) },
    ).catch((error) => error);
    console.log(error.name, error.code, error.cause === reason, error.details.results.complete);
    console.log(getEventListeners(controller.signal, 'abort').length);
  `;
  expect(node(program)).toEqual({
    status: 0,
    signal: null,
    stdout: 'AbortError ERR_ABORTED true false\n0\n',
    stderr: '',
  });
});

test('an error thrown by a callback ends an experiment of several workers, which keep what they have', () => {
  const program = `
    import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
    const { runExperiment } = await import(${JSON.stringify(`file://${bench}`)});
    const out = mkdtempSync(${JSON.stringify(path.join(tmpdir(), 'set-native-worker-'))});
    const epochs = {};
    let thrown = 0;
    const onEpoch = ({ epsilon }) => {
      epochs[epsilon] = (epochs[epsilon] ?? 0) + 1;
      if (epochs[2] > 10 && epochs[4] > 10) throw new Error("mine " + ++thrown);
    };
    const error = await runExperiment(
      { dataset: 'procedural', train: 200, test: 100, hidden: [40], epochs: 1000, epsilon: [2, 4], jobs: 2 },
      { out, onEpoch },
    ).catch((error) => error);
    console.log(error.message, thrown, readdirSync(out).sort().join());
    console.log(readdirSync(out + '/checkpoints').length);
    rmSync(out, { recursive: true });
  `;
  expect(node(program)).toEqual({
    status: 0,
    signal: null,
    stdout: 'mine 1 1 checkpoints,experiment.json\n2\n',
    stderr: '',
  });
});
