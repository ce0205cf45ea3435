import { checkBoolean, checkKeys, checkNumber, wholeNumber } from '../checks.js';
import type { Encoding } from '../datasets/encoding.js';
import { checkImageShape } from '../datasets/imageShape.js';
import type { ImageShape } from '../datasets/types.js';
import { SetNativeError } from '../errors.js';
import type { NativeAugmentation, NativeModelSpec, NativeSamples } from '../native.js';
import { errorOfCall } from './run.js';

/*
 * Augmentation of images in training: what the options say, as the addon takes it. The addon draws, and moves
 * the pixels.
 */

/** How the images of a training are changed, in each epoch anew. */
export interface AugmentOptions {
  /**
   * Largest shift in pixels, a whole number below rows and columns of the image. Each image is shifted along
   * rows and along columns, by -shift to shift, each as probable. What comes in at the edge has the raw value
   * 0. Default 0.
   */
  shift?: number;
  /** Whether each image is mirrored, left to right, with probability 1/2. Default false. */
  flip?: boolean;
  /** Shape of an image. A data set has it as `imageShape`. */
  shape?: Readonly<ImageShape>;
}

/** `AugmentOptions`, checked and complete. */
export interface Augmentation {
  shift: number;
  flip: boolean;
  shape: Readonly<ImageShape>;
}

/** Checked, with defaults; undefined where images stay as they are. */
export function checkAugment(
  operation: string,
  augment: AugmentOptions,
  inputs: number,
): Augmentation | undefined {
  checkKeys(operation, augment, ['shift', 'flip', 'shape'], { of: 'augment' });
  const { shift = 0, flip = false, shape: given } = augment;
  checkNumber(operation, 'augment.shift', shift, wholeNumber(0, 2 ** 31 - 1));
  checkBoolean(operation, 'augment.flip', flip);
  if (given === undefined) {
    if (shift === 0 && !flip) return undefined;
    throw new SetNativeError(
      'ERR_INVALID_ARGUMENT',
      `[${operation}] augment takes the shape of an image of ${inputs} pixels: give augment.shape, [rows, columns] or, of ` +
        'several channels, [rows, columns, channels]; a data set has it as imageShape',
      { details: { option: 'augment.shape' } },
    );
  }
  const shape = checkImageShape(operation, 'augment.shape', given, inputs);
  const [rows, columns] = shape;
  const side = Math.min(rows, columns);
  checkNumber(operation, 'augment.shift', shift, {
    text: `a whole number from 0 to ${side - 1}, below the smaller side of an image of ${shape.join(' × ')} pixels`,
    accepts: (value) => value < side,
  });
  return shift === 0 && !flip ? undefined : { shift, flip, shape };
}

/** What decides how the images of a model are augmented, beside the options. */
interface AugmentedModel {
  spec: Pick<NativeModelSpec, 'seed' | 'threads'>;
  /** How its samples were scaled and put in order; undefined: they are raw. */
  encoding?: Encoding | undefined;
}

/** Makes the samples of an epoch, which the caller frees; draws depend on the model's seed and the epoch. */
export function augmenting(
  operation: string,
  samples: NativeSamples,
  { shift, flip, shape: [rows, columns, channels = 1] }: Augmentation,
  { spec: { seed, threads }, encoding }: AugmentedModel,
): (epoch: number) => Promise<NativeSamples> {
  const options: NativeAugmentation = {
    ...{ seed, rows, columns, channels, shift, flip, padding: 0 },
    ...(encoding && {
      offset: Float64Array.from(encoding.scaling.offset),
      divisor: Float64Array.from(encoding.scaling.divisor, (value) => value ?? Infinity),
    }),
    ...(encoding?.order && { order: Uint32Array.from(encoding.order) }),
  };
  return async (epoch) => {
    try {
      return await samples.augmented(options, epoch, threads);
    } catch (error) {
      throw errorOfCall(operation, error, 'training');
    }
  };
}
