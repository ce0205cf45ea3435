/*
 * `npm run fuzz:native -- [target [option of libFuzzer ...]]`: libFuzzer on the targets of native/test/fuzz,
 * under AddressSanitizer and some of UBSan. Without arguments a short run of each, the same every time, whose
 * last line is `N passed, N failed`; it is skipped where there is no clang with libFuzzer or no cmake. With a
 * target one run, to the first failure or as the options say.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { build, folderOf, lacksCmake } from '../support/cmake.js';

/** Executions of the short run. */
const targets = { model: 20_000, blocks: 2000, evolve: 1500 };

const [target, ...options] = process.argv.slice(2);

/** libFuzzer is a package of its own on some systems: whether a program links with it tells. */
function findClang() {
  const flags = ['-fsanitize=fuzzer,address', '-x', 'c++', '-', '-o', '/dev/null'];
  const input = 'extern "C" int LLVMFuzzerTestOneInput(const unsigned char*, unsigned long) { return 0; }';
  return ['clang++-19', 'clang++'].find((command) => spawnSync(command, flags, { input }).status === 0);
}

/** What libFuzzer says is shown as it comes, or handed back with the other `stdio`. */
function run(name, args, stdio) {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'set-native-fuzz-'));
  const program = path.join(folderOf('fuzz'), `set_native_fuzz_${name}`);
  return spawnSync(program, [`-artifact_prefix=${folder}/`, ...args], { stdio, encoding: 'utf8' });
}

const clang = findClang();
const quietly = { defines: [`-DCMAKE_CXX_COMPILER=${clang}`], stdio: ['ignore', 'ignore', 'inherit'] };
if (clang === undefined || lacksCmake() !== undefined) {
  console.log('skipped: it takes clang with libFuzzer (on Debian clang-19 and libclang-rt-19-dev) and cmake');
  console.log('0 passed, 0 failed');
  process.exitCode = target === undefined ? 0 : 1;
} else if (!build('fuzz', quietly)) {
  console.log('0 passed, 1 failed');
  process.exitCode = 1;
} else if (target !== undefined) {
  if (!(target in targets))
    throw new Error(`no target ${target}; there are ${Object.keys(targets).join(', ')}`);
  process.exitCode = run(target, options, 'inherit').status === 0 ? 0 : 1;
} else {
  let passed = 0;
  for (const [name, runs] of Object.entries(targets)) {
    // Long inputs from the start: a short one is mostly zeros.
    const { status, stderr } = run(
      name,
      [`-runs=${runs}`, '-seed=1', '-len_control=0', '-max_len=512'],
      'pipe',
    );
    if (status === 0) passed++;
    else console.log(stderr);
    console.log(`${status === 0 ? 'ok  ' : 'FAIL'} ${name}: ${stderr.trimEnd().split('\n').at(-1)}`);
  }
  const failed = Object.keys(targets).length - passed;
  console.log(`${passed} passed, ${failed} failed`);
  process.exitCode = failed === 0 ? 0 : 1;
}
