import {
  closeSync,
  existsSync,
  ftruncateSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
} from 'node:fs';
import path from 'node:path';
import { SetNativeError } from '../errors.js';
import { FolderLock, isLock, type LockToken, lockDebris } from '../files/lock.js';
import { makeFolder, notWritable, writeAtomically } from '../files/output.js';
import { appendLines } from '../files/records.js';
import { pathWord, shellCommand } from '../shell.js';
import { readExperiment, requireExperiment } from './read.js';
import type { BenchRun, Experiment } from './results.js';

/*
 * The folder of an experiment, `bench --out`:
 *   experiment.json   what is run, where, with which notes; rewritten as they come
 *   results.jsonl     one finished training per line; only ever appended to
 *   checkpoints/      the state of trainings under way
 *   lock              which process writes here; gone when it has ended (files/lock.ts)
 *
 * Nothing that this program did not write is replaced, removed or written through.
 */

const names = {
  experiment: 'experiment.json',
  results: 'results.jsonl',
  checkpoints: 'checkpoints',
  lock: 'lock',
};

/** What file managers, network file systems and git leave in a folder that its owner calls empty. */
const systemFiles =
  /^(\.DS_Store|\.localized|Thumbs\.db|desktop\.ini|\.directory|\.gitkeep|\.keep|\.gitignore|\.nfs[0-9a-f]+)$/;

/** Files half written, which a kill leaves: of `writeAtomically`, now and in earlier versions. */
const leftover = /^(\.set-native-.*|(experiment\.json|.*\.checkpoint)\.\d+)\.tmp$/;

export class ExperimentFolder {
  readonly #dir: string;
  readonly #lock: FolderLock;

  private constructor(dir: string, option: string) {
    this.#dir = dir;
    this.#lock = FolderLock.take(dir, option);
  }

  /**
   * Makes the folder, or takes an empty one, and locks it. Throws ERR_USAGE where an experiment, anything
   * that this program did not write, or another process is.
   */
  static create(dir: string): ExperimentFolder {
    try {
      makeFolder(path.resolve(dir));
      checkEmpty(dir);
    } catch (cause) {
      throw cause instanceof SetNativeError ? cause : notWritable('--out', dir, cause);
    }
    return ExperimentFolder.#locked(dir, '--out', (folder) => {
      checkEmpty(dir); // another may have come and gone
      return folder;
    });
  }

  /** Locks the folder of an experiment that was stopped, and reads what it has. */
  static resume(dir: string): { folder: ExperimentFolder; experiment: Experiment; runs: BenchRun[] } {
    requireExperiment(dir);
    checkOwn(dir, '--resume');
    return ExperimentFolder.#locked(dir, '--resume', (folder) => {
      folder.#dropTornLine();
      return { folder, ...readExperiment(dir) };
    });
  }

  /** For those who write here from another thread. */
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
        `[bench] could not add to ${file}: ${(cause as Error).message}; what was finished before is there, make room ` +
          `and go on with --resume ${shellCommand([pathWord(this.#dir)])}`,
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

  /** Hands the folder back. Does not throw: what stays behind does no harm. */
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

  /** A kill may leave half a line, which no training is behind. */
  #dropTornLine(): void {
    const file = this.#file('results');
    if (!existsSync(file)) return;
    const bytes = readFileSync(file);
    const end = bytes.lastIndexOf('\n') + 1;
    if (end === bytes.length) return;
    const open = openSync(file, 'r+');
    ftruncateSync(open, end);
    closeSync(open);
  }

  /**
   * What `begin` makes of the folder once it is locked, with a place for checkpoints; handed back where it
   * throws.
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

/** The command that goes on with the experiment in `dir`. */
export function resumeCommand(dir: string): string {
  return shellCommand(['set-native', 'bench', '--resume', pathWord(dir)]);
}

/**
 * Throws ERR_USAGE where a folder holds more than what a process leaves that is killed before its experiment
 * begins.
 */
function checkEmpty(dir: string): void {
  const there = readdirSync(dir);
  if (there.includes(names.experiment)) {
    throw usage(
      '--out',
      dir,
      `must name a new folder, but ${dir} holds ${names.experiment}; go on with --resume ${shellCommand([pathWord(dir)])}`,
    );
  }
  const foreign = there.filter((name) => !isDebris(dir, name)).sort();
  if (foreign.length === 0) return;
  const shown = foreign.length > 5 ? [...foreign.slice(0, 5), `${foreign.length - 5} more`] : foreign;
  throw usage('--out', dir, `must name a new or empty folder, but ${dir} holds ${shown.join(', ')}`, {
    foreign,
  });
}

function isDebris(dir: string, name: string): boolean {
  if (systemFiles.test(name) || leftover.test(name) || lockDebris.test(name)) return true;
  const file = path.join(dir, name);
  if (name === names.lock) return isLock(file);
  if (name !== names.checkpoints || !lstatSync(file).isDirectory()) return false;
  return readdirSync(file).every((each) => systemFiles.test(each) || leftover.test(each));
}

/**
 * Throws ERR_USAGE where one of the names that are written to is not of what this program makes: above all, a
 * link elsewhere.
 */
function checkOwn(dir: string, option: string): void {
  for (const name of [names.experiment, names.results, names.checkpoints]) {
    const there = lstatSync(path.join(dir, name), { throwIfNoEntry: false });
    const kind = name === names.checkpoints ? 'folder' : 'regular file';
    if (there === undefined || (kind === 'folder' ? there.isDirectory() : there.isFile())) continue;
    const what = there.isSymbolicLink() ? ', but a link' : '';
    throw usage(
      option,
      dir,
      `must name the folder of an experiment, but ${name} in ${dir} is no ${kind}${what}`,
    );
  }
}

function usage(option: string, dir: string, text: string, details = {}): SetNativeError {
  return new SetNativeError('ERR_USAGE', `[bench] ${option} ${text}`, {
    details: { option, dir, ...details },
  });
}
