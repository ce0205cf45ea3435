import { parentPort, workerData } from 'node:worker_threads';
import type { Dataset } from '../datasets/types.js';
import { SetNativeError } from '../errors.js';
import { fromNative } from '../native.js';
import type { ExperimentConfig } from './config.js';
import type { GroupFacts } from './group.js';
import type { Group } from './plan.js';
import type { BenchRun } from './results.js';
import { type CheckpointPlace, runResumable } from './resumable.js';

/*
 * A worker thread of `bench --jobs`: trains the groups it is sent, one at a time, and tells how they go.
 */

export interface WorkerSetup {
  config: ExperimentConfig;
  /** Its arrays lie in shared memory. */
  dataset: Dataset;
}

export type ToWorker = { group: Group; place: CheckpointPlace | undefined } | 'stop';

export type FromWorker =
  | { kind: 'epoch'; run: BenchRun }
  | { kind: 'note'; note: string }
  | { kind: 'facts'; facts: GroupFacts }
  | { kind: 'done'; runs: BenchRun[] }
  | { kind: 'failed'; runs: BenchRun[]; error: unknown };

const { config, dataset } = workerData as WorkerSetup;
const port = parentPort!;
const controller = new AbortController();
const tell = (message: FromWorker) => port.postMessage(message);

port.on('message', async (message: ToWorker) => {
  if (message === 'stop') return controller.abort();
  const runs: BenchRun[] = [];
  try {
    await runResumable(
      config,
      message.group,
      dataset,
      runs,
      {
        onEpoch: (run) => tell({ kind: 'epoch', run }),
        onNote: (note) => tell({ kind: 'note', note }),
        onFacts: (facts) => tell({ kind: 'facts', facts }),
        signal: controller.signal,
      },
      message.place,
    );
    tell({ kind: 'done', runs });
  } catch (cause) {
    const error = fromNative(cause);
    const plain = error instanceof SetNativeError ? { code: error.code, details: error.details } : {};
    tell({ kind: 'failed', runs, error: { ...plain, message: (error as Error).message } });
  }
});
