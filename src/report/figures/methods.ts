import { type BenchMethod, benchMethods } from '../../vocabulary.js';
import type { Row } from './frame.js';
import { palette, type Spec } from './vega.js';

/*
 * Marks of methods in figures: colour, shape and dash, in the same order everywhere.
 */

interface Mark {
  color: string;
  shape: string;
  dash: number[];
}

const diagonalCross = 'M-0.8,-0.8L0.8,0.8M-0.8,0.8L0.8,-0.8';

const marks: Record<BenchMethod, Mark> = {
  set: { color: palette.blue, shape: 'circle', dash: [1, 0] },
  'set-motif': { color: palette.vermilion, shape: 'square', dash: [6, 3] },
  'set-walk': { color: palette.sky, shape: 'triangle-down', dash: [12, 3] },
  'set-motif-walk': { color: palette.orange, shape: 'cross', dash: [8, 2, 2, 2, 2, 2] },
  'set-gradient': { color: palette.violet, shape: 'triangle-right', dash: [4, 2] },
  'set-motif-gradient': { color: palette.olive, shape: 'triangle-left', dash: [12, 3, 4, 3] },
  rigl: { color: palette.grey, shape: diagonalCross, dash: [1, 3] },
  static: { color: palette.green, shape: 'triangle-up', dash: [2, 2] },
  dense: { color: palette.purple, shape: 'diamond', dash: [8, 2, 2, 2] },
};

/** The mark of a label, which begins with the name of a method. */
const markOf = (label: string): Mark => marks[label.split(' ')[0] as BenchMethod];

export function sortOf(values: Row[]): string[] {
  const rank = (name: string) => benchMethods.indexOf(name.split(' ')[0] as BenchMethod);
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
    scale: { domain, range: domain.map((name) => markOf(name).color) },
    legend,
  };
}

/** Legend of the colours and of the dashes of lines: equal legends are merged into one. */
export const lineLegend = { title: null, symbolType: 'stroke', symbolSize: 400, symbolOpacity: 1 };

export function methodDash(values: Row[]): Spec {
  const domain = sortOf(values);
  const range = domain.map((name) => markOf(name).dash);
  return { field: 'method', type: 'nominal', scale: { domain, range }, legend: lineLegend };
}

export function methodShape(values: Row[]): Spec {
  const domain = sortOf(values);
  const range = domain.map((name) => markOf(name).shape);
  return { field: 'method', type: 'nominal', scale: { domain, range }, legend: { title: null } };
}
