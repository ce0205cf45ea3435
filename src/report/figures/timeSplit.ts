import { armKey } from '../../experiment/trial.js';
import { mean, median } from '../../statistics.js';
import { type Figure, panels, type Row } from './frame.js';
import { sortOf } from './methods.js';
import { type FigureData, fewDensities, grouped, labels, panelOf } from './runs.js';
import { palette } from './vega.js';

/** Milliseconds per epoch, divided into training, evolution and evaluation. */
export function timeSplit({ runs: all, prefix, caveat }: FigureData): Figure | undefined {
  const runs = fewDensities(all);
  const parts = { train: 'trainMs', evolve: 'evolveMs', evaluate: 'evaluateMs' } as const;
  const values: Row[] = [];
  for (const [, group] of grouped(runs, armKey)) {
    for (const [order, [part, key]] of Object.entries(parts).entries()) {
      const times = group.map((run) => median(run.epochs.map((epoch) => epoch[key]).filter((ms) => ms > 0)));
      const { method } = labels(group[0]!);
      values.push({ method, panel: panelOf(group[0]!, runs), part, order, ms: mean(times) });
    }
  }
  const domain = Object.keys(parts);
  return {
    name: `${prefix}time-split`,
    title: `Time of an epoch${caveat}`,
    text: 'Milliseconds per epoch for training, evolution and evaluation: the median of each run, the mean over runs.',
    spec: panels(
      values,
      {
        mark: { type: 'bar' },
        encoding: {
          y: { field: 'method', type: 'nominal', sort: sortOf(values), axis: { title: null } },
          x: { field: 'ms', type: 'quantitative', axis: { title: 'time per epoch (ms)', tickCount: 4 } },
          color: {
            field: 'part',
            type: 'nominal',
            scale: { domain, range: [palette.sky, palette.vermilion, palette.purple] },
            legend: { title: null },
          },
          order: { field: 'order', type: 'quantitative' },
        },
      },
      { height: { step: 20 }, independent: 'x' },
    ),
  };
}
