import type { BenchResults, BenchRun } from './results.js';

/**
 * Pieces of the results file, with one line per epoch. A whole file may be longer than one string can be,
 * because the report of an epoch grows with the epochs before it.
 */
export function* resultsJson(results: BenchResults): Generator<string> {
  yield '{\n';
  let separator = '';
  for (const [key, value] of Object.entries(results)) {
    yield `${separator}  "${key}": `;
    if (key === 'runs') yield* list(results.runs, '  ', runJson);
    else yield indented(value, '  ');
    separator = ',\n';
  }
  yield '\n}\n';
}

function* runJson(run: BenchRun): Generator<string> {
  yield '{\n';
  let separator = '';
  for (const [key, value] of Object.entries(run)) {
    yield `${separator}      "${key}": `;
    if (key === 'epochs') yield* list(run.epochs, '      ', (epoch) => [JSON.stringify(epoch)]);
    else yield JSON.stringify(value);
    separator = ',\n';
  }
  yield '\n    }';
}

function* list<T>(items: T[], indent: string, item: (value: T) => Iterable<string>): Generator<string> {
  if (items.length === 0) return yield '[]';
  let separator = '[\n';
  for (const value of items) {
    yield `${separator}${indent}  `;
    yield* item(value);
    separator = ',\n';
  }
  yield `\n${indent}]`;
}

function indented(value: unknown, indent: string): string {
  return JSON.stringify(value, undefined, 2).replaceAll('\n', `\n${indent}`);
}
