import type { EpochReport } from '../../training/run.js';
import { takesEscapeCodes } from './escapeCodes.js';
import { epochRecord, jsonDisplay, writeJsonLine } from './jsonLines.js';
import { clock } from './progress.js';
import { statusBar } from './statusBar.js';

/** Display of one training: a bar on a terminal that can show one, else lines of text or of JSON. */
export interface TrainingProgress {
  epoch(report: EpochReport): void;
  /** Writes a line that stays. */
  log(line: string): void;
  /** Removes the bar; may be called more than once. */
  stop(): void;
}

/** What is to be done. */
export interface TrainingWork {
  /** Epochs that were trained before, and epochs in the end. */
  before: number;
  epochs: number;
  /** Number of samples that are trained on. */
  samples: number;
}

export function createTrainingProgress(
  stream: NodeJS.WriteStream,
  how: 'auto' | 'json',
  work: TrainingWork,
): TrainingProgress {
  const timeLeft = estimator(work);
  if (how === 'json') {
    return {
      ...jsonDisplay(stream),
      epoch(report) {
        const facts = { epochs: work.epochs, samples: work.samples, msLeft: timeLeft(report) };
        writeJsonLine(stream, { kind: 'epoch', ...epochRecord(report, facts) });
      },
    };
  }
  return takesEscapeCodes(stream) ? bar(stream, work, timeLeft) : plainLines(stream, work);
}

/** Estimates the milliseconds left, by the mean of the epochs so far. */
function estimator({ epochs }: TrainingWork): (report: EpochReport) => number {
  let ms = 0;
  let seen = 0;
  return ({ epoch, trainMs, evolveMs, evaluateMs }) => {
    ms += trainMs + evolveMs + evaluateMs;
    seen += 1;
    return (ms / seen) * (epochs - epoch);
  };
}

function bar(
  stream: NodeJS.WriteStream,
  { before, epochs }: TrainingWork,
  timeLeft: (report: EpochReport) => number,
): TrainingProgress {
  const { update, log, stop } = statusBar(stream, epochs, before);
  return {
    log,
    stop,
    epoch(report) {
      const left = timeLeft(report);
      update(report.epoch, {
        done: `${report.epoch}/${epochs}`,
        run: `loss ${report.trainLoss.toFixed(4)}`,
        accuracy: accuracyText(report),
        left: `${clock(left)} left`,
      });
    },
  };
}

function accuracyText({ validationAccuracy }: EpochReport): string {
  return validationAccuracy === undefined ? '' : `validation accuracy ${validationAccuracy.toFixed(3)}`;
}

/** Display of about twenty lines, of the first and last epoch and some between. */
function plainLines(stream: NodeJS.WriteStream, { before, epochs }: TrainingWork): TrainingProgress {
  const every = Math.max(1, Math.round((epochs - before) / 20));
  const width = String(epochs).length;
  return {
    epoch(report) {
      const { epoch, trainLoss, grown } = report;
      if (epoch !== before + 1 && epoch !== epochs && epoch % every !== 0) return;
      const parts = [
        `epoch ${String(epoch).padStart(width)}/${epochs}`,
        `loss ${trainLoss.toFixed(4)}`,
        accuracyText(report),
        grown > 0 ? `${grown} links replaced` : '',
      ];
      stream.write(`${parts.filter(Boolean).join('  ')}\n`);
    },
    log: (line) => void stream.write(`${line}\n`),
    stop() {},
  };
}
