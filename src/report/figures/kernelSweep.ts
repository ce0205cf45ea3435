import type { KernelSweep } from '../../kernels/results.js';
import { palette, type Spec } from './vega.js';

/*
 * Figure of the sweep: nanoseconds per link against links, both logarithmic.
 */

export function sweepSpec({ batch, points }: KernelSweep): Spec {
  const values = points.flatMap((point) => {
    if (point.failure !== undefined) return [];
    const { nnz, motifSize, trainNsPerLink, evolveNsPerLink, initialiseNsPerLink } = point;
    const topology = motifSize > 1 ? `motifs of ${motifSize}` : 'single links';
    return [
      { links: nnz, topology, what: `training step, batch ${batch}`, ns: trainNsPerLink },
      { links: nnz, topology, what: 'evolution', ns: evolveNsPerLink },
      { links: nnz, topology, what: 'initialisation', ns: initialiseNsPerLink },
    ];
  });
  const what = [`training step, batch ${batch}`, 'evolution', 'initialisation'];
  return {
    $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
    background: 'white',
    width: 480,
    height: 300,
    data: { values },
    encoding: {
      x: {
        field: 'links',
        type: 'quantitative',
        scale: { type: 'log', nice: false, padding: 12 },
        axis: {
          title: 'links',
          values: [1e5, 1e6, 1e7, 1e8, 1e9],
          labelExpr: "'10' + ['⁵', '⁶', '⁷', '⁸', '⁹'][round(log(datum.value) / LN10) - 5]",
          grid: false,
        },
      },
      y: {
        field: 'ns',
        type: 'quantitative',
        scale: { type: 'log' },
        axis: { title: 'time per link (ns)', format: '~r', gridOpacity: 0.5 },
      },
      color: {
        field: 'what',
        type: 'nominal',
        sort: what,
        scale: { domain: what, range: [palette.blue, palette.vermilion, palette.green] },
        title: null,
      },
    },
    layer: [
      {
        mark: { type: 'line', strokeWidth: 2 },
        encoding: {
          strokeDash: {
            field: 'topology',
            type: 'nominal',
            sort: 'descending',
            title: null,
            legend: { symbolSize: 400 },
          },
        },
      },
      {
        mark: { type: 'point', filled: true, size: 45, opacity: 1 },
        encoding: { detail: { field: 'topology' } },
      },
    ],
    config: {
      font: 'sans-serif',
      axis: { labelFontSize: 12, titleFontSize: 13, titleFontWeight: 'normal' },
      legend: { labelFontSize: 12, labelLimit: 0 },
    },
  };
}
