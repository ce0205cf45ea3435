import fs from 'node:fs';
import path from 'node:path';
import { isAlive, machine } from '../files/machine.js';

/*
 * Folders for unfinished files, beside their final places, so that a rename moves them there.
 */

const DAY_MS = 24 * 60 * 60 * 1000;
const WORK_FOLDER = /^\.part-([0-9a-f]{8})-(\d+)-\w{6}$/;
/** Name of an unfinished file of earlier versions: the name of the file, and the process. */
const PARTIAL_FILE = /^(.+)\.(\d+)\.part$/;

/** Makes a work folder in `folder`, under a name that nobody can guess. */
export function makeWorkFolder(folder: string): string {
  return fs.mkdtempSync(path.join(folder, `.part-${machine()}-${process.pid}-`));
}

/**
 * Removes a work folder. Does not throw, because the error of its caller matters more; a folder that stays is
 * removed later.
 */
export function removeWorkFolder(folder: string): void {
  try {
    fs.rmSync(folder, { recursive: true, force: true });
  } catch {
    // see above
  }
}

/**
 * Removes leftovers of killed processes from `folder`. Those of a living process stay, and for a day those of
 * another machine.
 *
 * @param files names that unfinished files may belong to
 */
export function removeLeftovers(folder: string, files: string[]): void {
  let names: string[];
  try {
    names = fs.readdirSync(folder);
  } catch {
    return; // a folder that cannot be listed may still be written
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
