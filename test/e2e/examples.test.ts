import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, expect, test } from 'vitest';

/*
 * The programs of examples/, run as their readers would run them, with the built package.
 */

const root = path.resolve(import.meta.dirname, '../..');
const examples = path.join(root, 'examples');
const folder = mkdtempSync(path.join(tmpdir(), 'set-native-examples-'));
const children: ChildProcess[] = [];
afterAll(() => {
  for (const child of children) child.kill('SIGKILL');
  rmSync(folder, { recursive: true });
});

/** Output of a program that must end well and say nothing on standard error. */
function run(program: string, ...args: string[]): string {
  const file = path.join(examples, program);
  const command = file.endsWith('.py') ? '/usr/bin/python3' : process.execPath;
  const { status, stdout, stderr } = spawnSync(command, [file, ...args], {
    cwd: folder,
    encoding: 'utf8',
    timeout: 60_000,
  });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  return stdout;
}

test('tabular: a table with words and gaps becomes a saved model, whose predictions make sense', () => {
  const said = run('tabular/train.mjs');
  expect(Number(/never saw: (0\.\d+)/.exec(said)?.[1])).toBeGreaterThan(0.85);
  expect(existsSync(path.join(folder, 'churn.safetensors'))).toBe(true);
  const [first, second] = run('tabular/predict.mjs').trim().split('\n');
  expect(first).toMatch(/^yes 0\.9\d+$|^yes 1\.000$/);
  expect(second).toMatch(/^no 0\.9\d+$|^no 1\.000$/);
});

test('mnist: without the files it says so and trains on the drawings', () => {
  const said = run('mnist/mnist.mjs', folder, '4', '4000');
  expect(said).toContain('MNIST was not found');
  expect(said).toMatch(/epoch 1: loss \d\.\d+, validation accuracy 0\.\d+, [1-9]\d* links moved/);
  expect(Number(/test accuracy (0\.\d+)/.exec(said)?.[1])).toBeGreaterThan(0.4);
});

const hasScipy = spawnSync('/usr/bin/python3', ['-c', 'import scipy.sparse']).status === 0;
test.skipIf(!hasScipy)(
  'python-interop: Python predicts the same numbers, and so does Node of its layers',
  () => {
    run('python-interop/export.mjs');
    const said = run('python-interop/predict.py');
    expect(said).toMatch(/^npz: 20 samples, largest difference \d\.\de-0[678]$/m);
    expect(said).toMatch(/^safetensors: 20 samples/m);
    run('python-interop/from_python.py');
    expect(run('python-interop/import.mjs')).toMatch(
      /^layers 20 x 30 x 3, largest difference \d\.\de-[678]$/m,
    );
  },
);

