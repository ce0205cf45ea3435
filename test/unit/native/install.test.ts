import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, expect, test } from 'vitest';

/*
 * The install script. That it compiles the addon is seen where the repository itself is installed.
 */

const root = path.resolve(import.meta.dirname, '../../..');
const place = mkdtempSync(path.join(os.tmpdir(), 'set-native-'));

afterAll(() => rmSync(place, { recursive: true }));

/** What `npm install` runs, in the folder of a package. */
function install(folder: string, variables: NodeJS.ProcessEnv = {}) {
  const env = { ...process.env, JOBS: undefined, npm_config_jobs: undefined, ...variables };
  const { status, stdout, stderr } = spawnSync(process.execPath, ['native/install.js'], {
    cwd: folder,
    env,
    encoding: 'utf8',
  });
  return { status, stdout, stderr };
}

/** A package with nothing to compile: node-gyp gives up at once. */
function emptyPackage(): string {
  mkdirSync(path.join(place, 'native'));
  copyFileSync(path.join(root, 'native/install.js'), path.join(place, 'native/install.js'));
  symlinkSync(path.join(root, 'node_modules'), path.join(place, 'node_modules'));
  writeFileSync(path.join(place, 'package.json'), '{"name": "empty", "version": "1.0.0", "type": "module"}');
  return place;
}

test('an addon that loads is left alone', () => {
  expect(install(root)).toEqual({ status: 0, stdout: '', stderr: '' });
});

test('before it compiles it says what, with how many jobs and how long; a failure says what it takes', () => {
  const folder = emptyPackage();
  const failed = install(folder);
  const what = `compiling the native addon for ${process.platform}-${process.arch}`;
  const cores = os.availableParallelism();
  const jobs = cores === 1 ? '1 job' : `${cores} jobs`;
  expect(failed.status).toBe(1);
  expect(failed.stdout).toBe(`set-native: ${what} with ${jobs}; about two minutes on two cores\n`);
  expect(failed.stderr).toMatch(/could not be compiled.*C\+\+17 compiler.*make and Python 3/);
  expect(install(folder, { JOBS: '7' }).stdout).toContain('with 7 jobs');
  expect(install(folder, { JOBS: '7', npm_config_jobs: '3' }).stdout).toContain('with 3 jobs');
});
