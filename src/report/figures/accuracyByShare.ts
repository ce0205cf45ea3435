import type { SelectionResults } from '../../selection/results.js';
import { type Figure, frame, type Row, scaleOf } from './frame.js';
import { palette } from './vega.js';

/** Test accuracy on the strongest features and on as many random ones. */
export function accuracyByShare({ runs, dataset }: SelectionResults): Figure {
  const values: Row[] = runs.flatMap(({ keep, accuracy, randomAccuracy }) => [
    { features: 'strongest', keep, accuracy: 100 * accuracy },
    { features: 'random', keep, accuracy: 100 * randomAccuracy },
  ]);
  const domain = ['strongest', 'random'];
  const y = (aggregate?: string) => ({
    field: 'accuracy',
    ...(aggregate && { aggregate }),
    type: 'quantitative',
    axis: { title: 'test accuracy (%)' },
    scale: { zero: false },
  });
  const kind = (channel: object) => ({
    field: 'features',
    type: 'nominal',
    legend: { title: null },
    ...channel,
  });
  return {
    name: 'accuracy-by-share',
    title: `Accuracy against the share of features kept: ${dataset.note ?? dataset.name}`,
    text: 'Networks trained on the strongest features alone and on as many random ones: every run a mark, their mean a line.',
    spec: frame(values, {
      encoding: {
        x: {
          field: 'keep',
          type: 'quantitative',
          axis: { title: 'features kept (%, logarithmic)' },
          scale: { type: 'log', ...scaleOf(values, 'keep') },
        },
        color: kind({ scale: { domain, range: [palette.blue, palette.orange] } }),
      },
      layer: [
        { mark: { type: 'line', strokeWidth: 2 }, encoding: { y: y('mean') } },
        {
          mark: { type: 'point', size: 28, opacity: 0.85 },
          encoding: { y: y(), shape: kind({ scale: { domain, range: ['circle', 'square'] } }) },
        },
      ],
    }),
  };
}
