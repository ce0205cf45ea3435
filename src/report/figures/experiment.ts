import type { BenchDataset, BenchRun, LayerDegrees } from '../../experiment/results.js';
import { mean, median } from '../../experiment/statistics.js';
import { largest, smallest } from '../../extremes.js';
import type { Reading } from '../../vocabulary.js';
import { type Figure, frame, panels, type Row, scaleOf } from './frame.js';
import { pictureOf } from './pixels.js';
import { palette, type Spec } from './vega.js';

/*
 * The figures of a report, as Vega-Lite specifications: functions of the finished runs. Ink is
 * `currentColor`, so that a page can show them light or dark.
 */

const colors: Record<string, string> = {
  set: palette.blue,
  'set-motif': palette.vermilion,
  static: palette.green,
  dense: palette.purple,
};
const shapes: Record<string, string> = {
  set: 'circle',
  'set-motif': 'square',
  static: 'triangle-up',
  dense: 'diamond',
};
const dashes: Record<string, number[]> = {
  set: [1, 0],
  'set-motif': [6, 3],
  static: [2, 2],
  dense: [8, 2, 2, 2],
};

/** All figures that the runs of one reading have data for, in the order of a report. */
export function figuresOf(
  runs: BenchRun[],
  dataset: BenchDataset,
  reading: Reading,
  caveat: string,
): Figure[] {
  const own = runs
    .filter((run) => run.reading === reading && run.epochs.length > 0)
    .sort((a, b) => (a.epsilon ?? Infinity) - (b.epsilon ?? Infinity) || a.seed - b.seed); // they come as they finished
  const maker = { runs: own, dataset, prefix: reading === 'plain' ? '' : `${reading}-`, caveat };
  const makers = [accuracyByEpsilon, accuracyByEpoch, timeSplit, survivors, degreeHistograms, inputMap];
  return makers.flatMap((make) => make(maker) ?? []);
}

interface Maker {
  runs: BenchRun[];
  dataset: BenchDataset;
  prefix: string;
  caveat: string;
}

/** Figures 11 to 13 of the thesis. */
function accuracyByEpsilon({ runs, prefix, caveat }: Maker): Figure | undefined {
  const sparse = runs.filter((run) => run.epsilon !== null);
  if (new Set(sparse.map((run) => run.epsilon)).size < 2) return undefined;
  const published = runs[0]!.reading === 'published';
  const accuracy = (run: BenchRun) =>
    published ? largest(run.epochs.map((epoch) => epoch.testAccuracy!)) : run.epochs.at(-1)!.testAccuracy!;
  const values: Row[] = sparse.map((run) => ({
    ...labels(run),
    epsilon: run.epsilon,
    accuracy: 100 * accuracy(run),
  }));
  const x = {
    field: 'epsilon',
    type: 'quantitative',
    axis: { title: 'density ε', tickMinStep: 1 },
    scale: scaleOf(values, 'epsilon'),
  };
  const y = (field: object) => ({
    ...field,
    type: 'quantitative',
    axis: { title: `test accuracy (%), ${published ? 'best of 11 epochs' : 'last epoch'}` },
    scale: { zero: false },
  });
  return {
    name: `${prefix}accuracy-by-epsilon`,
    title: `Accuracy against density${caveat}`,
    text: 'Test accuracy against the density parameter epsilon: every run a mark, their mean a line, their range a band.',
    spec: frame(values, {
      encoding: { x, color: methodColor(values) },
      layer: [
        {
          mark: { type: 'area', opacity: 0.18 },
          encoding: {
            y: y({ field: 'accuracy', aggregate: 'min' }),
            y2: { field: 'accuracy', aggregate: 'max' },
          },
        },
        {
          mark: { type: 'line', strokeWidth: 2 },
          encoding: { y: y({ field: 'accuracy', aggregate: 'mean' }) },
        },
        {
          mark: { type: 'point', size: 28, opacity: 0.85 },
          encoding: { y: y({ field: 'accuracy' }), shape: methodShape(values) },
        },
      ],
    }),
  };
}

