import type { Group } from '../../experiment/plan.js';
import type { BenchRun } from '../../experiment/results.js';
import { armLabel, trialKey } from '../../experiment/trial.js';
import { largest } from '../../extremes.js';
import type { EpochReport } from '../../training/run.js';
import { takesEscapeCodes } from './escapeCodes.js';
import { epochRecord, jsonDisplay, writeJsonLine } from './jsonLines.js';
import { statusBar } from './statusBar.js';

/**
 * Display of an experiment while it runs: a bar on a terminal that can show one, plain lines anywhere else.
 */
export interface Progress {
  /** Takes the plan, before the first epoch. */
  plan(plan: ProgressPlan): void;
  /** A training begins, on so many samples. */
  start(run: BenchRun, samples: number): void;
  epoch(run: BenchRun, report: EpochReport): void;
  /** Writes a line that stays. */
  log(line: string): void;
  /** Removes the bar and restores the terminal; may be called more than once. */
  stop(): void;
}

interface ProgressPlan {
  groups: Group[];
  /** Number of groups that train at once. */
  jobs: number;
  /** Trainings that an experiment had finished when it was resumed. */
  finished: BenchRun[];
}

export function createProgress(stream: NodeJS.WriteStream): Progress {
  const log = (line: string) => void stream.write(`${line}\n`);
  const show = takesEscapeCodes(stream) ? bar : plainLines;
  let shown: Shown = { epoch() {}, log, stop() {} };
  return {
    plan(plan) {
      shown = show(workOf(plan), stream);
    },
    start() {},
    epoch: (run, report) => shown.epoch(run, report),
    log: (line) => shown.log(line),
    stop: () => shown.stop(),
  };
}

/** The same as lines of JSON. */
export function createJsonProgress(stream: NodeJS.WriteStream): Progress {
  let work: Work | undefined;
  let timeLeft: ReturnType<typeof estimator> = () => undefined;
  let samples: number | undefined;
  return {
    ...jsonDisplay(stream),
    plan(plan) {
      work = workOf(plan);
      timeLeft = estimator(work);
    },
    start(_run, count) {
      samples = count; // the same in all trainings
    },
    epoch(run, report) {
      const trial = work!.trials.get(trialKey(run))!;
      const msLeft = timeLeft(run, report, report.epoch - trial.done);
      trial.done = report.epoch;
      const { reading, method, epsilon, motifSize, seed } = run;
      const facts = { epochs: trial.epochs, samples, msLeft };
      const record = { kind: 'epoch', reading, method, epsilon, motifSize, seed };
      writeJsonLine(stream, { ...record, ...epochRecord(report, facts) });
    },
  };
}

type Shown = Omit<Progress, 'plan' | 'start'>;

/** Number of epochs to do and done, by training. */
interface Work {
  trials: Map<string, { label: string; epochs: number; done: number }>;
  jobs: number;
}

function workOf({ groups, jobs, finished }: ProgressPlan): Work {
  const trials: Work['trials'] = new Map();
  for (const group of groups) {
    for (const trial of group.trials)
      trials.set(trialKey(trial), { label: armLabel(trial), epochs: group.epochs, done: 0 });
  }
  for (const run of finished) {
    const trial = trials.get(trialKey(run));
    if (trial !== undefined) trial.done = trial.epochs;
  }
  return { trials, jobs };
}

