import { lstatSync } from 'node:fs';
import path from 'node:path';
import { SetNativeError } from '../errors.js';
import { checkFresh } from '../files/freshFolder.js';
import { FolderLock } from '../files/lock.js';
import { makeFolder, notWritable, writeAtomically } from '../files/output.js';
import { appendLines, dropTornLine } from '../files/records.js';
import { names, readSelection, requireSelection } from './read.js';
import type { Finished, Selection, SelectionResults, SelectionRun, WholeNetwork } from './results.js';

/*
 * The folder of a selection holds:
 *   selection.json   what is selected from and how; with what came of it when it has ended or was stopped
 *   runs.jsonl       one finished run, or network of all features, per line; only ever appended to
 *   lock             which process writes here; gone when it has ended
 */
export class SelectionFolder {
  readonly #dir: string;
  readonly #lock: FolderLock;

  private constructor(dir: string, option: string) {
    this.#dir = dir;
    this.#lock = FolderLock.take('select', dir, option);
  }

  /**
   * Makes the folder, or takes an empty one, and locks it. Throws ERR_IN_USE where a selection, anything that
   * this program did not write, or another process is, and ERR_IO where nothing can be written.
   */
  static create(dir: string): SelectionFolder {
    try {
      makeFolder(path.resolve(dir));
    } catch (cause) {
      throw notWritable('select', 'out', dir, cause);
    }
    checkFree(dir);
    const folder = new SelectionFolder(dir, 'out');
    try {
      checkFree(dir); // another may have come and gone
      return folder;
    } catch (error) {
      folder.close();
      throw error;
    }
  }

  /** Locks the folder of a selection that was stopped, and reads what it has. */
  static resume(dir: string): { folder: SelectionFolder; selection: Selection; finished: Finished } {
    requireSelection(dir);
    for (const name of Object.values(names)) {
      const there = lstatSync(path.join(dir, name), { throwIfNoEntry: false });
      if (there !== undefined && !there.isFile()) {
        throw new SetNativeError(
          'ERR_INVALID_ARGUMENT',
          `[select] dir must name the folder of a selection, but ${name} in ${dir} is no regular file`,
          { details: { option: 'dir', dir } },
        );
      }
    }
    const folder = new SelectionFolder(dir, 'dir');
    try {
      dropTornLine(path.join(dir, names.runs));
      return { folder, ...readSelection(dir) };
    } catch (error) {
      folder.close();
      throw error;
    }
  }

  write(results: SelectionResults): void {
    this.#lock.check();
    writeAtomically(path.join(this.#dir, names.results), [`${JSON.stringify(results, undefined, 1)}\n`]);
  }

  append(record: SelectionRun | WholeNetwork): void {
    this.#lock.check();
    const file = path.join(this.#dir, names.runs);
    try {
      appendLines(file, [record]);
    } catch (cause) {
      throw new SetNativeError(
        'ERR_IO',
        `[select] could not add to ${file}: ${(cause as Error).message}; what was finished before is there: ` +
          'make room, and resume it',
        { details: { file }, cause },
      );
    }
  }

  /** Releases the lock. */
  close(): void {
    this.#lock.release();
  }
}

function checkFree(dir: string): void {
  checkFresh({
    operation: 'select',
    dir,
    begun: { file: names.results, what: 'a selection' },
  });
}