function accuracyByEpoch({ runs: all, prefix, caveat }: Maker): Figure | undefined {
  const runs = fewDensities(all);
  const values: Row[] = [];
  for (const [, group] of grouped(
    runs,
    ({ method, motifSize, epsilon }) => `${method} ${motifSize} ${epsilon}`,
  )) {
    const shortest = smallest(group.map((run) => run.epochs.length));
    if (shortest < 2) continue;
    const curve = { ...labels(group[0]!), panel: panelOf(group[0]!, runs) };
    for (const { from, to } of spans(1, shortest + 1)) {
      const accuracies = (epoch: number) => group.map((run) => 100 * run.epochs[epoch - 1]!.testAccuracy!);
      const within = Array.from({ length: to - from }, (_, i) => accuracies(from + i));
      values.push({
        ...curve,
        epoch: to - 1,
        accuracy: mean(within.at(-1)!),
        low: smallest(within.map(smallest)),
        high: largest(within.map(largest)),
      });
    }
  }
  if (values.length === 0) return undefined;
  const thinned = largest(values.map(({ epoch }) => Number(epoch))) > mostPoints;
  const axis = { title: 'test accuracy (%)' };
  return {
    name: `${prefix}accuracy-by-epoch`,
    title: `Accuracy over the epochs${caveat}`,
    text:
      'Test accuracy after every epoch, a panel per density: the mean over the runs a line, their range a band.' +
      (thinned ? ` The line shows ${mostPoints} of the epochs at most, the band all.` : ''),
    spec: panels(values, {
      encoding: {
        x: {
          field: 'epoch',
          type: 'quantitative',
          axis: { title: 'epoch', tickMinStep: 1 },
          scale: scaleOf(values, 'epoch'),
        },
        color: methodColor(values, lineLegend),
      },
      layer: [
        {
          mark: { type: 'area', opacity: 0.18 },
          encoding: {
            y: { field: 'low', type: 'quantitative', axis, scale: { zero: false } },
            y2: { field: 'high' },
          },
        },
        {
          mark: { type: 'line', strokeWidth: 2 },
          encoding: {
            y: { field: 'accuracy', type: 'quantitative', axis, scale: { zero: false } },
            strokeDash: methodDash(values),
          },
        },
      ],
    }),
  };
}

function timeSplit({ runs: all, prefix, caveat }: Maker): Figure | undefined {
  const runs = fewDensities(all);
  const parts = { train: 'trainMs', evolve: 'evolveMs', evaluate: 'evaluateMs' } as const;
  const values: Row[] = [];
  for (const [, group] of grouped(
    runs,
    ({ method, motifSize, epsilon }) => `${method} ${motifSize} ${epsilon}`,
  )) {
    for (const [order, [part, key]] of Object.entries(parts).entries()) {
      const times = group.map((run) => median(run.epochs.map((epoch) => epoch[key]).filter((ms) => ms > 0)));
      const { method } = labels(group[0]!);
      values.push({ method, panel: panelOf(group[0]!, runs), part, order, ms: mean(times) });
    }
  }
  const domain = Object.keys(parts);
  return {
    name: `${prefix}time-split`,
    title: `Time of an epoch${caveat}`,
    text: 'Milliseconds per epoch for training, evolution and evaluation: the median of each run, the mean over runs.',
    spec: panels(
      values,
      {
        mark: { type: 'bar' },
        encoding: {
          y: { field: 'method', type: 'nominal', sort: sortOf(values), axis: { title: null } },
          x: { field: 'ms', type: 'quantitative', axis: { title: 'time per epoch (ms)', tickCount: 4 } },
          color: {
            field: 'part',
            type: 'nominal',
            scale: { domain, range: [palette.sky, palette.vermilion, palette.purple] },
            legend: { title: null },
          },
          order: { field: 'order', type: 'quantitative' },
        },
      },
      { height: { step: 20 }, independent: 'x' },
    ),
  };
}

