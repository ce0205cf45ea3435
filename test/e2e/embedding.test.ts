import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, expect, test } from 'vitest';

/*
 * The built package in processes of other kinds than a module that imports it. (Worker threads:
 * worker.test.ts; contexts of node:vm, as Jest makes them: realm.test.ts.)
 */

const root = path.resolve(import.meta.dirname, '../..');
const index = JSON.stringify(path.join(root, 'dist/index.js'));
const folder = mkdtempSync(path.join(tmpdir(), 'set-native-embedding-'));
afterAll(() => rmSync(folder, { recursive: true }));

function run(name: string, program: string) {
  const file = path.join(folder, name);
  writeFileSync(file, program);
  const { status, signal, stdout, stderr } = spawnSync(process.execPath, [file], {
    encoding: 'utf8',
    timeout: 50_000,
  });
  return {
    status,
    signal,
    stdout,
    stderr: stderr.replace(/^.*ExperimentalWarning.*\n.*--trace-warnings.*\n/, ''),
  };
}

test('CommonJS requires it', () => {
  const program = `
    const { SparseMLP, SetNativeError } = require(${index});
    SparseMLP.create({ layers: [4, 50, 2], epsilon: 2, threads: 1 }).then(async (model) => {
      const error = await model.predict(new Float32Array(3)).catch((reason) => reason);
      console.log((await model.predict(new Float32Array(8))).length, error instanceof SetNativeError, error.code);
      await model.close();
    });`;
  expect(run('common.cjs', program)).toEqual({
    status: 0,
    signal: null,
    stdout: '4 true ERR_SHAPE\n',
    stderr: '',
  });
});

test('the processes of a cluster load one file and answer alike', () => {
  const program = `
    import cluster from 'node:cluster';
    import { once } from 'node:events';
    import { SparseMLP } from ${index};
    const file = ${JSON.stringify(path.join(folder, 'model.safetensors'))};
    const x = Float32Array.from({ length: 40 }, (_, i) => i / 40);
    if (cluster.isPrimary) {
      const model = await SparseMLP.create({ layers: [4, 50, 2], epsilon: 2 });
      await model.save(file);
      const workers = [1, 2, 3].map(() => cluster.fork());
      const answers = await Promise.all(workers.map(async (worker) => (await once(worker, 'message'))[0]));
      const own = String(await model.predict(x));
      await model.close();
      const codes = await Promise.all(workers.map(async (worker) => {
        worker.send('enough');
        return (await once(worker, 'exit'))[0];
      }));
      console.log(answers.every((answer) => answer === own), codes.join(' '));
    } else {
      const model = await SparseMLP.load(file);
      const asked = await Promise.all(Array.from({ length: 20 }, () => model.predict(x)));
      process.send(new Set(asked.map(String)).size === 1 ? String(asked[0]) : 'different');
      await once(process, 'message');
      await model.close();
      process.disconnect();
    }`;
  expect(run('cluster.mjs', program)).toEqual({
    status: 0,
    signal: null,
    stdout: 'true 0 0 0\n',
    stderr: '',
  });
});