/** The service on a free port, with the model file of this test. */
async function service() {
  const child = spawn(process.execPath, [path.join(examples, 'fastify-service/server.mjs')], {
    env: { ...process.env, PORT: '0', MODEL: path.join(folder, 'served.safetensors') },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  children.push(child);
  let stderr = '';
  child.stderr!.setEncoding('utf8').on('data', (text) => {
    stderr += text;
  });
  const [line] = await once(createInterface(child.stdout!), 'line');
  const base = /^listening on (\S+)$/.exec(line)![1]!;
  const ask = async (method: string, at: string, body?: unknown) => {
    const response = await fetch(base + at, {
      method,
      ...(body !== undefined && {
        body: JSON.stringify(body),
        headers: { 'content-type': 'application/json' },
      }),
    });
    const text = await response.text();
    return { status: response.status, body: text === '' ? undefined : JSON.parse(text) };
  };
  const events = async (id: string) => {
    const text = await (await fetch(`${base}/trainings/${id}/events`)).text();
    return text
      .split('\n\n')
      .filter(Boolean)
      .map((each) => JSON.parse(each.slice('data: '.length)));
  };
  const stop = async () => {
    child.kill('SIGTERM');
    const [code] = await once(child, 'exit');
    return { code, stderr };
  };
  return { ask, events, stop };
}

const csv = readFileSync(path.join(examples, 'tabular/customers.csv'), 'utf8');
const rows = csv
  .trim()
  .split('\n')
  .slice(1)
  .map((line) => {
    const [customer, plan, months, country, calls, income] = line.split(',');
    return {
      customer: Number(customer),
      plan,
      months: Number(months),
      country,
      calls: Number(calls),
      income,
    };
  });

test('fastify-service: trains, predicts at once for many, swaps, stops and starts again', async () => {
  const first = await service();
  expect((await first.ask('GET', '/health')).body).toEqual({ status: 'ok', training: false });
  expect((await first.ask('POST', '/predictions', { rows: rows.slice(0, 1) })).status).toBe(503);
  expect((await first.ask('POST', '/trainings', { csv: 'one line', label: 'x' })).status).toBe(400);
  expect((await first.ask('DELETE', '/trainings/9')).status).toBe(404);

  // A training that fails tells why; one that is stopped says so; one that ends well is served.
  const trainings = [
    { csv, label: 'nothing' },
    { csv, label: 'churned', epochs: 1000, hidden: [500, 500] },
    { csv, label: 'churned', epochs: 5 },
  ];
  const started = async (body: unknown) => {
    const { status, body: reply } = await first.ask('POST', '/trainings', body);
    expect(status).toBe(202);
    return reply.id as string;
  };
  expect(await first.events(await started(trainings[0]))).toEqual([
    { type: 'failed', code: 'ERR_DATA_FORMAT', message: expect.stringContaining('a column named nothing') },
  ]);
  const long = await started(trainings[1]);
  const followed = first.events(long);
  expect((await first.ask('POST', '/trainings', trainings[2])).status).toBe(409);
  expect((await first.ask('DELETE', `/trainings/${long}`)).status).toBe(204);
  expect((await followed).at(-1)).toEqual({ type: 'stopped' });
  const short = await first.events(await started(trainings[2]));
  expect(short.map(({ type, epoch }) => epoch ?? type)).toEqual([1, 2, 3, 4, 5, 'done']);
  expect((await first.ask('GET', '/health')).body.model.classes).toEqual(['no', 'yes']);

  // 100 requests at once, of 1, 3 and 600 rows, get the answers that one at a time would; a bad row fails
  // alone.
  const sizes = Array.from({ length: 100 }, (_, i) => [1, 3, rows.length][i % 3]!);
  const asked = sizes.map((size, i) => rows.slice(i % 40, (i % 40) + size));
  const predict = (some: unknown) => first.ask('POST', '/predictions', { rows: some });
  const [bad, ...together] = await Promise.all([predict([{ plan: 'gold' }]), ...asked.map(predict)]);
  expect(bad).toMatchObject({ status: 400, body: { code: 'ERR_DATA_FORMAT' } });
  for (const [i, answer] of together.entries()) {
    expect(answer.status).toBe(200);
    if (i % 10 === 0) expect(answer).toEqual(await predict(asked[i]));
  }

  // A second training, while requests come: none is lost when the models change places.
  const swap = first.events(await started({ csv, label: 'churned', epochs: 8 }));
  const statuses: number[] = [];
  let swapped = false;
  void swap.then(() => {
    swapped = true;
  });
  while (!swapped) statuses.push((await predict(rows.slice(0, 5))).status);
  statuses.push((await predict(rows.slice(0, 5))).status);
  expect(new Set(statuses)).toEqual(new Set([200]));
  const after = await predict(rows.slice(0, 5));

  // SIGTERM ends it, a training that runs included; the next process serves what was saved.
  const last = await started(trainings[1]);
  const cut = first.events(last);
  expect(await first.stop()).toEqual({ code: 0, stderr: '' });
  expect((await cut).at(-1)).toEqual({ type: 'stopped' });
  const second = await service();
  expect(await second.ask('POST', '/predictions', { rows: rows.slice(0, 5) })).toEqual(after);
  expect(await second.stop()).toEqual({ code: 0, stderr: '' });
}, 90_000);
