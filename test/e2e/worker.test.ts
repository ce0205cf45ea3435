import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { expect, test } from 'vitest';

const index = path.resolve(import.meta.dirname, '../../dist/index.js');

/** Runs a program of its own and hands back its exit code, signal and output. */
function node(program: string) {
  const { status, signal, stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
    encoding: 'utf8',
    timeout: 25_000,
  });
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

test('a worker terminated while it trains takes nothing down', () => {
  const worker = `
    import { parentPort } from 'node:worker_threads';
    const onEpoch = () => parentPort.postMessage('epoch');
    ${training}
    await fit;`;
  const { status, signal, stdout, stderr } = node(`
    import { once } from 'node:events';
    import { setTimeout } from 'node:timers/promises';
    import { Worker } from 'node:worker_threads';
    for (let i = 0; i < 5; i++) {
      const worker = new Worker(new URL('data:text/javascript,' + encodeURIComponent(${JSON.stringify(worker)})));
      await once(worker, 'message');
      await setTimeout(3 * i);
      console.log(await worker.terminate());
    }
    console.log('alive');`);
  expect({ status, signal, stderr }).toEqual({ status: 0, signal: null, stderr: '' });
  expect(stdout).toBe(`${'1\n'.repeat(5)}alive\n`);
});

test('process.exit in the middle of an epoch ends cleanly', () => {
  const { status, signal, stderr } = node(`
    const onEpoch = () => setTimeout(() => process.exit(7), 5);
    ${training}
    await fit;`);
  expect({ status, signal, stderr }).toEqual({ status: 7, signal: null, stderr: '' });
});
