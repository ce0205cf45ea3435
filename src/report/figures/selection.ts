import { largest } from '../../extremes.js';
import type { SelectionResults } from '../../selection/results.js';
import { type Figure, frame, panels, type Row, scaleOf } from './frame.js';
import { pictureOf } from './pixels.js';
import { palette } from './vega.js';

/**
 * Accuracy against the share of features kept and, of pictures, where the strong ones are; none without a
 * run.
 */
export function figuresOf(results: SelectionResults): Figure[] {
  if (results.runs.length === 0) return [];
  return [accuracyByShare(results), ...strengthMap(results)];
}

function accuracyByShare({ runs, dataset }: SelectionResults): Figure {
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

function strengthMap({ strength, dataset, runs }: SelectionResults): Figure[] {
  const { image } = dataset;
  if (image === undefined) return [];
  const few = runs.map(({ keep }) => keep).sort((a, b) => a - b)[0]!;
  const chosen = runs.filter(({ keep }) => keep === few);
  const often = new Map<number, number>();
  for (const feature of chosen.flatMap(({ features }) => features))
    often.set(feature, (often.get(feature) ?? 0) + 1);
  const most = largest(strength);
  const panelValues = {
    'strength of the first layer': (pixel: number) => strength[pixel]! / most,
    [`how often among the strongest ${few} %`]: (pixel: number) => (often.get(pixel) ?? 0) / chosen.length,
  };
  const picture = pictureOf(image);
  const values: Row[] = Object.entries(panelValues).flatMap(([panel, value]) =>
    picture.cells('value', value).map((cell) => ({ panel, ...cell })),
  );
  const position = (field: string) => ({
    field,
    type: 'ordinal',
    axis: { title: null, labels: false, ticks: false, domain: false },
  });
  const color = {
    field: 'value',
    type: 'quantitative',
    scale: { scheme: 'viridis', domain: [0, 1] },
    legend: { title: 'share of the largest', gradientLength: 120 },
  };
  return [
    {
      name: 'strength-map',
      title: `Where the strong features are: ${dataset.note ?? dataset.name}`,
      text: 'The picture that the network looks at: strength of every pixel, and how many of the runs keep it.',
      spec: panels(
        values,
        { mark: { type: 'rect' }, encoding: { x: position('column'), y: position('row'), color } },
        { width: 8 * picture.columns, height: 8 * picture.rows },
      ),
    },
  ];
}
