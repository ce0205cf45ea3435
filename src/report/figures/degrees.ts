import type { BenchRun, LayerDegrees } from '../../experiment/results.js';
import { largest, smallest } from '../../extremes.js';
import { type Figure, panels, type Row } from './frame.js';
import { methodColor } from './methods.js';
import { type FigureData, labels, middle } from './runs.js';

/** Number of neurons by number of links, before and after training. */
export function degrees({ runs, prefix, caveat }: FigureData): Figure | undefined {
  const sparse = runs.filter(
    (run) => run.degrees !== undefined && run.degrees.end.length > 0 && run.epsilon !== null,
  );
  if (sparse.length === 0) return undefined;
  const epsilon = middle(sparse.map((run) => run.epsilon!));
  const seed = smallest(sparse.map((run) => run.seed));
  const values: Row[] = [];
  const motif = largest(sparse.map((run) => run.motifSize!));
  for (const run of sparse.filter((each) => each.epsilon === epsilon && each.seed === seed)) {
    for (const when of ['start', 'end'] as const) {
      const layers = run.degrees![when];
      for (const [number, layer] of layers.entries()) {
        if (layer.dense || number === layers.length - 1) continue;
        for (const side of ['in', 'out'] as const) {
          for (const bin of bins(run, layer, number, side, when, motif)) values.push(bin);
        }
      }
    }
  }
  if (values.length === 0) return undefined;
  return {
    name: `${prefix}degrees`,
    title: `Links per neuron at density ε ${epsilon}${caveat}`,
    text: 'How many neurons have how many links, per layer: into targets and out of sources, before and after training.',
    spec: panels(
      values,
      {
        mark: { type: 'line', strokeWidth: 1.5 },
        encoding: {
          x: {
            field: 'degree',
            type: 'quantitative',
            axis: { title: 'links per neuron', tickCount: 5 },
            scale: { zero: true },
          },
          y: { field: 'share', type: 'quantitative', axis: { title: 'share of neurons (%)', tickCount: 4 } },
          color: methodColor(values),
          strokeDash: {
            field: 'when',
            type: 'nominal',
            scale: {
              domain: ['start', 'end'],
              range: [
                [2, 2],
                [1, 0],
              ],
            },
            legend: { title: null, symbolSize: 300 },
          },
          detail: { field: 'when' },
        },
      },
      { independent: 'both' },
    ),
  };
}

/**
 * Counts in bins no narrower than a motif, because motifs give targets multiples of its size. Degrees beyond
 * the 99.9th percentile are cut off: a few hubs would hide the rest.
 */
function bins(
  run: BenchRun,
  layer: LayerDegrees,
  number: number,
  side: 'in' | 'out',
  when: string,
  motif: number,
): Row[] {
  const counts = layer[side];
  const neurons = side === 'in' ? layer.outputs : layer.inputs;
  const panel = `layer ${number + 1}, ${side === 'in' ? 'into targets' : 'out of sources'}`;
  const width = Math.max(motif, Math.ceil(counts.length / 60));
  const rows: Row[] = [];
  let seen = 0;
  for (let from = 0; from < counts.length && seen <= 0.999 * neurons; from += width) {
    const inBin = counts.slice(from, from + width).reduce((sum, count) => sum + count, 0);
    seen += inBin;
    const share = (100 * inBin) / neurons / width;
    rows.push({ ...labels(run), panel, when, degree: from + (width - 1) / 2, share });
  }
  return rows;
}
