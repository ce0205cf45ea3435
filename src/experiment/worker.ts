import { parentPort, workerData } from 'node:worker_threads';
import type { Dataset } from '../datasets/types.js';
import { follow } from '../events.js';
import { type SentError, sentError } from '../threads.js';
import type { ExperimentConfig } from './config.js';
import type { ExperimentEvent } from './events.js';
import type { Group } from './plan.js';
import type { BenchRun } from './results.js';
import { type CheckpointPlace, runResumable } from './resumable.js';

/*
 * Program of a worker thread: trains the groups that it is sent, one at a time, and sends their events.
 */

export interface WorkerSetup {
  config: ExperimentConfig;
  /** Its arrays lie in shared memory. */
  dataset: Dataset;
}

export type ToWorker = { group: Group; place: CheckpointPlace | undefined } | 'stop';

/** The events of a group, then how it ended. */
export type FromWorker =
  | ExperimentEvent
  | { kind: 'done'; runs: BenchRun[] }
  | { kind: 'failed'; error: SentError };

const { config, dataset } = workerData as WorkerSetup;
const port = parentPort!;
const controller = new AbortController();
const send = (message: FromWorker) => port.postMessage(message);

port.on('message', async (message: ToWorker) => {
  if (message === 'stop') return controller.abort();
  try {
    const { group, place } = message;
    const runs = await follow(
      runResumable(config, group, dataset, { place, signal: controller.signal }),
      send,
    );
    send({ kind: 'done', runs });
  } catch (cause) {
    send({ kind: 'failed', error: sentError(cause) });
  }
});
