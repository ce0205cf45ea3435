import { execFileSync, spawnSync } from 'node:child_process';
import os from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';

const root = path.resolve(import.meta.dirname, '../..');
const program = `
  const { info } = await import(${JSON.stringify(`file://${root}/dist/index.js`)});
  const { native } = await import(${JSON.stringify(`file://${root}/dist/native.js`)});
  const spec = {
    sizes: [20, 30, 4], topology: 'erdos-renyi', epsilon: 4, motifSize: 2, init: 'he-fan-in', activation: 'relu',
    alpha: 0.6, loss: 'softmax-cross-entropy', seed: 0, backend: 'cpu', threads: 0, optimizer: 'sgd',
  };
  const { threads } = await native().createModel(spec);
  console.log(JSON.stringify([threads, info().threads, native().availableCpus()]));`;
const counts = (...command: string[]) =>
  JSON.parse(
    execFileSync(command[0]!, [...command.slice(1), '--input-type=module', '-e', program], {
      encoding: 'utf8',
    }),
  );

const taskset = spawnSync('taskset', ['--version']).status === 0;

test.skipIf(!taskset)('threads by default are the CPUs of the affinity mask (needs taskset)', () => {
  const available = os.availableParallelism(); // does not look at quotas
  const [threads, ...others] = counts(process.execPath);
  expect(others).toEqual([threads, threads]);
  expect(threads).toBeGreaterThanOrEqual(1);
  expect(threads).toBeLessThanOrEqual(available);
  const mask = /list: (\d+)/.exec(
    execFileSync('taskset', ['-pc', String(process.pid)], { encoding: 'utf8' }),
  );
  expect(counts('taskset', '-c', mask![1]!, process.execPath)).toEqual([1, 1, 1]);
});
