import { createHash } from 'node:crypto';
import { readFileSync, readlinkSync } from 'node:fs';
import os from 'node:os';

/*
 * Identifies this machine and its living processes, for files that name their writer.
 */

let machineName: string | undefined;

/**
 * Name of the place where a process id means the same process, for file names: this machine since it was
 * started, and this container on it.
 */
export function machine(): string {
  machineName ??= createHash('sha256')
    .update(os.hostname())
    .update(bootId() ?? '')
    .update(pidNamespace() ?? '')
    .digest('hex')
    .slice(0, 8);
  return machineName;
}

/** Id of this start of the machine; undefined where the system names none. */
export function bootId(): string | undefined {
  return textOf(() => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim());
}

/** Name of the namespace of process ids; undefined where the system has none. */
export function pidNamespace(): string | undefined {
  return textOf(() => readlinkSync('/proc/self/ns/pid'));
}

/** Whether a process runs, whoever its user is. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}

/**
 * Time when a process started, in ticks since the machine did; undefined where it is not known, or where
 * /proc shows other process ids.
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
