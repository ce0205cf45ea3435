import { aborted, checkSignal, isSetNativeError } from '../errors.js';
import { fromNative, type NativeModel, type NativeModelSpec, native, ofThisRealm } from '../native.js';
import { averagedLayers, type WeightSums } from '../training/average.js';
import type { TrainingSamples } from '../training/run.js';
import { whenAborted } from '../whenAborted.js';
import type { BenchAverage } from './results.js';

/**
 * Evaluates the mean of the networks that a model was after its last epochs, on a model of its own, and
 * leaves the model as it is. Rejects with ERR_ABORTED where the signal fires, and ERR_NON_FINITE where the
 * mean gives no numbers.
 */
export async function averagedFigures(
  model: NativeModel,
  spec: NativeModelSpec,
  sums: WeightSums,
  { test, validation }: TrainingSamples,
  signal: AbortSignal | undefined,
): Promise<BenchAverage> {
  const stage = 'while an average was evaluated';
  const layers = await averagedLayers(ofThisRealm(await model.download()), sums);
  checkSignal('bench', signal, stage);
  const mean = await native().createModel(spec, layers);
  const forget = whenAborted(signal, () => mean.abort());
  try {
    checkSignal('bench', signal, stage);
    const tested = await mean.evaluate(test!);
    checkSignal('bench', signal, stage);
    const held = validation && (await mean.evaluate(validation));
    return {
      testAccuracy: tested.accuracy,
      testLoss: tested.loss,
      ...(held && { validationAccuracy: held.accuracy }),
      epochs: sums.epochs,
    };
  } catch (cause) {
    const error = fromNative(cause);
    const stopped = isSetNativeError(error, 'ERR_ABORTED') && signal?.aborted;
    throw stopped ? aborted('bench', signal, stage) : error;
  } finally {
    forget();
    mean.dispose();
  }
}
