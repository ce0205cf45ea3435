import { expect, test } from 'vitest';
import { runExperiment } from '../../../src/bench.js';
import { resultsJson } from '../../../src/experiment/json.js';

test('the file is the same object, with one epoch per line', async () => {
  const results = await runExperiment({
    ...{ dataset: 'procedural', hidden: [20, 20], train: 60, test: 30 },
    ...{ epsilon: [2], methods: ['set', 'dense'], epochs: 3 },
  });
  results.runs[1]!.failure = { code: 'ERR_NON_FINITE', message: 'as if' };
  const text = [...resultsJson(results)].join('');
  expect(JSON.parse(text)).toEqual(results);
  expect(text.match(/^ +\{"epoch":\d.*\},?$/gm)).toHaveLength(6);
  expect(text).toMatch(/^ {2}"environment": \{\n {4}"version"/m);
});

test('no runs and no epochs are empty lists', () => {
  const text = (runs: object[]) => [...resultsJson({ runs } as never)].join('');
  expect(text([])).toBe('{\n  "runs": []\n}\n');
  expect(JSON.parse(text([{ method: 'set', epochs: [] }]))).toEqual({
    runs: [{ method: 'set', epochs: [] }],
  });
});

test('no piece grows with the number of epochs but by its own line', () => {
  const linksByBirth = Array.from({ length: 1000 }, () => 12_345);
  const epochs = Array.from({ length: 1000 }, () => ({ linksByBirth }));
  const longest = Math.max(...[...resultsJson({ runs: [{ epochs }] } as never)].map((piece) => piece.length));
  expect(longest).toBeLessThan(7000);
});
