import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';

const root = path.join(import.meta.dirname, '..', '..');
const sources = execFileSync(
  'git',
  ['ls-files', '*.ts', '*.js', '*.h', '*.cpp', '*.cuh', '*.cu', '*.metal', '*.mm'],
  {
    cwd: root,
    encoding: 'utf8',
  },
)
  .trim()
  .split('\n');

/** Whether a line is nothing but a comment. A long address cannot be wrapped. */
const isComment = (line: string) => /^\s*(\/\/|\/?\*)/.test(line) && !/https?:\/\/\S{60}/.test(line);

test('comments wrap at 110 columns, as code does by the formatters', () => {
  const wide = sources.flatMap((file) =>
    readFileSync(path.join(root, file), 'utf8')
      .split('\n')
      .flatMap((line, at) => (isComment(line) && line.length > 110 ? [`${file}:${at + 1}`] : [])),
  );
  expect(wide).toEqual([]);
});

test('no list is spread into Math.min or Math.max: a long one would overflow the stack', () => {
  const spread = sources
    .filter((file) => file.startsWith('src/'))
    .filter((file) =>
      /^(?!\s*\*).*Math\.(min|max)\([^)]*\.\.\./m.test(readFileSync(path.join(root, file), 'utf8')),
    );
  expect(spread).toEqual([]);
});
