import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { checkNumber, wholeNumber } from '../../src/checks.js';
import { attempt, type Failure, fuzz, type Outcome, type Target } from './engine.js';
import { planted } from './planted.js';
import { targets } from './targets.js';

/*
 * The command line of the fuzzer. Targets run in another thread, which is ended, and its last input told,
 * when it hangs or its heap is full; the next targets then run in a new one. One line of JSON per target goes
 * to standard output, failures in words to standard error.
 */

const USAGE = 'npm run fuzz -- [target ...] [--runs N] [--seed S] [--input FILE] [--blind]';
/**
 * Of this process, without an execution coming to its end. Not of the clock: a busy machine may stop a thread
 * for long.
 */
const MOST_CPU_SECONDS = 15;
const HEAP_MEGABYTES = 1024;
const MOST_INPUT_BYTES = 2 ** 20;

interface Task {
  names: string[];
  /** undefined: the short run of each target. */
  runs: number | undefined;
  seed: number;
  guided: boolean;
}

/** What both threads see: numbers of the execution and of the bytes of its input, then that input. */
class LastInput {
  readonly #numbers: Int32Array;
  readonly #bytes: Uint8Array;

  constructor(readonly memory = new SharedArrayBuffer(8 + MOST_INPUT_BYTES)) {
    this.#numbers = new Int32Array(memory, 0, 2);
    this.#bytes = new Uint8Array(memory, 8);
  }

  set(input: Uint8Array, execution: number): void {
    this.#bytes.set(input.subarray(0, MOST_INPUT_BYTES));
    Atomics.store(this.#numbers, 1, input.length);
    Atomics.store(this.#numbers, 0, execution);
  }

  get execution(): number {
    return Atomics.load(this.#numbers, 0);
  }

  get input(): Buffer {
    return Buffer.from(this.#bytes.slice(0, this.#numbers[1]));
  }
}

function find(name: string): Target {
  const target = [...targets, planted].find((each) => each.name === name);
  if (target !== undefined) return target;
  throw new Error(`no target ${name}; there are ${targets.map((each) => each.name).join(', ')}\n${USAGE}`);
}

/** In the thread of the targets. */
async function work({ names, runs, seed, guided }: Task, last: LastInput): Promise<void> {
  Error.stackTraceLimit = 0; // a refusal has a stack that nobody reads
  for (const target of names.map(find)) {
    const watch = (input: Uint8Array, execution: number) => last.set(input, execution);
    parentPort!.postMessage(await fuzz(target, { runs: runs ?? target.short, seed, guided, watch }));
  }
}

/**
 * In the main thread: tells the outcomes of targets in order, until one takes the thread with it; resolves to
 * those left.
 */
function supervise(task: Task, tellOutcome: (name: string, outcome: Outcome) => void): Promise<string[]> {
  const left = [...task.names];
  const last = new LastInput();
  return new Promise((resolve) => {
    const worker = new Worker(fileURLToPath(import.meta.url), {
      workerData: [task, last.memory],
      resourceLimits: { maxOldGenerationSizeMb: HEAP_MEGABYTES },
    });
    let seen = 0;
    let since = process.cpuUsage();
    const timer = setInterval(() => {
      if (last.execution !== seen) since = process.cpuUsage();
      seen = last.execution;
      const { user, system } = process.cpuUsage(since); // microseconds
      if ((user + system) / 1e6 > MOST_CPU_SECONDS) lose('hangs');
    }, 500);
    const end = () => {
      clearInterval(timer);
      void worker.terminate();
      resolve(left);
    };
    const lose = (reason: string) => {
      const failure = { execution: last.execution, input: last.input, reason };
      tellOutcome(left.shift()!, { executions: last.execution, accepted: 0, refused: 0, corpus: 0, failure });
      end();
    };
    worker.on('error', (error) => lose(`ended its thread: ${(error as Error).message}`));
    worker.on('message', (outcome: Outcome) => {
      tellOutcome(left.shift()!, outcome);
      if (left.length === 0) end();
    });
  });
}

function tellFailure(name: string, seed: number, { execution, input, reason }: Failure): void {
  const bytes = Buffer.from(input);
  const file = path.join(fs.mkdtempSync(path.join(os.tmpdir(), 'set-native-fuzz-failure-')), name);
  fs.writeFileSync(file, bytes);
  console.error(`${name}, seed ${seed}, execution ${execution}: ${reason.slice(0, 2000)}`);
  console.error(`  ${bytes.length} bytes: ${JSON.stringify(bytes.subarray(0, 200).toString('latin1'))}`);
  console.error(`  again: npm run fuzz -- ${name} --input ${file}`);
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      runs: { type: 'string' },
      seed: { type: 'string', default: '1' },
      input: { type: 'string' },
      blind: { type: 'boolean', default: false },
    },
  });
  const names = positionals.length > 0 ? positionals : targets.map(({ name }) => name);
  for (const name of names) find(name);
  if (values.input !== undefined) {
    const { reason, refusal } = await attempt(find(names[0]!), fs.readFileSync(values.input));
    console.log(reason === undefined ? `ok, ${refusal ?? 'accepted'}` : `FAILED: ${reason}`);
    process.exitCode = reason === undefined ? 0 : 1;
    return;
  }
  const whole = (option: string, text: string) =>
    checkNumber('fuzz', option, Number(text), wholeNumber(1, 2 ** 31 - 1));
  const task = {
    runs: values.runs === undefined ? undefined : whole('--runs', values.runs),
    seed: whole('--seed', values.seed),
  };
  let start = performance.now();
  const tellOutcome = (name: string, { failure, ...outcome }: Outcome) => {
    const perSecond = Math.round(outcome.executions / ((performance.now() - start) / 1000));
    console.log(
      JSON.stringify({ target: name, seed: task.seed, ...outcome, perSecond, failure: failure?.reason }),
    );
    start = performance.now();
    if (failure === undefined) return;
    tellFailure(name, task.seed, failure);
    process.exitCode = 1;
  };
  for (let left = names; left.length > 0; ) {
    left = await supervise({ ...task, names: left, guided: !values.blind }, tellOutcome);
  }
}

if (isMainThread) await main();
else await work(workerData[0] as Task, new LastInput(workerData[1]));
