/*
 * The install script: the prebuilt addon where there is one for this machine, else it is compiled, on all
 * cores unless JOBS or npm's option jobs says otherwise.
 */
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';

const root = path.dirname(import.meta.dirname);
const { resolve } = createRequire(import.meta.url);
const fromSource = process.env.npm_config_build_from_source === 'true';

// In a process of its own: an addon that crashes as it is loaded is compiled, too.
const load = ['-e', `require(${JSON.stringify(resolve('node-gyp-build'))})(${JSON.stringify(root)})`];
const isThere = !fromSource && spawnSync(process.execPath, load, { stdio: 'ignore' }).status === 0;
if (!isThere) compile();

function compile() {
  const { JOBS, npm_config_jobs } = process.env;
  const jobs = npm_config_jobs ?? JOBS ?? String(os.availableParallelism());
  const machine = `${process.platform}-${process.arch}`;
  const all = `${jobs} ${jobs === '1' ? 'job' : 'jobs'}`;
  console.log(
    `set-native: compiling the native addon for ${machine} with ${all}; about two minutes on two cores`,
  );
  const start = performance.now();
  // node-gyp-build finds the node-gyp that npm brings, and has it compile.
  const env = { ...process.env, JOBS: jobs, npm_config_build_from_source: 'true' };
  const build = [resolve('node-gyp-build/bin.js')];
  const { status, error } = spawnSync(process.execPath, build, { cwd: root, env, stdio: 'inherit' });
  if (status === 0) {
    console.log(`set-native: compiled in ${Math.round((performance.now() - start) / 1000)} s`);
    return;
  }
  if (error !== undefined) console.error(`set-native: ${error.message}`);
  console.error(
    'set-native: the native addon could not be compiled, see above. It takes a C++17 compiler (g++ or clang++), make ' +
      'and Python 3 (python3); on Debian: apt-get install g++ make python3, on macOS: xcode-select --install',
  );
  process.exitCode = 1;
}
