/*
 * The extremes of lists of any length. Math.min(...list) has room for some ten thousand arguments, where the
 * stack ends.
 */

/** Infinity for none. */
export function smallest(values: Iterable<number>): number {
  let least = Infinity;
  for (const value of values) least = Math.min(least, value);
  return least;
}

/** -Infinity for none. */
export function largest(values: Iterable<number>): number {
  let most = -Infinity;
  for (const value of values) most = Math.max(most, value);
  return most;
}
