import { existsSync } from 'node:fs';
import type { Dataset } from '../datasets/types.js';
import { SetNativeError } from '../errors.js';
import { checkHeld, type LockToken } from '../files/lock.js';
import { type GroupState, readCheckpoint, writeCheckpoint } from './checkpoint.js';
import type { ExperimentConfig } from './config.js';
import type { GroupEvents } from './events.js';
import { runGroup } from './group.js';
import type { Group } from './plan.js';

/** The file of a group's state. */
export interface CheckpointPlace {
  file: string;
  /** SHA-256 of what decides the bits of its experiment: see `experimentSum`. */
  experiment: string;
  /** Lock that a writer must hold. */
  lock: LockToken;
}

/**
 * Time after which a round is followed by a checkpoint: a kill costs no more work than that and one round.
 */
const intervalMs = 5000;

/**
 * Trains a group as `runGroup` does, and keeps its state in a file: goes on from the file where it exists,
 * writes it every five seconds and when something stops the group. Without a place it keeps nothing.
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
    writeCheckpoint(place.file, of, taken, config);
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
    snapshots.write(); // where the caller takes no more events
  }
}

/** How many times its own duration must have passed since the last snapshot before one pays. */
const payback = 10;

/**
 * Decides when the state of a group is worth a snapshot, and when a snapshot is written.
 *
 * A snapshot downloads all links while training waits. It is due when it is to be written. Between two writes
 * it serves a stop only, which writes the last snapshot because a round that is cut off cannot be kept; there
 * it is due when the rounds since the last one have taken ten times as long as a snapshot takes. So snapshots
 * take less than a tenth of the time, and a stop costs the round under way and little more.
 */
export class Snapshots {
  readonly #write: (state: GroupState) => void;
  readonly #now: () => number;
  /** The last snapshot, until it is written. */
  #unsaved: GroupState | undefined;
  #writtenAt: number;
  #takenAt: number;
  /** Shortest duration of a snapshot so far. */
  #durationMs: number | undefined;

  /** @param now clock in milliseconds; by default one that, unlike the time of day, is never set back */
  constructor(write: (state: GroupState) => void, now = () => performance.now()) {
    this.#write = write;
    this.#now = now;
    this.#writtenAt = now();
    this.#takenAt = this.#writtenAt;
  }

  /** Takes a snapshot if one is due, and writes it if that is due. */
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

  /** Writes the last snapshot, if it is not written yet. */
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

/** The error that stopped a group, with the failure to save its last epochs. */
function withFailure(error: unknown, failure: unknown): unknown {
  if (!(error instanceof SetNativeError) || (error as Error).message === (failure as Error).message)
    return error;
  const message = `${error.message}; the epochs since the last checkpoint are lost: ${(failure as Error).message}`;
  return new SetNativeError(error.code, message, { details: error.details, cause: error.cause ?? failure });
}
