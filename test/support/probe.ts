import type { Samples } from '../../src/datasets/types.js';

/*
 * Two plain classifiers in double precision, enough to say how hard a data set is: softmax regression, and a
 * network with one hidden ReLU layer. Stochastic gradient descent, one sample after the other, without
 * momentum.
 */

/** What to train and for how long. `hidden` 0 is softmax regression. */
export interface ProbeOptions {
  classes: number;
  hidden: number;
  epochs: number;
  learningRate: number;
}

/** Trains on `train`, then says which share of `test` is classified rightly. */
export function probeAccuracy(train: Samples, test: Samples, options: ProbeOptions): number {
  const { classes, hidden, epochs, learningRate } = options;
  const inputs = train.features;
  let state = 1;
  const uniform = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state / 2 ** 32) * 2 - 1;
  };
  const bound = Math.sqrt(6 / inputs);
  const w1 = Float64Array.from({ length: hidden * inputs }, () => bound * uniform());
  const b1 = new Float64Array(hidden);
  const width = hidden || inputs;
  const w2 = Float64Array.from({ length: classes * width }, () =>
    hidden ? Math.sqrt(6 / width) * uniform() : 0,
  );
  const b2 = new Float64Array(classes);
  const h = new Float64Array(width);
  const out = new Float64Array(classes);

  /** Scores of one sample in `out`, the last layer's input in `h`. */
  const forward = (x: Float32Array) => {
    for (let j = 0; j < hidden; j++) {
      let sum = b1[j]!;
      for (let i = 0; i < inputs; i++) sum += w1[j * inputs + i]! * x[i]!;
      h[j] = Math.max(0, sum);
    }
    if (hidden === 0) h.set(x);
    for (let c = 0; c < classes; c++) {
      let sum = b2[c]!;
      for (let j = 0; j < width; j++) sum += w2[c * width + j]! * h[j]!;
      out[c] = sum;
    }
  };
  const row = ({ x }: Samples, index: number) => x.subarray(index * inputs, (index + 1) * inputs);

  const dh = new Float64Array(width);
  for (let epoch = 0; epoch < epochs; epoch++) {
    for (let sample = 0; sample < train.count; sample++) {
      const x = row(train, sample);
      forward(x);
      const largest = Math.max(...out);
      let total = 0;
      for (let c = 0; c < classes; c++) total += out[c] = Math.exp(out[c]! - largest);
      dh.fill(0);
      for (let c = 0; c < classes; c++) {
        const step = learningRate * (out[c]! / total - (c === train.labels[sample] ? 1 : 0));
        for (let j = 0; j < width; j++) {
          dh[j]! += step * w2[c * width + j]!;
          w2[c * width + j]! -= step * h[j]!;
        }
        b2[c]! -= step;
      }
      for (let j = 0; j < hidden; j++) {
        if (h[j] === 0) continue;
        for (let i = 0; i < inputs; i++) w1[j * inputs + i]! -= dh[j]! * x[i]!;
        b1[j]! -= dh[j]!;
      }
    }
  }

  let right = 0;
  for (let sample = 0; sample < test.count; sample++) {
    forward(row(test, sample));
    if (out.indexOf(Math.max(...out)) === test.labels[sample]) right++;
  }
  return right / test.count;
}
