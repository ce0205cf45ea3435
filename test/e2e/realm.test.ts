import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { expect, test } from 'vitest';

test('in a context of node:vm everything that comes back is of its classes, outputs of those of x', () => {
  const script = path.resolve(import.meta.dirname, '../support/realm.js');
  const flags = ['--experimental-vm-modules', '--disable-warning=ExperimentalWarning'];
  const { status, stdout, stderr } = spawnSync(process.execPath, [...flags, script], {
    encoding: 'utf8',
    timeout: 25_000,
  });
  expect({ status, stderr, stdout }).toEqual({ status: 0, stderr: '', stdout: 'all of its own realm\n' });
});
