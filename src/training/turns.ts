import { AsyncLocalStorage } from 'node:async_hooks';
import { setImmediate } from 'node:timers';
import { whenAborted } from '../whenAborted.js';

/*
 * The order of the calls of a model. They take turns in the order in which they were made: each begins when
 * those before it have ended, so a prediction that is asked for while a training runs is made by what the
 * training leaves.
 *
 * A callback of a call that is under way may make calls, too, and await them: they take turns among
 * themselves while their caller waits. The asynchronous context tells who calls from inside a callback, so
 * that a call from elsewhere at the same time still waits for its turn.
 */

/** A call that waits for its turn. `start` never rejects: what the call comes to is told to its caller. */
interface Turn {
  start(): Promise<void>;
}

class Queue {
  readonly #waiting: Turn[] = [];
  #working = false;
  #whenIdle: (() => void)[] = [];

  /** The call that was made last, if it still waits. */
  get last(): Turn | undefined {
    return this.#waiting.at(-1);
  }

  /**
   * Starts the turn before it returns where nothing else is under way; if `later`, when the events that have
   * come in are handled, so that more can join it, or when another turn is added.
   */
  add(turn: Turn, later: boolean): void {
    this.#waiting.push(turn);
    if (this.#working) return;
    if (!later) return void this.#work();
    setImmediate(() => {
      if (!this.#working) void this.#work();
    });
  }

  /** Resolves when no call is under way or waits. */
  async idle(): Promise<void> {
    if (this.#working || this.#waiting.length > 0)
      await new Promise<void>((resolve) => this.#whenIdle.push(resolve));
  }

  async #work(): Promise<void> {
    this.#working = true;
    for (let turn = this.#waiting.shift(); turn !== undefined; turn = this.#waiting.shift()) {
      await turn.start();
    }
    this.#working = false;
    for (const resolve of this.#whenIdle.splice(0)) resolve();
  }
}

export interface TurnOptions {
  /** Gives a call up that still waits, with the error of `gaveUp`. */
  signal?: AbortSignal | undefined;
  gaveUp?: () => Error;
}

/** A callback that runs, and the queue of the calls that are made inside it. */
interface Scope {
  of: Turns;
  queue: Queue;
  open: boolean;
  outer: Scope | undefined;
}

const scopes = new AsyncLocalStorage<Scope>();

export class Turns {
  readonly #queue = new Queue();

  /** The call that was made last, here, if it still waits. */
  get last(): Turn | undefined {
    return this.#here().last;
  }

  /** Whether a callback of the call that is under way makes this call. */
  get inCallback(): boolean {
    return this.#here() !== this.#queue;
  }

  add(turn: Turn, { later = false } = {}): void {
    this.#here().add(turn, later);
  }

  /** Calls `work` when its turn comes. */
  take<T>(work: () => Promise<T>, { signal, gaveUp }: TurnOptions = {}): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (signal?.aborted && gaveUp !== undefined) return reject(gaveUp());
      let waits = true;
      const giveUp = () => {
        waits = false;
        reject(gaveUp?.());
      };
      const forget = gaveUp === undefined ? () => {} : whenAborted(signal, giveUp);
      this.add({
        async start() {
          forget();
          if (waits) await work().then(resolve, reject);
        },
      });
    });
  }

  /**
   * Runs a callback of the call that is under way. Calls that it makes are carried out while it runs; those
   * that it does not await have ended, too, when this resolves.
   */
  async lend<T>(callback: () => T | Promise<T>): Promise<T> {
    const scope: Scope = { of: this, queue: new Queue(), open: true, outer: scopes.getStore() };
    try {
      return await scopes.run(scope, callback);
    } finally {
      scope.open = false;
      await scope.queue.idle();
    }
  }

  /** Resolves when no call is under way or waits. */
  idle(): Promise<void> {
    return this.#queue.idle();
  }

  /** The queue of the innermost callback of this model that is running and that we are called from. */
  #here(): Queue {
    for (let scope = scopes.getStore(); scope !== undefined; scope = scope.outer) {
      if (scope.of === this && scope.open) return scope.queue;
    }
    return this.#queue;
  }
}
