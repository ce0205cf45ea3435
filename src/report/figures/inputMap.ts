import { evolves } from '../../benchMethods.js';
import { mean } from '../../statistics.js';
import { type Figure, panels, type Row } from './frame.js';
import { pictureOf } from './pixels.js';
import { type FigureData, grouped, labels, middle } from './runs.js';

/** Number of links of every pixel after training; no figure where samples are no pictures. */
export function inputMap({ runs, dataset, prefix, caveat }: FigureData): Figure | undefined {
  const { image } = dataset;
  const evolved = runs.filter((run) => run.inputDegree?.length === dataset.features && evolves(run.method));
  if (image === undefined || evolved.length === 0) return undefined;
  const epsilon = middle(evolved.map((run) => run.epsilon!));
  const picture = pictureOf(image);
  const chosen = evolved.filter((run) => run.epsilon === epsilon);
  const values: Row[] = [...grouped(chosen, (run) => labels(run).method)].flatMap(([method, group]) =>
    picture
      .cells('links', (pixel) => mean(group.map((run) => run.inputDegree![pixel]!)))
      .map((cell) => ({ panel: method, ...cell })),
  );
  const position = (field: string) => ({
    field,
    type: 'ordinal',
    axis: { title: null, labels: false, ticks: false, domain: false },
  });
  return {
    name: `${prefix}input-map`,
    title: `Links of each pixel after training, density ε ${epsilon}${caveat}`,
    text: 'The picture that the network looks at: links of every input of the first layer, mean over the runs.',
    spec: panels(
      values,
      {
        mark: { type: 'rect' },
        encoding: {
          x: position('column'),
          y: position('row'),
          color: {
            field: 'links',
            type: 'quantitative',
            scale: { scheme: 'viridis' },
            legend: { title: 'links', gradientLength: 120 },
          },
        },
      },
      { width: 6 * picture.columns, height: 6 * picture.rows },
    ),
  };
}
