import { type SpawnSyncReturns, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { SetNativeError } from './errors.js';
import { native } from './native.js';
import { type BackendChoice, type BackendName, type GpuName, gpuNames } from './vocabulary.js';

/*
 * Chooses the back end that computes, and makes asking for it safe: before this process uses a GPU for the
 * first time, a child process does. No child is started where there is nothing to open.
 */

/** Back ends that `auto` tries, in this order. */
const preferred = [...gpuNames, 'cpu'] as const satisfies BackendName[];

let automatic: BackendName | undefined;

const trialProgram = fileURLToPath(new URL('./gpuTrial.js', import.meta.url));

/** Seconds that a trial may take. Metal compiles its kernels in it. */
const trialSeconds: Record<GpuName, number> = { cuda: 30, metal: 60 };

/** Whether the back end computes on a GPU and not on threads of the host. */
export function isGpu(name: BackendName): name is GpuName {
  return (gpuNames as readonly BackendName[]).includes(name);
}

/**
 * Back end to use. One that is asked for by name is never replaced; `createModel` says whether it is
 * available.
 */
export function chooseBackend(choice: BackendChoice): BackendName {
  if (choice === 'auto') {
    tryGpusApart();
    automatic ??= fastest();
    return automatic;
  }
  if (isGpu(choice)) tryApart(choice);
  return choice;
}

function fastest(): BackendName {
  const { backends } = native().info();
  const available = (name: BackendName) =>
    backends.some((backend) => backend.name === name && backend.available);
  return preferred.find(available) ?? 'cpu';
}

/**
 * Tries each GPU in a child process, once per process, and must run before anything asks the addon about
 * GPUs. Blocks while a child runs: a fraction of a second with a good driver, at most the seconds above with
 * one that hangs.
 */
export function tryGpusApart(): void {
  for (const name of gpuNames) tryApart(name);
}

function tryApart(name: GpuName): void {
  const addon = native();
  if (addon.untried(name) === '') return;
  const reason = troubleApart(name);
  if (reason !== '') addon.refuse(name, reason);
}

/** Signals that somebody sends, unlike those of a crash. A terminal sends Ctrl-C to the child as well. */
const stopSignals: (NodeJS.Signals | null)[] = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'];

/**
 * Returns what is wrong with a back end, or how its child ended; nothing where all went well. Throws
 * ERR_ABORTED where the child was told to stop.
 */
function troubleApart(name: GpuName): string {
  const { NODE_OPTIONS: _, ...env } = process.env; // options such as those of a debugger are not for the child
  const seconds = trialSeconds[name];
  const trial = 'its trial in a process of its own';
  let child: SpawnSyncReturns<string>;
  try {
    child = spawnSync(process.execPath, [trialProgram, name], {
      env: { ...env, ELECTRON_RUN_AS_NODE: '1' },
      encoding: 'utf8',
      timeout: 1000 * seconds,
      killSignal: 'SIGKILL',
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  } catch (error) {
    // Node's permission model, or another that forbids processes.
    return `${trial} could not be started: ${(error as Error).message}`;
  }
  const { status, signal, error, stdout, stderr } = child;
  if ((error as NodeJS.ErrnoException | undefined)?.code === 'ETIMEDOUT') {
    return `${trial} did not end within ${seconds} seconds`;
  }
  if (error) return `${trial} could not be started: ${error.message}`;
  if (stopSignals.includes(signal)) {
    throw new SetNativeError(
      'ERR_ABORTED',
      `[backend] ${trial} was stopped (${signal}), so ${name} was not tried`,
      {
        details: { backend: name, signal },
      },
    );
  }
  if (signal !== null) return `${trial} crashed (${signal})`;
  if (status !== 0) return `${trial} ended with status ${status}: ${stderr.trim().split('\n').at(-1)}`;
  const answer = new RegExp(`^${name}: (.*)$`, 'm').exec(stdout); // a driver may write something of its own
  if (answer === null) return `${trial} gave no answer`;
  return answer[1]!.replace(/^not available, because /, '');
}
