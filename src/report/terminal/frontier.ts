import type { BenchResults, BenchSummary } from '../../experiment/results.js';
import { type Column, grid, integer, milliseconds, orDash, percent, points, signed } from './format.js';

/*
 * Accuracy and time by motif size, from which a user chooses one.
 */

interface Row {
  /** Summary of SET at size 1, and of SET-motif at the others. */
  entry: BenchSummary;
  /** Summary of the same network without evolution. */
  still: BenchSummary | undefined;
}

const columns: Column<Row>[] = [
  ['ε', ({ entry }) => String(entry.epsilon)],
  ['motif\nsize', ({ entry }) => String(entry.motifSize)],
  ['links', ({ entry }) => integer(entry.nnz)],
  ['accuracy\n%', ({ entry }) => points(entry.finalAccuracy)],
  ['vs SET\npoints', ({ entry }) => orDash(entry.motifSize === 1 ? null : entry.differenceToSet, signed)],
  ['static\n%', ({ still }) => orDash(still?.finalAccuracy, points)],
  ['train\nms', ({ entry }) => milliseconds(entry.trainMs)],
  ['train\n× SET', ({ entry }) => orDash(entry.ratioToSet?.train, ({ mean }) => mean.toFixed(2))],
  ['initial\nlinks', ({ entry }) => orDash(entry.initialLinks, percent)],
];

/** Lines of the table; none where neither SET nor SET-motif has results. */
export function frontier({ config, summary }: BenchResults, bold: (text: string) => string): string[] {
  const rows = summary
    .filter(({ method }) => method === 'set' || method === 'set-motif')
    .map((entry) => ({ entry, still: summary.find((other) => isStatic(other, entry, config.topology)) }));
  if (rows.length === 0) return [];
  return [
    bold('Accuracy and time against motif size'),
    '',
    grid(columns, rows, bold),
    '',
    ...reading(rows),
    '',
  ];
}

function isStatic(
  { reading, method, epsilon, motifSize }: BenchSummary,
  of: BenchSummary,
  topology?: string,
): boolean {
  const size = topology === 'erdos-renyi' ? 1 : of.motifSize; // where all share single links, static runs once
  return reading === of.reading && method === 'static' && epsilon === of.epsilon && motifSize === size;
}

function reading(rows: Row[]): string[] {
  const entries = rows.map(({ entry }) => entry);
  const choices = [...new Set(entries.map(({ epsilon }) => epsilon))].flatMap((epsilon) => {
    const sizes = entries.filter((entry) => entry.epsilon === epsilon && entry.onFrontier);
    return sizes.length > 0 ? `${sizes.map(({ motifSize }) => motifSize).join(', ')} at ε ${epsilon}` : [];
  });
  const lines = [];
  if (choices.length > 0) {
    lines.push(`Motif sizes on the frontier: ${choices.join('; ')}.`);
    lines.push('There, no other size is both faster and at least as accurate.');
  }
  if (entries.some(({ differenceToSet }) => differenceToSet !== null)) {
    lines.push('Size 1 is SET; vs SET: difference within a seed, perhaps chance where its ± is larger.');
  } else {
    lines.push('Without SET (motif size 1) nobody can tell what a motif size costs or gains.');
  }
  if (rows.some(({ still }) => still !== undefined)) {
    lines.push('Static: same network, not evolved; where as accurate, evolution gained nothing.');
  }
  return lines;
}
