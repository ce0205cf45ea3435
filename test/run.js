/*
 * Everything `npm test` checks, step by step: format and lint, types, native tests, TypeScript tests.
 * The last line is `N passed, N failed`: the tests of both suites, and one for each other step. With
 * `--installs` it also compiles the prebuilt addon for Linux x64, packs the package and installs it in the
 * ways that take seconds.
 */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { atFixedAddresses, buildArgs, configureArgs, folderOf, lacksCmake, root } from './support/cmake.js';

const bin = (name) => path.join(root, 'node_modules', '.bin', name);
const jobs = os.availableParallelism();

let passed = 0;
let failed = 0;

const found = (command) => spawnSync(command, ['--version'], { stdio: 'ignore' }).status === 0;

/** Runs a command and shows what it writes; resolves to its success and its output. */
function run(command, args, show, env = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd: root,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text) => {
      output += text;
      show(text);
    });
    child.stderr.setEncoding('utf8').on('data', show);
    child.on('error', (error) => {
      show(`${command}: ${error.message}\n`);
      resolve({ ok: false, output });
    });
    child.on('close', (status) => resolve({ ok: status === 0, output }));
  });
}

/**
 * Does the work and counts what passed and failed. What it shows comes at once, or in one piece when it ends
 * where several steps run side by side.
 */
async function step(title, work) {
  const pieces = [];
  const show = sideBySide ? (text) => pieces.push(text) : (text) => process.stdout.write(text);
  const start = performance.now();
  if (sideBySide) console.log(`.. ${title}`); // began
  show(`\n== ${title}\n`);
  const counts = await work(show);
  const seconds = Math.round((performance.now() - start) / 1000);
  show(`${counts.failed === 0 ? 'ok' : `FAILED: ${title}`} (${seconds} s)\n`);
  process.stdout.write(pieces.join(''));
  passed += counts.passed;
  failed += counts.failed;
  return counts.failed === 0;
}

const asOne = (ok) => ({ passed: ok ? 1 : 0, failed: ok ? 0 : 1 });

/** A step that is itself one check: the command with each list of arguments, all at once. */
const check = (title, command, ...lists) =>
  step(title, async (show) => {
    const results = await Promise.all(lists.map((args) => run(command, args, show)));
    return asOne(results.every((result) => result.ok));
  });

/** A preset of CMake, configured and built, as one check. */
const builds = (title, preset) =>
  step(title, async (show) => {
    const configured = await run('cmake', configureArgs(preset), show);
    return asOne(configured.ok && (await run('cmake', buildArgs(preset), show)).ok);
  });

/** A suite whose output holds its own counts; a suite that dies without counts is one failure. */
const suite = (title, command, args, countsOf, env) =>
  step(title, async (show) => {
    const { ok, output } = await run(command, args, show, env);
    const counts = countsOf(output);
    return { passed: counts.passed, failed: ok ? counts.failed : Math.max(1, counts.failed) };
  });

let sideBySide = false;

