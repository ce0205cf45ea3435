import { setTimeout as pause } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { closingAfter, type Events, eventsOf, follow, through } from '../../src/events.js';

/** Yields 1 to `count`, then returns how it ended; notes an error that comes in, and that it is closed. */
async function* counting(count: number, log: unknown[] = []): Events<number, string> {
  try {
    for (let i = 1; i <= count; i++) yield i;
    return 'all';
  } catch (error) {
    log.push(error);
    throw error;
  } finally {
    log.push('closed');
  }
}

test('follow hands over the events, each when the last is dealt with, and resolves to the result', async () => {
  const seen: string[] = [];
  const handle = async (event: number) => {
    seen.push(`${event} begins`);
    await pause(1);
    seen.push(`${event} ends`);
  };
  expect(await follow(counting(2), handle)).toBe('all');
  expect(seen).toEqual(['1 begins', '1 ends', '2 begins', '2 ends']);
});

test('an error of who takes an event is thrown where the event came from', async () => {
  const log: unknown[] = [];
  const error = new Error('of the handler');
  const handle = (event: number) => {
    if (event === 2) throw error;
  };
  await expect(follow(counting(3, log), handle)).rejects.toBe(error);
  expect(log).toEqual([error, 'closed']);
});

test('work that survives the error goes on', async () => {
  const stubborn = async function* (): Events<string, string> {
    try {
      yield 'first';
    } catch {
      yield 'second';
    }
    return 'done';
  };
  const seen: string[] = [];
  const handle = (event: string) => {
    seen.push(event);
    if (event === 'first') throw new Error();
  };
  expect(await follow(stubborn(), handle)).toBe('done');
  expect(seen).toEqual(['first', 'second']);
});

test('through drops the events that its handler returns false for, and passes on what comes of the others', async () => {
  const odd = (count: number, log?: unknown[]) => through(counting(count, log), (event) => event % 2 === 1);
  const seen: number[] = [];
  expect(await follow(odd(5), (event) => void seen.push(event))).toBe('all');
  expect(seen).toEqual([1, 3, 5]);
  const log: unknown[] = [];
  for await (const event of odd(5, log)) if (event === 3) break;
  expect(log).toEqual(['closed']);
});

test('closingAfter closes once, however it ends, and hides no error that came first', async () => {
  const closed: unknown[] = [];
  const failing = (result?: string) => {
    closed.push(result);
    throw new Error('of close');
  };
  expect(
    await follow(
      closingAfter(counting(1), (result) => void closed.push(result)),
      () => {},
    ),
  ).toBe('all');
  await expect(follow(closingAfter(counting(1), failing), () => {})).rejects.toThrow('of close');
  const first = () => {
    throw new Error('came first');
  };
  await expect(follow(closingAfter(counting(1), failing), first)).rejects.toThrow('came first');
  for await (const _ of closingAfter(counting(2), failing)) break;
  expect(closed).toEqual(['all', 'all', undefined, undefined]);
});

test('what work tells comes as events while it goes on, then its result or its error', async () => {
  const seen: unknown[] = [];
  const work = (end: () => string) => async (tell: (event: number) => void) => {
    tell(1);
    await pause(5);
    tell(2);
    tell(3);
    return end();
  };
  const see = (event: number) => void seen.push(event);
  expect(await follow(eventsOf(work(() => 'done')), see)).toBe('done');
  const error = new Error('of the work');
  const failing = work(() => {
    throw error;
  });
  await expect(follow(eventsOf(failing), see)).rejects.toBe(error);
  expect(seen).toEqual([1, 2, 3, 1, 2, 3]);
});
