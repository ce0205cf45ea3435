import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { expect, test } from 'vitest';

test('the raw addon survives hostile callers', () => {
  const script = path.resolve(import.meta.dirname, '../support/hostile.js');
  const { status, signal, stdout, stderr } = spawnSync(process.execPath, ['--expose-gc', script], {
    encoding: 'utf8',
    timeout: 25_000,
  });
  expect({ status, signal, stderr }).toEqual({ status: 0, signal: null, stderr: '' });
  expect(stdout).toMatch(/^survived \d{3,} calls$/m);
});
