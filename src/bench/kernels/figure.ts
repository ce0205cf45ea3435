import { SetNativeError } from '../../errors.js';
import type { KernelSweep } from './results.js';

/*
 * The sweep as a figure: nanoseconds per link against links, both logarithmic, as SVG. Vega and Vega-Lite, optional
 * dependencies, are loaded only here.
 */

/** What we use of them. */
interface Vega {
  parse(spec: unknown): unknown;
  View: new (runtime: unknown, options: { renderer: 'none' }) => { toSVG(): Promise<string> };
}
interface VegaLite {
  compile(spec: unknown): { spec: unknown };
}

export type DrawSweep = (sweep: KernelSweep) => Promise<string>;

/** Resolves to what draws. Throws ERR_USAGE, saying how to install it, where it is not there. */
export async function loadFigure(): Promise<DrawSweep> {
  const load = async (name: string): Promise<unknown> => {
    try {
      return await import(name);
    } catch (cause) {
      throw new SetNativeError(
        'ERR_USAGE',
        `[bench] --figure takes the packages vega and vega-lite; ${name} could not be loaded ` +
          `(${(cause as Error).message.split('\n')[0]}). Install them: \`npm install vega vega-lite\``,
        { details: { option: '--figure' }, cause },
      );
    }
  };
  const vega = (await load('vega')) as Vega;
  const vegaLite = (await load('vega-lite')) as VegaLite;
  return async (sweep) => {
    const runtime = vega.parse(vegaLite.compile(sweepSpec(sweep)).spec);
    return await new vega.View(runtime, { renderer: 'none' }).toSVG();
  };
}

/** A Vega-Lite specification. */
export function sweepSpec({ batch, points }: KernelSweep): Record<string, unknown> {
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
        scale: { domain: what, range: ['#0072b2', '#d55e00', '#009e73'] }, // Okabe and Ito: for the colour-blind, too
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
      { mark: { type: 'point', filled: true, size: 45, opacity: 1 }, encoding: { detail: { field: 'topology' } } },
    ],
    config: {
      font: 'sans-serif',
      axis: { labelFontSize: 12, titleFontSize: 13, titleFontWeight: 'normal' },
      legend: { labelFontSize: 12, labelLimit: 0 },
    },
  };
}
