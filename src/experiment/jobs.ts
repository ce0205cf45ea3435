import { Worker, type WorkerOptions } from 'node:worker_threads';
import type { Dataset, Samples } from '../datasets/types.js';
import { type ErrorCode, SetNativeError } from '../errors.js';
import type { ExperimentConfig } from './config.js';
import type { GroupHooks } from './group.js';
import type { Group } from './plan.js';
import type { BenchRun } from './results.js';
import type { CheckpointPlace } from './resumable.js';
import { trialKey } from './trial.js';
import type { FromWorker, ToWorker, WorkerSetup } from './worker.js';

/** Trains one group; `runs` fills on the way. Jobs of several workers run at once. */
export type GroupRunner = (
  group: Group,
  runs: BenchRun[],
  hooks: Omit<GroupHooks, 'onRound'>,
  place?: CheckpointPlace,
) => Promise<void>;

/** A group's job on a worker thread of its own, which lives until `dispose`. */
export interface Job {
  run: GroupRunner;
  dispose(): Promise<void>;
}

/** @param dataset of `shared`, so that no worker has a copy */
export function startJob(config: ExperimentConfig, dataset: Dataset): Job {
  const worker = new Worker(new URL('./worker.js', import.meta.url), {
    workerData: { config, dataset } satisfies WorkerSetup,
    ...nodeOptions(),
  });
  const send = (message: ToWorker) => worker.postMessage(message);
  return {
    run: (group, runs, { onEpoch, onNote, onFacts, signal }, place) =>
      new Promise((resolve, reject) => {
        const stop = () => send('stop');
        const end = (error?: unknown) => {
          signal?.removeEventListener('abort', stop);
          worker.off('message', hear).off('error', end).off('exit', exit);
          if (error === undefined) resolve();
          else reject(error);
        };
        const exit = (code: number) => end(new Error(`a worker of bench ended with code ${code}`));
        const hear = async (message: FromWorker) => {
          try {
            if (message.kind === 'note') onNote(message.note);
            else if (message.kind === 'facts') onFacts(message.facts);
            else if (message.kind === 'epoch') {
              replace(runs, message.run);
              await onEpoch?.(message.run, message.run.epochs.at(-1)!);
            } else {
              runs.length = 0;
              for (const run of message.runs) runs.push(run);
              end(message.kind === 'done' ? undefined : asError(message.error, signal));
            }
          } catch (error) {
            stop(); // a hook has thrown
            end(error);
          }
        };
        worker.on('message', hear).on('error', end).on('exit', exit);
        signal?.addEventListener('abort', stop);
        send({ group, place });
        if (signal?.aborted) stop();
      }),
    async dispose() {
      await worker.terminate();
    },
  };
}

/**
 * A worker takes over the options of node, but node runs no file under `--input-type`, which tells what the
 * text of `node -e` is. Where it is among the arguments, none is taken over: a list of arguments may hold few
 * of node's options.
 */
function nodeOptions(): WorkerOptions {
  const { execArgv, env } = process;
  const given = env.NODE_OPTIONS ?? '';
  const taken = given.replaceAll(/(?<!\S)--input-type[= ]\s*\S+/g, '');
  return {
    ...(execArgv.some((option) => option.startsWith('--input-type')) && { execArgv: [] }),
    ...(taken !== given && { env: { ...env, NODE_OPTIONS: taken } }),
  };
}

/** The data set with its features in memory that all workers see. */
export function shared(dataset: Dataset): Dataset {
  const share = (samples: Samples): Samples => {
    const x = new Float32Array(new SharedArrayBuffer(samples.x.byteLength));
    x.set(samples.x);
    return { ...samples, x };
  };
  return { ...dataset, train: share(dataset.train), ...(dataset.test && { test: share(dataset.test) }) };
}

function replace(runs: BenchRun[], run: BenchRun): void {
  const at = runs.findIndex((other) => trialKey(other) === trialKey(run));
  if (at < 0) runs.push(run);
  else runs[at] = run;
}

/** The error of a worker; the reason of the signal, which stayed on this side, is its cause. */
function asError(sent: unknown, signal: AbortSignal | undefined): Error {
  const { code, message, details } = sent as {
    code?: ErrorCode;
    message: string;
    details?: Record<string, unknown>;
  };
  if (code === undefined) return new Error(message);
  const cause = code === 'ERR_ABORTED' ? signal?.reason : undefined;
  return new SetNativeError(code, message, { ...(details && { details }), cause });
}
