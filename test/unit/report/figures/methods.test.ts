import { expect, test } from 'vitest';
import type { Row } from '../../../../src/report/figures/frame.js';
import { methodColor, methodDash, methodShape, sortOf } from '../../../../src/report/figures/methods.js';
import { loadVega, type Spec } from '../../../../src/report/figures/vega.js';
import { benchMethods } from '../../../../src/vocabulary.js';

const values: Row[] = benchMethods.map((method, i) => ({ method, x: i, y: i })).reverse();
const rangeOf = (channel: Spec) => (channel.scale as { range: unknown[] }).range;

test.each([
  ['colour', methodColor],
  ['dash', methodDash],
  ['shape', methodShape],
])('every method has a %s of its own', (_, channel) => {
  const range = rangeOf(channel(values)).map((mark) => JSON.stringify(mark));
  expect(new Set(range).size).toBe(benchMethods.length);
  expect(range).not.toContain(undefined);
});

test('methods stand in the order of tables, motif sizes of one in that of numbers', () => {
  expect(sortOf(values)).toEqual([...benchMethods]);
  const sizes = ['static 16', 'static', 'set-motif-walk 16', 'set-motif-walk 2', 'set-motif 4', 'set'];
  expect(sortOf(sizes.map((method) => ({ method })))).toEqual([
    ...['set', 'set-motif 4', 'set-motif-walk 2', 'set-motif-walk 16', 'static', 'static 16'],
  ]);
  const [first, second] = rangeOf(methodColor([{ method: 'set-walk' }, { method: 'set-walk 4' }]));
  expect(first).toBe(second);
});

test('every shape can be drawn', async () => {
  const draw = await loadVega();
  const marks = {
    mark: 'point',
    encoding: { x: { field: 'x' }, y: { field: 'y' }, shape: methodShape(values) },
  };
  const svg = await draw({ data: { values }, ...marks });
  const paths = [...svg.matchAll(/aria-roledescription="point"[^>]* d="([^"]+)"/g)].map(([, d]) => d);
  expect(new Set(paths).size).toBe(benchMethods.length);
});
