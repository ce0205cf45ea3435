import pc from 'picocolors';
import type { Comparison } from '../../kernels/compare.js';
import type {
  KernelCase,
  KernelCeilings,
  KernelResults,
  KernelSweep,
  SweepPoint,
  TimedCase,
} from '../../kernels/results.js';
import { integer, orDash, percent } from './format.js';
import { plainTable } from './plainTable.js';

/*
 * Tables of the kernel bench, for a terminal of 120 columns.
 */

export function renderKernels(
  results: KernelResults,
  { color = false, comparison }: { color?: boolean; comparison?: Comparison } = {},
): string {
  const { bold, dim, red, yellow } = pc.createColors(color);
  const { machine, gpu, ceilings, cases, sweep, complete } = results;
  const lines = [
    `${bold(machine.cpu)}, ${machine.cores} cores, ${machine.isa}; compiler ${machine.compiler}`,
    ...(gpu ? [`${bold(gpu.device)}; copies ${short(gpu.copyGigabytesPerSecond)} GB/s`] : []),
    '',
    ...(ceilings.length > 0 ? [ceilingsTable(ceilings), ''] : []),
  ];
  lines.push(...busyNotes(ceilings).map(yellow));
  if (cases.length > 0) lines.push(casesTable(cases, comparison, bold, red), '', ...latencies(cases));
  if (sweep) lines.push(sweepTable(sweep), '', ...sweepNotes(sweep).map(dim));
  if (!complete) lines.push(yellow('Not complete: it ended early; this is what was done.'));
  if (cases.length > 0) lines.push(...legend.map(dim));
  if (comparison) lines.push('', ...verdict(comparison, cases.length));
  return lines.join('\n').trimEnd();
}

function ceilingsTable(ceilings: KernelCeilings[]): string {
  const right = (heading: string) => ({ heading, align: 'right' as const });
  const headings = [
    'GFLOP/s',
    'L1 GB/s',
    'L2 GB/s',
    'L3 GB/s',
    'DRAM GB/s',
    'random row ns',
    'barrier ns',
    'ping-pong ns',
  ];
  return plainTable(
    [{ heading: 'ceilings', align: 'left' }, ...headings.map(right)],
    ceilings.map(
      ({ threads, gflops, gigabytesPerSecond: { l1, l2, l3, dram }, rowNs, barrierNs, pingPongNs }) => [
        `${threads} thread${threads > 1 ? 's' : ''}`,
        ...[gflops, l1, l2, l3, dram, rowNs, barrierNs, pingPongNs].map((value) => orDash(value, short)),
      ],
    ),
  );
}

/** Notes about a busy machine. Arithmetic in registers shares nothing between threads, except cores. */
function busyNotes([single, all]: KernelCeilings[]): string[] {
  if (!single || !all || all.gflops > 0.8 * all.threads * single.gflops) return [];
  const [most, one] = [all, single].map(({ gflops }) => short(gflops));
  return [
    `Note: ${all.threads} threads reach ${most} GFLOP/s together, one ${one}: the machine is busy or they share cores.`,
    '',
  ];
}

type Column = [heading: string, cell: (timed: TimedCase) => string];

const columns: Column[] = [
  ['median ms', ({ medianMs }) => short(medianMs)],
  ['p95 ms', ({ p95Ms }) => short(p95Ms)],
  ['ns/link', ({ nsPerLink }) => orDash(nsPerLink, short)],
  ['GFLOP/s', ({ gflops }) => orDash(gflops, short)],
  ['GB/s', ({ gigabytesPerSecond }) => orDash(gigabytesPerSecond, short)],
  ['limit', ({ limit }) => orDash(limit, ({ name }) => name)],
  ['share', ({ shareOfLimit }) => orDash(shareOfLimit, percent)],
];

/**
 * One table of all cases, so that columns align, with a line of operation and layers above the cases of each.
 */
function casesTable(
  cases: KernelCase[],
  comparison: Comparison | undefined,
  bold: (text: string) => string,
  red: (text: string) => string,
): string {
  const shown = [...columns];
  if (comparison) shown.push(['old/new', (timed) => change(comparison, timed.name)]);
  const rows: string[][] = [];
  let group = '';
  for (const each of cases) {
    const own = `${each.op} ${each.shape}`;
    if (own !== group) rows.push([bold(own), ...shown.map(() => '')]);
    group = own;
    const label = `  ${each.name.slice(own.length + 1)}`;
    if (each.failure === undefined) rows.push([label, ...shown.map(([, cell]) => cell(each))]);
    else rows.push([label, red('FAILED'), ...shown.slice(1).map(() => '')]);
  }
  const headings = shown.map(([heading]) => ({ heading, align: 'right' as const }));
  const failures = cases.flatMap(({ name, failure }) => (failure ? [red(`${name}: ${failure}`)] : []));
  return [plainTable([{ heading: 'case', align: 'left' }, ...headings], rows), ...failures].join('\n');
}

