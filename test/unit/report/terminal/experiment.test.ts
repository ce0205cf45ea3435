import { expect, test } from 'vitest';
import { experimentDefaults } from '../../../../src/experiment/config.js';
import type { BenchResults, BenchSummary } from '../../../../src/experiment/results.js';
import { renderTable } from '../../../../src/report/terminal/experiment.js';
import type { Estimate } from '../../../../src/statistics.js';

/** An estimate whose interval reaches so far to either side. */
const about = (mean: number, margin: number): Estimate => ({
  mean,
  spread: margin / 2,
  low: mean - margin,
  high: mean + margin,
});
const single = (mean: number): Estimate => ({ mean, spread: null, low: null, high: null });

const entry: BenchSummary = {
  reading: 'plain',
  method: 'set',
  epsilon: 13,
  motifSize: 1,
  runs: 3,
  epochs: 20,
  nnz: 1_234_567,
  density: 0.0123,
  finalAccuracy: about(0.8214, 0.0042),
  selectedAccuracy: about(0.8111, 0.002),
  bestAccuracy: about(0.8333, 0.001),
  differenceToSet: { ...about(0, 0), pValue: 1 },
  trainMs: 123.4,
  evolveMs: 7.25,
  evaluateMs: 9.99,
  ratioToSet: { train: about(1, 0), total: about(1, 0) },
  initialLinks: 0.655,
  onFrontier: true,
};

const sizesOfParts = { available: 60_000, train: 5000, validation: 1000, test: 1000 };

function results(summary: BenchSummary[], changes: Partial<BenchResults> = {}): BenchResults {
  return {
    schemaVersion: 3,
    command: '',
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
    dataset: { name: 'procedural', source: 'embedded', features: 784, classes: 10, ...sizesOfParts },
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
    'set 13 1,234,567 1.23 % 0.821 ± 0.004 0.811 ± 0.002 0.833 ± 0.001 – 123 7.3 10.0 1.00 1.00 66 %',
  );
});

test('what does not exist is a dash: epsilon and survival of dense, ratios without SET, the spread of one run', () => {
  const dense = { ...entry, method: 'dense' as const, epsilon: null, ratioToSet: null, initialLinks: null };
  const text = plain([{ ...dense, runs: 1, finalAccuracy: single(0.9), selectedAccuracy: null }]);
  const cells = text
    .split('\n')
    .find((line) => line.startsWith('dense'))!
    .split(/ +/);
  expect(cells.filter((cell) => cell === '–')).toHaveLength(5);
  expect(cells).toContain('0.900');
});

test('the lines under the table say what ± and × SET are, and that best is chosen on the test set', () => {
  const text = plain([entry, { ...entry, method: 'static' }]);
  expect(text).toMatch(/3 paired runs of 20 epochs; ± reaches to the ends of the 95 % confidence interval/);
  expect(text).toMatch(/× SET: time over that of SET of the same seed and epsilon/);
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
  const rows = results([entry, { ...entry, method: 'set-motif', epsilon: 13.5 }]);
  const lines = renderTable(rows, { columns: 120 }).split('\n');
  expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(120);
});

const motif4: BenchSummary = {
  ...entry,
  method: 'set-motif',
  motifSize: 4,
  differenceToSet: { ...about(-0.0042, 0.0123), pValue: 0.4 },
  trainMs: 61.7,
  ratioToSet: { train: about(0.5, 0.01), total: about(0.6, 0.01) },
};
const beaten: BenchSummary = { ...motif4, motifSize: 16, onFrontier: false };
const static4: BenchSummary = { ...motif4, method: 'static', finalAccuracy: about(0.8001, 0.02) };
const sizes = { config: { ...results([]).config, motifSize: [1, 4, 16] } };

/** The second table, one space between cells. */
function frontier(summary: BenchSummary[], changes: Partial<BenchResults> = sizes): string[] {
  const text = plain(summary, changes).split('Accuracy and time against motif size')[1];
  return text?.split('\n').map((line) => line.trim().replaceAll(/ +/g, ' ')) ?? [];
}

test('motif sizes get a second table: accuracy, difference to SET, static of the same size, time', () => {
  const lines = frontier([entry, motif4, beaten, { ...entry, method: 'static' }, static4]);
  expect(lines).toContain('13 1 1,234,567 82.1 ± 0.4 – 82.1 ± 0.4 123 1.00 66 %');
  expect(lines).toContain('13 4 1,234,567 82.1 ± 0.4 -0.4 ± 1.2 80.0 ± 2.0 61.7 0.50 66 %');
  expect(lines).toContain('13 16 1,234,567 82.1 ± 0.4 -0.4 ± 1.2 – 61.7 0.50 66 %');
  expect(plain([entry, motif4], sizes)).toMatch(/^set-motif +4 +13 +1,234,567 /m);
  expect(plain([entry, motif4])).not.toContain('motif size');
});

