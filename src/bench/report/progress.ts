import cliProgress from 'cli-progress';
import type { EpochReport } from '../../training/run.js';
import type { ExperimentConfig } from '../config.js';
import { pairings } from '../experiment.js';
import type { BenchRun } from '../results.js';

/** Shows an experiment while it runs: a bar on a terminal, plain lines anywhere else. */
export interface Progress {
  epoch(run: BenchRun, report: EpochReport): void;
  /** A line that stays. */
  log(line: string): void;
  stop(): void;
}

export function createProgress(config: ExperimentConfig, stream: NodeJS.WriteStream): Progress {
  return stream.isTTY ? bar(config, stream) : plainLines(config, stream);
}

function bar(config: ExperimentConfig, stream: NodeJS.WriteStream): Progress {
  const timeLeft = estimator(config);
  const total = pairings(config).length * config.runs * config.epochs;
  const bars = new cliProgress.MultiBar(
    {
      stream,
      format: (_options, { progress }, status: Status) => statusLine(status, progress, stream.columns || 80),
      hideCursor: true,
      clearOnComplete: true,
      gracefulExit: false, // the command handles Ctrl-C itself
      linewrap: false,
    },
    cliProgress.Presets.shades_classic,
  );
  const width = Math.max(...pairings(config).map((pairing) => label(pairing).length));
  const single = bars.create(total, 0, { done: `0/${total}`, run: 'starting' } satisfies Status);
  let done = 0;
  return {
    epoch(run, report) {
      done += 1;
      const left = timeLeft(run, report);
      single.update(done, {
        done: `${done}/${total}`,
        run: label(run).padEnd(width),
        seed: `seed ${run.seed}`,
        epoch: `epoch ${report.epoch}/${config.epochs}`,
        accuracy: `accuracy ${report.testAccuracy!.toFixed(3)}`,
        left: left === undefined ? '' : `${clock(left)} left`,
      } satisfies Status);
    },
    log(line) {
      bars.log(`${line}\n`);
      bars.update(); // now, since stop() forgets lines that were not shown yet
    },
    stop: () => bars.stop(),
  };
}

/** What stands beside the bar, in this order; what is empty is not shown. */
export interface Status {
  done: string;
  run: string;
  seed?: string;
  epoch?: string;
  accuracy?: string;
  left?: string;
}

/** One line that fits `columns`: what matters least goes first, and the bar takes what room is left. */
export function statusLine(status: Status, progress: number, columns: number): string {
  const shown = { ...status };
  const text = () =>
    [shown.done, shown.run, shown.seed, shown.epoch, shown.accuracy, shown.left].filter(Boolean).join('  ');
  const fullBar = 24;
  const shortBar = 6;
  for (const part of ['seed', 'epoch', 'done', 'run', 'left'] as const) {
    if (shortBar + 2 + text().length < columns) break;
    shown[part] = '';
  }
  const size = Math.min(fullBar, columns - 3 - text().length);
  if (size < 1) return text().slice(0, columns - 1);
  const filled = Math.round(size * progress);
  return `${'█'.repeat(filled)}${'░'.repeat(size - filled)}  ${text()}`;
}

/** A line per finished run, and one for its first epoch and about four more. */
function plainLines(config: ExperimentConfig, stream: NodeJS.WriteStream): Progress {
  const every = Math.max(1, Math.round(config.epochs / 5));
  const log = (line: string) => stream.write(`${line}\n`);
  return {
    epoch(run, report) {
      const last = report.epoch === config.epochs;
      if (!last && report.epoch !== 1 && report.epoch % every !== 0) return;
      const seconds = run.epochs.reduce((sum, each) => sum + each.trainMs + each.evolveMs + each.evaluateMs, 0) / 1000;
      const accuracy = report.testAccuracy!.toFixed(3);
      log(
        `seed ${run.seed}  ${label(run)}  epoch ${report.epoch}/${config.epochs}  accuracy ${accuracy}` +
          (last ? `  done in ${seconds.toFixed(1)} s` : ''),
      );
    },
    log,
    stop() {},
  };
}

/**
 * Milliseconds left: each method, epsilon and motif size is charged its own mean epoch, for they differ by a factor of 50.
 * Undefined until every one of them has been seen.
 */
function estimator(config: ExperimentConfig) {
  const seen = new Map<string, { epochs: number; ms: number }>();
  const contenders = pairings(config).length;
  return (run: BenchRun, report: EpochReport): number | undefined => {
    const { epochs, ms } = seen.get(label(run)) ?? { epochs: 0, ms: 0 };
    seen.set(label(run), { epochs: epochs + 1, ms: ms + report.trainMs + report.evolveMs + report.evaluateMs });
    if (seen.size < contenders) return undefined;
    const planned = config.runs * config.epochs;
    return [...seen.values()].reduce((sum, each) => sum + (each.ms / each.epochs) * (planned - each.epochs), 0);
  };
}

function label({ method, epsilon, motifSize }: Pick<BenchRun, 'method' | 'epsilon' | 'motifSize'>): string {
  const name = motifSize !== null && motifSize > 1 ? `${method} ${motifSize}` : method;
  return epsilon === null ? name : `${name} ε ${epsilon}`;
}

function clock(ms: number): string {
  const seconds = Math.round(ms / 1000);
  const parts = [Math.floor(seconds / 60) % 60, seconds % 60].map((part) => String(part).padStart(2, '0'));
  return seconds >= 3600 ? `${Math.floor(seconds / 3600)}:${parts.join(':')}` : parts.join(':');
}
