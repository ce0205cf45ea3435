import { expect, test } from 'vitest';
import { experimentDefaults } from '../../../src/bench/config.js';
import { renderTable } from '../../../src/bench/report/table.js';
import type { BenchResults, BenchSummary } from '../../../src/bench/results.js';

const entry: BenchSummary = {
  method: 'set',
  epsilon: 13,
  runs: 3,
  epochs: 20,
  nnz: 1_234_567,
  density: 0.0123,
  finalAccuracy: { mean: 0.8214, spread: 0.0042 },
  bestAccuracy: { mean: 0.8333, spread: 0.001 },
  trainMs: 123.4,
  evolveMs: 7.25,
  evaluateMs: 9.99,
  ratioToSet: { train: 1, total: 1 },
  initialLinks: 0.655,
};

function results(summary: BenchSummary[], changes: Partial<BenchResults> = {}): BenchResults {
  return {
    schemaVersion: 1,
    complete: true,
    environment: {
      version: '0.1.0',
      node: 'v20',
      platform: 'linux-x64',
      cpu: 'CPU',
      cores: 2,
      isa: 'avx2',
      threads: 2,
      backend: 'cpu',
      date: '2025-01-01T00:00:00.000Z',
    },
    config: { ...experimentDefaults, dataset: 'procedural', epsilon: [13] },
    dataset: { name: 'procedural', source: 'embedded', features: 784, classes: 10, train: 5000, test: 1000 },
    notes: [],
    runs: [],
    summary,
    ...changes,
  };
}

const plain = (summary: BenchSummary[], changes?: Partial<BenchResults>) =>
  renderTable(results(summary, changes), { color: false });

test('a row holds every number with its unit and precision', () => {
  const row = plain([entry])
    .split('\n')
    .find((line) => line.startsWith('set'))!;
  expect(row.trim().replaceAll(/ +/g, ' ')).toBe(
    'set 13 1,234,567 1.23 % 0.821 ± 0.004 0.833 ± 0.001 123 7.3 10.0 1.00 1.00 66 %',
  );
});

test('what does not exist is a dash: epsilon and survival of dense, ratios without SET, the spread of one run', () => {
  const dense = { ...entry, method: 'dense' as const, epsilon: null, ratioToSet: null, initialLinks: null };
  const text = plain([{ ...dense, runs: 1, finalAccuracy: { mean: 0.9, spread: null } }]);
  const cells = text
    .split('\n')
    .find((line) => line.startsWith('dense'))!
    .split(/ +/);
  expect(cells.filter((cell) => cell === '–')).toHaveLength(4);
  expect(cells).toContain('0.900');
});

test('the lines under the table say what ± and × SET are, and that best is chosen on the test set', () => {
  const text = plain([entry, { ...entry, method: 'static' }]);
  expect(text).toMatch(/3 paired runs of 20 epochs; ± is the sample standard deviation/);
  expect(text).toMatch(/× SET: time over that of SET with the same seed and epsilon/);
  expect(text).toMatch(/chosen on the test set/);
  expect(text).not.toMatch(/No static runs/);
});

test('evolution without static beside it, missing epochs and notes are pointed out', () => {
  expect(plain([entry])).toMatch(/No static runs/);
  expect(plain([entry], { complete: false })).toMatch(/Not complete/);
  expect(plain([entry], { notes: ['lung, rounded to 4 levels'] })).toMatch(/Note: lung, rounded to 4 levels/);
  expect(plain([], { complete: false })).toMatch(/Not complete/);
});

test('options may be left out', () => {
  expect(renderTable(results([entry]))).toBe(plain([entry]));
});

test('colour only when asked for; a line fits a terminal of 120 columns', () => {
  const esc = String.fromCharCode(27);
  expect(plain([entry])).not.toContain(esc);
  expect(renderTable(results([entry]), { color: true })).toContain(esc);
  const lines = plain([entry, { ...entry, method: 'set-motif', epsilon: 13.5 }]).split('\n');
  expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(120);
});
