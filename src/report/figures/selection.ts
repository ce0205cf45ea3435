import type { SelectionResults } from '../../selection/results.js';
import { accuracyByShare } from './accuracyByShare.js';
import type { Figure } from './frame.js';
import { strengthMap } from './strengthMap.js';

/**
 * Accuracy against the share of features kept and, of pictures, where the strong ones are; none without a
 * run.
 */
export function figuresOf(results: SelectionResults): Figure[] {
  if (results.runs.length === 0) return [];
  return [accuracyByShare(results), ...strengthMap(results)];
}
