/*
 * What instrumented code tells while it runs (see instrument.js): which branches it took, and what it
 * compared. Coverage says which inputs are worth keeping; compared values say what to write into them, such
 * as a magic number that nobody guesses.
 */

const MOST_BRANCHES = 1 << 16;
const RECENT = 64;

/** How often each branch was taken since the last `takeBranches`, and which at all. */
const hits = new Uint32Array(MOST_BRANCHES);
let touched: number[] = [];
let branches = 0;

/** Values that were compared and differed, the latest of them. */
const recent: [number | string, number | string][] = [];
let compared = 0;

/** Numbers for the `count` branches of a module; returns the first. */
export function region(count: number): number {
  branches += count;
  if (branches > MOST_BRANCHES) throw new Error(`more than ${MOST_BRANCHES} branches`);
  return branches - count;
}

export function hit(branch: number): void {
  if (hits[branch]!++ === 0) touched.push(branch);
}

/** `a === b` */
export function same(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a === typeof b && (typeof a === 'number' || typeof a === 'string')) {
    recent[compared++ % RECENT] = [a, b as number | string];
  }
  return false;
}

/**
 * Calls `visit` with each branch taken since the last call and how often it was, roughly: 1, 2, 3, then
 * powers of two.
 */
export function takeBranches(visit: (branch: number, bucket: number) => void): void {
  for (const branch of touched) {
    const count = hits[branch]!;
    visit(branch, count < 4 ? count : Math.min(35 - Math.clz32(count), 16));
    hits[branch] = 0;
  }
  touched = [];
}

/** Forgets what was told so far: the next executions are of other code. */
export function restart(): void {
  takeBranches(() => undefined);
  recent.length = 0;
  compared = 0;
}

export function recentComparisons(): readonly [number | string, number | string][] {
  return recent;
}