function survivors({ runs: all, prefix, caveat }: Maker): Figure | undefined {
  const runs = fewDensities(all);
  const evolving = runs.filter((run) => run.epochs.at(-1)!.linksByBirth.length > 1);
  const values: Row[] = [];
  for (const [, group] of grouped(
    evolving,
    ({ method, motifSize, epsilon }) => `${method} ${motifSize} ${epsilon}`,
  )) {
    const last = group.map((run) => run.epochs.at(-1)!.linksByBirth);
    const totals = last.map((links) => links.reduce((sum, count) => sum + count, 0));
    const births = largest(last.map((links) => links.length));
    const curve = { ...labels(group[0]!), panel: panelOf(group[0]!, runs) };
    const shareOf = (birth: number) => mean(last.map((links, i) => (100 * (links[birth] ?? 0)) / totals[i]!));
    for (const { from, to } of [{ from: 0, to: 1 }, ...spans(1, births)]) {
      const share = mean(Array.from({ length: to - from }, (_, i) => shareOf(from + i)));
      if (share > 0) values.push({ ...curve, birth: to - 1, share });
    }
  }
  if (values.length === 0) return undefined;
  const thinned = largest(evolving.map((run) => run.epochs.at(-1)!.linksByBirth.length)) > mostPoints + 1;
  return {
    name: `${prefix}links-by-birth`,
    title: `Links alive at the end, by the epoch that grew them${caveat}`,
    text:
      'Share of the links of evolving layers at the end of training by the epoch whose evolution grew them; 0: initial.' +
      (thinned ? ' A mark stands for several epochs: the mean of their shares.' : ''),
    spec: panels(values, {
      mark: { type: 'line', strokeWidth: 2, point: { size: 18 } },
      encoding: {
        x: {
          field: 'birth',
          type: 'quantitative',
          axis: { title: 'grown after epoch', tickMinStep: 1 },
          scale: scaleOf(values, 'birth'),
        },
        y: {
          field: 'share',
          type: 'quantitative',
          scale: { type: 'log' },
          axis: { title: 'share of links (%)', tickCount: 4, format: '~g' },
        },
        color: methodColor(values, lineLegend),
        strokeDash: methodDash(values),
      },
    }),
  };
}

function degreeHistograms({ runs, prefix, caveat }: Maker): Figure | undefined {
  const sparse = runs.filter(
    (run) => run.degrees !== undefined && run.degrees.end.length > 0 && run.epsilon !== null,
  );
  if (sparse.length === 0) return undefined;
  const epsilon = middle(sparse.map((run) => run.epsilon!));
  const seed = smallest(sparse.map((run) => run.seed));
  const values: Row[] = [];
  const motif = largest(sparse.map((run) => run.motifSize!));
  for (const run of sparse.filter((each) => each.epsilon === epsilon && each.seed === seed)) {
    for (const when of ['start', 'end'] as const) {
      const layers = run.degrees![when];
      for (const [number, layer] of layers.entries()) {
        if (layer.dense || number === layers.length - 1) continue;
        for (const side of ['in', 'out'] as const) {
          for (const bin of bins(run, layer, number, side, when, motif)) values.push(bin);
        }
      }
    }
  }
  if (values.length === 0) return undefined;
  return {
    name: `${prefix}degrees`,
    title: `Links per neuron at density ε ${epsilon}${caveat}`,
    text: 'How many neurons have how many links, per layer: into targets and out of sources, before and after training.',
    spec: panels(
      values,
      {
        mark: { type: 'line', strokeWidth: 1.5 },
        encoding: {
          x: {
            field: 'degree',
            type: 'quantitative',
            axis: { title: 'links per neuron', tickCount: 5 },
            scale: { zero: true },
          },
          y: { field: 'share', type: 'quantitative', axis: { title: 'share of neurons (%)', tickCount: 4 } },
          color: methodColor(values),
          strokeDash: {
            field: 'when',
            type: 'nominal',
            scale: {
              domain: ['start', 'end'],
              range: [
                [2, 2],
                [1, 0],
              ],
            },
            legend: { title: null, symbolSize: 300 },
          },
          detail: { field: 'when' },
        },
      },
      { independent: 'both' },
    ),
  };
}

/**
 * In bins no narrower than a motif, for motifs give targets multiples of its size. Degrees beyond the 99.9th
 * percentile are cut off: a few hubs would hide the rest.
 */
function bins(
  run: BenchRun,
  layer: LayerDegrees,
  number: number,
  side: 'in' | 'out',
  when: string,
  motif: number,
): Row[] {
  const counts = layer[side];
  const neurons = side === 'in' ? layer.outputs : layer.inputs;
  const panel = `layer ${number + 1}, ${side === 'in' ? 'into targets' : 'out of sources'}`;
  const width = Math.max(motif, Math.ceil(counts.length / 60));
  const rows: Row[] = [];
  let seen = 0;
  for (let from = 0; from < counts.length && seen <= 0.999 * neurons; from += width) {
    const inBin = counts.slice(from, from + width).reduce((sum, count) => sum + count, 0);
    seen += inBin;
    const share = (100 * inBin) / neurons / width;
    rows.push({ ...labels(run), panel, when, degree: from + (width - 1) / 2, share });
  }
  return rows;
}

