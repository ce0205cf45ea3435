import { expect, test } from 'vitest';
import { evolutionOf, evolves, evolvesMotifs, ofSingleLinks } from '../../../src/benchMethods.js';
import { type ExperimentConfig, experimentConfig } from '../../../src/experiment/config.js';
import { runExperiment } from '../../../src/experiment/experiment.js';
import { groupsOf } from '../../../src/experiment/plan.js';
import { samplesOf } from '../../../src/experiment/samples.js';
import { setAside } from '../../../src/experiment/setAside.js';
import { type EvolutionOptions, loadDataset, SparseMLP } from '../../../src/index.js';
import { type BenchMethod, benchMethods, usualBenchMethods } from '../../../src/vocabulary.js';

/*
 * Methods of an experiment: each trains as `fit` does with its rules of evolution.
 */

const dataset = loadDataset('procedural');
const tiny = {
  ...{ dataset: 'procedural', hidden: [40, 40], train: 200, validation: 0, test: 100 },
  ...{ epochs: 4, epsilon: [4], motifSize: [4], inputOrder: 'tiles' },
} satisfies Partial<ExperimentConfig>;

const { runs } = await runExperiment({ ...tiny, methods: [...benchMethods] });

const evolutions: Record<Exclude<BenchMethod, 'dense'>, EvolutionOptions> = {
  set: { method: 'set' },
  'set-motif': { method: 'set-motif', motifSize: 4 },
  'set-walk': { method: 'set', grow: 'walk' },
  'set-motif-walk': { method: 'set-motif', motifSize: 4, grow: 'walk' },
  'set-gradient': { method: 'set', grow: 'gradient' },
  'set-motif-gradient': { method: 'set-motif', motifSize: 4, grow: 'gradient' },
  rigl: { method: 'set', grow: 'gradient', prune: 'lowest', regrowInit: 'zero' },
  static: { method: 'static' },
};

test.each(Object.entries(evolutions))('%s trains as fit with its rules does', async (method, evolution) => {
  const { train, test } = samplesOf(experimentConfig(tiny), 0, dataset);
  const model = await SparseMLP.create({
    ...{ layers: [dataset.features, 40, 40, dataset.classes], epsilon: 4, motifSize: 4 },
    topology: evolution.motifSize === undefined ? 'erdos-renyi' : 'motif',
  });
  const { epochs } = await model.fit(train, { epochs: 4, evolution, onWarning: () => {} });
  const { loss, accuracy } = await model.evaluate(test);
  model.dispose();
  const own = runs.find((run) => run.method === method)!;
  const learnt = ({ trainLoss, pruned, grown, linksByBirth }: (typeof epochs)[number]) => ({
    ...{ trainLoss, pruned, grown, linksByBirth },
  });
  expect(own.epochs.map(learnt)).toEqual(epochs.map(learnt));
  expect(own.epochs.at(-1)).toMatchObject({ testLoss: loss, testAccuracy: accuracy });
});

test('no two methods train alike', () => {
  const losses = runs.map(({ epochs }) => epochs.at(-1)!.trainLoss);
  expect(new Set(losses).size).toBe(benchMethods.length);
});

test('rigl grows links of zero, whatever regrowInit says; others do as it says', async () => {
  const methods: BenchMethod[] = ['rigl', 'set-gradient'];
  const losses = async (options: Partial<ExperimentConfig>) => {
    const other = await runExperiment({ ...tiny, methods, ...options });
    return other.runs.map(({ epochs }) => epochs.at(-1)!.trainLoss);
  };
  const [given, fanIn] = [await losses({}), await losses({ regrowInit: 'he-fan-in' })];
  expect(fanIn[0]).toBe(given[0]);
  expect(fanIn[1]).not.toBe(given[1]);
});

test('who names no methods gets the usual ones', () => {
  expect(experimentConfig({ dataset: 'procedural' }).methods).toEqual([...usualBenchMethods]);
});

/** What runs at one epsilon, as `method size`. */
function runsOf(options: Partial<ExperimentConfig>): string[] {
  const groups = groupsOf(experimentConfig({ dataset: 'procedural', epsilon: [5], ...options }));
  return groups.flatMap(({ trials }) => trials.map(({ method, motifSize }) => `${method} ${motifSize}`));
}

test('variants of SET-motif run at every motif size, at size 1 as those of SET, others at size 1', () => {
  expect(
    runsOf({
      methods: ['set-motif-walk', 'set-motif-gradient', 'set-gradient', 'rigl', 'static'],
      motifSize: [1, 4],
    }),
  ).toEqual([
    ...['set-walk 1', 'set-motif-walk 4', 'set-gradient 1', 'set-motif-gradient 4'],
    ...['rigl 1', 'static 1', 'static 4'],
  ]);
  expect(runsOf({ methods: ['set-motif-walk', 'static'], motifSize: [2, 4] })).toEqual([
    ...['set-motif-walk 2', 'set-motif-walk 4', 'static 2', 'static 4'],
  ]);
});

test('the table: a method of motifs has one of single links that differs in nothing else', () => {
  for (const method of benchMethods) {
    const single = ofSingleLinks(method);
    expect(evolvesMotifs(single)).toBe(false);
    expect(evolves(single)).toBe(evolves(method));
    expect(evolutionOf(single).grow).toBe(evolutionOf(method).grow);
    expect(single === method).toBe(evolutionOf(method).method !== 'set-motif');
  }
});

test('readings of the thesis leave out what it does not know, and say so', () => {
  const methods: BenchMethod[] = ['set', 'set-motif', 'set-walk', 'rigl'];
  const given = { methods, motifSize: [2] };
  const config = experimentConfig({
    ...{ ...tiny, ...given, inputOrder: 'given', readings: ['published', 'described', 'improved'] },
  });
  expect(groupsOf(config).map(({ trials }) => trials.map(({ method }) => method).join())).toEqual([
    ...['set,static', 'set,set-motif', 'set,set-motif'],
  ]);
  expect(setAside(config, { methods }, dataset).map((note) => note.replace(/.* uses /, ''))).toEqual([
    ...[
      'static in the place of set-motif, and no set-walk, rigl.',
      'no set-walk, rigl.',
      'no set-walk, rigl.',
    ],
  ]);
  expect(() => experimentConfig({ ...tiny, readings: ['plain', 'improved'], methods: ['rigl'] })).toThrow(
    expect.objectContaining({
      code: 'ERR_OUT_OF_RANGE',
      message:
        '[bench] methods must have one that the reading improved knows: set, set-motif, static, dense; got rigl',
      details: { option: 'methods', value: ['rigl'] },
    }),
  );
});

test('motif sizes are compared within a method and its variant of single links', async () => {
  const { summary } = await runExperiment({
    ...{ ...tiny, epochs: 1, motifSize: [1, 4] },
    methods: ['set-motif', 'set-motif-walk', 'rigl', 'static'],
  });
  const compared = summary.map(({ method, onFrontier }) => [method, onFrontier === null]);
  expect(compared).toEqual([
    ...[['set', false] as const, ['set-motif', false], ['set-walk', false], ['set-motif-walk', false]],
    ...[['rigl', true] as const, ['static', true], ['static', true]],
  ]);
});
