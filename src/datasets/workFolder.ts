import fs from 'node:fs';
import path from 'node:path';
import { isAlive, machine } from '../files/machine.js';

/*
 * A folder for files that are not whole yet, beside where they will lie, so that a rename brings them there.
 */

const DAY_MS = 24 * 60 * 60 * 1000;
const WORK_FOLDER = /^\.part-([0-9a-f]{8})-(\d+)-\w{6}$/;
/** As earlier versions called a file that was on its way: its name, and the process. */
const PARTIAL_FILE = /^(.+)\.(\d+)\.part$/;

/** Makes one in `folder`, under a name that nobody can guess. */
export function makeWorkFolder(folder: string): string {
  return fs.mkdtempSync(path.join(folder, `.part-${machine()}-${process.pid}-`));
}

/** Whatever goes wrong here must not hide why it is called; what stays goes another time. */
export function removeWorkFolder(folder: string): void {
  try {
    fs.rmSync(folder, { recursive: true, force: true });
  } catch {
    // see above
  }
}

/**
 * Removes from `folder` what killed processes have left. What a process that lives may still be at work on
 * stays, and so does, for a day, what another machine has made.
 *
 * @param files names that partial files may belong to
 */
export function removeLeftovers(folder: string, files: string[]): void {
  let names: string[];
  try {
    names = fs.readdirSync(folder);
  } catch {
    return; // what cannot be listed may still be written
  }
  for (const name of names) {
    const [, machineOf, pidOf] = WORK_FOLDER.exec(name) ?? [];
    const [, file, partialPid] = PARTIAL_FILE.exec(name) ?? [];
    const isPartial = file !== undefined && files.includes(file);
    if (machineOf === undefined && !isPartial) continue;
    const isDead = (isPartial || machineOf === machine()) && !isAlive(Number(pidOf ?? partialPid));
    const place = path.join(folder, name);
    try {
      if (isDead || Date.now() - fs.lstatSync(place).mtimeMs > DAY_MS) fs.rmSync(place, { recursive: true });
    } catch {
      // another user's, or gone meanwhile
    }
  }
}
