import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parse } from 'csv-parse/sync';
import { chromium } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runExperiment } from '../../../src/experiment/experiment.js';
import type { BenchRun } from '../../../src/experiment/results.js';
import { summarize } from '../../../src/experiment/summary.js';
import { summaryCsv } from '../../../src/report/csv.js';
import { figuresOf } from '../../../src/report/figures/experiment.js';
import { pictureOf } from '../../../src/report/figures/pixels.js';
import { type ReportSource, reportSource, writeReport } from '../../../src/report/index.js';
import { printedAccuracy } from '../../../src/thesis/printed.js';
import type { BenchMethod } from '../../../src/vocabulary.js';

let root: string;
let one: string;

beforeAll(async () => {
  root = mkdtempSync(path.join(os.tmpdir(), 'set-native-report-'));
  one = path.join(root, 'one');
  const small = {
    dataset: 'procedural',
    hidden: [40, 40],
    train: 200,
    test: 100,
    epochs: 4,
    epsilon: [2, 4],
    runs: 2,
  };
  await runExperiment(
    { ...small, readings: ['described', 'improved'] },
    { out: one, command: 'set-native bench <script>alert(1)</script>' },
  );
  expect(await writeReport(one, [reportSource(one)])).toBeUndefined();
}, 60_000);
afterAll(() => rmSync(root, { recursive: true, force: true }));

const figures = [
  'accuracy-by-epsilon',
  'accuracy-by-epoch',
  'time-split',
  'links-by-birth',
  'degrees',
  'input-map',
];

