import { largest, smallest } from '../../extremes.js';
import type { Spec } from './vega.js';

/*
 * The common look of all figures. Ink is `currentColor`, so that a page can show them light or dark.
 */

export interface Figure {
  /** Name of the figure, which can be a file name. */
  name: string;
  title: string;
  /** Description of what the figure shows, also for readers who cannot see it. */
  text: string;
  spec: Spec;
}

export type Row = Record<string, string | number | null>;

const config = {
  background: 'transparent',
  font: 'system-ui, sans-serif',
  axis: {
    labelFontSize: 12,
    titleFontSize: 13,
    titleFontWeight: 'normal',
    labelColor: 'currentColor',
    titleColor: 'currentColor',
    tickColor: 'currentColor',
    domainColor: 'currentColor',
    gridColor: 'currentColor',
    gridOpacity: 0.15,
  },
  legend: {
    labelFontSize: 12,
    labelColor: 'currentColor',
    titleColor: 'currentColor',
    titleFontWeight: 'normal',
    orient: 'top',
    columns: 4,
    labelLimit: 220,
  },
  header: { labelColor: 'currentColor', labelFontSize: 13, title: null },
  title: { color: 'currentColor', fontSize: 13, fontWeight: 'normal' },
  view: { stroke: null },
};

const $schema = 'https://vega.github.io/schema/vega-lite/v6.json';

export function frame(values: Row[], spec: Spec): Spec {
  return { $schema, width: 520, height: 300, data: { values }, ...spec, config };
}

/**
 * Small multiples: one panel per value of `panel`, two in a row, so that a phone can show them. A panel that
 * is alone takes the width of two.
 */
export function panels(
  values: Row[],
  spec: Spec,
  {
    width = 260,
    height = 170,
    independent,
  }: { width?: number; height?: number | Spec; independent?: 'x' | 'both' } = {},
): Spec {
  const sort = [...new Set(values.map(({ panel }) => String(panel)))];
  const alone = sort.length === 1;
  const scale =
    independent === undefined
      ? {}
      : { x: 'independent', ...(independent === 'both' && { y: 'independent' }) };
  return {
    $schema,
    data: { values },
    facet: { field: 'panel', type: 'nominal', sort, header: { title: null } },
    columns: 2,
    spec: { width: alone ? 2 * width : width, height, ...spec },
    ...(independent !== undefined && { resolve: { scale } }),
    config: alone ? { ...config, legend: { ...config.legend, columns: 3 } } : config,
  };
}

/** A scale from the least to the largest value of a field. */
export function scaleOf(values: Row[], field: string): Spec {
  const numbers = values.map((value) => Number(value[field]));
  return { domain: [smallest(numbers), largest(numbers)], nice: false, padding: 8 };
}
