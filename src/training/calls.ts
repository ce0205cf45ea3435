import { checkHooks, checkKeys } from '../checks.js';
import { aborted, checkSignal, isSetNativeError, SetNativeError } from '../errors.js';
import { fromNative } from '../native.js';
import { whenAborted } from '../whenAborted.js';
import type { LiveModel } from './live.js';
import { type TurnOptions, Turns } from './turns.js';

/** Options of calls that can be stopped. */
export interface CallOptions {
  /** Gives the call up: it rejects with ERR_ABORTED, whose cause is the signal's reason. Of any realm. */
  signal?: AbortSignal;
}

/** The calls of a model: they take turns, can be stopped, and end with it. */
export class Calls {
  readonly turns = new Turns();
  readonly #live: LiveModel;
  #closed = false;

  constructor(live: LiveModel) {
    this.#live = live;
  }

  /** How the model ended; undefined while it takes calls. */
  get ended(): 'disposed' | 'closed' | undefined {
    return this.#live.disposed ? 'disposed' : this.#closed ? 'closed' : undefined;
  }

  /** Name of the method that ended it, `dispose()` where nobody called `close()` before. */
  get endedBy(): string {
    return this.#closed ? 'close()' : 'dispose()';
  }

  /** Calls `work` when its turn comes. Errors of the addon become SetNativeError. */
  async turn<T>(operation: string, work: () => Promise<T>, options?: TurnOptions): Promise<T> {
    this.checkOpen(operation);
    return this.turns.take(async () => {
      if (this.#live.disposed) throw disposed(operation);
      try {
        return await work();
      } catch (error) {
        throw fromNative(error);
      }
    }, options);
  }

  /** The same, for work that the signal of `options` stops. */
  async stoppable<T>(operation: string, options: CallOptions, work: () => Promise<T>): Promise<T> {
    const signal = this.begin(operation, options);
    const stopped = () => aborted(operation, signal, 'before it was done');
    const abort = () => this.#live.network.abort();
    const watched = async () => {
      const forget = whenAborted(signal, abort);
      try {
        return await work();
      } catch (cause) {
        const error = fromNative(cause);
        throw isSetNativeError(error, 'ERR_ABORTED') && signal?.aborted ? stopped() : error;
      } finally {
        forget();
      }
    };
    return this.turn(operation, watched, { signal, gaveUp: stopped });
  }

  /** Checks what every call that can be stopped begins with. Returns its signal. */
  begin(operation: string, options: CallOptions): AbortSignal | undefined {
    checkKeys(operation, options, ['signal']);
    const { signal } = options;
    checkHooks(operation, { signal });
    this.checkOpen(operation);
    checkSignal(operation, signal, 'before it began');
    return signal;
  }

  checkOpen(operation: string): void {
    if (this.ended !== undefined) throw disposed(operation);
  }

  /** Takes no more calls; resolves when those that were made have come to their end. */
  close(): Promise<void> {
    this.#closed = true;
    return this.turns.idle();
  }
}

function disposed(operation: string): SetNativeError<'ERR_DISPOSED'> {
  return new SetNativeError(
    'ERR_DISPOSED',
    `[${operation}] the model was disposed of, or closed; create a new one`,
  );
}
