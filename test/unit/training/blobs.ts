import type { Samples } from '../../../src/datasets/types.js';

/** Samples of `classes` noisy points in `features` dimensions, the same for the same arguments. */
export function blobs(count: number, { features = 20, classes = 4, noise = 0.5, seed = 1 } = {}): Samples {
  let state = seed;
  const uniform = () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32 - 0.5;
  };
  const labels = Uint32Array.from({ length: count }, (_, i) => i % classes);
  const x = new Float32Array(count * features);
  for (let i = 0; i < count; i++) {
    for (let k = 0; k < features; k++) {
      x[i * features + k] = (k % classes === labels[i] ? 1 : 0) + noise * uniform();
    }
  }
  return { x, labels, count, features };
}
