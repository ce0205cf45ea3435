import { isSetNativeError } from '../errors.js';
import {
  fromNative,
  type NativeLayerStats,
  type NativeModel,
  type NativeModelSpec,
  type NativeSamples,
} from '../native.js';

/*
 * Warnings of what keeps a network from learning, as far as it can be seen from outside. Each comes once, and
 * stops nothing.
 */

export type TrainingWarningCode =
  | 'SET_NATIVE_LARGE_INPUTS' // features far beyond the scale that initial weights are drawn for
  | 'SET_NATIVE_LARGE_LOSS' // a loss that no untrained network has: the training is about to diverge
  | 'SET_NATIVE_DENSE_LAYER' // a layer that could evolve, if epsilon had not made all of its cells links
  | 'SET_NATIVE_UNREACHABLE_OUTPUT'; // an output that no path of links leads to: the same for every sample

/** A warning of what keeps a network from learning. */
export interface TrainingWarning {
  /** Stable; only ever added to. */
  code: TrainingWarningCode;
  message: string;
  /** Epochs that the model had been trained for; 0: before its first. */
  epoch: number;
}

type Finding = Omit<TrainingWarning, 'epoch'>;

type Network = Pick<NativeModelSpec, 'topology' | 'epsilon' | 'sizes' | 'loss'>;

/** Looks at a model while it trains, and warns once per code. */
export class TrainingWatch {
  readonly #model: NativeModel;
  readonly #network: Network;
  readonly #warn: (warning: TrainingWarning) => void;
  readonly #warned: Set<TrainingWarningCode>;

  /** @param warned codes that the model has been warned of before; new ones are added to it */
  constructor(
    model: NativeModel,
    network: Network,
    warn: (warning: TrainingWarning) => void,
    warned: Set<TrainingWarningCode> = new Set(),
  ) {
    this.#model = model;
    this.#network = network;
    this.#warn = warn;
    this.#warned = warned;
  }

  /** Looks at a model that was never trained. O(links). */
  async network(evolveOutput: boolean): Promise<void> {
    try {
      this.#notice(densityWarning(this.#network, await this.#model.stats(), evolveOutput), 0);
    } catch (error) {
      throw fromNative(error);
    }
    await this.links(0);
  }

  /**
   * Looks at the training samples.
   *
   * @param epoch that they are to train next
   */
  inputs(train: NativeSamples, epoch: number): void {
    this.#notice(inputWarning(train.largest()), epoch - 1);
  }

  /**
   * Looks at the loss of an epoch.
   *
   * @param loss mean over its samples
   */
  loss(loss: number, epoch: number): void {
    this.#notice(lossWarning(loss, epoch, this.#network), epoch);
  }

  /**
   * Looks whether every output has a path. O(links), with a copy of them, for which there may be no memory.
   */
  async links(epoch: number): Promise<void> {
    if (this.#network.topology === 'dense' || this.#warned.has('SET_NATIVE_UNREACHABLE_OUTPUT')) return;
    try {
      const { outputs } = await this.#model.reachability();
      this.#notice(reachWarning(outputs, this.#network.sizes.at(-1)!, epoch), epoch);
    } catch (cause) {
      const error = fromNative(cause);
      if (!isSetNativeError(error, 'ERR_OUT_OF_MEMORY')) throw error;
    }
  }

  #notice(finding: Finding | undefined, epoch: number): void {
    if (finding === undefined || this.#warned.has(finding.code)) return;
    this.#warned.add(finding.code);
    this.#warn({ ...finding, epoch });
  }
}

/**
 * Largest |x| without a warning: standardised features rarely leave ±10, pixels of a bright image are 255.
 */
const largestInput = 100;

/** Largest loss without a warning, in losses of a network that gives all classes the same probability. */
const largestLoss = 100;

/** @param largest |x| of the training samples */
function inputWarning(largest: number): Finding | undefined {
  if (!(largest > largestInput)) return undefined;
  return {
    code: 'SET_NATIVE_LARGE_INPUTS',
    message:
      `the training samples hold features of about ±${nearestPower(largest)}, but weights are drawn for features of about ±1; ` +
      'scale them (prepare does), or the training is likely to diverge',
  };
}

/** The nearest power of ten, so that samples drawn by several seeds have the same text. */
function nearestPower(value: number): string {
  const power = 10 ** Math.round(Math.log10(value));
  return power < 1e6 ? String(power) : power.toExponential().replace('+', '');
}

/** @param loss mean over the epoch */
function lossWarning(loss: number, epoch: number, { sizes, loss: kind }: Network): Finding | undefined {
  const classes = Math.max(2, sizes.at(-1)!);
  const bound = largestLoss * Math.log(classes);
  if (!(loss > bound)) return undefined;
  return {
    code: 'SET_NATIVE_LARGE_LOSS',
    message:
      `the mean training loss of epoch ${epoch} is ${loss.toPrecision(3)}, above ${largestLoss} ln(${classes}) = ` +
      `${bound.toFixed(0)}, ${largestLoss} times that of guessing; scale the features${kind === 'mse' ? ' and targets' : ''} or lower the learning rate`,
  };
}

/**
 * Warns of layers that became dense although a sparse topology was asked for; the output layer counts where
 * it may evolve.
 */
function densityWarning(
  { topology, epsilon }: Pick<NativeModelSpec, 'topology' | 'epsilon'>,
  layers: NativeLayerStats[],
  evolveOutput: boolean,
): Finding | undefined {
  if (topology === 'dense') return undefined;
  const dense = layers.flatMap((layer, i) =>
    layer.dense && (evolveOutput || i + 1 < layers.length)
      ? [`${i + 1} (${layer.inputs} × ${layer.outputs})`]
      : [],
  );
  if (dense.length === 0) return undefined;
  const [subject, verb, object] = dense.length === 1 ? ['layer', 'is', 'it'] : ['layers', 'are', 'them'];
  return {
    code: 'SET_NATIVE_DENSE_LAYER',
    message:
      `${subject} ${dense.join(', ')} ${verb} dense, because epsilon ${epsilon} is large for ${object}: ` +
      `every cell is a link, and ${dense.length === 1 ? 'it' : 'they'} will not evolve; take a smaller epsilon or larger layers`,
  };
}

/**
 * Warns of outputs without a path.
 *
 * @param reached outputs that some input reaches
 */
function reachWarning(reached: number, outputs: number, epoch: number): Finding | undefined {
  if (reached === outputs) return undefined;
  const lost = outputs - reached;
  const when = epoch === 0 ? '' : ` after epoch ${epoch}`;
  return {
    code: 'SET_NATIVE_UNREACHABLE_OUTPUT',
    message:
      reached === 0
        ? `no path leads from any input to any output${when}, so nothing can be learned from the data; take a larger epsilon`
        : `no path leads from any input to ${lost} of ${outputs} outputs${when}: there the network says the same of every ` +
          'sample; take a larger epsilon',
  };
}
