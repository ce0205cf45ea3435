import type { Events } from '../events.js';
import type { WaitEvent } from '../files/lock.js';
import type { EpochReport } from '../training/run.js';
import type { Group } from './plan.js';
import type { BenchRun } from './results.js';

/** What is told of an experiment while it runs, by its groups and worker threads too. */
export type ExperimentEvent =
  | WaitEvent
  /** Before the first training: all groups, how many of them train at once, and the runs of earlier processes. */
  | { kind: 'plan'; groups: Group[]; jobs: number; finished: BenchRun[] }
  /** As soon as something is known that must be read beside the numbers; `notes` of the results has it too. */
  | { kind: 'note'; note: string }
  /** A training begins, or goes on from a checkpoint. */
  | { kind: 'start'; run: BenchRun; facts: TrainingFacts }
  /** After every epoch of every training; `run.epochs` ends with the report. */
  | { kind: 'epoch'; run: BenchRun; report: EpochReport }
  /** A training diverged and leaves its group; `run.failure` says why. */
  | { kind: 'failure'; run: BenchRun }
  /** The trainings of a group have ended, and their results are written where there is a folder. */
  | { kind: 'finished'; runs: BenchRun[] };

/** Sizes of the samples, and what trains on them. */
export interface TrainingFacts {
  samples: { train: number; validation: number; test: number };
  threads: number;
  backend: string;
}

/** The training of a group: its events, then its runs. */
export type GroupEvents = Events<ExperimentEvent, BenchRun[]>;
