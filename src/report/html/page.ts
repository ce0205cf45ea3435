import type { BenchRun, BenchSummary, Experiment } from '../../experiment/results.js';
import { methodLabel } from '../../experiment/trial.js';
import { largest } from '../../extremes.js';
import type { Difference, Estimate } from '../../statistics.js';
import { printedAccuracy } from '../../thesis/printed.js';

/*
 * Makes report.html: one file that needs nothing else, with tables, inline figures in light or dark as the
 * reader prefers, and a few lines of script that sort the tables.
 */

export interface Section {
  /** Folder of the results, which is the title of the section where there are several. */
  dir: string;
  experiment: Experiment;
  runs: BenchRun[];
  summary: BenchSummary[];
  figures: { title: string; text: string; svg: string }[];
  /** Reason why there are no figures, if so. */
  missing?: string;
}

export function renderPage(sections: Section[]): string {
  const title = `set-native: ${[...new Set(sections.map(({ experiment }) => dataTitle(experiment)))].join(', ')}`;
  const body = sections.map((section) => renderSection(section, sections.length > 1)).join('\n');
  const joint = sections.length > 1 ? jointTable(sections) : '';
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${escaped(title)}</title>
<style>${style}</style>
</head>
<body>
<main>
<h1>${escaped(title)}</h1>
${joint}${body}
</main>
<script>${script}</script>
</body>
</html>
`;
}

/** Name of the data, with the caveat that must stand beside every result. */
export function dataTitle({ dataset, notes }: Experiment): string {
  const caveat = notes.find((note) => note.toLowerCase().startsWith(dataset.name.toLowerCase()));
  return caveat?.includes('rounded') || caveat?.includes('only') ? caveat : dataset.name;
}

function renderSection(section: Section, several: boolean): string {
  const { experiment, summary, figures, missing, dir } = section;
  const { environment, dataset, complete, notes, command } = experiment;
  const validation = dataset.validation > 0 ? `, ${dataset.validation} validation` : '';
  const machine =
    `set-native ${environment.version}, ${environment.backend} (${environment.isa ?? 'no ISA'}), ` +
    `${environment.threads} threads of ${environment.cores} cores, ${environment.cpu}, ${environment.platform}, ` +
    `Node ${environment.node}, begun ${environment.date}`;
  const parts = [
    several ? `<h2>${escaped(dir)}</h2>` : '',
    `<p class="lead">${escaped(dataTitle(experiment))}: ${dataset.train} training${validation} and ${dataset.test} test samples of ${dataset.features} features, ${dataset.classes} classes.</p>`,
    complete
      ? ''
      : '<p class="note">Not complete: it ended early, or a training failed; this is what was done.</p>',
    ...notes.map((note) => `<p class="note">${escaped(note)}</p>`),
    ...readingsOf(summary).map((reading) => readingTable(reading, section)),
    figures.length > 0
      ? `<div class="figures">${figures.map(({ title, text, svg }) => figure(title, text, svg)).join('\n')}</div>`
      : '',
    missing === undefined ? '' : `<p class="note">${escaped(missing)}</p>`,
    `<footer><p><code>${escaped(command || 'runExperiment()')}</code></p><p>${escaped(machine)}</p></footer>`,
  ];
  return `<section>\n${parts.filter((part) => part !== '').join('\n')}\n</section>`;
}

const explanations: Record<string, string> = {
  published:
    'What the program of the thesis ran and printed: the best of 11 epochs, chosen on the test set, which is optimistic. Its SET-motif never changed a link: it is the static network.',
  described:
    'What the text of the thesis describes: motif evolution on Erdős–Rényi layers, weights scaled by the full layer.',
  improved: 'Weights scaled by the links that a neuron has, and SET-motif on layers of whole motifs.',
};

function readingTable(reading: string, { summary, experiment }: Section): string {
  const rows = summary.filter((row) => row.reading === reading);
  const printed = rows.map((row) => printedAccuracy(experiment.dataset.name, row));
  const columns = columnsOf(rows);
  if (rows.every((row) => row.selectedAccuracy === null)) columns.splice(columns.indexOf(selectedColumn), 1);
  if (printed.some((value) => value !== null)) {
    columns.splice(
      columns.indexOf(bestColumn) + 1,
      0,
      {
        head: 'thesis, %',
        title: 'accuracy that the thesis printed, %',
        cell: (row) => number(points(printed[rows.indexOf(row)]), 1),
      },
      {
        head: 'best − thesis, points',
        title: 'best accuracy less the printed one, points',
        cell: (row) => {
          const value = printed[rows.indexOf(row)];
          return number(value == null ? null : points(row.bestAccuracy.mean - value), 1, true);
        },
      },
    );
  }
  const heading = reading === 'plain' ? 'Results' : `Reading: ${reading}`;
  const runs = largest(rows.map((row) => row.runs));
  const explanation = explanations[reading] ?? '';
  return `<h3>${heading}</h3>
<p>${escaped(explanation)} ${runs > 1 ? `Means of ${runs} paired runs; ± reaches to the ends of the 95 % confidence interval (Student's t), p is of the paired t-test.` : 'One run of each: no interval, and a point of accuracy means little.'} Times are medians of a run.</p>
${table(columns, rows, `${heading}, ${dataTitle(experiment)}`)}`;
}

interface Column<Row> {
  head: string;
  title: string;
  cell: (row: Row) => Cell;
}

interface Cell {
  text: string;
  /** Value by which the column sorts. */
  value: number | string | null;
}

const selectedColumn: Column<BenchSummary> = {
  head: 'selected, %',
  title: 'test accuracy of the epoch that is best on the validation samples, %',
  cell: (row) => estimateCell(row.selectedAccuracy, 100, 1),
};

const bestColumn: Column<BenchSummary> = {
  head: 'best, %',
  title: 'best test accuracy of all epochs, chosen on the test set: optimistic, %',
  cell: (row) => estimateCell(row.bestAccuracy, 100, 1),
};

const averagedColumn: Column<BenchSummary> = {
  head: 'averaged, %',
  title: 'test accuracy of the mean of the last networks, %',
  cell: (row) => estimateCell(row.averagedAccuracy ?? null, 100, 1),
};

/** The columns of rows that may have averages. */
function columnsOf(rows: BenchSummary[]): Column<BenchSummary>[] {
  const columns = [...baseColumns];
  if (rows.some((row) => row.averagedAccuracy !== undefined))
    columns.splice(columns.indexOf(bestColumn) + 1, 0, averagedColumn);
  return columns;
}

const baseColumns: Column<BenchSummary>[] = [
  { head: 'method', title: 'method and motif size', cell: (row) => words(methodLabel(row)) },
  { head: 'ε', title: 'density parameter', cell: (row) => number(row.epsilon, 0, false, true) },
  {
    head: 'links',
    title: 'links of all layers',
    cell: (row) => ({ text: Math.round(row.nnz).toLocaleString('en-US'), value: row.nnz }),
  },
  {
    head: 'final, %',
    title: 'test accuracy after the last epoch, %',
    cell: (row) => estimateCell(row.finalAccuracy, 100, 1),
  },
  selectedColumn,
  bestColumn,
  {
    head: 'vs SET, points',
    title: 'difference to SET within a seed, points',
    cell: (row) => estimateCell(row.method === 'set' ? null : row.differenceToSet, 100, 1, true),
  },
  {
    head: 'p',
    title: 'of the paired t-test that there is no difference',
    cell: (row) => pValue(row.method === 'set' ? null : row.differenceToSet),
  },
  { head: 'train, ms', title: 'training, ms per epoch', cell: (row) => number(row.trainMs, 1) },
  { head: 'evolve, ms', title: 'evolution, ms per epoch', cell: (row) => number(row.evolveMs, 1) },
  { head: 'evaluate, ms', title: 'evaluation, ms per epoch', cell: (row) => number(row.evaluateMs, 1) },
  {
    head: 'total × SET',
    title: 'time of an epoch over that of SET',
    cell: (row) => estimateCell(row.ratioToSet?.total ?? null, 1, 2),
  },
  {
    head: 'initial links, %',
    title: 'share of the links there from the start, %',
    cell: (row) => number(points(row.initialLinks), 0),
  },
];

function jointTable(sections: Section[]): string {
  const rows = sections.flatMap((section) =>
    section.summary.map((row) => ({ ...row, dir: section.dir, data: dataTitle(section.experiment) })),
  );
  const columns: Column<(typeof rows)[number]>[] = [
    { head: 'experiment', title: 'folder', cell: (row) => words(row.dir) },
    { head: 'data', title: 'data set', cell: (row) => words(row.data) },
    { head: 'reading', title: 'how the thesis is read', cell: (row) => words(row.reading) },
    ...columnsOf(rows),
  ];
  return `<h2>Together</h2>\n${table(columns, rows, 'All experiments')}\n`;
}

function table<Row>(columns: Column<Row>[], rows: Row[], label: string): string {
  const head = columns
    .map(
      ({ head: text, title }) =>
        `<th scope="col" title="${escaped(title)}"><button type="button">${escaped(text)}</button></th>`,
    )
    .join('');
  const body = rows
    .map((row) => {
      const cells = columns.map(({ cell }) => {
        const { text, value } = cell(row);
        return `<td data-value="${escaped(String(value ?? ''))}"${typeof value === 'string' ? ' class="words"' : ''}>${escaped(text)}</td>`;
      });
      return `<tr>${cells.join('')}</tr>`;
    })
    .join('\n');
  return `<div class="scroll" role="region" aria-label="${escaped(label)}" tabindex="0"><table><thead><tr>${head}</tr></thead>\n<tbody>${body}</tbody></table></div>`;
}

function figure(title: string, text: string, svg: string): string {
  const labelled = svg.replace('<svg ', `<svg role="img" aria-label="${escaped(text)}" `);
  return `<figure><h3>${escaped(title)}</h3><div class="scroll">${labelled}</div><figcaption>${escaped(text)}</figcaption></figure>`;
}

function readingsOf(summary: BenchSummary[]): string[] {
  return [...new Set(summary.map(({ reading }) => reading))];
}

const words = (text: string): Cell => ({ text, value: text });
const points = (share: number | null | undefined): number | null => (share == null ? null : 100 * share);

function number(value: number | null, digits: number, sign = false, short = false): Cell {
  if (value === null) return { text: '–', value: null };
  return { text: `${sign && value >= 0 ? '+' : ''}${short ? String(value) : value.toFixed(digits)}`, value };
}

function estimateCell(estimate: Estimate | null, factor: number, digits: number, sign = false): Cell {
  if (estimate === null) return number(null, digits);
  const { mean, high } = estimate;
  const { text, value } = number(factor * mean, digits, sign);
  return { text: high === null ? text : `${text} ± ${(factor * (high - mean)).toFixed(digits)}`, value };
}

function pValue(difference: Difference | null): Cell {
  const p = difference?.pValue ?? null;
  return p !== null && p < 0.001 ? { text: '< 0.001', value: p } : number(p, 3);
}

function escaped(text: string): string {
  const entities: Record<string, string> = {
    '&': '&amp;',
    '<': '&lt;',
    '>': '&gt;',
    '"': '&quot;',
    "'": '&#39;',
  };
  return text.replace(/[&<>"']/g, (character) => entities[character]!);
}

const style = `
:root { color-scheme: light dark; --ink: #1b1f24; --soft: #57606a; --page: #ffffff; --line: #d0d7de; --note: #fff3d6; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6edf3; --soft: #9aa4af; --page: #12161c; --line: #343c46; --note: #3a2f14; }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 76rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.6rem; line-height: 1.25; overflow-wrap: anywhere; }
h2 { margin-top: 2.5rem; overflow-wrap: anywhere; }
h3 { margin: 2rem 0 .5rem; font-size: 1.1rem; }
.lead, footer { color: var(--soft); }
.note { background: var(--note); padding: .5rem .75rem; border-radius: .4rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .875rem; }
th, td { padding: .3rem .6rem; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; }
th:first-child, td:first-child, td.words { text-align: left; }
th { border-bottom: 2px solid var(--line); vertical-align: bottom; }
th button { all: unset; cursor: pointer; font-weight: 600; }
th button:focus-visible { outline: 2px solid currentColor; outline-offset: 2px; }
th[aria-sort] button::after { content: " ▲"; font-size: .7em; }
th[aria-sort="descending"] button::after { content: " ▼"; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 32rem), 1fr)); gap: 0 2rem; }
figure { margin: 0; min-width: 0; }
figcaption { color: var(--soft); font-size: .875rem; }
figure svg { max-width: 100%; min-width: 30rem; height: auto; }
footer { margin-top: 2.5rem; border-top: 1px solid var(--line); font-size: .875rem; }
footer code { overflow-wrap: anywhere; }
`;

/**
 * Script that sorts by a column when its heading is clicked or activated by key; unknown values come last.
 */
const script = `
for (const table of document.querySelectorAll('table')) {
  const heads = [...table.querySelectorAll('th')];
  heads.forEach((head, column) => head.querySelector('button').addEventListener('click', () => {
    const descending = head.getAttribute('aria-sort') === 'ascending';
    heads.forEach((each) => each.removeAttribute('aria-sort'));
    head.setAttribute('aria-sort', descending ? 'descending' : 'ascending');
    const key = (row) => row.cells[column].dataset.value;
    const compare = (a, b) => {
      if (key(a) === '' || key(b) === '') return (key(a) === '') - (key(b) === '');
      const order = isNaN(key(a)) || isNaN(key(b)) ? key(a).localeCompare(key(b)) : key(a) - key(b);
      return descending ? -order : order;
    };
    const body = table.tBodies[0];
    body.append(...[...body.rows].sort(compare));
  }));
}
`;
