import { expect, test } from 'vitest';
import type { Samples } from '../../../src/index.js';
import { native } from '../../../src/native.js';
import { modelSpec, trainingPlan } from '../../../src/training/options.js';
import { TrainingRun } from '../../../src/training/run.js';
import { sgd } from '../../support/models.js';
import { blobs } from './blobs.js';

/* Models that are trained for more epochs than a link's birth can tell. */

const upload = ({ x, features, labels }: Samples) => new (native().Samples)(x, features, { labels });

test('training goes on beyond epoch 65,535, whose births stand for all later ones', async () => {
  const model = await native().createModel(modelSpec('create', { layers: [20, 60, 60, 4], epsilon: 4 }));
  const train = upload(blobs(40));
  const plan = trainingPlan('fit', { epochs: 5 }, sgd(2));
  const run = new TrainingRun(model, plan, { train }, { epochsBefore: 65_533 });
  let grown = 0;
  for (let epoch = 65_534; epoch <= 65_538; epoch++) {
    const report = await run.next();
    expect(report.epoch).toBe(epoch);
    if (epoch === 65_538) break; // nothing evolves after the last
    expect(report.grown).toBeGreaterThan(0);
    expect(report.linksByBirth).toHaveLength(Math.min(epoch, 65_535) + 1);
    if (epoch >= 65_535) grown += report.grown;
    const last = report.linksByBirth.at(-1)!;
    expect(last).toBeGreaterThanOrEqual(report.grown);
    if (epoch > 65_535) expect(last).toBeGreaterThan(report.grown);
    if (epoch >= 65_535) expect(last).toBeLessThanOrEqual(grown);
  }
  model.dispose();
});

test('the last epoch that there is, 4,294,967,295, works, and the next is refused', async () => {
  const model = await native().createModel(modelSpec('create', { layers: [20, 60, 60, 4], epsilon: 4 }));
  const train = upload(blobs(40));
  const { epoch: plan, policy } = trainingPlan('fit', {}, sgd(2));
  const options = (epoch: number) => plan({ epoch, epochs: epoch, steps: 1 });
  const last = 2 ** 32 - 1;
  await model.trainEpoch(train, options(last));
  expect((await model.evolve({ ...policy!, zeta: 0.3 }, last)).layers[0]!.grown).toBeGreaterThan(0);
  expect((await model.stats())[0]!.linksByBirth).toHaveLength(65_536);
  expect((await model.download())[0]!.birth).toContain(65_535);
  const refusal = expect.objectContaining({
    code: 'ERR_OUT_OF_RANGE',
    message: expect.stringContaining('4294967295'),
  });
  expect(() => model.trainEpoch(train, options(last + 1))).toThrow(refusal);
  expect(() => model.evolve({ ...policy!, zeta: 0.3 }, last + 1)).toThrow(refusal);
  model.dispose();
});
