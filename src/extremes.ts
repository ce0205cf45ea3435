/*
 * Minimum and maximum of lists of any length. Math.min(...list) overflows the stack beyond some ten thousand
 * arguments.
 */

/** The smallest value, or Infinity where there is none. */
export function smallest(values: Iterable<number>): number {
  let least = Infinity;
  for (const value of values) least = Math.min(least, value);
  return least;
}

/** The largest value, or -Infinity where there is none. */
export function largest(values: Iterable<number>): number {
  let most = -Infinity;
  for (const value of values) most = Math.max(most, value);
  return most;
}
