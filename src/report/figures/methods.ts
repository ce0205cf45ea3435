import type { Row } from './frame.js';
import { palette, type Spec } from './vega.js';

/*
 * Marks of methods in figures: colour, shape and dash, in the same order everywhere.
 */

const colors: Record<string, string> = {
  set: palette.blue,
  'set-motif': palette.vermilion,
  static: palette.green,
  dense: palette.purple,
};
const shapes: Record<string, string> = {
  set: 'circle',
  'set-motif': 'square',
  static: 'triangle-up',
  dense: 'diamond',
};
const dashes: Record<string, number[]> = {
  set: [1, 0],
  'set-motif': [6, 3],
  static: [2, 2],
  dense: [8, 2, 2, 2],
};

export function sortOf(values: Row[]): string[] {
  const order = Object.keys(colors);
  const rank = (name: string) => order.indexOf(name.split(' ')[0]!);
  return [...new Set(values.map(({ method }) => String(method)))].sort(
    (a, b) => rank(a) - rank(b) || a.localeCompare(b, 'en', { numeric: true }),
  );
}

/** Colours of methods. Several motif sizes of one method share its colour and differ by dash and shape. */
export function methodColor(values: Row[], legend: Spec = { title: null, symbolOpacity: 1 }): Spec {
  const domain = sortOf(values);
  return {
    field: 'method',
    type: 'nominal',
    scale: { domain, range: domain.map((name) => colors[name.split(' ')[0]!]) },
    legend,
  };
}

/** Legend of the colours and of the dashes of lines: equal legends are merged into one. */
export const lineLegend = { title: null, symbolType: 'stroke', symbolSize: 400, symbolOpacity: 1 };

export function methodDash(values: Row[]): Spec {
  const domain = sortOf(values);
  const range = domain.map((name) => dashes[name.split(' ')[0]!]);
  return { field: 'method', type: 'nominal', scale: { domain, range }, legend: lineLegend };
}

export function methodShape(values: Row[]): Spec {
  const domain = sortOf(values);
  const range = domain.map((name) => shapes[name.split(' ')[0]!]);
  return { field: 'method', type: 'nominal', scale: { domain, range }, legend: { title: null } };
}
