import { setImmediate } from 'node:timers';
import { types } from 'node:util';
import { aborted, SetNativeError } from '../errors.js';
import { fromNative, type NativeSamples } from '../native.js';
import { whenAborted } from '../whenAborted.js';
import type { LiveModel } from './live.js';
import type { Turns } from './turns.js';

/*
 * Predictions that wait for their turn one behind the other are computed together: in one native call, whose
 * threads take them side by side. Each gets the bits that it would get alone, and one that fails leaves the
 * others as they are.
 *
 * One that comes alone is computed at once. Where a second one comes while the same events are handled, as in
 * a busy service, the others of these events are waited for.
 */

/** Predictions that may wait for their turn at a time, before further ones are refused. */
const mostWaiting = 10_000;
/** Rows that are computed together: enough to keep many threads busy, few enough for others to take turns. */
const mostRows = 1024;

/** A prediction that somebody waits for. */
interface Request {
  samples: NativeSamples;
  resolve(outputs: Float32Array): void;
  reject(error: unknown): void;
}

/** Requests that take one turn. */
class Batch {
  readonly #live: LiveModel;
  readonly #requests = new Set<Request>();
  #rows = 0;
  #running = false;

  constructor(live: LiveModel) {
    this.#live = live;
  }

  /** Whether it holds requests, and has room for one of so many rows. */
  takes(rows: number): boolean {
    return this.#requests.size > 0 && this.#rows + rows <= mostRows;
  }

  add(request: Request): void {
    this.#requests.add(request);
    this.#rows += request.samples.count;
  }

  /** Forgets a request, and stops the computation if nobody waits for it any more. */
  withdraw(request: Request): void {
    this.#requests.delete(request);
    if (!this.#running) this.#rows -= request.samples.count;
    else if (this.#requests.size === 0) this.#live.network.abort();
  }

  async start(): Promise<void> {
    const requests = [...this.#requests];
    if (requests.length === 0) return;
    this.#running = true;
    for (const [i, result] of (await this.#results(requests)).entries()) {
      const request = requests[i]!;
      if (!this.#requests.has(request)) continue;
      if (types.isFloat32Array(result)) request.resolve(result);
      else request.reject(fromNative(result));
    }
  }

  /** The outputs of each request, or the error that it failed with. */
  async #results(requests: Request[]): Promise<unknown[]> {
    const samples = requests.map((request) => request.samples);
    try {
      if (samples.length === 1) return [await this.#live.network.predict(samples[0]!)];
      return await this.#live.network.predictEach(samples);
    } catch (error) {
      return requests.map(() => error);
    } finally {
      for (const each of samples) each.dispose();
    }
  }
}

/** The predictions that a model is asked for. */
export class Requests {
  readonly #live: LiveModel;
  readonly #turns: Turns;
  readonly #batching: boolean;
  #waiting = 0;
  /** Whether the events that are being handled have asked for a prediction before. */
  #another = false;

  constructor(live: LiveModel, turns: Turns, batching: boolean) {
    this.#live = live;
    this.#turns = turns;
    this.#batching = batching;
  }

  /**
   * Predicts `samples`, and disposes of them, when their turn comes.
   *
   * @throws SetNativeError ERR_BUSY where 10,000 wait already
   */
  predict(operation: string, samples: NativeSamples, signal: AbortSignal | undefined): Promise<Float32Array> {
    if (this.#waiting >= mostWaiting) {
      samples.dispose();
      throw new SetNativeError(
        'ERR_BUSY',
        `[${operation}] ${mostWaiting} predictions wait for this model already; turn requests away until they are answered`,
      );
    }
    return new Promise<Float32Array>((resolve, reject) => {
      const settled = () => {
        this.#waiting -= 1;
        forget();
      };
      const request: Request = {
        samples,
        resolve(outputs) {
          settled();
          resolve(outputs);
        },
        reject(error) {
          settled();
          reject(error);
        },
      };
      const giveUp = () => {
        batch.withdraw(request);
        samples.dispose();
        request.reject(aborted(operation, signal, 'before the outputs were there'));
      };
      this.#waiting += 1;
      const forget = whenAborted(signal, giveUp);
      const waiting = this.#batching ? this.#turns.last : undefined;
      const joins = waiting instanceof Batch && waiting.takes(samples.count);
      const batch = joins ? waiting : new Batch(this.#live);
      batch.add(request);
      if (!joins) this.#turns.add(batch, { later: this.#batching && this.#another });
      if (this.#another || !this.#batching) return;
      this.#another = true;
      setImmediate(() => {
        this.#another = false;
      });
    });
  }
}
