import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { KernelSweep, MeasuredPoint, SweepExponents, SweepPoint } from './results.js';

export interface SweepOptions {
  maxLinks: number;
  threads: number;
  isa: string;
}

const batch = 32; // kSweepBatch of native/bench/sweep.h
const motifSizes = [1, 4];
const pointProgram = fileURLToPath(new URL('./sweepPoint.js', import.meta.url));

/** Numbers of links of the sweep: 1e5, 3e5, 1e6 ... up to `most`, at least one. */
export function sweepLinks(most: number): number[] {
  const all = [1e5];
  for (let next = 3e5; next <= most; next = String(next).startsWith('3') ? (next / 3) * 10 : next * 3)
    all.push(next);
  return all;
}

/** Measures point after point, each in a process of its own, and yields the sweep so far. */
export async function* sweep(
  { maxLinks, threads, isa }: SweepOptions,
  { signal, onStep }: { signal: AbortSignal | undefined; onStep: (text: string) => void },
): AsyncGenerator<KernelSweep> {
  const points: SweepPoint[] = [];
  for (const motifSize of motifSizes) {
    for (const links of sweepLinks(maxLinks)) {
      onStep(`sweep: ${links.toLocaleString('en-US')} links, motif size ${motifSize}`);
      points.push(await measureApart({ links, motifSize, threads, isa }, signal));
      yield { batch, points, exponents: exponents(points) };
    }
  }
}

/**
 * Measures a point in a process of its own. A process that dies, of lack of memory above all, makes a failed
 * point and does not end the sweep.
 */
async function measureApart(
  point: { links: number; motifSize: number; threads: number; isa: string },
  signal: AbortSignal | undefined,
): Promise<SweepPoint> {
  try {
    const { stdout } = await promisify(execFile)(process.execPath, [pointProgram, JSON.stringify(point)], {
      signal,
    });
    return JSON.parse(stdout) as SweepPoint;
  } catch (error) {
    if (signal?.aborted) throw error;
    const {
      stderr = '',
      code,
      signal: killedBy,
    } = error as { stderr?: string; code?: unknown; signal?: string };
    const { links, motifSize, threads } = point;
    const failure = stderr.trim().split('\n').at(-1) || `the process ended early (${killedBy ?? code})`;
    return { links, neurons: links / 100, motifSize, threads, failure };
  }
}

/** Exponents of the motif sizes with two points or more. */
export function exponents(points: SweepPoint[]): SweepExponents[] {
  return motifSizes.flatMap((motifSize) => {
    const measured = points.filter(
      (point): point is MeasuredPoint => point.failure === undefined && point.motifSize === motifSize,
    );
    if (measured.length < 2) return [];
    const exponentOf = (nsPerLink: (point: MeasuredPoint) => number) =>
      fittedExponent(measured.map((point) => [point.nnz, point.nnz * nsPerLink(point)]));
    return {
      motifSize,
      train: exponentOf((point) => point.trainNsPerLink),
      evolve: exponentOf((point) => point.evolveNsPerLink),
      initialise: exponentOf((point) => point.initialiseNsPerLink),
    };
  });
}

/** Exponent k of y ~ x^k, by least squares of the logarithms. */
export function fittedExponent(pairs: [x: number, y: number][]): number {
  const logs = pairs.map(([x, y]) => [Math.log(x), Math.log(y)] as const);
  const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const [x, y] = [mean(logs.map((log) => log[0])), mean(logs.map((log) => log[1]))];
  return mean(logs.map((log) => (log[0] - x) * (log[1] - y))) / mean(logs.map((log) => (log[0] - x) ** 2));
}
