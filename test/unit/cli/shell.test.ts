import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { expect, test } from 'vitest';
import { pathWord, shellCommand } from '../../../src/cli/shell.js';

const words = [
  ...[
    'a b',
    '',
    "it's",
    'say "no"',
    '$HOME',
    '`id`',
    '$(id)',
    'a\nb',
    'back\\slash',
    '*',
    '?x',
    '[ab]',
    '{a,b}',
    '!!',
    '~',
    '~/x',
  ],
  ...['#', 'a;b', 'a&b', 'a|b', '<x', '>x', '(x)', '=ls', 'ä ö', "'", '--out', '-x', '\t', 'a=b', '%', '^x'],
];

test.runIf(existsSync('/bin/sh'))('a shell reads back the same words', () => {
  const { stdout } = spawnSync(
    '/bin/sh',
    ['-c', shellCommand([process.execPath, '-e', show, '--', ...words])],
    {
      encoding: 'utf8',
    },
  );
  expect(JSON.parse(stdout)).toEqual(words);
});
const show = 'process.stdout.write(JSON.stringify(process.argv.slice(1)))';

test('what needs no quotes has none', () => {
  const plain = [
    'set-native',
    'bench',
    '--epsilon',
    '1,5',
    '--out',
    './results/x_1',
    'a@b:c%d+e',
    '--json=x.json',
  ];
  expect(shellCommand(plain)).toBe(plain.join(' '));
  expect(shellCommand(['--out', 'a b', "it's", ''])).toBe(`--out 'a b' 'it'\\''s' ''`);
});

test('a file that begins like an option is named so that it is none', () => {
  expect(['-x', 'x', '/x', '--'].map(pathWord)).toEqual(['./-x', 'x', '/x', './--']);
});
