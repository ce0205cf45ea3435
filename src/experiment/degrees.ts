import type { NativeLayer } from '../native.js';
import type { LayerDegrees } from './results.js';

/** Histograms of the links per neuron of every layer. */
export function degreesOf(layers: NativeLayer[]): LayerDegrees[] {
  return layers.map((layer) => ({
    inputs: layer.inputs,
    outputs: layer.outputs,
    dense: layer.dense,
    in: layer.dense ? [] : histogram(fanIn(layer)),
    out: layer.dense ? [] : histogram(fanOut(layer)),
  }));
}

/** Links of every source. */
export function fanOut({ inputs, rowOffsets }: NativeLayer): Uint32Array {
  return Uint32Array.from({ length: inputs }, (_, source) => rowOffsets[source + 1]! - rowOffsets[source]!);
}

/** Links of every target. */
function fanIn({ outputs, colIndices }: NativeLayer): Uint32Array {
  const counts = new Uint32Array(outputs);
  for (const target of colIndices) counts[target]! += 1;
  return counts;
}

function histogram(degrees: Uint32Array): number[] {
  const counts: number[] = [];
  for (const degree of degrees) {
    while (counts.length <= degree) counts.push(0);
    counts[degree]! += 1;
  }
  return counts;
}
