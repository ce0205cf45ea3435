import type { BenchMethod, Reading, SparseTopologyName } from '../vocabulary.js';

/*
 * What a reading of the thesis makes of the methods, epochs and topology that an experiment is asked for.
 */

/** The epochs whose accuracies the thesis reports. */
export const publishedEpochs = 11;

/**
 * The motif routine of the thesis' program never changed a link: what it printed as SET-motif is the static
 * network.
 */
export function methodsOf({ methods }: { methods: BenchMethod[] }, reading: Reading): BenchMethod[] {
  if (reading !== 'published') return methods;
  return [...new Set(methods.map((method) => (method === 'set-motif' ? 'static' : method)))];
}

/** Epochs of every training of a reading. */
export function epochsOf({ epochs }: { epochs: number }, reading: Reading): number {
  return reading === 'published' ? Math.min(epochs, publishedEpochs) : epochs;
}

/** Topology that all sparse methods share; undefined: each has the one that suits its motif size. */
export function chosenTopology(
  { topology }: { topology?: SparseTopologyName },
  reading: Reading,
): SparseTopologyName | undefined {
  if (reading === 'plain') return topology;
  return reading === 'improved' ? undefined : 'erdos-renyi';
}
