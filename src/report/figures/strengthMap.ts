import { largest } from '../../extremes.js';
import type { SelectionResults } from '../../selection/results.js';
import { type Figure, panels, type Row } from './frame.js';
import { pictureOf } from './pixels.js';

/** Map of the strength of the pixels; none where samples are no pictures. */
export function strengthMap({ strength, dataset, runs }: SelectionResults): Figure[] {
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
