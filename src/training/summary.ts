import type { NativeModelSpec } from '../native.js';

export interface LayerSummary {
  inputs: number;
  outputs: number;
  /** Whether all cells are links, because the link probability reached 1. Such a layer never evolves. */
  dense: boolean;
  nnz: number;
  /** nnz / (inputs · outputs) */
  density: number;
  /**
   * Links by the epoch whose evolution grew them; [0] = initial links, [65535] = of that epoch and all later
   * ones.
   */
  linksByBirth: number[];
}

/** Columns of a summary, and what each layer has in them. */
const columns: [title: string, of: (layer: LayerSummary, k: number) => string][] = [
  ['layer', (_, k) => String(k + 1)],
  ['shape', ({ inputs, outputs }) => `${inputs} × ${outputs}`],
  ['links', ({ nnz, dense }) => `${nnz}${dense ? ' (dense)' : ''}`],
  ['density', ({ density }) => `${(100 * density).toPrecision(3)} %`],
  ['parameters', ({ nnz, outputs }) => String(nnz + outputs)],
];

/** A table of the layers of a model, and a line on the whole of it. Parameters are weights and biases. */
export function summaryOf(spec: NativeModelSpec, layers: LayerSummary[], epochs: number): string {
  const table = [
    columns.map(([title]) => title),
    ...layers.map((layer, k) => columns.map(([, of]) => of(layer, k))),
  ];
  const widths = columns.map((_, c) => table.reduce((width, row) => Math.max(width, row[c]!.length), 0));
  const lines = table.map((row) => row.map((cell, c) => cell.padStart(widths[c]!)).join('  '));
  const links = layers.reduce((sum, { nnz }) => sum + nnz, 0);
  const biases = layers.reduce((sum, { outputs }) => sum + outputs, 0);
  const activation = `${spec.activation} inside, loss ${spec.loss}, ${spec.optimizer}`;
  const trained = `trained for ${epochs} ${epochs === 1 ? 'epoch' : 'epochs'}`;
  return [...lines, `${links + biases} parameters, ${activation}, ${trained}`].join('\n');
}
