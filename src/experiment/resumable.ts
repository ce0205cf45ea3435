import { existsSync } from 'node:fs';
import type { Dataset } from '../datasets/types.js';
import { SetNativeError } from '../errors.js';
import { checkHeld, type LockToken } from '../files/lock.js';
import { type GroupState, readCheckpoint, writeCheckpoint } from './checkpoint.js';
import type { ExperimentConfig } from './config.js';
import { type GroupHooks, runGroup } from './group.js';
import type { Group } from './plan.js';
import type { BenchRun } from './results.js';

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
export async function runResumable(
  config: ExperimentConfig,
  group: Group,
  dataset: Dataset,
  runs: BenchRun[],
  hooks: Omit<GroupHooks, 'onRound'>,
  place?: CheckpointPlace,
): Promise<void> {
  if (place === undefined) return runGroup(config, group, dataset, runs, hooks);
  const of = { experiment: place.experiment, group: group.id };
  const state = existsSync(place.file)
    ? readCheckpoint(place.file, of, { config, group, dataset })
    : undefined;
  let unsaved: GroupState | undefined;
  let savedAt = performance.now(); // not the time of day, which may be set back
  const save = () => {
    if (unsaved !== undefined) {
      checkHeld(place.lock);
      writeCheckpoint(place.file, of, unsaved);
    }
    unsaved = undefined;
    savedAt = performance.now();
  };
  const onRound = async (snapshot: () => Promise<GroupState>) => {
    unsaved = await snapshot();
    if (performance.now() - savedAt >= intervalMs) save();
  };
  try {
    await runGroup(config, group, dataset, runs, { ...hooks, onRound }, state);
  } catch (error) {
    try {
      save();
    } catch (failure) {
      throw withFailure(error, failure);
    }
    throw error;
  }
}

/** What stopped a group, and that its last epochs were not saved. */
function withFailure(error: unknown, failure: unknown): unknown {
  if (!(error instanceof SetNativeError) || (error as Error).message === (failure as Error).message)
    return error;
  const message = `${error.message}; the epochs since the last checkpoint are lost: ${(failure as Error).message}`;
  return new SetNativeError(error.code, message, { details: error.details, cause: error.cause ?? failure });
}
