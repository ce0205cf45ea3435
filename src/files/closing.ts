/*
 * What is taken is handed back, and handing back never hides why: an error of `close` is thrown only where
 * `body` had none.
 */

/** Calls `body`, then `close` whatever came of it. */
export function closing<T>(body: () => T, close: () => void): T {
  let result: T;
  try {
    result = body();
  } catch (error) {
    try {
      close();
    } catch {
      // `error` came first, and is what a reader can act on
    }
    throw error;
  }
  close();
  return result;
}

/** The same for a `body` that takes its time. */
export async function closingAsync<T>(body: () => Promise<T>, close: () => void | Promise<void>): Promise<T> {
  let result: T;
  try {
    result = await body();
  } catch (error) {
    try {
      await close();
    } catch {
      // as above
    }
    throw error;
  }
  await close();
  return result;
}
