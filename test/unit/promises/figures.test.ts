import { expect, test } from 'vitest';
import type { Evaluation, Samples } from '../../../src/index.js';
import { logitsOf, points, softmax, testModels } from './networks.js';

/* Accuracy, confusion matrix, precision, recall and f1 of `evaluate`, against plain counting. */

const { create } = testModels();

/** Figures of classes that are `labels` and were taken for `taken`. */
function countedOf(labels: ArrayLike<number>, taken: number[], classes: number): Omit<Evaluation, 'loss'> {
  const confusion = Array.from({ length: classes }, () => Array.from({ length: classes }, () => 0));
  taken.forEach((other, row) => {
    confusion[labels[row]!]![other]! += 1;
  });
  const share = (part: number, all: number) => (all === 0 ? 0 : part / all);
  return {
    confusion,
    accuracy: share(taken.filter((other, row) => other === labels[row]).length, taken.length),
    classes: confusion.map((row, k) => {
      const right = row[k]!;
      const support = row.reduce((a, b) => a + b);
      const chosen = confusion.reduce((sum, each) => sum + each[k]!, 0);
      return {
        precision: share(right, chosen),
        recall: share(right, support),
        f1: share(2 * right, chosen + support),
        support,
      };
    }),
  };
}

function expectClose(actual: Evaluation, expected: Omit<Evaluation, 'loss'>) {
  expect(actual.confusion).toEqual(expected.confusion);
  expect(actual.accuracy).toBeCloseTo(expected.accuracy, 10);
  expect(actual.classes).toHaveLength(expected.classes.length);
  actual.classes.forEach((figures, k) => {
    for (const name of ['precision', 'recall', 'f1', 'support'] as const) {
      expect(figures[name], `${name} of class ${k}`).toBeCloseTo(expected.classes[k]![name], 10);
    }
  });
}

const largest = (values: number[]) => values.indexOf(Math.max(...values));

test('three classes, after training', async () => {
  const samples = points(90, { noise: 3 });
  const model = await create();
  await model.fit(samples, { epochs: 3 });
  const logits = logitsOf(await model.download(), samples.x);
  const actual = await model.evaluate(samples);
  expectClose(actual, countedOf(samples.labels, logits.map(largest), 3));
  expect(actual.accuracy).toBeGreaterThan(0.3);
  expect(actual.accuracy).toBeLessThan(1);
  const losses = logits.map((row, i) => -Math.log(softmax(row)[samples.labels[i]!]!));
  expect(actual.loss).toBeCloseTo(losses.reduce((a, b) => a + b) / losses.length, 5);
});

test('classes that no sample has or is taken for: shares of nothing are 0', async () => {
  const samples = points(40);
  const model = await create({ layers: [4, 6, 5] });
  const labels = samples.labels.map((label) => (label === 2 ? 4 : label)); // none of class 2 or 3
  const taken = logitsOf(await model.download(), samples.x).map(largest);
  const actual = await model.evaluate({ ...samples, labels });
  expectClose(actual, countedOf(labels, taken, 5));
  expect(actual.classes[2]!.support).toBe(0);
  for (const { precision, recall, f1 } of actual.classes) {
    for (const figure of [precision, recall, f1]) expect(figure).not.toBeNaN();
  }
});

test('one output: above one half it is the second class', async () => {
  const three = points(60, { noise: 2 });
  const samples: Samples = { ...three, labels: three.labels.map((label) => (label === 0 ? 1 : 0)) };
  const model = await create({ layers: [4, 6, 1], loss: 'sigmoid-binary-cross-entropy' });
  await model.fit(samples, { epochs: 4 });
  const taken = logitsOf(await model.download(), samples.x).map(([logit]) => (logit! > 0 ? 1 : 0));
  expect(new Set(taken).size).toBe(2);
  expectClose(await model.evaluate(samples), countedOf(samples.labels, taken, 2));
});

test('sigmoid outputs of several classes: the largest output counts', async () => {
  const samples = points(60, { noise: 2 });
  const model = await create({ loss: 'sigmoid-binary-cross-entropy' });
  await model.fit(samples, { epochs: 3 });
  const taken = logitsOf(await model.download(), samples.x).map(largest);
  expectClose(await model.evaluate(samples), countedOf(samples.labels, taken, 3));
});

test('many samples, more than one piece: the figures are those of their parts', async () => {
  const samples = points(5000, { noise: 3 });
  const model = await create({ threads: 2 });
  await model.fit(samples, { epochs: 1 });
  const whole = await model.evaluate(samples);
  const parts = [0, 1, 2].map((part) => {
    const [from, to] = [
      [0, 1],
      [1, 1999],
      [1999, 5000],
    ][part]! as [number, number];
    return {
      x: samples.x.slice(from * 4, to * 4),
      labels: samples.labels.slice(from, to),
      count: to - from,
      features: 4,
    };
  });
  const evaluations: Evaluation[] = [];
  for (const part of parts) evaluations.push(await model.evaluate(part));
  const sum = evaluations[0]!.confusion.map((row, a) =>
    row.map((_, b) => evaluations.reduce((total, { confusion }) => total + confusion[a]![b]!, 0)),
  );
  expect(whole.confusion).toEqual(sum);
  const loss = evaluations.reduce((total, each, k) => total + each.loss * parts[k]!.count, 0) / 5000;
  expect(whole.loss).toBeCloseTo(loss, 6);
});
