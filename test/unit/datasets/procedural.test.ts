import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { proceduralDataset } from '../../../src/datasets/procedural.js';
import { checkSamples } from '../../../src/datasets/samples.js';
import type { Samples } from '../../../src/datasets/types.js';
import { probeAccuracy } from '../../support/probe.js';

const dataset = proceduralDataset();
const test = dataset.test!;

/** The first `count` images in quarter size (mean of 2 × 2 pixels, 0 .. 1), to keep the probes quick. */
function quarterSize(samples: Samples, count: number): Samples {
  const x = new Float32Array(count * 196);
  for (let image = 0; image < count; image++) {
    for (let pixel = 0; pixel < 784; pixel++) {
      const y = Math.floor(pixel / 28) >> 1;
      x[image * 196 + y * 14 + ((pixel % 28) >> 1)]! += samples.x[image * 784 + pixel]! / (4 * 255);
    }
  }
  return { x, labels: samples.labels.slice(0, count), count, features: 196 };
}

describe('the procedural data set', () => {
  it('has the promised sizes, whole pixel values and balanced classes', () => {
    expect(dataset).toMatchObject({ features: 784, classes: 10, imageShape: [28, 28], source: 'embedded' });
    for (const [samples, count] of [
      [dataset.train, 10_000],
      [test, 2_000],
    ] as const) {
      expect(samples.count).toBe(count);
      checkSamples(samples, { where: 'procedural', classes: 10 });
      expect(samples.x.every((value) => Number.isInteger(value) && value >= 0 && value <= 255)).toBe(true);
      for (let label = 0; label < 10; label++) {
        expect(samples.labels.filter((other) => other === label).length).toBe(count / 10);
      }
    }
  });

  it('is the same bytes on every machine', () => {
    const hash = createHash('sha256');
    for (const { x, labels } of [dataset.train, test])
      hash.update(Uint8Array.from(x)).update(Uint8Array.from(labels));
    expect(hash.digest('hex')).toBe('83e414aa3bb046291be01c28592496eaeab5e77556e5d6e27037f4d34d348850');
  });

  it('repeats no train image in the test set', () => {
    const keys = ({ x, count }: Samples) =>
      Array.from({ length: count }, (_, i) =>
        createHash('sha1')
          .update(Uint8Array.from(x.subarray(784 * i, 784 * (i + 1))))
          .digest('hex'),
      );
    expect(new Set([...keys(dataset.train), ...keys(test)]).size).toBe(12_000);
  });

  it('is learnable, and hard for a linear model', () => {
    const small = quarterSize(dataset.train, 4000);
    const held = quarterSize(test, 1000);
    const linear = probeAccuracy(small, held, { classes: 10, hidden: 0, epochs: 5, learningRate: 0.02 });
    const network = probeAccuracy(small, held, { classes: 10, hidden: 48, epochs: 8, learningRate: 0.02 });
    expect(linear).toBeGreaterThan(0.2);
    expect(linear).toBeLessThan(0.5);
    expect(network).toBeGreaterThan(0.7);
  });
});
