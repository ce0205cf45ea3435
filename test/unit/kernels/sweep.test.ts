import { expect, test } from 'vitest';
import { exponents, fittedExponent, sweepLinks } from '../../../src/kernels/sweep.js';
import { sweepSpec } from '../../../src/report/figures/kernelSweep.js';
import { loadVega } from '../../../src/report/figures/vega.js';
import { point } from './results.js';

test('links go up by threes and tens, to the end that was asked for', () => {
  expect(sweepLinks(1e8)).toEqual([1e5, 3e5, 1e6, 3e6, 1e7, 3e7, 1e8]);
  expect(sweepLinks(2.9e6)).toEqual([1e5, 3e5, 1e6]);
  expect(sweepLinks(1)).toEqual([1e5]);
});

test.each([0.5, 1, 1.7])('the exponent of x^%d is found, whatever the factor', (k) => {
  expect(fittedExponent([1e5, 3e5, 1e6, 1e8].map((x) => [x, 7 * x ** k]))).toBeCloseTo(k, 10);
});

test('the exponent of points off the line is that of least squares', () => {
  // logarithms (0, 0), (1, 2), (2, 1) in base e: slope 1 / 2
  expect(fittedExponent([1, Math.E, Math.E ** 2].map((x, i) => [x, Math.exp([0, 2, 1][i]!)]))).toBeCloseTo(
    0.5,
    10,
  );
});

test('exponents are of total times, one set per motif size with two points or more', () => {
  const points = [
    point({ nnz: 1e5, trainNsPerLink: 4, evolveNsPerLink: 10 }),
    point({ nnz: 1e7, trainNsPerLink: 4, evolveNsPerLink: 100 }),
    { links: 1e8, neurons: 1e6, motifSize: 1, threads: 2, failure: 'no memory' },
    point({ motifSize: 4 }),
  ];
  expect(exponents(points)).toEqual([
    { motifSize: 1, train: expect.closeTo(1), evolve: expect.closeTo(1.5), initialise: expect.closeTo(1) },
  ]);
});

const sweep = {
  batch: 32,
  points: [
    point(),
    point({ links: 1e6, nnz: 1e6, motifSize: 4 }),
    { links: 1e8, neurons: 1e6, motifSize: 1, threads: 2, failure: 'no memory' },
  ],
  exponents: [],
};

test('the figure has every time of every point, both axes logarithmic with unit', () => {
  const { data, encoding } = sweepSpec(sweep) as {
    data: { values: Record<string, unknown>[] };
    encoding: Record<'x' | 'y', { scale: { type: string }; axis: { title: string } }>;
  };
  expect(data.values).toHaveLength(6);
  expect(data.values[0]).toEqual({
    links: 101_776,
    topology: 'single links',
    what: 'training step, batch 32',
    ns: 4,
  });
  expect(data.values[4]).toMatchObject({ links: 1e6, topology: 'motifs of 4', what: 'evolution', ns: 12 });
  expect([encoding.x.scale.type, encoding.y.scale.type]).toEqual(['log', 'log']);
  expect([encoding.x.axis.title, encoding.y.axis.title]).toEqual(['links', 'time per link (ns)']);
});

test('the figure is drawn where the optional packages are installed, and else says how to install them', async () => {
  const draw = await loadVega().catch((error) => error);
  if (draw instanceof Error) {
    expect(draw.message).toContain('npm install vega vega-lite');
    return;
  }
  const svg: string = await draw(sweepSpec(sweep));
  expect(svg).toMatch(/^<svg /);
  for (const text of ['time per link (ns)', 'links', 'motifs of 4', 'initialisation'])
    expect(svg).toContain(`>${text}<`);
});
