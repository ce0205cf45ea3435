import type { Events } from '../events.js';
import type { WaitEvent } from '../files/lock.js';
import type { EpochReport } from '../training/run.js';
import type { Group } from './plan.js';
import type { BenchRun } from './results.js';

/** What an experiment, its groups and its worker threads report while they run. */
export type ExperimentEvent =
  | WaitEvent
  /**
   * The plan, before the first training: all groups, how many train at once, and the runs of earlier
   * processes.
   */
  | { kind: 'plan'; groups: Group[]; jobs: number; finished: BenchRun[] }
  /**
   * Something that must be read beside the numbers, as soon as it is known; `notes` of the results has it
   * too.
   */
  | { kind: 'note'; note: string }
  /** A training begins, or goes on from a checkpoint. */
  | { kind: 'start'; run: BenchRun; facts: TrainingFacts }
  /** A training has trained an epoch; `run.epochs` ends with the report. */
  | { kind: 'epoch'; run: BenchRun; report: EpochReport }
  /** A training diverged and leaves its group; `run.failure` says why. */
  | { kind: 'failure'; run: BenchRun }
  /** The trainings of a group have ended, and their results are written where there is a folder. */
  | { kind: 'finished'; runs: BenchRun[] };

/** Numbers of samples, and what trains on them. */
interface TrainingFacts {
  samples: { train: number; validation: number; test: number };
  threads: number;
  backend: string;
}

/** The training of a group: its events, then its runs. */
export type GroupEvents = Events<ExperimentEvent, BenchRun[]>;
