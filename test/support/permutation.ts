import type { Permutation } from '../../src/datasets/transform.js';

/** A seeded shuffle (Fisher-Yates over a linear congruential generator) that needs no addon. */
export const testPermutation: Permutation = (seed, count) => {
  let state = (seed * 2654435761 + 12345) >>> 0;
  const order = Uint32Array.from({ length: count }, (_, i) => i);
  for (let last = count - 1; last > 0; last--) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const other = Math.floor((state / 2 ** 32) * (last + 1));
    [order[last], order[other]] = [order[other]!, order[last]!];
  }
  return order;
};
