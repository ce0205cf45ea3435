import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { type BackendName, native } from './native.js';

/*
 * Which back end computes, and that asking for it is safe: the first time that this process is to open the CUDA library,
 * a child process does so before. Where there is no library, no child is started.
 */

export type BackendChoice = 'auto' | BackendName;

export const backendChoices = ['auto', 'cpu', 'cuda', 'metal', 'reference'] as const satisfies BackendChoice[];

/** Of `auto`, the first that is available. */
const preferred = ['cuda', 'metal', 'cpu'] as const satisfies BackendName[];

let automatic: BackendName | undefined;

const trial = { program: fileURLToPath(new URL('./cudaTrial.js', import.meta.url)), timeoutMs: 30_000 };

/** The back end to use. One asked for by name is not replaced; whether it is available, `createModel` says. */
export function chooseBackend(choice: BackendChoice): BackendName {
  if (choice === 'auto' || choice === 'cuda') tryCudaApart();
  if (choice !== 'auto') return choice;
  automatic ??= fastest();
  return automatic;
}

function fastest(): BackendName {
  const { backends } = native().info();
  const available = (name: BackendName) => backends.some((backend) => backend.name === name && backend.available);
  return preferred.find(available) ?? 'cpu';
}

/**
 * Before anything asks the addon about CUDA. Blocks while the child runs: a fraction of a second with a good driver, at
 * most 30 seconds with one that hangs, once per process.
 */
export function tryCudaApart(): void {
  const addon = native();
  if (addon.untriedCuda() === '') return;
  const reason = troubleApart();
  if (reason !== '') addon.refuseCuda(reason);
}

/** What the child says or how it ended; nothing when all went well. */
function troubleApart(): string {
  const { NODE_OPTIONS: _, ...env } = process.env; // a debugger, say, is not for the child
  const { status, signal, error, stdout, stderr } = spawnSync(process.execPath, [trial.program], {
    env: { ...env, ELECTRON_RUN_AS_NODE: '1' },
    encoding: 'utf8',
    timeout: trial.timeoutMs,
    killSignal: 'SIGKILL',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  if ((error as NodeJS.ErrnoException | undefined)?.code === 'ETIMEDOUT') {
    return `its driver did not answer within ${trial.timeoutMs / 1000} seconds`;
  }
  if (error) return `it could not be tried in a process of its own: ${error.message}`;
  if (signal !== null) return `its driver crashed (${signal})`;
  if (status !== 0) return `its trial ended with status ${status}: ${stderr.trim().split('\n').at(-1)}`;
  const answer = /^cuda: (.*)$/m.exec(stdout); // a driver may write something of its own
  if (answer === null) return 'its trial gave no answer';
  return answer[1]!.replace(/^not available, because /, '');
}