/** Steps that use one core for most of their time, on all cores. */
async function together(...steps) {
  sideBySide = true;
  const worker = async () => {
    for (let next = steps.shift(); next !== undefined; next = steps.shift()) await next();
  };
  await Promise.all(Array.from({ length: jobs }, worker));
  sideBySide = false;
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

const skipped = (title, reason) => console.log(`\n== ${title} skipped: ${reason}`);

const documents = gitFiles('*.md');
const cppFiles = gitFiles('*.h', '*.cpp', '*.cuh', '*.cu', '*.metal', '*.mm');
const formatted = [['TypeScript: format and lint (biome)', bin('biome'), ['ci', '--error-on-warnings', '.']]];
if (documents && cppFiles) {
  formatted.push(['Documents: format (prettier)', bin('prettier'), ['--check', ...documents]]);
  formatted.push(['C++: format (clang-format)', bin('clang-format'), ['--dry-run', '-Werror', ...cppFiles]]);
} else {
  skipped('Documents and C++: format', 'this is no git checkout');
}
const kernels = [];
// For one architecture: the rest is for `set-native build --cuda`.
if (found('nvcc')) kernels.push(() => builds('CUDA: kernels compile (nvcc)', 'cuda-check'));
else skipped('CUDA: compiling the kernels', 'it takes nvcc');
await together(
  ...kernels,
  async () => {
    await check('TypeScript: types of tests', bin('tsc'), ['-p', 'test/tsconfig.json']);
    await check('TypeScript: build', bin('tsc'), ['-p', 'tsconfig.json']);
  },
  ...formatted.map((step) => () => check(...step)),
);

const tidy = ['clang-tidy-19', 'clang-tidy'].find(found);
const folders = ['core', 'layout', 'evolution', 'reference', 'cpu', 'gpu', 'cuda', 'metal'];
const sources = gitFiles(...folders.map((folder) => `native/${folder}/*.cpp`));
if (tidy && sources) {
  const folder = folderOf('tidy');
  await step('C++: compile_commands.json', async (show) =>
    asOne((await run('cmake', configureArgs('tidy'), show)).ok),
  );
  lintOnce(path.join(folder, 'compile_commands.json'));
  // Each process takes every `jobs`-th file.
  const shares = Array.from({ length: jobs }, (_, first) => sources.filter((_, i) => i % jobs === first));
  const args = shares.map((files) => ['-p', folder, '--quiet', '--warnings-as-errors=*', ...files]);
  await check(`C++: lint (${tidy})`, tidy, ...args);
} else {
  skipped('C++: lint', 'it takes clang-tidy and a git checkout');
}

await check('addon: build', process.execPath, ['dist/cli/main.js', 'build']);

const typescript = () =>
  suite('TypeScript tests', bin('vitest'), ['run', '--reporter=default', '--no-color'], (output) => {
    const line = /^\s*Tests\s+(.*)$/m.exec(output)?.[1] ?? '1 failed';
    const number = (word) => Number(new RegExp(`(\\d+) ${word}`).exec(line)?.[1] ?? 0);
    return { passed: number('passed'), failed: number('failed') };
  });

/** Steps of the native tests, all of which run for long on one core. */
function nativeSuites() {
  const program = (name) => path.join(folderOf('test'), name);
  const tests = program('set_native_test');
  // The tests of GPU code on the Metal kernels: those before were on the CUDA kernels.
  const metal = { SET_NATIVE_TEST_DEVICE: 'emulated-metal' };
  const steps = [
    () => suite('native tests', tests, [], lastLine),
    () => suite('native tests for Metal, emulated', tests, ['gpu'], lastLine, metal),
    () => suite('instructions per link', process.execPath, ['test/instructions.js'], lastLine),
    () => suite('native fuzzing', process.execPath, ['test/fuzz/native.js'], lastLine),
  ];
  if (process.platform !== 'linux') return steps;
  // Through the same boundary as on a GPU, to a library that runs the kernels in the emulator.
  const library = program('libset_native_cuda_fake.so');
  const cuda = {
    SET_NATIVE_TEST_DEVICE: 'cuda',
    SET_NATIVE_CUDA_LIBRARY: library,
    SET_FAKE_CUDA: 'emulate',
  };
  const bounds = 'GPU kernels under AddressSanitizer';
  const sanitized = program('set_native_gpu_asan');
  const [command, ...args] = [...atFixedAddresses(), program('set_native_gpu_tsan')];
  const races = 'GPU kernels under ThreadSanitizer: Metal, and planted bugs';
  return [
    () => suite(races, command, args, lastLine, metal),
    () => suite(`${bounds}: CUDA, and planted bugs`, sanitized, [], lastLine),
    () => suite(`${bounds}: Metal`, sanitized, ['gpu'], lastLine, metal),
    () => suite('native tests for a GPU, emulated', tests, ['hardware'], lastLine, cuda),
    ...steps,
  ];
}

/** The package as people get it: see native/prebuilds/build.js and test/install/matrix.js. */
async function installs() {
  const node = process.execPath;
  const folder = mkdtempSync(path.join(os.tmpdir(), 'set-native-pack-'));
  try {
    const prebuilt = 'prebuilt addon for Linux x64: build and its checks';
    if (!(await check(prebuilt, node, ['native/prebuilds/build.js', 'linux-x64']))) return;
    if (!(await check('package: pack', 'npm', ['pack', '--ignore-scripts', '--pack-destination', folder])))
      return;
    const [tarball] = readdirSync(folder).map((name) => path.join(folder, name));
    await suite('package: installs', node, ['test/install/matrix.js', tarball], lastLine);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const isBuilt = await builds('native tests: build', 'test');
const ofPackage = [];
if (process.argv.includes('--installs') && process.platform === 'linux' && process.arch === 'x64')
  ofPackage.push(installs);
else skipped('Installs of the package', 'they take --installs, Linux x64 and minutes');
await together(...ofPackage, typescript, ...(isBuilt ? nativeSuites() : []));

console.log(`\n${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 && passed > 0 ? 0 : 1;
