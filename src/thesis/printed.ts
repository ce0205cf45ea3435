import type { BenchMethod, Reading } from '../vocabulary.js';

/*
 * Accuracies that the thesis printed: "A topological insight to improve SET", the notebook of its program's
 * results. On Fashion-MNIST, the mean over 4 runs of the best of 11 epochs on the test set. Its SET-motif is
 * the static network: the routine never ran.
 */
const fashion: Record<string, Record<number, number>> = {
  set: { 9: 0.714, 13: 0.785, 19: 0.814, 27: 0.817, 31: 0.82 },
  static: { 9: 0.679, 13: 0.772, 19: 0.791, 27: 0.804, 31: 0.811 },
};

/** The printed accuracy that a row of the reading `published` stands beside; null where there is none. */
export function printedAccuracy(
  dataset: string,
  row: { reading: Reading; method: BenchMethod; epsilon: number | null },
): number | null {
  if (dataset !== 'fashion-mnist' || row.reading !== 'published' || row.epsilon === null) return null;
  return fashion[row.method]?.[row.epsilon] ?? null;
}
