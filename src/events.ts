/*
 * Work that takes its time and says how it gets on: an async generator, which yields events and returns the
 * result. Who runs it takes the events one by one, and the work waits meanwhile. An error of theirs is thrown
 * into the generator where the event came from, so that the work can keep what it has done.
 */

export type Events<E, R> = AsyncGenerator<E, R, void>;

/** Runs work to its end, with each of its events handed to `handle`; resolves to its result. */
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

/** Yields the events of `source` that `handle`, which sees each first, does not return false for. */
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

/** Yields what `events` yields and then calls `close`, however they end; an error of theirs goes before one of it. */
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
        // what ended it came first, and is what a reader can act on
      }
    }
  }
  await close(result);
  return result;
}

/**
 * Events that `work` tells as it goes on, at its own pace. Where no more of them are taken the caller has to
 * stop `work`.
 */
export async function* eventsOf<E, R>(work: (tell: (event: E) => void) => Promise<R>): Events<E, R> {
  const told: E[] = [];
  let wake = () => {};
  let ended = false;
  const result = work((event) => {
    told.push(event);
    wake();
  });
  const end = () => {
    ended = true;
    wake();
  };
  result.then(end, end);
  for (;;) {
    while (told.length > 0) yield told.shift()!;
    if (ended) return await result;
    await new Promise<void>((resolve) => {
      wake = resolve;
    });
  }
}
