/*
 * Releases what was opened, without hiding the first error: an error of `close` is thrown only where `body`
 * had none.
 */

/** Calls `body`, then `close` even where `body` throws. */
export function closing<T>(body: () => T, close: () => void): T {
  let result: T;
  try {
    result = body();
  } catch (error) {
    try {
      close();
    } catch {
      // `error` came first, and is the one that a reader can act on
    }
    throw error;
  }
  close();
  return result;
}

/** Does the same for an asynchronous `body`. */
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
