import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { info } from '../../src/index.js';
import { type KernelResults, readKernelResults } from '../../src/kernels/results.js';

/*
 * `set-native bench kernels` as a user runs it.
 */

const main = path.resolve(import.meta.dirname, '../../dist/cli/main.js');
let folder: string;

beforeAll(() => {
  if (!existsSync(main)) throw new Error('dist is missing: `npm run build` first');
  folder = mkdtempSync(path.join(tmpdir(), 'set-native-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** @param interrupt sends SIGINT as soon as this appears on stderr */
function run(args: string[], interrupt?: RegExp) {
  return new Promise<{ code: number | null; stdout: string; stderr: string }>((resolve) => {
    const child = spawn(process.execPath, [main, 'bench', ...args], { cwd: folder });
    let [stdout, stderr, sent] = ['', '', false];
    child.stdout.on('data', (chunk) => {
      stdout += chunk;
    });
    child.stderr.on('data', (chunk) => {
      stderr += chunk;
      if (interrupt?.test(stderr) && !sent) sent = child.kill('SIGINT');
    });
    child.on('close', (code) => resolve({ code, stdout, stderr }));
  });
}

const read = (file: string): KernelResults => readKernelResults(path.join(folder, file));
const quick = ['kernels', '--filter', 'loss batch=40', '--threads', '1'];

test('a case is checked, timed, shown, written and compared', async () => {
  const first = await run([...quick, '--json', 'first.json']);
  expect(first).toMatchObject({ code: 0, stderr: expect.stringContaining('1/1 loss 10 batch=40 threads=1') });
  expect(first.stdout).toMatch(/^loss 10$/m);
  const results = read('first.json');
  expect(results).toMatchObject({ complete: true, sweep: null, machine: { isa: info().isa.used } });
  expect(results.ceilings).toHaveLength(1);
  for (const [key, value] of Object.entries(results.ceilings[0]!.gigabytesPerSecond)) {
    expect(value, key).toBeGreaterThan(0.1);
  }
  expect(results.cases).toHaveLength(1);
  expect(results.cases[0]).toMatchObject({ op: 'loss', shape: '10', batch: 40, epsilon: null, threads: 1 });
  const second = await run([...quick, '--compare', 'first.json']);
  expect(second.code).toBe(0);
  expect(second.stdout).toMatch(/^1 of 1 cases compared: geometric mean of old\/new \d/m);
});

test.each(info().isa.available)(
  'kernels for %s can be asked for, and every kind of case passes its check',
  async (isa) => {
    // One of each kind, small: the words are of names that exist.
    for (const filter of [
      'sparse-forward motif=2 batch=2',
      'sparse-backward motif=2 batch=2',
      'gather batch=2',
    ]) {
      const { code, stdout } = await run([
        'kernels',
        '--filter',
        filter,
        '--isa',
        isa,
        '--threads',
        '1',
        '--json',
        'isa.json',
      ]);
      expect({ code, failed: stdout.includes('FAILED') }).toEqual({ code: 0, failed: false });
      const { machine, cases } = read('isa.json');
      expect(machine.isa).toBe(isa);
      expect(cases).toHaveLength(1);
      for (const each of cases) expect(each.failure).toBeUndefined();
    }
  },
);

test('networks are trained, evolved, initialised and asked', { timeout: 60_000 }, async () => {
  for (const op of ['train 3312', 'predict samples=1', 'evolve', 'initialise']) {
    const filter = `${op} 3000 epsilon=13 motif=${op.startsWith('predict') ? 4 : 8} threads=1`;
    const { code, stdout } = await run([
      'kernels',
      '--filter',
      filter,
      '--threads',
      '1',
      '--json',
      'op.json',
    ]);
    expect({ code, failed: stdout.includes('FAILED') }).toEqual({ code: 0, failed: false });
    const { cases } = read('op.json');
    expect(cases).toHaveLength(1);
    expect(cases[0]).toMatchObject({ nsPerLink: expect.any(Number), linkVisits: expect.any(Number) });
  }
});

test('a sweep measures each point in a process of its own', { timeout: 60_000 }, async () => {
  const figure = existsSync(path.resolve(import.meta.dirname, '../../node_modules/vega-lite'));
  const args = ['kernels', '--sweep', '--max-links', '300000', '--threads', '1', '--json', 'sweep.json'];
  const { code, stdout } = await run([...args, ...(figure ? ['--figure', 'sweep.svg'] : [])]);
  expect(code).toBe(0);
  expect(stdout).toMatch(/^Time ~ links\^k, motif size 4: train k = \d/m);
  const { cases, sweep } = read('sweep.json');
  expect(cases).toEqual([]);
  expect(sweep!.points.map(({ links, motifSize }) => [links, motifSize])).toEqual([
    ...[1, 4].flatMap((motifSize) => [1e5, 3e5].map((links) => [links, motifSize])),
  ]);
  for (const point of sweep!.points) {
    expect(point.failure).toBeUndefined();
    expect(point).toMatchObject({ trainNsPerLink: expect.any(Number), peakBytesPerLink: expect.any(Number) });
  }
  if (figure) expect(readFileSync(path.join(folder, 'sweep.svg'), 'utf8')).toMatch(/^<svg .*<\/svg>$/s);
});

test('Ctrl-C ends with 130 and what was done', async () => {
  const args = ['kernels', '--filter', 'sparse-forward', '--threads', '1', '--json', 'cut.json'];
  const { code, stdout, stderr } = await run(args, /^3\/\d+ sparse/m);
  expect(code).toBe(130);
  expect(stderr).toContain('Stopped by Ctrl-C.');
  expect(stdout).toContain('Not complete');
  const { complete, cases } = read('cut.json');
  expect(complete).toBe(false);
  expect(cases.length).toBeGreaterThanOrEqual(2);
});

test.each([
  [['kernels', '--filter', 'nothing of the kind'], '--filter "nothing of the kind" matches no case'],
  [['kernels', '--compare', 'missing.json'], '--compare must name a file of earlier results'],
  [['kernels', '--compare', 'other.json'], 'other.json holds something else'],
  [['kernels', '--json', 'no/such/folder.json'], '--json must name a place that can be written'],
  [
    ['kernels', '--sweep', '--figure', 'no/such/folder.svg'],
    '--figure must name a place that can be written',
  ],
  [['kernels', '--figure', 'x.svg'], '--figure belongs to --sweep'],
  [['kernels', '--max-links', '1000000'], '--max-links belongs to --sweep'],
  [['kernels', '--max-links', '1'], 'Expected a whole number from 100000 to 1000000000.'],
  [['kernels', '--sweep', '--filter', 'train'], "'--sweep' cannot be used with option '--filter <words>'"],
  [['kernels', '--sweep', '--compare', 'x.json'], "'--sweep' cannot be used with option '--compare <file>'"],
  [['kernels', '--isa', 'sse9'], 'Expected one of portable, avx2, avx512.'],
  [['kernels', '--threads', '1.5'], '--threads'],
  [['kernels', '--epochs', '2'], "unknown option '--epochs'"],
  [['kernels', 'extra'], 'too many arguments'],
  [['--epochs', '2', 'kernels'], '--epochs is an option of bench, not of bench kernels'],
])('%j is a usage error', async (args, message) => {
  writeFileSync(path.join(folder, 'other.json'), '{"schemaVersion": 2, "runs": []}');
  const { code, stdout, stderr } = await run(args);
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  expect(stderr).toContain(message);
  expect(stderr).not.toMatch(/\n +at /);
});
