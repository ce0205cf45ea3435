/*
 * One listener per signal, however many calls wait for it: a service may hand the same signal to every
 * request, and Node warns of a leak from the eleventh listener on.
 */

const waiting = new WeakMap<AbortSignal, { acts: Set<() => void>; listener: () => void }>();

/** Calls `act` when the signal fires, unless the function that it returns was called before. */
export function whenAborted(signal: AbortSignal | undefined, act: () => void): () => void {
  if (signal === undefined) return () => {};
  let there = waiting.get(signal);
  if (there === undefined) {
    const acts = new Set<() => void>();
    const listener = () => {
      for (const each of [...acts]) each();
    };
    there = { acts, listener };
    waiting.set(signal, there);
    signal.addEventListener('abort', listener);
  }
  const { acts, listener } = there;
  const own = () => act(); // of its own, where two calls give the same function
  acts.add(own);
  return () => {
    if (!acts.delete(own) || acts.size > 0) return;
    waiting.delete(signal);
    signal.removeEventListener('abort', listener);
  };
}
