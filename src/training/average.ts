import { setImmediate as otherEvents } from 'node:timers/promises';
import { type NativeLayer, type NativeModel, ofThisRealm } from '../native.js';
import { isOpen } from './schedule.js';

/*
 * Averaging of weights: a training ends with the mean of its networks after the last epochs, which lies
 * nearer to the middle of what they wander through than any of them (Izmailov et al. 2018). Networks of
 * different links have no mean.
 */

/** Arrays of a layer that may be averaged. */
export type AveragedArray = 'weights' | 'bias' | 'pieces';

/** Those that a layer learns. */
export function averagedArrays({ activation }: Pick<NativeLayer, 'activation'>): AveragedArray[] {
  return activation === 'srelu' ? ['weights', 'bias', 'pieces'] : ['weights', 'bias'];
}

/** What a network learned, summed over epochs in a row in which its links stayed. Arrays never change. */
export interface WeightSums {
  /** Number of epochs, the last of them the last one that the model was trained for. */
  epochs: number;
  layers: Partial<Record<AveragedArray, Float64Array<ArrayBuffer>>>[];
}

/** Numbers that are computed at once, before other events have their turn: about a millisecond. */
const piece = 2 ** 18;

/** Calls `compute` with the ends of pieces of an array, one after the other. */
async function inPieces(length: number, compute: (begin: number, end: number) => void): Promise<void> {
  for (let begin = 0; begin < length; begin += piece) {
    if (begin > 0) await otherEvents();
    compute(begin, Math.min(begin + piece, length));
  }
}

/** The sums with one epoch more. */
async function plus(sums: WeightSums | undefined, layers: NativeLayer[]): Promise<WeightSums> {
  const added: WeightSums['layers'] = [];
  for (const [k, layer] of layers.entries()) {
    const arrays: WeightSums['layers'][number] = {};
    for (const name of averagedArrays(layer)) {
      const values = layer[name];
      const before = sums?.layers[k]?.[name];
      const sum = new Float64Array(values.length);
      await inPieces(sum.length, (begin, end) => {
        for (let i = begin; i < end; i++)
          sum[i] = before === undefined ? values[i]! : before[i]! + values[i]!;
      });
      arrays[name] = sum;
    }
    added.push(arrays);
  }
  return { epochs: (sums?.epochs ?? 0) + 1, layers: added };
}

/** The layers with the means in the place of what they learned. */
export async function averagedLayers(
  layers: NativeLayer[],
  { epochs, layers: sums }: WeightSums,
): Promise<NativeLayer[]> {
  const averaged: NativeLayer[] = [];
  for (const [k, layer] of layers.entries()) {
    const means: Partial<Record<AveragedArray, Float32Array>> = {};
    for (const name of averagedArrays(layer)) {
      const sum = sums[k]![name]!;
      const mean = new Float32Array(sum.length);
      await inPieces(mean.length, (begin, end) => {
        for (let i = begin; i < end; i++) mean[i] = sum[i]! / epochs;
      });
      means[name] = mean;
    }
    averaged.push({ ...layer, ...means });
  }
  return averaged;
}

/** Whether an epoch of a run, of so many epochs, counts where a share of them comes before the average. */
export function isAveraged(share: number, epoch: number, run: number): boolean {
  return !isOpen({ until: share }, { done: epoch, total: run });
}

/** Sums what a network learns in one training, which may go on with the sums of an earlier one. */
export class Averaging {
  readonly #share: number;
  readonly #run: number;
  #sums: WeightSums | undefined;

  /**
   * @param share  share of the run after which its epochs are averaged
   * @param run    epochs of the run
   * @param before epochs trained before, and the sums over the last of them, if there are any
   */
  constructor(share: number, run: number, before: { epochs: number; average?: WeightSums | undefined }) {
    this.#share = share;
    this.#run = run;
    const { epochs, average } = before;
    if (average !== undefined && this.#counts(epochs - average.epochs + 1)) this.#sums = average;
  }

  /** The sums so far; undefined before the first epoch that counts, and when links have evolved. */
  get sums(): WeightSums | undefined {
    return this.#sums;
  }

  /** Adds a network as an epoch has left it, where the epoch counts. */
  async add(epoch: number, network: NativeModel): Promise<void> {
    const before = this.#sums;
    this.#sums = undefined; // without this epoch they would be those of other ones
    if (this.#counts(epoch)) this.#sums = await plus(before, ofThisRealm(await network.download()));
  }

  /** Forgets the sums: the links are others. */
  restart(): void {
    this.#sums = undefined;
  }

  #counts(epoch: number): boolean {
    return isAveraged(this.#share, epoch, this.#run);
  }
}
