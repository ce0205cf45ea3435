import { expect, test } from 'vitest';
import { experimentConfig } from '../../../src/experiment/config.js';
import { groupsOf } from '../../../src/experiment/plan.js';

/** How often planning looks at a density. */
function looksAt(densities: number): number {
  let looks = 0;
  const epsilon = new Proxy(
    Array.from({ length: densities }, (_, i) => i + 1),
    {
      get(list, key, receiver) {
        looks += 1;
        return Reflect.get(list, key, receiver);
      },
    },
  );
  const config = experimentConfig({
    dataset: 'procedural',
    readings: ['published', 'described', 'improved'],
  });
  expect(groupsOf({ ...config, epsilon })).toHaveLength(3 * densities);
  return looks;
}

test('planning takes work in proportion to the number of densities', () => {
  expect(looksAt(400) / looksAt(100)).toBeLessThan(5);
});

test('every density has a group in every reading, and the dense network stands beside the largest', () => {
  const config = experimentConfig({ dataset: 'procedural', epsilon: [3, 200_000, 5], motifSize: [1, 2] });
  const groups = groupsOf(config);
  expect(groups.map(({ id }) => id)).toEqual(
    [3, 200_000, 5].map((epsilon) => `seed-0-plain-epsilon-${epsilon}`),
  );
  expect(groups.map(({ trials }) => trials.map(({ method, motifSize }) => `${method} ${motifSize}`))).toEqual(
    [
      ['set 1', 'set-motif 2', 'static 1', 'static 2'],
      ['set 1', 'set-motif 2', 'static 1', 'static 2', 'dense null'],
      ['set 1', 'set-motif 2', 'static 1', 'static 2'],
    ],
  );
  expect(groupsOf({ ...config, methods: ['dense'], motifSize: [2] }).map(({ id }) => id)).toEqual([
    'seed-0-plain-epsilon-200000',
  ]);
});
