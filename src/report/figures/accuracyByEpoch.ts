import { armKey } from '../../experiment/trial.js';
import { largest, smallest } from '../../extremes.js';
import { mean } from '../../statistics.js';
import { type Figure, panels, type Row, scaleOf } from './frame.js';
import { lineLegend, methodColor, methodDash } from './methods.js';
import { type FigureData, fewDensities, grouped, labels, mostPoints, panelOf, spans } from './runs.js';

/** Test accuracy after every epoch, a panel per density. */
export function accuracyByEpoch({ runs: all, prefix, caveat }: FigureData): Figure | undefined {
  const runs = fewDensities(all);
  const values: Row[] = [];
  for (const [, group] of grouped(runs, armKey)) {
    const shortest = smallest(group.map((run) => run.epochs.length));
    if (shortest < 2) continue;
    const curve = { ...labels(group[0]!), panel: panelOf(group[0]!, runs) };
    for (const { from, to } of spans(1, shortest + 1)) {
      const accuracies = (epoch: number) => group.map((run) => 100 * run.epochs[epoch - 1]!.testAccuracy!);
      const within = Array.from({ length: to - from }, (_, i) => accuracies(from + i));
      values.push({
        ...curve,
        epoch: to - 1,
        accuracy: mean(within.at(-1)!),
        low: smallest(within.map(smallest)),
        high: largest(within.map(largest)),
      });
    }
  }
  if (values.length === 0) return undefined;
  const thinned = largest(values.map(({ epoch }) => Number(epoch))) > mostPoints;
  const axis = { title: 'test accuracy (%)' };
  return {
    name: `${prefix}accuracy-by-epoch`,
    title: `Accuracy over the epochs${caveat}`,
    text:
      'Test accuracy after every epoch, a panel per density: the mean over the runs a line, their range a band.' +
      (thinned ? ` The line shows ${mostPoints} of the epochs at most, the band all.` : ''),
    spec: panels(values, {
      encoding: {
        x: {
          field: 'epoch',
          type: 'quantitative',
          axis: { title: 'epoch', tickMinStep: 1 },
          scale: scaleOf(values, 'epoch'),
        },
        color: methodColor(values, lineLegend),
      },
      layer: [
        {
          mark: { type: 'area', opacity: 0.18 },
          encoding: {
            y: { field: 'low', type: 'quantitative', axis, scale: { zero: false } },
            y2: { field: 'high' },
          },
        },
        {
          mark: { type: 'line', strokeWidth: 2 },
          encoding: {
            y: { field: 'accuracy', type: 'quantitative', axis, scale: { zero: false } },
            strokeDash: methodDash(values),
          },
        },
      ],
    }),
  };
}
