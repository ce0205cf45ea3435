import type { BenchSummary } from '../bench/summary.js';

/** The summary as a table for other programs: RFC 4180, numbers in full, times in milliseconds, nothing for what is not known. */
export function summaryCsv(summary: BenchSummary[]): string {
  const rows = summary.map((row) => flatten(row));
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  const lines = [columns, ...rows.map((row) => columns.map((column) => row[column] ?? ''))];
  return `${lines.map((line) => line.join(',')).join('\r\n')}\r\n`;
}

type Cell = string | number | boolean | null;

/** `finalAccuracy: { mean, low }` becomes the columns finalAccuracyMean and finalAccuracyLow. */
function flatten(value: object, prefix = ''): Record<string, Cell> {
  const row: Record<string, Cell> = {};
  for (const [key, cell] of Object.entries(value) as [string, Cell | object][]) {
    const name = prefix === '' ? key : `${prefix}${key[0]!.toUpperCase()}${key.slice(1)}`;
    if (typeof cell === 'object' && cell !== null) Object.assign(row, flatten(cell, name));
    else row[name] = cell;
  }
  return row;
}
