import type { LayerData } from '../training/model.js';

/*
 * Ranks features by the first layer of a trained network (Kichler 2021; Atashgahi et al. 2022): evolution
 * takes links from inputs that do not matter and gives them to others, so that the links of an input at the
 * end measure its worth.
 */

/**
 * Strength of every input of a layer: the sum of |w| over its links; 0 for an input that has lost all of
 * them.
 */
export function strengths({ inputs, outputs, dense, rowOffsets, weights }: LayerData): Float64Array {
  const start = (input: number) => (dense ? input * outputs : rowOffsets[input]!);
  return Float64Array.from({ length: inputs }, (_, input) => {
    let sum = 0;
    for (let link = start(input); link < start(input + 1); link++) sum += Math.abs(weights[link]!);
    return sum;
  });
}

/** Number of features that `keep` percent of them are: at least one. */
export function featureCount(keep: number, features: number): number {
  return Math.max(1, Math.round((keep / 100) * features));
}

/** The `count` strongest features, ascending by number; of equally strong ones the lower number. */
export function strongest(strength: Float64Array, count: number): Uint32Array {
  const ranked = Uint32Array.from(strength.keys()).sort((a, b) => strength[b]! - strength[a]! || a - b);
  return ranked.slice(0, count).sort();
}

/** Jaccard index: features in both over features in either. */
export function jaccard(a: Uint32Array, b: Uint32Array): number {
  const other = new Set(b);
  const both = a.filter((feature) => other.has(feature)).length;
  return both / (a.length + b.length - both);
}
