import { Command } from 'commander';
import { expect, test } from 'vitest';
import { exitCode, messageFor } from '../../../src/cli/errors.js';
import { SetNativeError } from '../../../src/errors.js';

const bench = new Command('bench')
  .option('--out <dir>')
  .option('--resume <dir>')
  .option('--data-dir <dir>')
  .option('--reading <list>');

test.each([
  ['[bench] out must name a new folder', '[bench] --out must name a new folder'],
  ['[data] dataDir must name a folder', '[data] --data-dir must name a folder'],
  ['[bench] dir must name a folder', '[bench] --resume must name a folder'],
  ['[bench] readings must be a list', '[bench] --reading must be a list'],
  ['[bench] no report: [bench] out must name a place', '[bench] no report: [bench] --out must name a place'],
  ['[data] name another with `dataDir`', '[data] name another with --data-dir'],
])('%j: options are named as flags of the command', (message, expected) => {
  expect(messageFor(bench, new SetNativeError('ERR_IO', message))).toBe(expected);
});

test.each([
  '[fit] learningRate must be a number',
  '[bench] could not write out: ENOSPC',
  '[data] fetch it with `set-native data pull`; the set `procedural` needs no files',
])('%j: other words stay', (message) => {
  expect(messageFor(bench, new SetNativeError('ERR_IO', message))).toBe(message);
});

test('where a folder can be resumed, the command that does it is named', () => {
  const error = new SetNativeError(
    'ERR_IN_USE',
    '[bench] out must name a new folder, but my runs holds one',
    {
      details: { option: 'out', dir: 'my runs', begun: 'my runs' },
    },
  );
  expect(messageFor(bench, error)).toBe(
    "[bench] --out must name a new folder, but my runs holds one; go on with: set-native bench --resume 'my runs'",
  );
});

test('the exit code is 2 where the command line must be changed', () => {
  expect(exitCode(new SetNativeError('ERR_USAGE', '[bench] no'))).toBe(2);
  expect(exitCode(new SetNativeError('ERR_IO', '[bench] no', { details: { option: 'out' } }))).toBe(2);
  expect(exitCode(new SetNativeError('ERR_IO', '[bench] no'))).toBe(1);
  expect(exitCode(new Error('no'))).toBe(1);
});
