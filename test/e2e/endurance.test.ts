import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { expect, test } from 'vitest';

test('requests, and models that come and go, leave the memory as it was', { timeout: 300_000 }, () => {
  const program = path.resolve(import.meta.dirname, '../support/endurance.js');
  // A leak of one model per cycle would be 60 MB, of the arrays of a request 5 MB.
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ['--expose-gc', '--no-warnings', program, '20000', '300'],
    { encoding: 'utf8' },
  );
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  const { requests, cycles } = JSON.parse(stdout);
  expect(requests.bytes).toBeLessThan(16 * 2 ** 20);
  expect(cycles.bytes).toBeLessThan(16 * 2 ** 20);
});
