import { lstatSync, mkdirSync, rmdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { SetNativeError } from '../errors.js';
import { checkFresh } from '../files/freshFolder.js';
import { FolderLock, type LockToken } from '../files/lock.js';
import { makeFolder, notWritable, writeAtomically } from '../files/output.js';
import { appendLines, dropTornLine } from '../files/records.js';
import { readExperiment, requireExperiment } from './read.js';
import type { BenchRun, Experiment } from './results.js';

/*
 * The folder of an experiment holds:
 *   experiment.json   what is run, where, with which notes; rewritten as notes come
 *   results.jsonl     one finished training per line; only ever appended to
 *   checkpoints/      the state of trainings under way
 *   lock              which process writes here; gone when it has ended (files/lock.ts)
 *
 * The program replaces and removes only what it wrote itself, and writes through no link.
 */

const names = {
  experiment: 'experiment.json',
  results: 'results.jsonl',
  checkpoints: 'checkpoints',
};

/** Names of half-written files that earlier versions left when they were killed. */
const oldLeftover = /^(experiment\.json|.*\.checkpoint)\.\d+\.tmp$/;

export class ExperimentFolder {
  readonly #dir: string;
  readonly #lock: FolderLock;

  private constructor(dir: string, option: string) {
    this.#dir = dir;
    this.#lock = FolderLock.take('bench', dir, option);
  }

  /**
   * Makes the folder, or takes an empty one, and locks it. Throws ERR_IN_USE where an experiment, anything
   * that this program did not write, or another process is, and ERR_IO where nothing can be written.
   */
  static create(dir: string): ExperimentFolder {
    try {
      makeFolder(path.resolve(dir));
      checkEmpty(dir);
    } catch (cause) {
      throw cause instanceof SetNativeError ? cause : notWritable('bench', 'out', dir, cause);
    }
    return ExperimentFolder.#locked(dir, 'out', (folder) => {
      checkEmpty(dir); // another may have come and gone
      return folder;
    });
  }

  /** Locks the folder of an experiment that was stopped, and reads what it has. */
  static resume(dir: string): { folder: ExperimentFolder; experiment: Experiment; runs: BenchRun[] } {
    requireExperiment(dir);
    checkOwn(dir);
    return ExperimentFolder.#locked(dir, 'dir', (folder) => {
      dropTornLine(folder.#file('results')); // no training is behind half a line
      return { folder, ...readExperiment(dir) };
    });
  }

  /** Proof of the lock, for writers in other threads. */
  get lock(): LockToken {
    return this.#lock.token;
  }

  writeExperiment(experiment: Experiment): void {
    this.#lock.check();
    writeAtomically(this.#file('experiment'), [`${JSON.stringify(experiment, undefined, 2)}\n`]);
  }

  /** Adds finished trainings: all of them or, where the disk is full, none. */
  append(runs: BenchRun[]): void {
    this.#lock.check();
    const file = this.#file('results');
    try {
      appendLines(file, runs);
    } catch (cause) {
      throw new SetNativeError(
        'ERR_IO',
        `[bench] could not add to ${file}: ${(cause as Error).message}; what was finished before is there: ` +
          'make room, and resume it',
        { details: { file }, cause },
      );
    }
  }

  checkpoint(groupId: string): string {
    return path.join(this.#file('checkpoints'), `${groupId}.checkpoint`);
  }

  dropCheckpoint(groupId: string): void {
    rmSync(this.checkpoint(groupId), { force: true });
  }

  /** Releases the lock, and removes the folder of checkpoints if it is empty. */
  close(): void {
    try {
      this.#lock.check();
      rmdirSync(this.#file('checkpoints'));
    } catch {
      // another's by now, or not empty: trainings are under way
    }
    this.#lock.release();
  }

  #file(name: keyof typeof names): string {
    return path.join(this.#dir, names[name]);
  }

  /**
   * Locks the folder, makes a place for checkpoints and returns what `begin` makes of it; releases the lock
   * where that throws.
   */
  static #locked<T>(dir: string, option: string, begin: (folder: ExperimentFolder) => T): T {
    const folder = new ExperimentFolder(dir, option);
    try {
      mkdirSync(folder.#file('checkpoints'), { recursive: true });
      return begin(folder);
    } catch (error) {
      folder.close();
      throw error;
    }
  }
}

function checkEmpty(dir: string): void {
  checkFresh({
    operation: 'bench',
    dir,
    begun: { file: names.experiment, what: names.experiment },
    left: { files: oldLeftover, folder: names.checkpoints },
  });
}

/**
 * Throws where a name that will be written to is a link elsewhere, or anything else that this program does
 * not make.
 */
function checkOwn(dir: string): void {
  for (const name of [names.experiment, names.results, names.checkpoints]) {
    const there = lstatSync(path.join(dir, name), { throwIfNoEntry: false });
    const kind = name === names.checkpoints ? 'folder' : 'regular file';
    if (there === undefined || (kind === 'folder' ? there.isDirectory() : there.isFile())) continue;
    const what = there.isSymbolicLink() ? ', but a link' : '';
    throw new SetNativeError(
      'ERR_INVALID_ARGUMENT',
      `[bench] dir must name the folder of an experiment, but ${name} in ${dir} is no ${kind}${what}`,
      { details: { option: 'dir', dir } },
    );
  }
}
