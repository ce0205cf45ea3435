import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parse } from 'csv-parse/sync';
import { chromium } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runExperiment } from '../../../src/bench/experiment.js';
import { summarize } from '../../../src/bench/summary.js';
import { summaryCsv } from '../../../src/report/csv.js';
import { figuresOf } from '../../../src/report/figures.js';
import { reportSource, writeReport } from '../../../src/report/index.js';
import { printedAccuracy } from '../../../src/report/thesis.js';

let root: string;
let one: string;

beforeAll(async () => {
  root = mkdtempSync(path.join(os.tmpdir(), 'set-native-report-'));
  one = path.join(root, 'one');
  const small = { dataset: 'procedural', hidden: [40, 40], train: 200, test: 100, epochs: 4, epsilon: [2, 4], runs: 2 };
  await runExperiment(
    { ...small, readings: ['described', 'improved'] },
    { out: one, command: 'set-native bench <script>alert(1)</script>' },
  );
  expect(await writeReport(one, [reportSource(one)])).toBeUndefined();
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

const figures = ['accuracy-by-epsilon', 'accuracy-by-epoch', 'time-split', 'links-by-birth', 'degrees', 'input-map'];

test('the report is a page, a summary for programs, and every figure as specification, SVG and PNG', () => {
  expect(readdirSync(one).sort()).toEqual([
    ...['experiment.json', 'figures', 'report.html', 'results.jsonl', 'summary.csv', 'summary.json'],
  ]);
  const expected = ['described', 'improved'].flatMap((reading) =>
    figures.flatMap((name) => ['png', 'svg', 'vl.json'].map((extension) => `${reading}-${name}.${extension}`)),
  );
  expect(readdirSync(path.join(one, 'figures')).sort()).toEqual(expected.sort());
  const png = readFileSync(path.join(one, 'figures', 'described-degrees.png'));
  expect(png.subarray(1, 4).toString()).toBe('PNG');
  expect(JSON.parse(readFileSync(path.join(one, 'summary.json'), 'utf8'))).toEqual(
    summarize(reportSource(one).runs).map((row) => ({ dataset: 'procedural', ...row })),
  );
});

test('the same results give the same bytes', async () => {
  const again = path.join(root, 'again');
  await runExperiment(
    { dataset: 'procedural', hidden: [40], train: 100, test: 50, epochs: 1, methods: ['static'], epsilon: [2] },
    { out: again },
  );
  await writeReport(again, [reportSource(one)]);
  for (const name of ['report.html', 'summary.csv']) {
    const same = readFileSync(path.join(again, name), 'utf8') === readFileSync(path.join(one, name), 'utf8');
    expect({ name, same }).toEqual({ name, same: true }); // the texts themselves would fill the terminal
  }
});

test('figures do not depend on the order in which the runs finished', () => {
  const { experiment, runs } = reportSource(one);
  const figuresFrom = (list: typeof runs) => figuresOf(list, experiment.dataset, 'improved', '');
  const byEpsilonDown = [...runs].sort((a, b) => b.epsilon! - a.epsilon!);
  expect(byEpsilonDown).not.toEqual(runs);
  expect(figuresFrom(byEpsilonDown)).toEqual(figuresFrom(runs));
});

test('nothing of the results is taken for markup, and nothing is asked of another machine', () => {
  const page = readFileSync(path.join(one, 'report.html'), 'utf8');
  expect(page).toContain('&lt;script&gt;alert(1)&lt;/script&gt;');
  expect(page).not.toContain('<script>alert');
  expect(page.match(/(src|href)="(?!#)[^"]*"/g)).toBeNull();
  expect(page.match(/<svg [^>]*role="img" aria-label=/g)).toHaveLength(2 * figures.length);
});

test('the table for other programs: a line per row of the summary, a column per number', () => {
  const dataset = 'lung, rounded to "4 levels"';
  const summary = summarize(reportSource(one).runs).map((row) => ({ dataset, ...row }));
  const rows: Record<string, string>[] = parse(summaryCsv(summary), { columns: true });
  expect(rows).toHaveLength(summary.length);
  expect(rows[0]).toMatchObject({
    dataset,
    reading: 'described',
    method: 'set',
    epsilon: '2',
    ratioToSetTrainMean: '1',
  });
  expect(Number(rows[0]!.finalAccuracyMean)).toBe(summary[0]!.finalAccuracy.mean);
});

test('printed values stand beside the published reading of Fashion-MNIST only', () => {
  const row = { reading: 'published' as const, method: 'static' as const, epsilon: 13 };
  expect(printedAccuracy('fashion-mnist', row)).toBe(0.772);
  expect(printedAccuracy('fashion-mnist', { ...row, method: 'set', epsilon: 31 })).toBe(0.82);
  expect(printedAccuracy('fashion-mnist', { ...row, epsilon: 7 })).toBeNull();
  expect(printedAccuracy('fashion-mnist', { ...row, reading: 'improved' })).toBeNull();
  expect(printedAccuracy('mnist', row)).toBeNull();
});

test('several experiments: a section each, and one table of all', async () => {
  const both = path.join(root, 'both');
  await runExperiment(
    { dataset: 'procedural', hidden: [40], train: 100, test: 50, epochs: 2, methods: ['set'], epsilon: [2] },
    { out: both },
  );
  await writeReport(both, [reportSource(one), reportSource(both)]);
  const page = readFileSync(path.join(both, 'report.html'), 'utf8');
  expect(page.match(/<section>/g)).toHaveLength(2);
  expect(page).toContain('<h2>Together</h2>');
  expect(readFileSync(path.join(both, 'summary.csv'), 'utf8').split('\r\n')[0]).toMatch(/^dir,dataset,reading,/);
});

const browser = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find((file) =>
  existsSync(file),
);

test.runIf(browser)(
  'in a browser: pictures there, no error, nothing fetched, no sideways scroll, tables sort',
  { timeout: 60_000 },
  async () => {
    const chrome = await chromium.launch({ executablePath: browser!, args: ['--no-sandbox'] });
    try {
      for (const [width, colorScheme] of [
        [1200, 'light'],
        [360, 'dark'],
      ] as const) {
        const page = await chrome.newPage({ viewport: { width, height: 900 }, colorScheme });
        const complaints: string[] = [];
        page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
        page.on('pageerror', (error) => complaints.push(String(error)));
        page.on('request', (request) => request.url().startsWith('file:') || complaints.push(request.url()));
        await page.goto(`file://${one}/report.html`);
        expect(await page.locator('figure svg').count()).toBe(2 * figures.length);
        expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(width);
        const table = page.locator('table').first();
        const column = async () =>
          (await table.locator('tbody td:nth-child(3)').allTextContents()).map((text) =>
            Number(text.replaceAll(',', '')),
          );
        const heading = table.locator('th').nth(2);
        await heading.locator('button').click();
        const ascending = await column();
        expect(ascending).toEqual(ascending.toSorted((a, b) => a - b));
        expect(await heading.getAttribute('aria-sort')).toBe('ascending');
        await heading.locator('button').press('Enter');
        expect(await column()).toEqual(ascending.toReversed());
        expect(complaints).toEqual([]);
        await page.close();
      }
    } finally {
      await chrome.close();
    }
  },
);
