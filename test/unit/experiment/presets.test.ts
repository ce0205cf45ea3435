import { expect, test } from 'vitest';
import { presetCommand } from '../../../src/cli/commandLines.js';
import { experimentConfig } from '../../../src/experiment/config.js';
import { groupsOf, networkOf } from '../../../src/experiment/plan.js';
import { presets } from '../../../src/experiment/presets.js';
import { samplesOf } from '../../../src/experiment/samples.js';
import { largest } from '../../../src/extremes.js';
import { loadDataset } from '../../../src/index.js';
import { native } from '../../../src/native.js';

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

/** Links of the network of every training of a preset, as `method size: links`. */
async function linksOf(name: string): Promise<{ arm: string; links: number }[]> {
  const { options } = presets.find((preset) => preset.name === name)!;
  const config = experimentConfig({ ...options, dataset: 'procedural', threads: 1, backend: 'cpu' });
  const drawn = groupsOf(config).flatMap(({ trials }) =>
    trials.map(async (trial) => {
      const model = await native().createModel(networkOf(config, trial, { features: 784, classes: 10 }));
      const links = (await model.stats()).reduce((sum, { nnz }) => sum + nnz, 0);
      model.dispose();
      return { arm: `${trial.method} ${trial.motifSize}`, links };
    }),
  );
  return await Promise.all(drawn);
}

test('evolution: growth of each kind, of single links and motifs, in networks of about 76,000 links', async () => {
  const links = await linksOf('evolution');
  expect(links.slice(0, links.length / 5).map(({ arm }) => arm)).toEqual([
    ...['static 1', 'static 4', 'set 1', 'set-motif 4', 'set-walk 1', 'set-motif-walk 4'],
    ...['set-gradient 1', 'set-motif-gradient 4', 'rigl 1'],
  ]);
  for (const { arm, links: own } of links) expect(Math.abs(own - 76_000), arm).toBeLessThan(760);
});

test('the best: SET-motif of patches, on MNIST with at most 89,797 links', async () => {
  const fashion = await linksOf('best-fashion-mnist');
  expect(fashion.map(({ arm }) => arm)).toEqual(Array(5).fill('set-motif 4'));
  const links = (await linksOf('best-mnist')).map(({ links: own }) => own);
  expect(largest(links)).toBe(89_652);
});