test('several readings are told apart, and the published one is explained', () => {
  const published = { ...entry, reading: 'published' as const };
  const text = plain([published, entry]);
  expect(text).toMatch(/^published +set +13 /m);
  expect(text).toMatch(/^plain +set +13 /m);
  expect(text).toContain('its SET-motif was the static network');
  expect(plain([entry])).not.toContain('Published');
});

test('under it stands what is on the frontier at each epsilon, and how to read it', () => {
  const sparser = [entry, motif4].map((each) => ({ ...each, epsilon: 5, onFrontier: each.motifSize === 4 }));
  const lines = frontier([...sparser, entry, motif4, beaten, static4]);
  expect(lines).toContain('Motif sizes on the frontier: 4 at ε 5; 1, 4 at ε 13.');
  expect(lines).toContainEqual(
    expect.stringMatching(/^There, no other size is both faster and at least as accurate/),
  );
  expect(lines).toContainEqual(expect.stringMatching(/^Size 1 is SET; vs SET: difference within a seed/));
  expect(lines).toContainEqual(expect.stringMatching(/^Static: same network, not evolved/));
});

test('several methods are told apart, each with its own sizes', () => {
  const walks = [
    { ...entry, method: 'set-walk' as const, onFrontier: false },
    { ...motif4, method: 'set-motif-walk' as const, onFrontier: true },
  ];
  const lines = frontier([entry, motif4, ...walks, { ...entry, method: 'rigl', onFrontier: null }]);
  expect(lines).toContain('set 13 1 1,234,567 82.1 ± 0.4 – – 123 1.00 66 %');
  expect(lines).toContain('set-walk 13 1 1,234,567 82.1 ± 0.4 +0.0 ± 0.0 – 123 1.00 66 %');
  expect(lines).toContainEqual(expect.stringMatching(/^set-motif-walk 13 4 /));
  expect(lines).toContain('Motif sizes on the frontier: set, set-motif 4, set-motif-walk 4 at ε 13.');
  expect(lines).toContain('There, no other size of the same method is both faster and at least as accurate.');
  expect(lines).toContainEqual(expect.stringMatching(/^Size 1 of set is SET; vs SET: /));
});

test('without SET, static or a frontier nothing is claimed about them', () => {
  const alone = { ...motif4, ratioToSet: null, differenceToSet: null, onFrontier: null };
  const lines = frontier([alone, { ...alone, motifSize: 16 }]);
  expect(lines).toContain('13 4 1,234,567 82.1 ± 0.4 – – 61.7 – 66 %');
  expect(lines).toContainEqual(expect.stringMatching(/^Without SET \(motif size 1\)/));
  expect(lines.join()).not.toMatch(/on the frontier|Size 1 is SET|Static: same/);
  expect(frontier([static4])).toEqual([]);
});

test('with one topology of single links for all, the one static run stands beside every size', () => {
  const config = { ...sizes.config, topology: 'erdos-renyi' as const };
  const lines = frontier([entry, motif4, { ...static4, motifSize: 1 }], { config });
  expect(lines.filter((line) => line.includes(' 80.0 ± 2.0 '))).toHaveLength(2);
});

test('80 columns: fewer of them, and a line that names those left out', () => {
  const summary = [
    entry,
    motif4,
    beaten,
    static4,
    { ...entry, method: 'dense' as const, epsilon: null, nnz: 20_382_000 },
  ];
  const widest = (columns?: number) => {
    const text = renderTable(results(summary, sizes), { ...(columns !== undefined && { columns }) });
    return {
      text,
      width: Math.max(
        ...text
          .split('\n')
          .filter((line) => !/[.:]( |$)/.test(line))
          .map((l) => l.length),
      ),
    };
  };
  expect(widest(120).width).toBeLessThanOrEqual(120);
  expect(widest(80).width).toBeLessThanOrEqual(80);
  expect(widest(80).text).toContain(
    'without the columns density, selected, best, evolve, evaluate, total, initial; the results have all',
  );
  expect(widest(160).text).not.toContain('Narrow');
  expect(widest().text).toMatch(/density.*final.*best.*evolve.*evaluate/);
  expect(widest().text).not.toContain('Narrow');
});
