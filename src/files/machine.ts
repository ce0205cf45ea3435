import { createHash } from 'node:crypto';
import { readFileSync, readlinkSync } from 'node:fs';
import os from 'node:os';

/*
 * Whose temporary files are whose: a name of the machine for file names, and whether a process of it is
 * alive.
 */

let machineName: string | undefined;

/** Where process ids mean the same: this machine since it started, and of it this container. */
export function machine(): string {
  const part = (read: () => string) => {
    try {
      return read();
    } catch {
      return ''; // not Linux
    }
  };
  machineName ??= createHash('sha256')
    .update(os.hostname())
    .update(part(() => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8')))
    .update(part(() => readlinkSync('/proc/self/ns/pid')))
    .digest('hex')
    .slice(0, 8);
  return machineName;
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}
