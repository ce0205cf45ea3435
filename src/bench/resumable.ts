import { existsSync } from 'node:fs';
import type { Dataset } from '../datasets/types.js';
import { type GroupState, readCheckpoint, writeCheckpoint } from './checkpoint.js';
import type { ExperimentConfig } from './config.js';
import { type GroupHooks, runGroup } from './group.js';
import type { Group } from './plan.js';
import type { BenchRun } from './results.js';

/** Longest time between two checkpoints, and so the longest work that a kill can cost, but for a longer round. */
const intervalMs = 5000;

/**
 * `runGroup` with its state kept in `checkpoint`: taken up from there where the file exists, written to it now and then, and
 * when something stops the group. Without a file nothing is kept.
 */
export async function runResumable(
  config: ExperimentConfig,
  group: Group,
  dataset: Dataset,
  runs: BenchRun[],
  hooks: Omit<GroupHooks, 'onRound'>,
  checkpoint?: string,
): Promise<void> {
  if (checkpoint === undefined) return runGroup(config, group, dataset, runs, hooks);
  const state = existsSync(checkpoint) ? readCheckpoint(checkpoint) : undefined;
  let unsaved: GroupState | undefined;
  let savedAt = Date.now();
  const save = () => {
    if (unsaved !== undefined) writeCheckpoint(checkpoint, unsaved);
    unsaved = undefined;
    savedAt = Date.now();
  };
  const onRound = async (snapshot: () => Promise<GroupState>) => {
    unsaved = await snapshot();
    if (Date.now() - savedAt >= intervalMs) save();
  };
  try {
    await runGroup(config, group, dataset, runs, { ...hooks, onRound }, state);
  } catch (error) {
    save();
    throw error;
  }
}
