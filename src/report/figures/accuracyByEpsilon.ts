import type { BenchRun } from '../../experiment/results.js';
import { largest } from '../../extremes.js';
import { reportsBest } from '../../thesis/readings.js';
import { type Figure, frame, type Row, scaleOf } from './frame.js';
import { methodColor, methodShape } from './methods.js';
import { type FigureData, labels } from './runs.js';

/** Test accuracy against density: figures 11 to 13 of the thesis. */
export function accuracyByEpsilon({ runs, prefix, caveat }: FigureData): Figure | undefined {
  const sparse = runs.filter((run) => run.epsilon !== null);
  if (new Set(sparse.map((run) => run.epsilon)).size < 2) return undefined;
  const best = reportsBest(runs[0]!.reading);
  const accuracy = (run: BenchRun) =>
    best ? largest(run.epochs.map((epoch) => epoch.testAccuracy!)) : run.epochs.at(-1)!.testAccuracy!;
  const values: Row[] = sparse.map((run) => ({
    ...labels(run),
    epsilon: run.epsilon,
    accuracy: 100 * accuracy(run),
  }));
  const x = {
    field: 'epsilon',
    type: 'quantitative',
    axis: { title: 'density ε', tickMinStep: 1 },
    scale: scaleOf(values, 'epsilon'),
  };
  const y = (field: object) => ({
    ...field,
    type: 'quantitative',
    axis: { title: `test accuracy (%), ${best ? 'best of 11 epochs' : 'last epoch'}` },
    scale: { zero: false },
  });
  return {
    name: `${prefix}accuracy-by-epsilon`,
    title: `Accuracy against density${caveat}`,
    text: 'Test accuracy against the density parameter epsilon: every run a mark, their mean a line, their range a band.',
    spec: frame(values, {
      encoding: { x, color: methodColor(values) },
      layer: [
        {
          mark: { type: 'area', opacity: 0.18 },
          encoding: {
            y: y({ field: 'accuracy', aggregate: 'min' }),
            y2: { field: 'accuracy', aggregate: 'max' },
          },
        },
        {
          mark: { type: 'line', strokeWidth: 2 },
          encoding: { y: y({ field: 'accuracy', aggregate: 'mean' }) },
        },
        {
          mark: { type: 'point', size: 28, opacity: 0.85 },
          encoding: { y: y({ field: 'accuracy' }), shape: methodShape(values) },
        },
      ],
    }),
  };
}
