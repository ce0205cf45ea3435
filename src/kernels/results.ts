import { readFileSync } from 'node:fs';
import { SetNativeError } from '../errors.js';

/*
 * Results of `set-native bench kernels` and of the native bench. docs/bench-kernels.md describes the file for
 * readers; native/bench/report.cpp makes its parts.
 */

/** Version of the format, raised when a key changes its meaning or goes away, not for new keys. */
export const kernelSchemaVersion = 1;

export interface KernelResults {
  schemaVersion: typeof kernelSchemaVersion;
  /** False when the bench was stopped. */
  complete: boolean;
  /** Time of the start, ISO 8601. */
  date: string;
  /** Version of set-native; null from the native bench. */
  version: string | null;
  machine: KernelMachine;
  /**
   * The GPU that the cases ran on, where there are no ceilings; null, or absent in files of earlier versions,
   * for cases on the CPU.
   */
  gpu?: KernelGpu | null;
  ceilings: KernelCeilings[];
  cases: KernelCase[];
  /** The sweep, which has no cases beside it; null unless it was asked for. */
  sweep: KernelSweep | null;
}

declare module '../errors.js' {
  interface PartialResults {
    kernels: KernelResults;
  }
}

export interface KernelMachine {
  cpu: string;
  isa: string;
  cores: number;
  compiler: string;
  /** Bytes of the caches: of one core, and for l3 of all cores that share it. */
  caches: { l1: number; l2: number; l3: number };
}

interface KernelGpu {
  device: string;
  /** Bandwidth of copies within its memory, counting bytes read and bytes written. */
  copyGigabytesPerSecond: number;
}

/** Ceilings of the machine, measured on `threads` threads at once. */
export interface KernelCeilings {
  threads: number;
  gflops: number;
  /** Bandwidth of sequential reads, of all threads together. */
  gigabytesPerSecond: { l1: number; l2: number; l3: number; dram: number };
  /** Nanoseconds to read a random row of 160 bytes out of 3000. */
  rowNs: number;
  /** Nanoseconds of a barrier; null for one thread. */
  barrierNs: number | null;
  pingPongNs: number | null;
}

/** Parameters of a case. Those that do not apply are null. */
interface CaseKey {
  name: string;
  op: string;
  shape: string;
  epsilon: number | null;
  batch: number | null;
  motifSize: number | null;
  samples: number | null;
  threads: number;
}

interface FailedCase extends CaseKey {
  /** Difference from the reference; a case with one is not timed. */
  failure: string;
}

export interface TimedCase extends CaseKey {
  failure?: never;
  runs: number;
  medianMs: number;
  p95Ms: number;
  /** 99th percentile of 100 runs or more; null for fewer. */
  p99Ms: number | null;
  minMs: number;
  /** Median absolute deviation from the median. */
  deviationMs: number;
  /** Number of links that one run visits, counting repetitions; null where links do not matter. */
  linkVisits: number | null;
  nsPerLink: number | null;
  gflops: number | null;
  bytesMoved: number | null;
  gigabytesPerSecond: number | null;
  limit: { name: 'fma' | 'l1' | 'rows' | 'stream' | 'barrier' | 'copy'; ms: number } | null;
  shareOfLimit: number | null;
}

export type KernelCase = TimedCase | FailedCase;

export interface KernelSweep {
  batch: number;
  points: SweepPoint[];
  /** Exponents k of time ~ links^k, by motif size. */
  exponents: SweepExponents[];
}

export interface SweepExponents {
  motifSize: number;
  train: number;
  evolve: number;
  initialise: number;
}

interface SweepKey {
  links: number;
  neurons: number;
  motifSize: number;
  threads: number;
}

interface FailedPoint extends SweepKey {
  failure: string;
}

export interface MeasuredPoint extends SweepKey {
  failure?: never;
  nnz: number;
  trainNsPerLink: number;
  evolveNsPerLink: number;
  initialiseNsPerLink: number;
  /** Bytes of resident memory that the model added, and their peak, per link. */
  modelBytesPerLink: number;
  peakBytesPerLink: number;
}

export type SweepPoint = MeasuredPoint | FailedPoint;

/** Results as JSON, with one case, ceiling and point per line. */
export function* kernelsJson(results: KernelResults): Generator<string> {
  const list = (items: unknown[]) => `[${items.map((item) => `\n  ${JSON.stringify(item)}`).join(',')}\n]`;
  const { ceilings, cases, sweep, ...head } = results;
  yield JSON.stringify(head).slice(0, -1);
  yield `,\n"ceilings": ${list(ceilings)},\n"cases": ${list(cases)},\n"sweep": `;
  if (sweep === null) yield 'null';
  else {
    const exponents = JSON.stringify(sweep.exponents);
    yield `{"batch": ${sweep.batch}, "exponents": ${exponents}, "points": ${list(sweep.points)}}`;
  }
  yield '}\n';
}

/**
 * Earlier results, from the file that the option `compare` names. Throws ERR_IO when the file cannot be read,
 * ERR_DATA_FORMAT for anything else in it.
 */
export function readKernelResults(file: string): KernelResults {
  const details = { option: 'compare', file };
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (cause) {
    const message = `[bench] compare must name a file of earlier results, got ${file}: ${(cause as Error).message}`;
    throw new SetNativeError('ERR_IO', message, { details, cause });
  }
  const refuse = (what: string, cause?: unknown) =>
    new SetNativeError(
      'ERR_DATA_FORMAT',
      `[bench] \`compare\`: expected what \`set-native bench kernels\` writes, ${file} ${what}`,
      { details, cause },
    );
  let results: unknown;
  try {
    results = JSON.parse(text);
  } catch (cause) {
    throw refuse(`is not JSON (${(cause as Error).message})`, cause);
  }
  if (!isObject(results) || !Array.isArray(results.cases) || !isMachine(results.machine)) {
    throw refuse('holds something else');
  }
  if (results.schemaVersion !== kernelSchemaVersion) {
    throw refuse(
      `has schemaVersion ${String(results.schemaVersion)}, this program reads ${kernelSchemaVersion}`,
    );
  }
  const wrong = results.cases.findIndex((each: unknown) => !isCase(each));
  if (wrong >= 0) throw refuse(`has a case (number ${wrong + 1}) without name or times`);
  return results as unknown as KernelResults;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

function isMachine(value: unknown): boolean {
  return (
    isObject(value) &&
    ['cpu', 'isa', 'compiler'].every((key) => typeof value[key] === 'string') &&
    typeof value.cores === 'number'
  );
}

function isCase(value: unknown): boolean {
  if (!isObject(value) || typeof value.name !== 'string') return false;
  const isTime = (time: unknown) => typeof time === 'number' && time >= 0;
  return (
    typeof value.failure === 'string' ||
    (isTime(value.medianMs) && value.medianMs !== 0 && isTime(value.deviationMs))
  );
}
