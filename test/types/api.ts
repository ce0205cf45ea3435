/*
 * The public types as a user of the built package meets them. Compiled, never run: a line that must not
 * compile is marked, and the compiler complains when it does.
 */

import {
  type Dataset,
  type EpochReport,
  type ErrorCode,
  type ErrorDetails,
  type History,
  type InputOrder,
  info,
  isSetNativeError,
  listDatasets,
  loadDataset,
  type NpzOptions,
  type NpzSource,
  prepare,
  type Samples,
  SetNativeError,
  SparseMLP,
} from 'set-native';
import { type BenchResults, experimentDefaults, renderTable, runExperiment } from 'set-native/bench';

export async function train(signal: AbortSignal): Promise<History> {
  const dataset: Dataset = loadDataset('procedural');
  const { train, test } = prepare(dataset, { seed: 0, train: 1000, test: 200 });
  const orders: InputOrder[] = ['tiles', { tiles: 4, shape: [28, 28] as const }, [1, 0], Uint32Array.of(0)];
  const order: number[] | undefined = prepare(dataset, { inputOrder: orders[0]! }).encoding.order;
  const model: SparseMLP = await SparseMLP.create({
    layers: [dataset.features, 300, 300, dataset.classes] as const,
    topology: 'motif',
    seed: 1,
  });
  const history = await model.fit(train, {
    validation: test,
    epochs: 10,
    learningRate: (epoch) => 0.05 / epoch,
    weightDecayMode: 'l2',
    evolution: { method: 'set-motif', zeta: 0.3 },
    onEpoch: ({ epoch, validationAccuracy }: EpochReport) =>
      console.log(epoch, validationAccuracy?.toFixed(3)),
    signal,
  });
  const { accuracy }: { accuracy: number } = await model.evaluate(test);
  const outputs: Float32Array = await model.predict(test.x);
  const links: number = (await model.layers()).reduce((sum, layer) => sum + layer.nnz, 0);
  const weights: Float32Array | undefined = (await model.download())[0]?.weights;
  await model.exportNpz(new URL('file:///weights'), { signal: AbortSignal.timeout(1000) });
  const given: NpzOptions = { activation: 'tanh', loss: 'mse', encoding: model.encoding!, threads: 2 };
  const sources: NpzSource[] = ['weights', ['layer0.npz', new Uint8Array(0)], new URL('file:///weights')];
  for (const source of sources) (await SparseMLP.fromNpz(source, given)).dispose();
  // @ts-expect-error sizes are those of the layers
  await SparseMLP.fromNpz('weights', { layers: [2, 3] });
  console.log(accuracy, outputs, links, weights, order);
  model.dispose();
  return history;
}

export async function bench(): Promise<string> {
  const results: BenchResults = await runExperiment({
    dataset: listDatasets()[0]!.name,
    methods: ['set', 'dense'],
    epsilon: experimentDefaults.epsilon,
  });
  const spread: number | null = results.summary[0]!.finalAccuracy.spread;
  return `${renderTable(results, { color: false })} ${spread} ${info().isa.used}`;
}

export function wasStopped(error: SetNativeError): unknown {
  const name: 'SetNativeError' | 'AbortError' = error.name;
  return name === 'AbortError' ? error.cause : undefined;
}

export function codeOf(error: unknown): ErrorCode | undefined {
  return error instanceof SetNativeError ? error.code : undefined;
}

export function detailsOf(error: unknown): unknown {
  if (isSetNativeError(error, 'ERR_DATA_NOT_FOUND')) {
    const details: ErrorDetails['ERR_DATA_NOT_FOUND'] = error.details;
    const tried: string[] | undefined = details.tried;
    // @ts-expect-error a detail of another code
    error.details.history;
    // @ts-expect-error it has been told apart
    return error.code === 'ERR_IO' ? undefined : tried;
  }
  if (isSetNativeError(error, 'ERR_ABORTED')) {
    const history: History | undefined = error.details.history;
    return history;
  }
  // @ts-expect-error no such code
  if (isSetNativeError(error, 'ERR_TIMEOUT')) return undefined;
  // @ts-expect-error nor such a detail
  new SetNativeError('ERR_IO', 'no', { details: { tried: [] } });
  return error instanceof SetNativeError ? error.details.option : undefined;
}

/** Results of whatever kind of work has stopped. */
export function resultsOf(error: SetNativeError): BenchResults | undefined {
  const { results } = error.details;
  return results !== undefined && 'command' in results ? results : undefined;
}

export async function mistakes(model: SparseMLP, samples: Samples): Promise<void> {
  // @ts-expect-error layers are needed
  await SparseMLP.create({ epsilon: 13 });
  // @ts-expect-error no such topology
  await SparseMLP.create({ layers: [4, 2], topology: 'ring' });
  // @ts-expect-error the thesis' sigma is epsilon here
  await SparseMLP.create({ layers: [4, 2], sigma: 13 });
  // @ts-expect-error dense is a topology, no evolution method
  await model.fit(samples, { evolution: { method: 'dense' } });
  // @ts-expect-error plain arrays are not taken
  await model.predict([1, 2, 3]);
  // @ts-expect-error samples are one object
  await model.fit(samples.x, samples.labels);
  // @ts-expect-error all samples count alike
  await model.fit({ ...samples, sampleWeight: samples.x });
  // @ts-expect-error models are made by create
  new SparseMLP();
  // @ts-expect-error a data set is needed
  await runExperiment({ epochs: 1 });
}
