import { evolves, ofSingleLinks } from '../../benchMethods.js';
import type { BenchResults, BenchSummary } from '../../experiment/results.js';
import { methodLabel } from '../../experiment/trial.js';
import { type Column, grid, integer, milliseconds, orDash, percent, points, signed } from './format.js';

/*
 * Accuracy and time by motif size, from which a user chooses one.
 */

interface Row {
  /** Summary of SET at size 1, and of SET-motif at the others; or of variants of them. */
  entry: BenchSummary;
  /** Summary of the same network without evolution. */
  still: BenchSummary | undefined;
}

const methodColumn: Column<Row> = ['method', ({ entry }) => entry.method];
const columns: Column<Row>[] = [
  ['ε', ({ entry }) => String(entry.epsilon)],
  ['motif\nsize', ({ entry }) => String(entry.motifSize)],
  ['links', ({ entry }) => integer(entry.nnz)],
  ['accuracy\n%', ({ entry }) => points(entry.finalAccuracy)],
  ['vs SET\npoints', ({ entry }) => orDash(entry.method === 'set' ? null : entry.differenceToSet, signed)],
  ['static\n%', ({ still }) => orDash(still?.finalAccuracy, points)],
  ['train\nms', ({ entry }) => milliseconds(entry.trainMs)],
  ['train\n× SET', ({ entry }) => orDash(entry.ratioToSet?.train, ({ mean }) => mean.toFixed(2))],
  ['initial\nlinks', ({ entry }) => orDash(entry.initialLinks, percent)],
];

/** Lines of the table; none where no method that evolves has results. */
export function frontier({ config, summary }: BenchResults, bold: (text: string) => string): string[] {
  const rows = summary
    .filter(({ method }) => evolves(method))
    .map((entry) => ({ entry, still: summary.find((other) => isStatic(other, entry, config.topology)) }));
  if (rows.length === 0) return [];
  const several = new Set(rows.map(({ entry }) => ofSingleLinks(entry.method))).size > 1;
  return [
    bold('Accuracy and time against motif size'),
    '',
    grid(several ? [methodColumn, ...columns] : columns, rows, bold),
    '',
    ...reading(rows, several),
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

/** @param several whether they are of several methods, each with its own frontier */
function reading(rows: Row[], several: boolean): string[] {
  const entries = rows.map(({ entry }) => entry);
  const choices = [...new Set(entries.map(({ epsilon }) => epsilon))].flatMap((epsilon) => {
    const sizes = entries.filter((entry) => entry.epsilon === epsilon && entry.onFrontier);
    const names = sizes.map((entry) => (several ? methodLabel(entry) : entry.motifSize));
    return sizes.length > 0 ? `${names.join(', ')} at ε ${epsilon}` : [];
  });
  const lines = [];
  if (choices.length > 0) {
    lines.push(`Motif sizes on the frontier: ${choices.join('; ')}.`);
    const other = several ? 'other size of the same method' : 'other size';
    lines.push(`There, no ${other} is both faster and at least as accurate.`);
  }
  if (entries.some(({ differenceToSet }) => differenceToSet !== null)) {
    const one = several ? 'Size 1 of set' : 'Size 1';
    lines.push(`${one} is SET; vs SET: difference within a seed, perhaps chance where its ± is larger.`);
  } else {
    lines.push('Without SET (motif size 1) nobody can tell what a motif size costs or gains.');
  }
  if (rows.some(({ still }) => still !== undefined)) {
    lines.push('Static: same network, not evolved; where as accurate, evolution gained nothing.');
  }
  return lines;
}
