import type { Encoding } from '../datasets/encoding.js';
import { SetNativeError } from '../errors.js';
import { type NativeLayer, type NativeModel, type NativeModelSpec, native, ofThisRealm } from '../native.js';
import type { WeightSums } from './average.js';
import { modelPieces } from './modelFile.js';

/** Where the training of a model stands. */
export interface TrainingPoint {
  /** Epochs that it was trained for. */
  epochs: number;
  /** The epoch after which its links have yet to evolve. */
  evolutionDue?: number | undefined;
  /** What is to become the mean of its last epochs, while a training is averaged. */
  average?: WeightSums | undefined;
}

/** A model in memory: its network, which a restored one may replace, and where its training stands. */
export class LiveModel {
  readonly spec: NativeModelSpec;
  readonly encoding: Encoding | undefined;
  point: TrainingPoint;
  /** Whether its weights are no numbers any more. */
  diverged = false;
  #network: NativeModel;
  #disposed = false;

  constructor(
    network: NativeModel,
    spec: NativeModelSpec,
    {
      epochs = 0,
      evolutionDue,
      average,
      encoding,
    }: Partial<TrainingPoint> & { encoding?: Encoding | undefined },
  ) {
    this.#network = network;
    this.spec = spec;
    this.encoding = encoding;
    this.point = { epochs, evolutionDue, average };
  }

  get network(): NativeModel {
    return this.#network;
  }

  get disposed(): boolean {
    return this.#disposed;
  }

  /** Puts a network of such layers, which is sound, in the place of the present one. */
  async restore(layers: NativeLayer[], point: TrainingPoint): Promise<void> {
    const network = await native().createModel(this.spec, layers);
    if (this.#disposed) return network.dispose();
    this.#network.dispose();
    this.#network = network;
    this.point = point;
    this.diverged = false;
  }

  /** Whether all weights and biases are finite numbers. */
  async isFinite(): Promise<boolean> {
    const layers = ofThisRealm(await this.#network.download());
    return layers.every(({ weights, bias }) => weights.every(Number.isFinite) && bias.every(Number.isFinite));
  }

  /** Throws ERR_NON_FINITE where the training diverged. */
  checkSound(operation: string): void {
    if (this.diverged) {
      throw new SetNativeError(
        'ERR_NON_FINITE',
        `[${operation}] the training of this model diverged: its weights are no numbers any more; save it before, ` +
          'or train a new one with a lower learning rate or scaled data',
      );
    }
  }

  /** The bytes of its file, in pieces. Rejects with ERR_NON_FINITE where its training diverged. */
  async pieces(operation: string, { optimizer }: { optimizer: boolean }): Promise<Uint8Array[]> {
    this.checkSound(operation);
    const layers = ofThisRealm(await this.#network.download());
    return modelPieces({ spec: this.spec, layers, ...this.point, encoding: this.encoding }, { optimizer });
  }

  /** Stops what runs, and frees the memory. May be called again. */
  dispose(): void {
    this.#disposed = true;
    this.#network.dispose();
  }
}
