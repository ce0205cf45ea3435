import pc from 'picocolors';
import type { SelectionResults, SelectionSummary } from '../../selection/results.js';
import { type Column, grid, integer, orDash, share } from './format.js';

const columns: Column<SelectionSummary>[] = [
  ['kept', ({ keep }) => `${keep} %`],
  ['features', ({ features }) => integer(features)],
  ['accuracy', ({ accuracy }) => share(accuracy)],
  ['random\nfeatures', ({ randomAccuracy }) => share(randomAccuracy)],
  ['stability', ({ stability }) => orDash(stability, (value) => value.toFixed(2))],
];

/** The summary of a selection for a terminal: a table, and below it what a reader must know. */
export function renderSelection(
  { config, dataset, complete, notes, summary }: SelectionResults,
  { color = false }: { color?: boolean } = {},
): string {
  const { bold, dim, yellow } = pc.createColors(color);
  const caveats = [...(dataset.note === undefined ? [] : [dataset.note]), ...notes];
  return [
    `${bold(dataset.name)}, ${dataset.train} training and ${dataset.test} test samples, ${config.method} at epsilon ${config.epsilon}`,
    '',
    ...(summary.length > 0 ? [grid(columns, summary, bold), ''] : []),
    ...(complete ? [] : [yellow('Not complete: it ended early; this is what was done.')]),
    ...caveats.map((note) => yellow(`Note: ${note}`)),
    ...[
      'Accuracy: of new networks trained on the strongest features alone; random: on as many drawn by seed.',
      config.runs === 1
        ? 'One run: no interval.'
        : `Means of ${complete ? '' : 'up to '}${config.runs} runs; ± reaches to the ends of the 95 % confidence interval.`,
      'Stability: mean Jaccard index of the kept features over pairs of seeds; 1: always the same.',
    ].map(dim),
  ].join('\n');
}
