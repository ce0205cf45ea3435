import { createHash } from 'node:crypto';
import { readFileSync, readlinkSync } from 'node:fs';
import os from 'node:os';

/*
 * Which machine this is, and which of its processes are alive: for files that say whose they are.
 */

let machineName: string | undefined;

/** Where process ids mean the same, for file names: this machine since it started, and of it this container. */
export function machine(): string {
  machineName ??= createHash('sha256')
    .update(os.hostname())
    .update(bootId() ?? '')
    .update(pidNamespace() ?? '')
    .digest('hex')
    .slice(0, 8);
  return machineName;
}

/** Of this start of the machine; undefined where the system names none. */
export function bootId(): string | undefined {
  return textOf(() => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim());
}

/** Within which a process id is a number; undefined where the system has no such thing. */
export function pidNamespace(): string | undefined {
  return textOf(() => readlinkSync('/proc/self/ns/pid'));
}

/** Whether there is such a process, be it another user's. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}

/**
 * When a process started, in ticks since the machine did; undefined where that is not known or /proc is that
 * of other process ids.
 */
export function startOf(pid: number | 'self'): string | undefined {
  return textOf(() => {
    if (readlinkSync('/proc/self') !== String(process.pid)) return undefined;
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  });
}

function textOf(read: () => string | undefined): string | undefined {
  try {
    return read() || undefined;
  } catch {
    return undefined; // not Linux, or hidden
  }
}
