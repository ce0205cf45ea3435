import pc from 'picocolors';
import { evolves } from '../../benchMethods.js';
import type { BenchResults, BenchSummary } from '../../experiment/results.js';
import { largest, smallest } from '../../extremes.js';
import { type Column, count, grid, integer, milliseconds, orDash, percent, share, signed } from './format.js';
import { frontier } from './frontier.js';

const methodColumn: Column<BenchSummary> = ['method', ({ method }) => method];
const readingColumn: Column<BenchSummary> = ['reading', ({ reading }) => reading];
const motifSizeColumn: Column<BenchSummary> = ['motif\nsize', ({ motifSize }) => orDash(motifSize, String)];
const averagedColumn: Column<BenchSummary> = [
  'averaged\naccuracy',
  ({ averagedAccuracy }) => orDash(averagedAccuracy, share),
];
const bestColumn: Column<BenchSummary> = ['best\naccuracy', ({ bestAccuracy }) => share(bestAccuracy)];
const columns: Column<BenchSummary>[] = [
  ['ε', ({ epsilon }) => orDash(epsilon, String)],
  ['links', ({ nnz }) => integer(nnz)],
  ['density', ({ density }) => `${Number((100 * density).toPrecision(3))} %`],
  ['final\naccuracy', ({ finalAccuracy }) => share(finalAccuracy)],
  ['selected\naccuracy', ({ selectedAccuracy }) => orDash(selectedAccuracy, share)],
  bestColumn,
  ['vs SET\npoints', (entry) => orDash(entry.method === 'set' ? null : entry.differenceToSet, signed)],
  ['train\nms', ({ trainMs }) => milliseconds(trainMs)],
  ['evolve\nms', ({ evolveMs }) => milliseconds(evolveMs)],
  ['evaluate\nms', ({ evaluateMs }) => milliseconds(evaluateMs)],
  ['train\n× SET', ({ ratioToSet }) => orDash(ratioToSet, ({ train }) => train.mean.toFixed(2))],
  ['total\n× SET', ({ ratioToSet }) => orDash(ratioToSet, ({ total }) => total.mean.toFixed(2))],
  ['initial\nlinks', ({ initialLinks }) => orDash(initialLinks, percent)],
];

/** Columns that are left out, in this order, where the terminal is narrow. */
const expendable = [
  'density',
  'best\naccuracy',
  'evaluate\nms',
  'evolve\nms',
  'selected\naccuracy',
  'total\n× SET',
  'initial\nlinks',
];

/**
 * The summary of an experiment for a terminal: a table, a second one where motif sizes are compared, and
 * below them what a reader must know. A narrow terminal gets fewer columns.
 */
export function renderTable(
  results: BenchResults,
  { color = false, columns: room = Infinity }: { color?: boolean; columns?: number } = {},
): string {
  const { bold, dim, yellow } = pc.createColors(color);
  const { summary, environment, dataset, complete } = results;
  const title = [
    `${bold(dataset.name)}, ${dataset.train} training and ${dataset.test} test samples`,
    `${environment.backend} (${environment.isa ?? 'no ISA'}), ${count(environment.threads, 'thread')}`,
  ].join(dim(' · '));
  const comparesSizes = results.config.motifSize.length > 1;
  const averages = summary.some(({ averagedAccuracy }) => averagedAccuracy !== undefined);
  const severalReadings = new Set(summary.map(({ reading }) => reading)).size > 1;
  const all = [
    ...(severalReadings ? [readingColumn] : []),
    methodColumn,
    ...(comparesSizes ? [motifSizeColumn] : []),
    ...columns.flatMap((column) => (column === bestColumn && averages ? [column, averagedColumn] : [column])),
  ];
  const shown = fitting(all, summary, room);
  const lines = summary.length > 0 ? [title, '', grid(shown, summary, bold), ''] : [];
  if (comparesSizes) lines.push(...frontier(results, bold));
  if (!complete)
    lines.push(yellow('Not complete: it ended early, or a training failed; this is what was done.'));
  for (const note of results.notes) lines.push(yellow(`Note: ${note}`));
  if (summary.length > 0) lines.push(...legend(results).map(dim));
  if (shown.length < all.length) {
    const missing = all
      .filter((column) => !shown.includes(column))
      .map(([heading]) => heading.split('\n')[0]);
    lines.push(dim(`Narrow terminal: without the columns ${missing.join(', ')}; the results have all.`));
  }
  return lines.join('\n');
}

function fitting(
  columns: Column<BenchSummary>[],
  rows: BenchSummary[],
  room: number,
): Column<BenchSummary>[] {
  let shown = columns;
  for (const heading of expendable) {
    const lines = grid(shown, rows, String).split('\n');
    if (lines.every((line) => line.length <= room)) break;
    shown = shown.filter((column) => column[0] !== heading);
  }
  return shown;
}

function legend({ summary, config }: BenchResults): string[] {
  const runs = largest(summary.map((entry) => entry.runs));
  const lengths = summary.map((entry) => entry.epochs);
  const [shortest, longest] = [smallest(lengths), largest(lengths)];
  const epochs = shortest === longest ? count(longest, 'epoch') : `${shortest} to ${longest} epochs`;
  const has = (name: string) => summary.some((entry) => entry.method === name || entry.reading === name);
  const lines = [
    runs === 1
      ? `One run of each, ${epochs}: one run has no spread, and a point of accuracy means little.`
      : `Mean of ${runs} paired runs of ${epochs}; ± reaches to the ends of the 95 % confidence interval (Student's t).`,
    'Best accuracy is the best epoch, chosen on the test set: optimistic. Times are median milliseconds per epoch.',
  ];
  if (summary.some((entry) => entry.selectedAccuracy !== null)) {
    lines.push('Selected accuracy: of the epoch that is best on the validation samples.');
  }
  if (summary.some((entry) => entry.averagedAccuracy !== undefined)) {
    lines.push(
      `Averaged accuracy: of the mean of the networks after ${percent(config.average ?? 0)} of the epochs.`,
    );
  }
  if (has('published')) {
    lines.push(
      "Published: the thesis' program, maxima of 11 epochs on the test set; its SET-motif was the static network.",
    );
  }
  if (has('set')) {
    const ofDense =
      has('dense') && config.epsilon.length > 1 ? `; dense: SET at epsilon ${largest(config.epsilon)}` : '';
    lines.push('vs SET: difference of the final accuracies within a seed.');
    lines.push(
      `× SET: time over that of SET of the same seed and epsilon${ofDense}. Total = train + evolve + evaluate.`,
    );
  }
  if (summary.some((entry) => entry.initialLinks !== null)) {
    lines.push('Initial links: share of the links in evolving layers that were there from the start.');
  }
  if (summary.some(({ method }) => evolves(method)) && !has('static')) {
    lines.push('No static runs: without them nobody can tell what evolution contributes.');
  }
  return lines;
}