/** Ratio of old to new time, with a mark where the difference exceeds the noise. */
function change({ cases }: Comparison, name: string): string {
  const compared = cases.get(name);
  if (compared === undefined) return '–';
  const { ratio, beyondNoise } = compared;
  return `${ratio.toFixed(2)} ${!beyondNoise ? ' ' : ratio > 1 ? '+' : '-'}`;
}

function latencies(cases: KernelCase[]): string[] {
  const single = cases.filter(
    (each): each is TimedCase => each.failure === undefined && each.op === 'predict' && each.samples === 1,
  );
  const text = single.map(({ name, medianMs, p99Ms }) => {
    const micros = (ms: number) => `${short(1000 * ms)} us`;
    return `  ${name.replace(/^predict \S+ /, '')}: p50 ${micros(medianMs)}, p99 ${orDash(p99Ms, micros)}`;
  });
  return text.length > 0 ? ['Latency of one sample:', ...text, ''] : [];
}

const legend = [
  'Limit: what binds, of fma, l1 (loads), rows (random ones), stream and barrier, by the ceilings above and the least',
  'work there is; share: how much of it was reached. Above 100 %: the ceiling was measured while the machine was busy.',
  'Medians of runs on warm caches.',
];

function verdict({ cases, geometricMean, differences }: Comparison, total: number): string[] {
  const changed = [...cases.values()].filter(({ beyondNoise }) => beyondNoise);
  const faster = changed.filter(({ ratio }) => ratio > 1).length;
  return [
    ...differences.map((difference) => `Not comparable as it stands: ${difference}.`),
    geometricMean === null
      ? 'No case was timed both times.'
      : `${cases.size} of ${total} cases compared: geometric mean of old/new ${geometricMean.toFixed(3)} (above 1 is faster); ` +
        `beyond noise ${faster} faster (+), ${changed.length - faster} slower (-).`,
  ];
}

function sweepTable({ points }: KernelSweep): string {
  const measured =
    (show: (point: Exclude<SweepPoint, { failure: string }>) => number) => (point: SweepPoint) =>
      point.failure === undefined ? short(show(point)) : 'FAILED';
  const sweepColumns: [string, (point: SweepPoint) => string][] = [
    ['links', (point) => integer(point.failure === undefined ? point.nnz : point.links)],
    ['neurons', ({ neurons }) => integer(neurons)],
    ['motif', ({ motifSize }) => String(motifSize)],
    ['train ns/link', measured(({ trainNsPerLink }) => trainNsPerLink)],
    ['evolve ns/link', measured(({ evolveNsPerLink }) => evolveNsPerLink)],
    ['init ns/link', measured(({ initialiseNsPerLink }) => initialiseNsPerLink)],
    ['model B/link', measured(({ modelBytesPerLink }) => modelBytesPerLink)],
    ['peak B/link', measured(({ peakBytesPerLink }) => peakBytesPerLink)],
  ];
  return plainTable(
    sweepColumns.map(([heading]) => ({ heading, align: 'right' as const })),
    points.map((point) => sweepColumns.map(([, cell]) => cell(point))),
  );
}

function sweepNotes({ batch, points, exponents }: KernelSweep): string[] {
  return [
    ...points.flatMap(({ links, motifSize, failure }) =>
      failure ? [`${integer(links)} links, motif size ${motifSize}: ${failure}`] : [],
    ),
    ...exponents.map(
      ({ motifSize, train, evolve, initialise }) =>
        `Time ~ links^k, motif size ${motifSize}: train k = ${train.toFixed(3)}, evolve ${evolve.toFixed(3)}, ` +
        `init ${initialise.toFixed(3)}`,
    ),
    `Train: a step of batch ${batch}. Init: topology, weights, indices. Bytes: resident after init, and the peak of all three.`,
  ];
}

/** A number with three digits or more. */
function short(value: number): string {
  if (value >= 100) return integer(value);
  return value >= 10
    ? value.toFixed(1)
    : value >= 1
      ? value.toFixed(2)
      : Number(value.toPrecision(3)).toString();
}
