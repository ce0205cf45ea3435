/*
 * Figures of predictions beside the loss: of classes, of labels that do not exclude each other, of numbers.
 * Their definitions are those of scikit-learn; a share of nothing is 0.
 */

/** How well one class is found. */
export interface ClassFigures {
  /** Share of the samples that were taken for this class that are of it. */
  precision: number;
  /** Share of the samples of this class that were taken for it. */
  recall: number;
  /** Harmonic mean of the two. */
  f1: number;
  /** Samples of this class. */
  support: number;
}

const share = (part: number, whole: number) => (whole === 0 ? 0 : part / whole);

function figuresOf(hits: number, taken: number, support: number): ClassFigures {
  const precision = share(hits, taken);
  const recall = share(hits, support);
  return { precision, recall, f1: share(2 * precision * recall, precision + recall), support };
}

/**
 * Counts of samples by their class (row) and the class they were taken for (column).
 *
 * @param outputs count × width, row-major; of one output, above one half is the second class
 */
export function confusionOf(outputs: Float32Array, width: number, labels: Uint32Array): number[][] {
  const classes = Math.max(2, width);
  const counts = Array.from({ length: classes }, () => new Array<number>(classes).fill(0));
  labels.forEach((label, row) => {
    let best = 0;
    for (let o = 1; o < width; o++) if (outputs[row * width + o]! > outputs[row * width + best]!) best = o;
    const answer = width === 1 ? Number(outputs[row]! > 0.5) : best;
    counts[label]![answer]! += 1;
  });
  return counts;
}

/** Figures of each class of a confusion matrix. */
export function classFigures(confusion: number[][]): ClassFigures[] {
  return confusion.map((row, c) => {
    const taken = confusion.reduce((sum, other) => sum + other[c]!, 0);
    const support = row.reduce((sum, count) => sum + count, 0);
    return figuresOf(row[c]!, taken, support);
  });
}

/**
 * Figures of each of several labels that a sample has or not: targets and outputs are compared at one half.
 */
export function labelFigures(outputs: Float32Array, targets: Float32Array, width: number): ClassFigures[] {
  return Array.from({ length: width }, (_, o) => {
    let [hits, taken, support] = [0, 0, 0];
    for (let k = o; k < outputs.length; k += width) {
      const [is, said] = [targets[k]! > 0.5, outputs[k]! > 0.5];
      hits += Number(is && said);
      taken += Number(said);
      support += Number(is);
    }
    return figuresOf(hits, taken, support);
  });
}

/** How far numbers are from what they were to be. */
export interface ErrorFigures {
  /** Mean absolute error, over samples and outputs, in the units of the targets. */
  mae: number;
  /**
   * Share of the variance that is explained, 1 at best, mean over the outputs. Of an output whose targets are
   * all the same: 1 where all are met, else 0.
   */
  r2: number;
}

export function errorFigures(outputs: Float32Array, targets: Float32Array, width: number): ErrorFigures {
  const count = outputs.length / width;
  let absolute = 0;
  let explained = 0;
  for (let o = 0; o < width; o++) {
    let sum = 0;
    for (let k = o; k < targets.length; k += width) sum += targets[k]!;
    const mean = sum / count;
    let [squared, variance] = [0, 0];
    for (let k = o; k < targets.length; k += width) {
      absolute += Math.abs(outputs[k]! - targets[k]!);
      squared += (outputs[k]! - targets[k]!) ** 2;
      variance += (targets[k]! - mean) ** 2;
    }
    explained += variance > 0 ? 1 - squared / variance : Number(squared === 0);
  }
  return { mae: absolute / outputs.length, r2: explained / width };
}