function bar(work: Work, stream: NodeJS.WriteStream): Shown {
  const timeLeft = estimator(work);
  const trials = [...work.trials.values()];
  const total = trials.reduce((sum, { epochs }) => sum + epochs, 0);
  const width = largest(trials.map((trial) => trial.label.length));
  const before = trials.reduce((sum, { done }) => sum + done, 0);
  let done = before;
  const { update, log, stop } = statusBar(stream, total, before);
  return {
    log,
    stop,
    epoch(run, report) {
      const trial = work.trials.get(trialKey(run))!;
      const step = report.epoch - trial.done;
      trial.done = report.epoch;
      done += step;
      const left = timeLeft(run, report, step);
      update(done, {
        done: `${done}/${total}`,
        run: armLabel(run).padEnd(width),
        seed: `seed ${run.seed}`,
        epoch: `epoch ${report.epoch}/${trial.epochs}`,
        accuracy: `accuracy ${report.testAccuracy!.toFixed(3)}`,
        left: left === undefined ? '' : `${clock(left)} left`,
      });
    },
  };
}

/** Display of one line per finished run, one for its first epoch and about four more. */
function plainLines(work: Work, stream: NodeJS.WriteStream): Shown {
  const log = (line: string) => stream.write(`${line}\n`);
  return {
    epoch(run, report) {
      const { epochs } = work.trials.get(trialKey(run))!;
      const every = Math.max(1, Math.round(epochs / 5));
      const last = report.epoch === epochs;
      if (!last && report.epoch !== 1 && report.epoch % every !== 0) return;
      const seconds =
        run.epochs.reduce((sum, each) => sum + each.trainMs + each.evolveMs + each.evaluateMs, 0) / 1000;
      const accuracy = report.testAccuracy!.toFixed(3);
      log(
        `seed ${run.seed}  ${armLabel(run)}  epoch ${report.epoch}/${epochs}  accuracy ${accuracy}` +
          (last ? `  done in ${seconds.toFixed(1)} s` : ''),
      );
    },
    log,
    stop() {},
  };
}

/**
 * Estimates the milliseconds left. Each reading, method, epsilon and motif size counts with its own mean
 * epoch, because they differ by a factor of 50; those without an epoch yet count with the mean of the others.
 * Undefined until each has an epoch, or there were fifty. The sums are updated with each epoch, because there
 * may be very many kinds.
 */
function estimator(work: Work) {
  interface Kind {
    /** Number of epochs to do, of all trainings of this kind. */
    left: number;
    seen: number;
    ms: number;
  }
  const kinds = new Map<string, Kind>();
  for (const { label: name, epochs, done } of work.trials.values()) {
    const kind = kinds.get(name) ?? { left: 0, seen: 0, ms: 0 };
    kinds.set(name, { ...kind, left: kind.left + epochs - done });
  }
  let unseen = kinds.size;
  let known = 0;
  /** Sums over the kinds that have an epoch: of their mean epochs, and of the time left of each. */
  let means = 0;
  let leftMs = 0;
  let leftUnseen = [...kinds.values()].reduce((sum, { left }) => sum + left, 0);
  /** @param step number of epochs that were done; none or less where a training is done again */
  return (run: BenchRun, report: EpochReport, step: number): number | undefined => {
    const kind = kinds.get(armLabel(run))!;
    if (kind.seen === 0) {
      unseen -= 1;
      leftUnseen -= kind.left;
    } else {
      means -= kind.ms / kind.seen;
      leftMs -= (kind.ms / kind.seen) * kind.left;
    }
    kind.left -= step;
    kind.seen += 1;
    kind.ms += report.trainMs + report.evolveMs + report.evaluateMs;
    known += 1;
    means += kind.ms / kind.seen;
    leftMs += (kind.ms / kind.seen) * kind.left;
    if (unseen > 0 && known < 50) return undefined;
    const mean = means / (kinds.size - unseen);
    return Math.max(0, leftMs + mean * leftUnseen) / work.jobs;
  };
}

/** Time as on a clock: 1:02:03, or 02:03 below an hour. */
export function clock(ms: number): string {
  const seconds = Math.round(ms / 1000);
  const parts = [Math.floor(seconds / 60) % 60, seconds % 60].map((part) => String(part).padStart(2, '0'));
  return seconds >= 3600 ? `${Math.floor(seconds / 3600)}:${parts.join(':')}` : parts.join(':');
}
