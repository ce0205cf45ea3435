import type { KernelResults, MeasuredPoint, TimedCase } from '../../../src/kernels/results.js';

/** Complete results of made-up numbers, for tests to change. */
export function results(changes: Partial<KernelResults> = {}): KernelResults {
  return {
    schemaVersion: 1,
    complete: true,
    date: '2025-01-01T00:00:00.000Z',
    version: '0.1.0',
    machine: {
      cpu: 'CPU',
      isa: 'avx2',
      cores: 2,
      compiler: '12.2.0',
      caches: { l1: 32768, l2: 524288, l3: 33554432 },
    },
    ceilings: [ceilings(1), ceilings(2)],
    cases: [timed()],
    sweep: null,
    ...changes,
  };
}

export function ceilings(threads: number) {
  return {
    threads,
    gflops: 100 * threads,
    gigabytesPerSecond: { l1: 200, l2: 90, l3: 60, dram: 15 },
    rowNs: 2.5,
    barrierNs: threads > 1 ? 120 : null,
    pingPongNs: threads > 1 ? 95 : null,
  };
}

export function timed(changes: Partial<TimedCase> = {}): TimedCase {
  return {
    name: 'train 784-10 epsilon=13 batch=40 motif=1 threads=1',
    op: 'train',
    shape: '784-10',
    epsilon: 13,
    batch: 40,
    motifSize: 1,
    samples: null,
    threads: 1,
    runs: 9,
    medianMs: 128,
    p95Ms: 140,
    p99Ms: null,
    minMs: 120,
    deviationMs: 1,
    linkVisits: 1e6,
    nsPerLink: 4.321,
    gflops: 55.5,
    bytesMoved: 1e9,
    gigabytesPerSecond: 45.678,
    limit: { name: 'rows', ms: 96 },
    shareOfLimit: 0.75,
    ...changes,
  };
}

export function point(changes: Partial<MeasuredPoint> = {}): MeasuredPoint {
  return {
    links: 1e5,
    neurons: 1000,
    motifSize: 1,
    threads: 2,
    nnz: 101_776,
    trainNsPerLink: 4,
    evolveNsPerLink: 12,
    initialiseNsPerLink: 8,
    modelBytesPerLink: 18,
    peakBytesPerLink: 21,
    ...changes,
  };
}
