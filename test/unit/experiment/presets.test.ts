import { expect, test } from 'vitest';
import { presetCommand } from '../../../src/cli/commandLines.js';
import { experimentConfig } from '../../../src/experiment/config.js';
import { groupsOf } from '../../../src/experiment/plan.js';
import { presets } from '../../../src/experiment/presets.js';
import { samplesOf } from '../../../src/experiment/samples.js';
import { loadDataset } from '../../../src/index.js';

test.each(presets.map((preset) => [preset.name, preset] as const))(
  '%s is a sound experiment',
  (_, preset) => {
    const config = experimentConfig({ dataset: 'procedural', ...preset.options });
    expect(groupsOf(config).length).toBeGreaterThan(0);
    expect(presetCommand(preset)).toMatch(/^set-native bench( --[a-z-]+ \S+)+$/);
  },
);

test('thesis-fmnist: 16 densities, 4 runs, three readings, and what it stands for can be typed', () => {
  const preset = presets.find(({ name }) => name === 'thesis-fmnist')!;
  expect(presetCommand(preset)).toBe(
    'set-native bench --reading published,described,improved --methods set,set-motif,static --epochs 100 --runs 4 ' +
      '--dataset fashion-mnist --epsilon 1,3,5,7,9,11,13,15,17,19,21,23,25,27,29,31 --init he-dense',
  );
  expect(groupsOf(experimentConfig({ dataset: 'fashion-mnist', ...preset.options }))).toHaveLength(
    16 * 4 * 3,
  );
});

test('set-paper-mnist trains on all samples', () => {
  const { options } = presets.find(({ name }) => name === 'set-paper-mnist')!;
  const dataset = loadDataset('procedural');
  const config = experimentConfig({ dataset: 'procedural', ...options });
  const { train, validation, test } = samplesOf(config, 0, dataset);
  expect([train.count, validation, test.count]).toEqual([10_000, undefined, 2000]);
  expect(groupsOf(config)[0]!.trials.map(({ method }) => method)).toEqual(['static', 'set', 'dense']);
});
