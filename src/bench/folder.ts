import {
  closeSync,
  existsSync,
  fstatSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { SetNativeError } from '../errors.js';
import { makeFolder, notWritable, writeAtomically } from '../files.js';
import { readExperiment, requireExperiment } from './read.js';
import type { BenchRun, Experiment } from './results.js';

/*
 * The folder of an experiment, `bench --out`:
 *   experiment.json   what is run, where, with which notes; rewritten as they come
 *   results.jsonl     one finished training per line; only ever appended to
 *   checkpoints/      the state of trainings under way
 *   lock              which process writes here; gone when it has ended
 */

const names = { experiment: 'experiment.json', results: 'results.jsonl', checkpoints: 'checkpoints', lock: 'lock' };

export class ExperimentFolder {
  readonly #dir: string;

  private constructor(dir: string) {
    this.#dir = dir;
  }

  /** Makes the folder, or takes an empty one, and locks it. Throws ERR_USAGE where an experiment or another process is. */
  static create(dir: string): ExperimentFolder {
    const folder = new ExperimentFolder(dir);
    try {
      makeFolder(path.resolve(dir));
    } catch (cause) {
      throw notWritable('--out', dir, cause);
    }
    folder.#lock('--out');
    const left = [names.experiment, names.results].find((name) => existsSync(path.join(dir, name)));
    if (left !== undefined) {
      folder.close();
      throw usage('--out', dir, `must name a new folder, but ${dir} holds ${left}; go on with --resume ${dir}`);
    }
    return folder;
  }

  /** Locks the folder of an experiment that was stopped, and reads what it has. */
  static resume(dir: string): { folder: ExperimentFolder; experiment: Experiment; runs: BenchRun[] } {
    const folder = new ExperimentFolder(dir);
    requireExperiment(dir);
    folder.#lock('--resume');
    try {
      folder.#dropTornLine();
      return { folder, ...readExperiment(dir) };
    } catch (error) {
      folder.close();
      throw error;
    }
  }

  writeExperiment(experiment: Experiment): void {
    writeAtomically(this.#file('experiment'), [`${JSON.stringify(experiment, undefined, 2)}\n`]);
  }

  /** Adds finished trainings: all of them or, where the disk is full, none. */
  append(runs: BenchRun[]): void {
    const file = this.#file('results');
    const lines = Buffer.from(runs.map((run) => `${JSON.stringify(run)}\n`).join(''));
    const open = openSync(file, 'a');
    const { size } = fstatSync(open);
    try {
      for (let done = 0; done < lines.length; ) done += writeSync(open, lines, done);
    } catch (cause) {
      ftruncateSync(open, size);
      throw new SetNativeError(
        'ERR_IO',
        `[bench] could not add to ${file}: ${(cause as Error).message}; what was finished before is there, make room ` +
          `and go on with --resume ${this.#dir}`,
        { details: { file }, cause },
      );
    } finally {
      closeSync(open);
    }
  }

  checkpoint(groupId: string): string {
    return path.join(this.#file('checkpoints'), `${groupId}.checkpoint`);
  }

  dropCheckpoint(groupId: string): void {
    rmSync(this.checkpoint(groupId), { force: true });
  }

  /** Hands the folder back. */
  close(): void {
    rmSync(this.#file('lock'), { force: true });
    const checkpoints = this.#file('checkpoints');
    if (existsSync(checkpoints) && readdirSync(checkpoints).length === 0) rmSync(checkpoints, { recursive: true });
  }

  #file(name: keyof typeof names): string {
    return path.join(this.#dir, names[name]);
  }

  #lock(option: string): void {
    const file = this.#file('lock');
    const owner = JSON.stringify({ pid: process.pid, host: os.hostname() });
    for (;;) {
      try {
        writeFileSync(file, owner, { flag: 'wx' });
        mkdirSync(this.#file('checkpoints'), { recursive: true });
        return;
      } catch (cause) {
        if ((cause as NodeJS.ErrnoException).code !== 'EEXIST') throw notWritable(option, this.#dir, cause);
      }
      const holder = holderOf(file);
      if (holder !== undefined) {
        throw usage(
          option,
          this.#dir,
          `must name a folder that no other process uses, but process ${holder.pid} on ${holder.host} uses ` +
            `${this.#dir}; if there is no such process, delete ${file}`,
        );
      }
      rmSync(file, { force: true }); // its process was killed
    }
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
}

/** Who holds the lock; undefined when that process is gone, or was killed while it wrote the lock. */
function holderOf(file: string): { pid: number; host: string } | undefined {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch {
    return undefined; // given back meanwhile
  }
  const match = /^\{"pid":(\d+),"host":"(.*)"\}$/.exec(text);
  if (match === null) return undefined;
  const [pid, host] = [Number(match[1]), match[2]!];
  if (host !== os.hostname()) return { pid, host };
  if (pid === process.pid) return { pid, host };
  try {
    process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH' ? undefined : { pid, host };
  }
  return { pid, host };
}

function usage(option: string, dir: string, text: string): SetNativeError {
  return new SetNativeError('ERR_USAGE', `[bench] ${option} ${text}`, { details: { option, dir } });
}
