import { statSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { Argument, Command } from 'commander';
import type { Encoding } from '../datasets/encoding.js';
import type { Column } from '../datasets/types.js';
import { readSafetensors } from '../files/safetensors.js';
import { count, integer } from '../report/terminal/format.js';
import { plainTable } from '../report/terminal/plainTable.js';
import { type LayerData, SparseMLP } from '../training/model.js';
import type { ModelOptions } from '../training/options.js';
import { filePath } from './options.js';

export function inspectCommand(): Command {
  return new Command('inspect')
    .description(
      "show what a model's file holds: layers, degrees, ages of links, how it was trained, encoding",
    )
    .addArgument(new Argument('<file>', 'a file of `set-native train --save`').argParser(filePath))
    .option('--json', 'print it as JSON')
    .addHelpText(
      'after',
      `
Degrees count the links of a neuron, to those in front of it (out) and from those behind (in). The age of a link is the
number of epochs since evolution grew it; a link of the start is as old as the model.

Examples:
  $ set-native inspect iris.safetensors
  $ set-native inspect iris.safetensors --json | jq .layers`,
    )
    .action(async (file: string, { json }: { json?: boolean }) => {
      const facts = await inspectModel(file);
      process.stdout.write(`${json ? JSON.stringify(facts, undefined, 2) : describe(facts)}\n`);
    });
}

/** Least, median and largest of some numbers. */
interface Spread {
  min: number;
  median: number;
  max: number;
}

interface LayerFacts {
  inputs: number;
  outputs: number;
  activation: string;
  dense: boolean;
  links: number;
  density: number;
  /** Links of a source, and of a target. */
  outDegree: Spread;
  inDegree: Spread;
  /** Ages of links in epochs; absent where the file does not hold them, and of dense layers. */
  age?: Spread;
}

interface ModelFacts {
  file: string;
  bytes: number;
  links: number;
  parameters: number;
  layers: LayerFacts[];
  /** Options of the network, as `create` takes them. */
  network: Required<Omit<ModelOptions, 'threads' | 'backend' | 'batching' | 'encoding'>>;
  epochs: number;
  /** Whether training can go on to the bits of one that never stopped. */
  resumable: boolean;
  encoding?: Encoding;
}

async function inspectModel(file: string): Promise<ModelFacts> {
  const model = await SparseMLP.load(file, { backend: 'cpu', threads: 1 });
  try {
    // The model is sound, so the metadata are.
    const { tensors, metadata } = readSafetensors(await readFile(file), file);
    const network = JSON.parse(metadata.get('config')!) as ModelFacts['network'];
    const resumable = [...tensors.keys()].some((name) => name.startsWith('optimizer.'));
    const layers = (await model.download()).map((layer) => layerFacts(layer, model.epochs, resumable));
    const sum = (of: (layer: LayerFacts) => number) => layers.reduce((total, layer) => total + of(layer), 0);
    return {
      file,
      bytes: statSync(file).size,
      links: sum(({ links }) => links),
      parameters: sum(({ links, outputs }) => links + outputs),
      layers,
      network,
      epochs: model.epochs,
      resumable,
      ...(model.encoding && { encoding: model.encoding }),
    };
  } finally {
    model.dispose();
  }
}

function layerFacts(layer: LayerData, epochs: number, hasAges: boolean): LayerFacts {
  const { inputs, outputs, dense, activation, rowOffsets, colIndices, birth } = layer;
  const links = layer.weights.length;
  const into = new Uint32Array(outputs).fill(dense ? inputs : 0);
  const from = new Uint32Array(inputs).fill(outputs);
  if (!dense) {
    for (const target of colIndices) into[target]! += 1;
    for (let i = 0; i < inputs; i++) from[i] = rowOffsets[i + 1]! - rowOffsets[i]!;
  }
  return {
    ...{ inputs, outputs, activation, dense, links, density: links / (inputs * outputs) },
    outDegree: spreadOf(from),
    inDegree: spreadOf(into),
    ...(hasAges &&
      !dense &&
      links > 0 && { age: spreadOf(Uint32Array.from(birth, (born) => Math.max(0, epochs - born))) }),
  };
}

function spreadOf(values: Uint32Array): Spread {
  const sorted = values.toSorted();
  const middle = (sorted[(sorted.length - 1) >> 1]! + sorted[sorted.length >> 1]!) / 2;
  return { min: sorted[0]!, median: middle, max: sorted.at(-1)! };
}

function describe(facts: ModelFacts): string {
  const { file, bytes, links, parameters, network, epochs, resumable, encoding } = facts;
  const state = resumable ? 'training can go on' : 'saved without the state of the optimizer';
  const motif = network.topology.startsWith('motif') ? `, motifs of ${network.motifSize}` : '';
  const rows: [string, string][] = [
    ['file', `${file}, ${size(bytes)}`],
    ['network', `${network.layers.join(' → ')}, ${integer(links)} links, ${integer(parameters)} parameters`],
    [
      'drawn',
      `${network.topology}, ε ${network.epsilon}${motif}, weights ${network.init}, seed ${network.seed}`,
    ],
    ['activation', `${network.activation} in hidden layers`],
    ['loss', network.loss],
    ['optimizer', network.optimizer],
    ['trained', `${count(epochs, 'epoch')}; ${state}`],
  ];
  const parts = [
    rows.map(([name, text]) => `${name.padEnd(12)}${text}`).join('\n'),
    layerTable(facts.layers),
  ];
  if (encoding !== undefined) parts.push(...encodingText(encoding));
  return parts.join('\n\n');
}

function size(bytes: number): string {
  return bytes >= 1e6
    ? `${(bytes / 1e6).toFixed(1)} MB`
    : bytes >= 1e3
      ? `${(bytes / 1e3).toFixed(1)} kB`
      : `${bytes} bytes`;
}

function layerTable(layers: LayerFacts[]): string {
  const spread = (value: Spread | undefined) =>
    value === undefined ? '–' : [value.min, value.median, value.max].map(shortNumber).join(' / ');
  const right = ['layer', 'shape', 'links', 'density', 'out-degree', 'in-degree', 'age'];
  const table = plainTable(
    [
      ...right.map((heading) => ({ heading, align: 'right' as const })),
      { heading: 'form', align: 'left' as const },
    ],
    layers.map((layer, k) => [
      String(k + 1),
      `${layer.inputs} × ${layer.outputs}`,
      integer(layer.links),
      `${Number((100 * layer.density).toPrecision(3))} %`,
      spread(layer.outDegree),
      spread(layer.inDegree),
      spread(layer.age),
      `${layer.dense ? 'dense' : 'sparse'}, ${layer.activation}`,
    ]),
  );
  return `${table}\nDegrees and ages (epochs): least / median / most.`;
}

function shortNumber(value: number): string {
  return Number.isInteger(value) ? integer(value) : value.toFixed(1);
}

/** Most columns and names that are shown. */
const mostShown = 20;

function encodingText({ columns, scaling, order, classNames, targets }: Encoding): string[] {
  const list = (names: readonly string[]) =>
    names.slice(0, mostShown).map(printable).join(', ') +
    (names.length > mostShown ? `, ... (${names.length} in all)` : '');
  const predicts: [string, string] =
    classNames === undefined ? ['targets', list(targets!.names)] : ['classes', list(classNames)];
  const text: [string, string][] = [predicts];
  if (order !== undefined) {
    const names = columns?.flatMap(featuresOf);
    text.push(['inputs', list(order.map((feature) => names?.[feature] ?? `feature ${feature}`))]);
  }
  const { offset, divisor, fill } = scaling;
  if (columns === undefined) {
    const scaled = divisor.some((value, i) => value !== 1 || offset[i] !== 0);
    text.push(['features', `${offset.length} numbers, ${scaled ? 'scaled' : 'as they are'}`]);
    return [text.map(([name, words]) => `${name.padEnd(12)}${words}`).join('\n')];
  }
  let at = 0;
  const rows = columns.slice(0, mostShown).map((column) => {
    const first = at;
    if ('categories' in column) {
      at += column.categories.length;
      return [printable(column.name), `words: ${list(column.categories)}`, '', ''];
    }
    at += 1;
    const by = divisor[first];
    const missing = fill === undefined ? '' : `, missing: ${short(fill[first]!)}`;
    return [
      printable(column.name),
      `number${missing}`,
      short(offset[first]!),
      by === null ? 'constant: 0' : short(by!),
    ];
  });
  const table = plainTable(
    [
      { heading: 'column', align: 'left' },
      { heading: 'holds', align: 'left' },
      { heading: 'minus', align: 'right' },
      { heading: 'divided by', align: 'right' },
    ],
    rows,
  );
  const more =
    columns.length > mostShown ? `\n${columns.length - mostShown} more columns: --json has them` : '';
  return [text.map(([name, words]) => `${name.padEnd(12)}${words}`).join('\n'), `${table}${more}`];
}

/** Names of the features that a column makes. */
function featuresOf(column: Column): string[] {
  if (!('categories' in column)) return [column.name];
  return column.categories.map((word) => `${column.name}: ${word}`);
}

function short(value: number | undefined): string {
  return value === undefined ? '' : String(Number(value.toPrecision(4)));
}

/** Text of a file that is safe on a terminal. */
function printable(text: string): string {
  const shown = text.length > 60 ? `${text.slice(0, 60)}…` : text;
  return shown.replace(/\p{Cc}/gu, '\ufffd');
}
