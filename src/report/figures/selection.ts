import type { SelectionResults } from '../../selection/results.js';
import { accuracyByShare } from './accuracyByShare.js';
import type { Figure } from './frame.js';
import { strengthMap } from './strengthMap.js';

/**
 * Figures of a selection: accuracy against the share of features kept and, for pictures, a map of the
 * strength. Without a run there are none.
 */
export function figuresOf(results: SelectionResults): Figure[] {
  if (results.runs.length === 0) return [];
  return [accuracyByShare(results), ...strengthMap(results)];
}
