import type { Estimate } from '../../statistics.js';
import { plainTable } from './plainTable.js';

/*
 * Formats of the tables of an experiment.
 */

/** A column: its heading, and the text of its cell in a row. */
export type Column<Row> = [heading: string, cell: (row: Row) => string];

/** A table, whose first column is left-aligned text and whose others are numbers. */
export function grid<Row>(columns: Column<Row>[], rows: Row[], bold: (text: string) => string): string {
  const headings = columns.map(([heading], i) => ({
    heading: heading.split('\n').map(bold).join('\n'),
    align: i === 0 ? ('left' as const) : ('right' as const),
  }));
  return plainTable(
    headings,
    rows.map((row) => columns.map(([, cell]) => cell(row))),
  );
}

export function orDash<T>(value: T | null | undefined, show: (value: T) => string): string {
  return value === null || value === undefined ? '–' : show(value);
}

export function integer(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}

export function milliseconds(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toFixed(1);
}

export function percent(share: number): string {
  return `${(100 * share).toFixed(0)} %`;
}

export function count(n: number, noun: string): string {
  return `${n} ${noun}${n === 1 ? '' : 's'}`;
}

/** A share, with half the width of its 95 % confidence interval. */
export function share({ mean, high }: Estimate): string {
  return high === null ? mean.toFixed(3) : `${mean.toFixed(3)} ± ${(high - mean).toFixed(3)}`;
}

/** A share in percent, with half the width of its 95 % confidence interval. */
export function points({ mean, high }: Estimate): string {
  return high === null ? percents(mean) : `${percents(mean)} ± ${percents(high - mean)}`;
}

export function signed(difference: Estimate): string {
  return (difference.mean >= 0 ? '+' : '') + points(difference);
}

function percents(value: number): string {
  return (100 * value).toFixed(1);
}
