/*
 * Everything `npm test` checks, step by step: format and lint, types, native tests, TypeScript tests.
 * The last line is `N passed, N failed`: the tests of both suites, and one for each other step.
 */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const bin = (name) => path.join(root, 'node_modules', '.bin', name);
const build = path.join(root, 'build');

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

/** A step that is itself one check. */
async function check(title, command, args, env) {
  console.log(`\n== ${title}`);
  const { ok } = await run(command, args, env);
  if (ok) passed += 1;
  else failed += 1;
  console.log(ok ? 'ok' : `FAILED: ${title}`);
  return ok;
}

/** A suite whose output holds its own counts; a suite that dies without counts is one failure. */
async function suite(title, command, args, count) {
  console.log(`\n== ${title}`);
  const { ok, output } = await run(command, args);
  const counts = count(output);
  passed += counts.passed;
  failed += ok ? counts.failed : Math.max(1, counts.failed);
}

/** Of `N passed, N failed`. */
function lastLine(output) {
  const match = /^(\d+) passed, (\d+) failed/m.exec(output);
  return { passed: Number(match?.[1] ?? 0), failed: Number(match?.[2] ?? 1) };
}

/** The files of the repository, those not yet added too; undefined where there is no git, as in an unpacked archive. */
function gitFiles(...patterns) {
  const args = ['ls-files', '--cached', '--others', '--exclude-standard', '--', ...patterns];
  const { status, stdout } = spawnSync('git', args, { cwd: root, encoding: 'utf8' });
  if (status !== 0) return undefined;
  return stdout.split('\n').filter((file) => file !== '' && existsSync(path.join(root, file)));
}

await check('TypeScript: format and lint (biome)', bin('biome'), ['ci', '--error-on-warnings', '.']);
const cppFiles = gitFiles('*.h', '*.cpp');
if (cppFiles) await check('C++: format (clang-format)', bin('clang-format'), ['--dry-run', '-Werror', ...cppFiles]);
else console.log('\n== C++: format skipped: this is no git checkout');
const tidy = ['clang-tidy-19', 'clang-tidy'].find(found);
const sources = gitFiles('native/core/*.cpp', 'native/reference/*.cpp', 'native/cpu/*.cpp');
if (tidy && found('cmake') && sources) {
  await run('cmake', ['-S', '.', '-B', path.join(build, 'tidy')]);
  const args = ['-p', path.join(build, 'tidy'), '--quiet', '--warnings-as-errors=*', ...sources];
  await check(`C++: lint (${tidy})`, tidy, args);
} else {
  console.log('\n== C++: lint skipped: it takes clang-tidy, cmake and a git checkout');
}
await check('TypeScript: types of tests', bin('tsc'), ['-p', 'test/tsconfig.json']);
await check('TypeScript: build', bin('tsc'), ['-p', 'tsconfig.json']);

const tests = { SET_NATIVE_TESTS: '1' };
if (await check('native tests: build', bin('node-gyp'), ['configure', 'build', '--silent'], tests)) {
  await suite('native tests', path.join(build, 'Release', 'set_native_test'), [], lastLine);
  await suite('instructions per link', process.execPath, ['test/instructions.js'], lastLine);
}
await suite('TypeScript tests', bin('vitest'), ['run', '--reporter=default', '--no-color'], (output) => {
  const line = /^\s*Tests\s+(.*)$/m.exec(output)?.[1] ?? '1 failed';
  const number = (word) => Number(new RegExp(`(\\d+) ${word}`).exec(line)?.[1] ?? 0);
  return { passed: number('passed'), failed: number('failed') };
});

console.log(`\n${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 && passed > 0 ? 0 : 1;
