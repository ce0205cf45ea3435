import type { EpochReport } from '../../training/run.js';

/*
 * Progress for programs: one JSON object per line. `kind` says what it tells of.
 */

/** Writes an object as a line. Numbers that JSON does not have become null. */
export function writeJsonLine(stream: NodeJS.WriteStream, record: object): void {
  stream.write(`${JSON.stringify(record)}\n`);
}

/** A display whose lines are JSON objects: `{"kind":"note","text":...}`. */
export function jsonDisplay(stream: NodeJS.WriteStream) {
  return {
    log: (text: string) => writeJsonLine(stream, { kind: 'note', text }),
    stop() {},
  };
}

/**
 * What is told of an epoch.
 *
 * @param samples number of samples that were trained on
 * @param msLeft  milliseconds until all work is done; undefined where that is not known yet
 */
export function epochRecord(
  report: EpochReport,
  { epochs, samples, msLeft }: { epochs: number; samples: number | undefined; msLeft: number | undefined },
) {
  const { epoch, trainLoss, validationLoss, validationAccuracy, testLoss, testAccuracy } = report;
  const speed = samples === undefined ? undefined : (1000 * samples) / report.trainMs;
  return {
    epoch,
    epochs,
    loss: trainLoss,
    ...(validationAccuracy !== undefined && { validationLoss, validationAccuracy }),
    ...(testAccuracy !== undefined && { testLoss, testAccuracy }),
    links: report.nnz,
    replaced: report.grown,
    samplesPerSecond: speed === undefined ? null : Math.round(speed),
    secondsLeft: msLeft === undefined ? null : Math.round(msLeft / 100) / 10,
  };
}
