import { armKey } from '../../experiment/trial.js';
import { largest } from '../../extremes.js';
import { mean } from '../../statistics.js';
import { type Figure, panels, type Row, scaleOf } from './frame.js';
import { lineLegend, methodColor, methodDash } from './methods.js';
import { type FigureData, fewDensities, grouped, labels, mostPoints, panelOf, spans } from './runs.js';

/** Number of links alive at the end, by the epoch whose evolution grew them. */
export function linksByBirth({ runs: all, prefix, caveat }: FigureData): Figure | undefined {
  const runs = fewDensities(all);
  const evolving = runs.filter((run) => run.epochs.at(-1)!.linksByBirth.length > 1);
  const values: Row[] = [];
  for (const [, group] of grouped(evolving, armKey)) {
    const last = group.map((run) => run.epochs.at(-1)!.linksByBirth);
    const totals = last.map((links) => links.reduce((sum, count) => sum + count, 0));
    const births = largest(last.map((links) => links.length));
    const curve = { ...labels(group[0]!), panel: panelOf(group[0]!, runs) };
    const shareOf = (birth: number) => mean(last.map((links, i) => (100 * (links[birth] ?? 0)) / totals[i]!));
    for (const { from, to } of [{ from: 0, to: 1 }, ...spans(1, births)]) {
      const share = mean(Array.from({ length: to - from }, (_, i) => shareOf(from + i)));
      if (share > 0) values.push({ ...curve, birth: to - 1, share });
    }
  }
  if (values.length === 0) return undefined;
  const thinned = largest(evolving.map((run) => run.epochs.at(-1)!.linksByBirth.length)) > mostPoints + 1;
  return {
    name: `${prefix}links-by-birth`,
    title: `Links alive at the end, by the epoch that grew them${caveat}`,
    text:
      'Share of the links of evolving layers at the end of training by the epoch whose evolution grew them; 0: initial.' +
      (thinned ? ' A mark stands for several epochs: the mean of their shares.' : ''),
    spec: panels(values, {
      mark: { type: 'line', strokeWidth: 2, point: { size: 18 } },
      encoding: {
        x: {
          field: 'birth',
          type: 'quantitative',
          axis: { title: 'grown after epoch', tickMinStep: 1 },
          scale: scaleOf(values, 'birth'),
        },
        y: {
          field: 'share',
          type: 'quantitative',
          scale: { type: 'log' },
          axis: { title: 'share of links (%)', tickCount: 4, format: '~g' },
        },
        color: methodColor(values, lineLegend),
        strokeDash: methodDash(values),
      },
    }),
  };
}
