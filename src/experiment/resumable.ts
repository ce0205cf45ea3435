import { existsSync } from 'node:fs';
import type { Dataset } from '../datasets/types.js';
import { SetNativeError } from '../errors.js';
import { checkHeld, type LockToken } from '../files/lock.js';
import { type GroupState, readCheckpoint, writeCheckpoint } from './checkpoint.js';
import type { ExperimentConfig } from './config.js';
import type { GroupEvents } from './events.js';
import { runGroup } from './group.js';
import type { Group } from './plan.js';

/** Where the state of a group is kept. */
export interface CheckpointPlace {
  file: string;
  /** SHA-256 of what decides the bits of its experiment: see `experimentSum`. */
  experiment: string;
  /** Under which it may be written. */
  lock: LockToken;
}

/**
 * Longest time between two checkpoints, and so the longest work that a kill can cost, but for a longer round.
 */
const intervalMs = 5000;

/**
 * `runGroup` with its state kept in a file: taken up from there where the file exists, written to it now and
 * then, and when something stops the group. Without a place nothing is kept.
 */
export async function* runResumable(
  config: ExperimentConfig,
  group: Group,
  dataset: Dataset,
  { place, signal }: { place: CheckpointPlace | undefined; signal: AbortSignal | undefined },
): GroupEvents {
  if (place === undefined) return yield* runGroup(config, group, dataset, { signal });
  const of = { experiment: place.experiment, group: group.id };
  const state = existsSync(place.file)
    ? readCheckpoint(place.file, of, { config, group, dataset })
    : undefined;
  const snapshots = new Snapshots((taken) => {
    checkHeld(place.lock);
    writeCheckpoint(place.file, of, taken);
  });
  const afterRound = (snapshot: () => Promise<GroupState>) => snapshots.afterRound(snapshot);
  try {
    const runs = yield* runGroup(config, group, dataset, { signal, state, afterRound });
    snapshots.drop();
    return runs;
  } catch (error) {
    try {
      snapshots.write();
    } catch (failure) {
      throw withFailure(error, failure);
    }
    throw error;
  } finally {
    snapshots.write(); // where nobody wants to see how it goes on
  }
}

/** Times its own duration that a snapshot has to wait for, unless it is to be written. */
const payback = 10;

/**
 * Decides when the state of a group is worth a snapshot, and when a snapshot is written.
 *
 * A snapshot downloads all links, and training may go on only when it is there. One is due when it is to be
 * written, and before that, for what a stop would cost, as soon as the rounds since the last one have taken
 * many times as long as it did: so snapshots take a small share of the time, and a stop costs at most the
 * rounds that a few of them would have taken.
 */
export class Snapshots {
  readonly #write: (state: GroupState) => void;
  readonly #now: () => number;
  /** The last one, until it is written. */
  #unsaved: GroupState | undefined;
  #writtenAt: number;
  #takenAt: number;
  /** Shortest time that one has taken. */
  #durationMs: number | undefined;

  /** @param now milliseconds; by default of a clock that nobody sets back, as the time of day may be */
  constructor(write: (state: GroupState) => void, now = () => performance.now()) {
    this.#write = write;
    this.#now = now;
    this.#writtenAt = now();
    this.#takenAt = this.#writtenAt;
  }

  async afterRound(snapshot: () => Promise<GroupState>): Promise<void> {
    const begun = this.#now();
    const writes = begun - this.#writtenAt >= intervalMs;
    const pays = begun - this.#takenAt >= payback * (this.#durationMs ?? 0);
    if (!writes && !pays) return;
    this.#unsaved = await snapshot();
    this.#takenAt = this.#now();
    this.#durationMs = Math.min(this.#durationMs ?? Infinity, this.#takenAt - begun);
    if (writes) this.write();
  }

  /** Writes the last snapshot, unless that is done. */
  write(): void {
    const state = this.#unsaved;
    this.#unsaved = undefined;
    this.#writtenAt = this.#now();
    if (state !== undefined) this.#write(state);
  }

  /** Forgets the last snapshot. */
  drop(): void {
    this.#unsaved = undefined;
  }
}

/** What stopped a group, and that its last epochs were not saved. */
function withFailure(error: unknown, failure: unknown): unknown {
  if (!(error instanceof SetNativeError) || (error as Error).message === (failure as Error).message)
    return error;
  const message = `${error.message}; the epochs since the last checkpoint are lost: ${(failure as Error).message}`;
  return new SetNativeError(error.code, message, { details: error.details, cause: error.cause ?? failure });
}
