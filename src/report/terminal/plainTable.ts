import Table from 'cli-table3';

/** A table without a frame: a line under the headings, and two spaces between columns. */
export function plainTable(
  columns: { heading: string; align: 'left' | 'right' }[],
  rows: string[][],
): string {
  const noFrame = ['top', 'bottom', 'left', 'right'].flatMap((side) =>
    ['', '-mid', '-left', '-right'].map((part) => [side + part, '']),
  );
  const table = new Table({
    head: columns.map(({ heading }) => heading),
    colAligns: columns.map(({ align }) => align),
    style: { head: [], border: [], compact: true, 'padding-left': 0, 'padding-right': 0 },
    chars: { ...Object.fromEntries(noFrame), mid: '─', 'mid-mid': '──', middle: '  ' },
  });
  for (const row of rows) table.push(row);
  return table.toString().replace(/ +$/gm, '');
}
