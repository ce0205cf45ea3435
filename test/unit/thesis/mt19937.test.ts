import { expect, test } from 'vitest';
import { Mt19937 } from '../../../src/thesis/mt19937.js';

const identity = (count: number) => Uint32Array.from({ length: count }, (_, i) => i);

// Expected values: NumPy 2.4, numpy.random.seed / rand / uniform / shuffle.

test('rand, uniform and shuffle draw what NumPy draws', () => {
  const generator = new Mt19937(0);
  expect([generator.random(), generator.random(), generator.random()]).toEqual([
    0.5488135039273248, 0.7151893663724195, 0.6027633760716439,
  ]);
  expect([generator.uniform(-0.5, 0.25), generator.uniform(-0.5, 0.25)]).toEqual([
    -0.09133761275232732, -0.1822589004958215,
  ]);
  expect(Array.from(generator.shuffle(identity(10)))).toEqual([3, 1, 8, 7, 9, 0, 6, 4, 2, 5]);
});

test('a shuffle of all training samples, and where the generator stands after it', () => {
  const generator = new Mt19937(12345);
  const order = generator.shuffle(identity(60_000));
  expect(Array.from(order.subarray(0, 5))).toEqual([6934, 41100, 22842, 3651, 59270]);
  expect(Array.from(order.subarray(-3))).toEqual([2177, 11749, 20962]);
  expect(generator.random()).toBe(0.27218822451462377);
});

test('a state can be gone back to', () => {
  const generator = new Mt19937(3);
  const values = identity(784);
  for (let i = 0; i < 3; i++) generator.shuffle(values);
  expect(Array.from(values.subarray(0, 5))).toEqual([160, 505, 512, 311, 738]);
  const { state } = generator;
  const next = [generator.next(), generator.next()];
  generator.state = state;
  expect([generator.next(), generator.next()]).toEqual(next);
});
