/*
 * Long work that reports its progress: an async generator, which yields events and returns the result. It
 * waits while its caller handles an event. An error of the caller is thrown into the generator where the
 * event came from, so that the work can keep what it has done.
 */

export type Events<E, R> = AsyncGenerator<E, R, void>;

/** Runs work to its end, calls `handle` with each of its events, and resolves to its result. */
export async function follow<E, R>(
  events: Events<E, R>,
  handle: (event: E) => void | Promise<void>,
): Promise<R> {
  const seen = through(events, handle);
  for (;;) {
    const { done, value } = await seen.next();
    if (done) return value;
  }
}

/** Calls `handle` with each event of `source`, and yields it unless that returns false. */
export async function* through<E, R>(source: Events<E, R>, handle: (event: E) => unknown): Events<E, R> {
  let ended = false;
  try {
    for (let next = () => source.next(); ; ) {
      const { done, value } = await next();
      next = () => source.next();
      if (done) {
        ended = true;
        return value;
      }
      try {
        if ((await handle(value)) !== false) yield value;
      } catch (error) {
        next = () => source.throw(error);
      }
    }
  } finally {
    if (!ended) await source.return(undefined as never);
  }
}

/**
 * Yields what `events` yields, and calls `close` however they end. An error of `close` is thrown only where
 * `events` had none.
 */
export async function* closingAfter<E, R>(
  events: Events<E, R>,
  close: (result?: R) => void | Promise<void>,
): Events<E, R> {
  let result: R;
  let ended = false;
  try {
    result = yield* events;
    ended = true;
  } finally {
    if (!ended) {
      try {
        await close();
      } catch {
        // the first error is the one that a reader can act on
      }
    }
  }
  await close(result);
  return result;
}

/**
 * Runs `work`, which emits events without waiting for them to be handled, and yields these. A caller that
 * takes no more events must stop `work` itself.
 */
export async function* eventsOf<E, R>(work: (emit: (event: E) => void) => Promise<R>): Events<E, R> {
  const queue: E[] = [];
  let wake = () => {};
  let ended = false;
  const result = work((event) => {
    queue.push(event);
    wake();
  });
  const end = () => {
    ended = true;
    wake();
  };
  result.then(end, end);
  for (;;) {
    while (queue.length > 0) yield queue.shift()!;
    if (ended) return await result;
    await new Promise<void>((resolve) => {
      wake = resolve;
    });
  }
}
