/*
 * SET-motif on MNIST: node mnist.mjs [folder of data sets] [epochs] [samples to train on]
 *
 * `npx set-native data pull mnist` fetches the files; without them the embedded drawings are taken.
 */
import { isSetNativeError, loadDatasetAsync, prepareAsync, SparseMLP } from 'set-native';

const [dataDir, epochs = '10', samples] = process.argv.slice(2);

async function dataset() {
  try {
    return await loadDatasetAsync('mnist', dataDir === undefined ? {} : { dataDir });
  } catch (error) {
    if (!isSetNativeError(error, 'ERR_DATA_NOT_FOUND')) throw error;
    console.log('MNIST was not found: procedural drawings take its place');
    return loadDatasetAsync('procedural');
  }
}
const data = await dataset();
const { train, validation, test } = await prepareAsync(data, {
  validation: 1000,
  ...(samples && { train: Number(samples) }),
});

// Layers of whole motifs: two neighbouring pixels linked to one neuron, stored and moved as one.
const model = await SparseMLP.create({
  layers: [data.features, 1000, 1000, data.classes],
  epsilon: 13,
  topology: 'motif',
  motifSize: 2,
});
console.log(await model.summary());

const stop = new AbortController();
process.once('SIGINT', () => stop.abort());
await model.fit(train, {
  epochs: Number(epochs),
  validation,
  learningRate: { schedule: 'cosine', rate: 0.05 },
  evolution: { method: 'set-motif', zeta: { schedule: 'cosine', start: 0.3 } },
  signal: stop.signal,
  onEpoch: ({ epoch, trainLoss, validationAccuracy, trainMs, grown }) =>
    console.log(
      `epoch ${epoch}: loss ${trainLoss.toFixed(4)}, validation accuracy ${validationAccuracy.toFixed(4)}, ` +
        `${grown} links moved, ${trainMs.toFixed(0)} ms`,
    ),
});
console.log(`test accuracy ${(await model.evaluate(test)).accuracy.toFixed(4)}`);
model.dispose();