test('the report is a page, a summary for programs, and every figure as specification, SVG and PNG', () => {
  expect(readdirSync(one).sort()).toEqual([
    ...['experiment.json', 'figures', 'report.html', 'results.jsonl', 'summary.csv', 'summary.json'],
  ]);
  const expected = ['described', 'improved'].flatMap((reading) =>
    figures.flatMap((name) =>
      ['png', 'svg', 'vl.json'].map((extension) => `${reading}-${name}.${extension}`),
    ),
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
    {
      dataset: 'procedural',
      hidden: [40],
      train: 100,
      test: 50,
      epochs: 1,
      methods: ['static'],
      epsilon: [2],
    },
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

test('texts that a spreadsheet would compute are texts, and negative numbers numbers', () => {
  const row = summarize(reportSource(one).runs)[1]!;
  const cells = ['=1+1', '+1', '-1', '@SUM(A1)', '\t=1', '\r=1', '＝1', 'a=1'].map((dataset) => {
    const csv = summaryCsv([{ dataset, ...row, evolveMs: -1.5 }]);
    const [record]: Record<string, string>[] = parse(csv, { columns: true });
    expect(record!.evolveMs).toBe('-1.5');
    return record!.dataset;
  });
  expect(cells).toEqual(["'=1+1", "'+1", "'-1", "'@SUM(A1)", "'\t=1", "'\r=1", "'＝1", 'a=1']);
});

/** Trainings of so many epochs: `testAccuracy` is 1 / epoch. */
function longRuns(epochs: number, births: number): BenchRun[] {
  const methods: BenchMethod[] = ['set', 'set-motif', 'static'];
  const list = Array.from({ length: epochs }, (_, i) => ({
    ...{ epoch: i + 1, trainLoss: 1, testLoss: 1, testAccuracy: 1 / (i + 1), validationAccuracy: 0.5 },
    ...{ trainMs: 1, evolveMs: 1, evaluateMs: 1, nnz: 10, pruned: 1, grown: 1, linksByBirth: [10] },
  }));
  list.at(-1)!.linksByBirth = Array.from({ length: births }, () => 1);
  return [1, 2, 3, 4].flatMap((epsilon) =>
    methods.map((method): BenchRun => {
      const motifSize = method === 'set-motif' ? 2 : 1;
      const key = {
        reading: 'plain' as const,
        method,
        epsilon,
        motifSize,
        seed: 0,
        topology: 'erdos-renyi' as const,
      };
      return { ...key, nnz: 10, density: 0.1, epochs: list };
    }),
  );
}

test('twelve curves of 12,000 epochs: summed up, and drawn with as many points as can be seen', {
  timeout: 60_000,
}, () => {
  const runs = longRuns(12_000, 12_000);
  expect(summarize(runs)).toHaveLength(12);
  const { dataset } = reportSource(one).experiment;
  const drawn = new Map(figuresOf(runs, dataset, 'plain', '').map((figure) => [figure.name, figure]));
  const valuesOf = (name: string) =>
    (drawn.get(name)!.spec.data as { values: Record<string, number>[] }).values;
  const curves = valuesOf('accuracy-by-epoch');
  expect(curves).toHaveLength(12 * 500);
  expect(curves[499]).toMatchObject({
    epoch: 12_000,
    accuracy: 100 / 12_000,
    low: 100 / 12_000,
    high: 100 / 11_977,
  });
  expect(drawn.get('accuracy-by-epoch')!.text).toContain('500 of the epochs at most');
  const births = valuesOf('links-by-birth');
  expect(births).toHaveLength(12 * 501);
  expect(births.slice(0, 2)).toMatchObject([{ birth: 0 }, { birth: 23 }]);
  expect(births.reduce((sum, { share }, i) => sum + share! * (i % 501 === 0 ? 0 : 1), 0)).toBeCloseTo(
    (12 * 500 * 100) / 12_000,
  );
});

test('curves of 500 epochs have a point for each', () => {
  const { dataset } = reportSource(one).experiment;
  const [figure] = figuresOf(longRuns(500, 2), dataset, 'plain', '').filter(
    ({ name }) => name === 'accuracy-by-epoch',
  );
  expect((figure!.spec.data as { values: object[] }).values).toHaveLength(12 * 500);
  expect(figure!.text).not.toContain('at most');
});

test('a large picture is drawn in blocks, each the mean of its pixels; a small one pixel by pixel', () => {
  const small = pictureOf({ width: 3, height: 2 }).cells('links', (pixel) => pixel);
  expect(small).toEqual([0, 1, 2, 3, 4, 5].map((i) => ({ column: i % 3, row: Math.floor(i / 3), links: i })));
  const large = pictureOf({ width: 1000, height: 200 });
  const cells = large.cells('links', (pixel) => pixel % 1000);
  expect([large.columns, large.rows, cells.length]).toEqual([125, 25, 3125]);
  expect(cells[1]).toEqual({ column: 1, row: 0, links: 11.5 });
});

/** What takes little to draw: the trainings of one reading and method. */
function few(): ReportSource {
  const { experiment, runs } = reportSource(one);
  return {
    dir: one,
    experiment,
    runs: runs.filter((run) => run.reading === 'improved' && run.method === 'set'),
  };
}

test('names of strangers stay text, in the page and in every figure', async () => {
  const { experiment, runs } = few();
  const name = '</svg></title><script>alert(1)</script>" onload="alert(2)" \0\x1b[31m\ud800 ';
  const dataset = { ...experiment.dataset, name };
  const hostile = { ...experiment, dataset, notes: [`${name} only`, '<img src=x onerror=alert(3)>'] };
  const out = path.join(root, 'hostile');
  await writeReport(out, [
    { dir: '<b>dir</b>', experiment: hostile, runs },
    { dir: '" onload="alert(4)"', experiment: hostile, runs: [] },
  ]);
  const svgs = readdirSync(path.join(out, 'figures')).filter((file) => file.endsWith('.svg'));
  expect(svgs).toHaveLength(figures.length);
  for (const file of ['report.html', ...svgs.map((svg) => path.join('figures', svg))]) {
    const text = readFileSync(path.join(out, file), 'utf8');
    const tags = /<script>alert|<img|<b>/.exec(text)?.[0];
    const attributes = [...text.matchAll(/<\w+((?:\s+[\w:-]+="[^"]*")*)/g)].flatMap(([, list]) =>
      [...list!.matchAll(/\s([\w:-]+)="[^"]*"/g)].flatMap(([, key]) => (key!.startsWith('on') ? [key] : [])),
    );
    const control = file !== 'report.html' && ['\0', '\x1b'].some((character) => text.includes(character));
    expect({ file, tags, attributes, control }).toEqual({
      file,
      tags: undefined,
      attributes: [],
      control: false,
    });
  }
});

test.each(['report.html', 'summary.csv', 'summary.json', 'figures/improved-accuracy-by-epsilon.png'])(
  "another's %s is not written over",
  async (name) => {
    const out = mkdtempSync(path.join(root, 'foreign-'));
    mkdirSync(path.join(out, 'figures'));
    writeFileSync(path.join(out, name), 'my own');
    await expect(writeReport(out, [few()])).rejects.toMatchObject({
      code: 'ERR_IN_USE',
      message: expect.stringContaining(`${path.join(out, name)} is none that set-native wrote`),
    });
    expect(readFileSync(path.join(out, name), 'utf8')).toBe('my own');
  },
);

test('a report of ours is written anew: with a caveat in its figures, of several experiments, of none that got anywhere', async () => {
  const out = path.join(root, 'anew');
  const { experiment, runs } = few();
  const source = {
    dir: one,
    experiment: { ...experiment, notes: ['procedural only'] },
    runs: runs.slice(0, 1),
  };
  const empty = { ...source, runs: [] };
  for (const sources of [[source], [source, empty], [empty], [source]]) await writeReport(out, sources);
  expect(readFileSync(path.join(out, 'report.html'), 'utf8')).toContain('procedural only');
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
  expect(readFileSync(path.join(both, 'summary.csv'), 'utf8').split('\r\n')[0]).toMatch(
    /^dir,dataset,reading,/,
  );
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
