import { expect, test } from 'vitest';
import { takesEscapeCodes } from '../../../../src/report/terminal/escapeCodes.js';

test.each([
  [true, { TERM: 'xterm' }, true],
  [false, { TERM: 'xterm' }, false],
  [true, { TERM: 'dumb' }, false],
  [true, {}, process.platform === 'win32'],
  [true, { TERM: 'xterm', NO_COLOR: '1' }, false],
  [true, { TERM: 'xterm', NO_COLOR: '' }, true],
  [true, { TERM: 'xterm', CI: 'true' }, false],
  [true, { TERM: 'xterm', CI: 'false' }, true],
])('a stream with isTTY %s and the environment %j: escape codes %s', (isTTY, env, expected) => {
  expect(takesEscapeCodes({ isTTY }, env)).toBe(expected);
});
