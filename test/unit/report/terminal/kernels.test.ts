import { expect, test } from 'vitest';
import { compareKernels } from '../../../../src/kernels/compare.js';
import { renderKernels } from '../../../../src/report/terminal/kernels.js';
import { ceilings, point, results, timed } from '../../kernels/results.js';

const squeezed = (text: string) => text.split('\n').map((line) => line.trim().replaceAll(/ +/g, ' '));

test('a line has every number of its case, under one that names operation and layers', () => {
  const lines = squeezed(
    renderKernels(results({ cases: [timed(), timed({ name: 'train 784-10 threads=2' })] })),
  );
  const first = lines.indexOf('train 784-10');
  expect(lines.slice(first - 2, first + 3)).toEqual([
    'case median ms p95 ms ns/link GFLOP/s GB/s limit share',
    expect.stringMatching(/^─+$/),
    'train 784-10',
    'epsilon=13 batch=40 motif=1 threads=1 128 140 4.32 55.5 45.7 rows 75 %',
    'threads=2 128 140 4.32 55.5 45.7 rows 75 %',
  ]);
});

test('what is not known is a dash', () => {
  const unknown = {
    nsPerLink: null,
    gflops: null,
    gigabytesPerSecond: null,
    limit: null,
    shareOfLimit: null,
  };
  expect(squeezed(renderKernels(results({ cases: [timed(unknown)] })))).toContain(
    'epsilon=13 batch=40 motif=1 threads=1 128 140 – – – – –',
  );
});

test('everything fits 120 columns', () => {
  const widest = timed({
    name: 'train 784-10 epsilon=13 batch=128 motif=8 threads=128',
    nsPerLink: 12_345,
  });
  const value = results({ cases: [widest] });
  const text = renderKernels(value, { comparison: compareKernels(value, value) });
  for (const line of text.split('\n')) expect(line.length).toBeLessThanOrEqual(120);
});

test('a failed check is said in its place and in full below', () => {
  const { name, op, shape, epsilon, batch, motifSize, samples, threads } = timed();
  const failed = { name, op, shape, epsilon, batch, motifSize, samples, threads, failure: 'z differs' };
  const lines = squeezed(renderKernels(results({ cases: [failed] })));
  expect(lines).toContain('epsilon=13 batch=40 motif=1 threads=1 FAILED');
  expect(lines).toContain(`${name}: z differs`);
});

test('one-sample predictions get their latencies', () => {
  const name = 'predict 784-10 epsilon=13 samples=1 threads=1';
  const single = timed({ name, op: 'predict', samples: 1, medianMs: 0.0556, p99Ms: 0.1 });
  expect(squeezed(renderKernels(results({ cases: [single] })))).toContain(
    'epsilon=13 samples=1 threads=1: p50 55.6 us, p99 100 us',
  );
  expect(renderKernels(results())).not.toContain('Latency');
});

test('a comparison marks what changed, and says what makes it worthless', () => {
  const names = ['faster', 'same', 'slower', 'new'].map((name) => `train 784-10 ${name}`);
  const current = results({ cases: names.map((name) => timed({ name })) });
  const old = results({
    cases: [256, 128, 64].map((medianMs, i) => timed({ name: names[i]!, medianMs })),
    machine: { ...current.machine, cpu: 'Old' },
  });
  const text = renderKernels(current, { comparison: compareKernels(old, current) });
  const lines = squeezed(text);
  expect(lines.filter((line) => line.includes('rows 75 %')).map((line) => line.split('75 % ')[1])).toEqual([
    '2.00 +',
    '1.00',
    '0.50 -',
    '–',
  ]);
  expect(text).toContain('3 of 4 cases compared: geometric mean of old/new 1.000');
  expect(text).toContain('beyond noise 1 faster (+), 1 slower (-)');
  expect(text).toContain('Not comparable as it stands: CPU CPU, then Old.');
});

test('a machine that was busy while the ceilings were measured is said', () => {
  expect(renderKernels(results())).not.toContain('busy or they share');
  const busy = [ceilings(1), { ...ceilings(2), gflops: 110 }];
  expect(renderKernels(results({ ceilings: busy }))).toContain(
    '2 threads reach 110 GFLOP/s together, one 100',
  );
});

test('a sweep shows times, bytes and exponents, and what failed', () => {
  const exponents = [{ motifSize: 1, train: 1.0456, evolve: 0.99, initialise: 1.01 }];
  const points = [point(), { links: 1e8, neurons: 1e6, motifSize: 1, threads: 2, failure: 'no memory' }];
  const lines = squeezed(
    renderKernels(results({ cases: [], complete: false, sweep: { batch: 32, points, exponents } })),
  );
  expect(lines).toContain('101,776 1,000 1 4.00 12.0 8.00 18.0 21.0');
  expect(lines).toContain('100,000,000 1,000,000 1 FAILED FAILED FAILED FAILED FAILED');
  expect(lines).toContain('100,000,000 links, motif size 1: no memory');
  expect(lines).toContain('Time ~ links^k, motif size 1: train k = 1.046, evolve 0.990, init 1.010');
  expect(lines).toContain('Not complete: it ended early; this is what was done.');
});