function inputMap({ runs, dataset, prefix, caveat }: Maker): Figure | undefined {
  const { image } = dataset;
  const evolved = runs.filter(
    (run) => run.inputDegree?.length === dataset.features && run.method !== 'static',
  );
  if (image === undefined || evolved.length === 0) return undefined;
  const epsilon = middle(evolved.map((run) => run.epsilon!));
  const picture = pictureOf(image);
  const chosen = evolved.filter((run) => run.epsilon === epsilon);
  const values: Row[] = [...grouped(chosen, (run) => labels(run).method)].flatMap(([method, group]) =>
    picture
      .cells('links', (pixel) => mean(group.map((run) => run.inputDegree![pixel]!)))
      .map((cell) => ({ panel: method, ...cell })),
  );
  const position = (field: string) => ({
    field,
    type: 'ordinal',
    axis: { title: null, labels: false, ticks: false, domain: false },
  });
  return {
    name: `${prefix}input-map`,
    title: `Links of each pixel after training, density ε ${epsilon}${caveat}`,
    text: 'The picture that the network looks at: links of every input of the first layer, mean over the runs.',
    spec: panels(
      values,
      {
        mark: { type: 'rect' },
        encoding: {
          x: position('column'),
          y: position('row'),
          color: {
            field: 'links',
            type: 'quantitative',
            scale: { scheme: 'viridis' },
            legend: { title: 'links', gradientLength: 120 },
          },
        },
      },
      { width: 6 * picture.columns, height: 6 * picture.rows },
    ),
  };
}

/** As many as a panel has room for. */
const mostPoints = 500;

/**
 * The numbers from `from` to below `end`, as spans that a curve gives a point each: one number per span, or
 * the fewest it takes.
 */
function spans(from: number, end: number): { from: number; to: number }[] {
  if (end <= from) return [];
  const width = Math.ceil((end - from) / mostPoints);
  const count = Math.ceil((end - from) / width);
  return Array.from({ length: count }, (_, i) => ({
    from: Math.max(from, end - (count - i) * width),
    to: end - (count - i - 1) * width,
  }));
}

const mostPanels = 6;

/**
 * The runs of at most six densities, spread out from the lowest to the highest: more panels would bury what
 * they show.
 */
function fewDensities(runs: BenchRun[]): BenchRun[] {
  const all = [...new Set(runs.flatMap(({ epsilon }) => epsilon ?? []))].sort((a, b) => a - b);
  if (all.length <= mostPanels) return runs;
  const step = (all.length - 1) / (mostPanels - 1);
  const shown = new Set(Array.from({ length: mostPanels }, (_, i) => all[Math.round(i * step)]!));
  return runs.filter(({ epsilon }) => epsilon === null || shown.has(epsilon));
}

function labels({ method, motifSize }: BenchRun): { method: string } {
  return { method: motifSize !== null && motifSize > 1 ? `${method} ${motifSize}` : method };
}

function panelOf(run: BenchRun, runs: BenchRun[]): string {
  return `ε ${run.epsilon ?? largest(runs.map(({ epsilon }) => epsilon ?? 0))}`;
}

function grouped<T>(items: T[], key: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const others = groups.get(key(item));
    if (others === undefined) groups.set(key(item), [item]);
    else others.push(item);
  }
  return groups;
}

/** The one in the middle of those there are. */
function middle(epsilons: number[]): number {
  const all = [...new Set(epsilons)].sort((a, b) => a - b);
  return all[all.length >> 1]!;
}

function sortOf(values: Row[]): string[] {
  const order = Object.keys(colors);
  const rank = (name: string) => order.indexOf(name.split(' ')[0]!);
  return [...new Set(values.map(({ method }) => String(method)))].sort(
    (a, b) => rank(a) - rank(b) || a.localeCompare(b, 'en', { numeric: true }),
  );
}

/** Methods have a colour each; several motif sizes of one method share it and differ by dash and shape. */
function methodColor(values: Row[], legend: Spec = { title: null, symbolOpacity: 1 }): Spec {
  const domain = sortOf(values);
  return {
    field: 'method',
    type: 'nominal',
    scale: { domain, range: domain.map((name) => colors[name.split(' ')[0]!]) },
    legend,
  };
}

/** The same for the colours and the dashes of lines, which makes one legend of the two. */
const lineLegend = { title: null, symbolType: 'stroke', symbolSize: 400, symbolOpacity: 1 };

function methodDash(values: Row[]): Spec {
  const domain = sortOf(values);
  const range = domain.map((name) => dashes[name.split(' ')[0]!]);
  return { field: 'method', type: 'nominal', scale: { domain, range }, legend: lineLegend };
}

function methodShape(values: Row[]): Spec {
  const domain = sortOf(values);
  const range = domain.map((name) => shapes[name.split(' ')[0]!]);
  return { field: 'method', type: 'nominal', scale: { domain, range }, legend: { title: null } };
}
