/**
 * Name of a run, or of the network of all features, which a selection has each once: "seed 0, 5 % of the
 * features".
 */
export function runName({ seed, keep }: { seed: number; keep?: number }): string {
  return `seed ${seed}, ${keep === undefined ? 'all features' : `${keep} % of the features`}`;
}
