import { on } from 'node:events';
import { Worker } from 'node:worker_threads';
import type { Dataset, Samples } from '../datasets/types.js';
import { type Events, eventsOf } from '../events.js';
import { nodeOptions, receivedError } from '../threads.js';
import type { ExperimentConfig } from './config.js';
import type { ExperimentEvent, GroupEvents } from './events.js';
import type { Group } from './plan.js';
import type { CheckpointPlace } from './resumable.js';
import type { FromWorker, ToWorker, WorkerSetup } from './worker.js';

/** Trains one group. */
export type GroupRunner = (group: Group, place: CheckpointPlace | undefined) => GroupEvents;

/** A worker thread that trains one group after the other, until `dispose`. */
interface Job {
  run: GroupRunner;
  /** Stops the group under way, which then writes its checkpoint. */
  stop(): void;
  dispose(): Promise<void>;
}

/**
 * Trains groups on `count` worker threads. After a failure no other group begins, those under way are
 * finished, and the failure is thrown.
 *
 * @param config with the threads of one job
 * @param train trains a group with the given runner, and keeps its results
 */
export async function* runJobs(
  count: number,
  config: ExperimentConfig,
  groups: Group[],
  dataset: Dataset,
  signal: AbortSignal | undefined,
  train: (group: Group, run: GroupRunner) => Events<ExperimentEvent, void>,
): Events<ExperimentEvent, void> {
  const waiting = groups.values(); // one walk through them, which the jobs share
  const jobs: Job[] = [];
  let failed = false;
  let ends: Promise<PromiseSettledResult<void>[]> | undefined;
  const everyGroup = async (job: Job, emit: (event: ExperimentEvent) => void) => {
    try {
      for (let next = waiting.next(); !next.done && !failed; next = waiting.next()) {
        for await (const event of train(next.value, job.run)) emit(event);
      }
    } catch (error) {
      failed = true;
      throw error;
    }
  };
  try {
    const data = shared(dataset);
    for (let i = 0; i < count; i++) jobs.push(startJob(config, data, signal));
    yield* eventsOf(async (emit) => {
      ends = Promise.allSettled(jobs.map((job) => everyGroup(job, emit)));
      const failure = (await ends).find((end) => end.status === 'rejected');
      if (failure !== undefined) throw failure.reason;
    });
  } finally {
    failed = true; // no other group begins
    for (const job of jobs) job.stop();
    await ends;
    await Promise.allSettled(jobs.map((job) => job.dispose()));
  }
}

/** @param dataset of `shared`, so that no worker has a copy */
function startJob(config: ExperimentConfig, dataset: Dataset, signal: AbortSignal | undefined): Job {
  const worker = new Worker(new URL('./worker.js', import.meta.url), {
    workerData: { config, dataset } satisfies WorkerSetup,
    ...nodeOptions(),
  });
  const send = (message: ToWorker) => worker.postMessage(message);
  const stop = () => send('stop');
  return {
    async *run(group, place) {
      const messages = messagesOf(worker);
      let ended = false;
      const next = async (): Promise<FromWorker> => {
        ended = true; // unless a message says otherwise
        const message = (await messages.next()).value;
        ended = message.kind === 'done' || message.kind === 'failed';
        return message;
      };
      signal?.addEventListener('abort', stop);
      try {
        send({ group, place });
        if (signal?.aborted) stop();
        for (;;) {
          const message = await next();
          if (message.kind === 'done') return message.runs;
          if (message.kind === 'failed') throw receivedError(message.error, signal);
          yield message;
        }
      } finally {
        signal?.removeEventListener('abort', stop);
        if (!ended) stop(); // the caller takes no more events
        while (!ended) await next();
        await messages.return(undefined as never);
      }
    },
    stop,
    async dispose() {
      await worker.terminate();
    },
  };
}

/** Messages of a worker, without end; throws when the worker fails or exits. */
async function* messagesOf(worker: Worker): AsyncGenerator<FromWorker, never, void> {
  let code: number | undefined;
  const exit = (given: number) => {
    code = given;
  };
  worker.once('exit', exit);
  try {
    for await (const [message] of on(worker, 'message', { close: ['exit'] })) yield message;
  } finally {
    worker.off('exit', exit);
  }
  throw new Error(`a worker of bench ended with code ${code}`);
}

/** The data set with its features in memory that all workers see. */
function shared(dataset: Dataset): Dataset {
  const share = (samples: Samples): Samples => {
    const x = new Float32Array(new SharedArrayBuffer(samples.x.byteLength));
    x.set(samples.x);
    return { ...samples, x };
  };
  return { ...dataset, train: share(dataset.train), ...(dataset.test && { test: share(dataset.test) }) };
}
