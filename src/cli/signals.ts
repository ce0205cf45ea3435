import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import path from 'node:path';
import { type Display, plainDisplay, show, unshow } from './terminal.js';

/*
 * Signals that ask the program to stop: Ctrl-C, `kill`, a terminal that is closed, Ctrl-\. Work that can keep
 * its results stops within a batch. Everything else ends at once, and a second signal ends everything at
 * once. The exit code is 128 + the number of the signal.
 */

const stopSignals = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const;
type StopSignal = (typeof stopSignals)[number];

/**
 * Milliseconds in which the same signal again counts as one: npx passes on the Ctrl-C that the terminal has
 * already sent to this process.
 */
const echoMs = 200;

let work: { display: Display; controller: AbortController } | undefined;
let asked: { signal: StopSignal; at: number } | undefined;

/** Signals that stop this program, each with its listener. */
const listeners = new Map<StopSignal, () => void>();

/** Installs the listeners. Called once, when the program starts. */
export function heedSignals(): void {
  for (const signal of stopSignals) {
    if (constants.signals[signal] === undefined) continue; // a system that does not have it
    if (signal === 'SIGHUP' && startedByNohup()) process.on(signal, () => {});
    else listeners.set(signal, () => heed(signal));
  }
  for (const [signal, listener] of listeners) process.on(signal, listener);
}

/**
 * Runs `body`, which may wait for others, such as the reader of a pipe. No JavaScript runs meanwhile, so
 * signals have the effect that the system gives them: they end the program.
 */
export function endedBySignals<T>(body: () => T): T {
  // The second Ctrl-C, which npx makes of one, still goes to the listener.
  const echo = asked === undefined ? 0 : asked.at + echoMs - performance.now();
  if (echo > 0) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, echo);
  for (const [signal, listener] of listeners) process.off(signal, listener);
  try {
    return body();
  } finally {
    for (const [signal, listener] of listeners) process.on(signal, listener);
  }
}

/**
 * Runs `body` with a signal that fires when the program is asked to stop, while `display` shows its progress.
 */
export async function interruptible<T>(
  display: Display,
  body: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const controller = new AbortController();
  work = { display, controller };
  show(display);
  try {
    return await body(controller.signal);
  } finally {
    work = undefined;
    unshow();
  }
}

/**
 * Shows what stopped the program, and sets its exit code: that of Ctrl-C for work that was aborted without a
 * signal.
 */
export function endStopped(signal: StopSignal = asked?.signal ?? 'SIGINT'): void {
  plainDisplay.log(`Stopped by ${signal === 'SIGINT' ? 'Ctrl-C' : signal}.`);
  process.exitCode = 128 + constants.signals[signal];
}

function heed(signal: StopSignal): void {
  const now = performance.now();
  if (asked?.signal === signal && now - asked.at < echoMs) return;
  if (work === undefined || asked !== undefined) {
    unshow();
    endStopped(signal);
    // Node waits for worker threads, and these finish what they compute: a third signal ends them at once.
    for (const each of stopSignals) process.removeAllListeners(each);
    process.exit();
  }
  asked = { signal, at: now };
  work.display.log('Stopping after what runs now; Ctrl-C again quits at once.');
  work.controller.abort();
}

/**
 * Whether the program was started to outlive its terminal. Node undoes what nohup did, SIGHUP ignored, before
 * any of this runs; two traces are left: the command that a shell notes in `_`, and a standard input that
 * nohup has made unreadable.
 */
function startedByNohup(): boolean {
  if (path.basename(process.env._ ?? '') === 'nohup') return true;
  try {
    const writeOnly = /^flags:\s*\d*1$/m; // the last octal digit is the access mode
    return writeOnly.test(readFileSync('/proc/self/fdinfo/0', 'utf8'));
  } catch {
    return false; // not Linux
  }
}
