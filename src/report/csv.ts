import type { BenchSummary } from '../experiment/results.js';

/**
 * A row of the summary with the name of its data set, caveat included, and of its folder where there are
 * several.
 */
type LabelledSummary = { dir?: string; dataset: string } & BenchSummary;

/**
 * The summary as a table for other programs: RFC 4180, numbers in full, times in milliseconds, empty cells
 * for unknown values. A text that a spreadsheet would compute gets an apostrophe in front.
 */
export function summaryCsv(summary: LabelledSummary[]): string {
  const rows = summary.map((row) => flatten(row));
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  const lines = [columns, ...rows.map((row) => columns.map((column) => quoted(row[column] ?? '')))];
  return `${lines.map((line) => line.join(',')).join('\r\n')}\r\n`;
}

function quoted(cell: NonNullable<Cell>): string {
  const text = typeof cell === 'string' && /^[=+\-@＝＋－＠\t\r\n]/.test(cell) ? `'${cell}` : String(cell);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

type Cell = string | number | boolean | null;

/**
 * Flattens objects: `finalAccuracy: { mean, low }` becomes the columns finalAccuracyMean and
 * finalAccuracyLow.
 */
function flatten(value: object, prefix = ''): Record<string, Cell> {
  const row: Record<string, Cell> = {};
  for (const [key, cell] of Object.entries(value) as [string, Cell | object][]) {
    const name = prefix === '' ? key : `${prefix}${key[0]!.toUpperCase()}${key.slice(1)}`;
    if (typeof cell === 'object' && cell !== null) Object.assign(row, flatten(cell, name));
    else row[name] = cell;
  }
  return row;
}
