import type { BenchDataset, BenchRun } from '../../experiment/results.js';
import type { Reading } from '../../vocabulary.js';
import { accuracyByEpoch } from './accuracyByEpoch.js';
import { accuracyByEpsilon } from './accuracyByEpsilon.js';
import { degrees } from './degrees.js';
import type { Figure } from './frame.js';
import { inputMap } from './inputMap.js';
import { linksByBirth } from './linksByBirth.js';
import type { FigureData } from './runs.js';
import { timeSplit } from './timeSplit.js';

/*
 * Figures of an experiment as Vega-Lite specifications, which are functions of the finished runs.
 */

/** All figures that the runs of one reading have data for, in the order of a report. */
export function figuresOf(
  runs: BenchRun[],
  dataset: BenchDataset,
  reading: Reading,
  caveat: string,
): Figure[] {
  const own = runs
    .filter((run) => run.reading === reading && run.epochs.length > 0)
    .sort((a, b) => (a.epsilon ?? Infinity) - (b.epsilon ?? Infinity) || a.seed - b.seed); // they come in the order in which they finished
  const data: FigureData = { runs: own, dataset, prefix: reading === 'plain' ? '' : `${reading}-`, caveat };
  const makers = [accuracyByEpsilon, accuracyByEpoch, timeSplit, linksByBirth, degrees, inputMap];
  return makers.flatMap((make) => make(data) ?? []);
}
