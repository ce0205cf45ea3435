/*
 * Everything `npm test` checks, step by step: format and lint, types, native tests, TypeScript tests.
 * The last line is `N passed, N failed`: the tests of both suites, and one for each other step.
 */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { atFixedAddresses, buildArgs, configureArgs, folderOf, lacksCmake, root } from './support/cmake.js';

const bin = (name) => path.join(root, 'node_modules', '.bin', name);
const jobs = os.availableParallelism();

let passed = 0;
let failed = 0;

/** Runs a command with its output shown as it comes; resolves to its success and what it wrote to stdout. */
function run(command, args, env = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd: root,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text) => {
      output += text;
      process.stdout.write(text);
    });
    child.on('error', (error) => {
      console.error(`${command}: ${error.message}`);
      resolve({ ok: false, output });
    });
    child.on('close', (status) => resolve({ ok: status === 0, output }));
  });
}

const found = (command) => spawnSync(command, ['--version'], { stdio: 'ignore' }).status === 0;

function count(title, ok) {
  if (ok) passed += 1;
  else failed += 1;
  console.log(ok ? 'ok' : `FAILED: ${title}`);
  return ok;
}

/** A step that is itself one check: the command with each list of arguments, all at once. */
async function check(title, command, ...lists) {
  console.log(`\n== ${title}`);
  const results = await Promise.all(lists.map((args) => run(command, args)));
  return count(
    title,
    results.every((result) => result.ok),
  );
}

/** A preset of CMake, configured and built, as one check. */
async function builds(title, preset) {
  console.log(`\n== ${title}`);
  const ok = (await run('cmake', configureArgs(preset))).ok && (await run('cmake', buildArgs(preset))).ok;
  return count(title, ok);
}

/**
 * Leaves one command per source: kernels are compiled once per instruction set, but read the same in each.
 */
function lintOnce(file) {
  const commands = new Map();
  for (const entry of JSON.parse(readFileSync(file, 'utf8'))) {
    if (!commands.has(entry.file) || /-DSET_ISA=avx2\b/.test(entry.command)) commands.set(entry.file, entry);
  }
  writeFileSync(file, JSON.stringify([...commands.values()]));
}

/** A suite whose output holds its own counts; a suite that dies without counts is one failure. */
async function suite(title, command, args, countsOf, env) {
  console.log(`\n== ${title}`);
  const { ok, output } = await run(command, args, env);
  const counts = countsOf(output);
  passed += counts.passed;
  failed += ok ? counts.failed : Math.max(1, counts.failed);
}

/** Of `N passed, N failed`. */
function lastLine(output) {
  const match = /^(\d+) passed, (\d+) failed/m.exec(output);
  return { passed: Number(match?.[1] ?? 0), failed: Number(match?.[2] ?? 1) };
}

/**
 * The files of the repository, those not yet added too; undefined where there is no git, as in an unpacked
 * archive.
 */
function gitFiles(...patterns) {
  const args = ['ls-files', '--cached', '--others', '--exclude-standard', '--', ...patterns];
  const { status, stdout } = spawnSync('git', args, { cwd: root, encoding: 'utf8' });
  if (status !== 0) return undefined;
  return stdout.split('\n').filter((file) => file !== '' && existsSync(path.join(root, file)));
}

const lacking = lacksCmake();
if (lacking !== undefined) {
  console.error(lacking);
  process.exit(1);
}

await check('TypeScript: format and lint (biome)', bin('biome'), ['ci', '--error-on-warnings', '.']);
const documents = gitFiles('*.md');
if (documents) await check('Documents: format (prettier)', bin('prettier'), ['--check', ...documents]);
const cppFiles = gitFiles('*.h', '*.cpp', '*.cuh', '*.cu', '*.metal', '*.mm');
if (cppFiles)
  await check('C++: format (clang-format)', bin('clang-format'), ['--dry-run', '-Werror', ...cppFiles]);
else console.log('\n== C++: format skipped: this is no git checkout');
const tidy = ['clang-tidy-19', 'clang-tidy'].find(found);
const sources = gitFiles(
  'native/core/*.cpp',
  'native/layout/*.cpp',
  'native/evolution/*.cpp',
  'native/reference/*.cpp',
  'native/cpu/*.cpp',
  'native/gpu/*.cpp',
  'native/cuda/*.cpp',
  'native/metal/*.cpp',
);
if (tidy && sources) {
  const folder = folderOf('tidy');
  await run('cmake', configureArgs('tidy'));
  lintOnce(path.join(folder, 'compile_commands.json'));
  // Each process takes every `jobs`-th file.
  const shares = Array.from({ length: jobs }, (_, first) => sources.filter((_, i) => i % jobs === first));
  const args = shares.map((files) => ['-p', folder, '--quiet', '--warnings-as-errors=*', ...files]);
  await check(`C++: lint (${tidy})`, tidy, ...args);
} else {
  console.log('\n== C++: lint skipped: it takes clang-tidy and a git checkout');
}
if (found('nvcc')) {
  // For one architecture: the rest is build:cuda's.
  await builds('CUDA: kernels compile (nvcc)', 'cuda-check');
} else {
  console.log('\n== CUDA: compiling the kernels skipped: it takes nvcc');
}
await check('TypeScript: types of tests', bin('tsc'), ['-p', 'test/tsconfig.json']);
await check('TypeScript: build', bin('tsc'), ['-p', 'tsconfig.json']);

await check('addon: build', bin('node-gyp'), ['configure', 'build', '--silent', `--jobs=${jobs}`]);
if (await builds('native tests: build', 'test')) {
  const program = (name) => path.join(folderOf('test'), name);
  const tests = program('set_native_test');
  await suite('native tests', tests, [], lastLine);
  // The tests of GPU code on the Metal kernels: those before were on the CUDA kernels.
  const metal = { SET_NATIVE_TEST_DEVICE: 'emulated-metal' };
  await suite('native tests for Metal, emulated', tests, ['gpu'], lastLine, metal);
  if (process.platform === 'linux') {
    // Through the same boundary as on a GPU, to a library that runs the kernels in the emulator.
    const library = program('libset_native_cuda_fake.so');
    const cuda = {
      SET_NATIVE_TEST_DEVICE: 'cuda',
      SET_NATIVE_CUDA_LIBRARY: library,
      SET_FAKE_CUDA: 'emulate',
    };
    await suite('native tests for a GPU, emulated', tests, ['hardware'], lastLine, cuda);
    const bounds = 'GPU kernels under AddressSanitizer';
    await suite(`${bounds}: CUDA, and planted bugs`, program('set_native_gpu_asan'), [], lastLine);
    await suite(`${bounds}: Metal`, program('set_native_gpu_asan'), ['gpu'], lastLine, metal);
    const [command, ...args] = [...atFixedAddresses(), program('set_native_gpu_tsan')];
    await suite('GPU kernels under ThreadSanitizer: Metal, and planted bugs', command, args, lastLine, metal);
  }
  await suite('native fuzzing', process.execPath, ['test/fuzz/native.js'], lastLine);
  await suite('instructions per link', process.execPath, ['test/instructions.js'], lastLine);
}
await suite('TypeScript tests', bin('vitest'), ['run', '--reporter=default', '--no-color'], (output) => {
  const line = /^\s*Tests\s+(.*)$/m.exec(output)?.[1] ?? '1 failed';
  const number = (word) => Number(new RegExp(`(\\d+) ${word}`).exec(line)?.[1] ?? 0);
  return { passed: number('passed'), failed: number('failed') };
});

console.log(`\n${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 && passed > 0 ? 0 : 1;
