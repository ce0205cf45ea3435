import pc from 'picocolors';
import { plainTable } from '../../table.js';
import type { BenchResults, BenchSummary, Spread } from '../results.js';

/** Column by column: heading, and what a summary entry shows there. */
const columns: [heading: string, cell: (entry: BenchSummary) => string][] = [
  ['method', ({ method }) => method],
  ['epsilon', ({ epsilon }) => (epsilon === null ? '–' : String(epsilon))],
  ['links', ({ nnz }) => Math.round(nnz).toLocaleString('en-US')],
  ['density', ({ density }) => `${Number((100 * density).toPrecision(3))} %`],
  ['final\naccuracy', ({ finalAccuracy }) => accuracy(finalAccuracy)],
  ['best\naccuracy', ({ bestAccuracy }) => accuracy(bestAccuracy)],
  ['train\nms', ({ trainMs }) => milliseconds(trainMs)],
  ['evolve\nms', ({ evolveMs }) => milliseconds(evolveMs)],
  ['evaluate\nms', ({ evaluateMs }) => milliseconds(evaluateMs)],
  ['train\n× SET', ({ ratioToSet }) => ratioToSet?.train.toFixed(2) ?? '–'],
  ['total\n× SET', ({ ratioToSet }) => ratioToSet?.total.toFixed(2) ?? '–'],
  ['initial\nlinks', ({ initialLinks }) => (initialLinks === null ? '–' : `${(100 * initialLinks).toFixed(0)} %`)],
];

/** The summary of an experiment for a terminal: a table, and under it what must be known to read it. */
export function renderTable(results: BenchResults, { color = false }: { color?: boolean } = {}): string {
  const { bold, dim, yellow } = pc.createColors(color);
  const { summary, environment, dataset, complete } = results;
  const title = [
    `${bold(dataset.name)}, ${dataset.train} training and ${dataset.test} test samples`,
    `${environment.backend} (${environment.isa ?? 'no ISA'}), ${count(environment.threads, 'thread')}`,
  ].join(dim(' · '));
  const lines = summary.length > 0 ? [title, '', grid(summary, bold), ''] : [];
  if (!complete) lines.push(yellow('Not complete: it ended early, or a training failed; this is what was done.'));
  for (const note of results.notes) lines.push(yellow(`Note: ${note}`));
  if (summary.length > 0) lines.push(...legend(results).map(dim));
  return lines.join('\n');
}

function grid(summary: BenchSummary[], bold: (text: string) => string): string {
  const headings = columns.map(([heading], i) => ({
    heading: heading.split('\n').map(bold).join('\n'),
    align: i === 0 ? ('left' as const) : ('right' as const),
  }));
  return plainTable(
    headings,
    summary.map((entry) => columns.map(([, cell]) => cell(entry))),
  );
}

function legend({ summary, config }: BenchResults): string[] {
  const runs = Math.max(...summary.map((entry) => entry.runs));
  const lengths = summary.map((entry) => entry.epochs);
  const [shortest, longest] = [Math.min(...lengths), Math.max(...lengths)];
  const epochs = shortest === longest ? count(longest, 'epoch') : `${shortest} to ${longest} epochs`;
  const has = (method: string) => summary.some((entry) => entry.method === method);
  const lines = [
    runs === 1
      ? `One run of each, ${epochs}: without --runs there is no spread, and a point of accuracy means little.`
      : `Mean of ${runs} paired runs of ${epochs}; ± is the sample standard deviation over runs.`,
    'Best accuracy is the best epoch, chosen on the test set: optimistic. Times are median milliseconds per epoch.',
  ];
  if (has('set')) {
    const ofDense =
      has('dense') && config.epsilon.length > 1 ? `; dense: SET at epsilon ${Math.max(...config.epsilon)}` : '';
    lines.push(
      `× SET: time over that of SET with the same seed and epsilon${ofDense}. Total = train + evolve + evaluate.`,
    );
  }
  if (summary.some((entry) => entry.initialLinks !== null)) {
    lines.push('Initial links: share of the links in evolving layers that were there from the start.');
  }
  if ((has('set') || has('set-motif')) && !has('static')) {
    lines.push('No static runs: without them nobody can tell what evolution contributes (--methods ...,static).');
  }
  return lines;
}

function accuracy({ mean, spread }: Spread): string {
  return spread === null ? mean.toFixed(3) : `${mean.toFixed(3)} ± ${spread.toFixed(3)}`;
}

function milliseconds(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toFixed(1);
}

function count(n: number, noun: string): string {
  return `${n} ${noun}${n === 1 ? '' : 's'}`;
}
