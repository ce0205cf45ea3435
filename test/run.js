/*
 * Everything `npm test` checks, step by step: format and lint, types, native tests, TypeScript tests.
 * The last line is `N passed, N failed`: the tests of both suites, and one for each other step.
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const bin = (name) => path.join(root, 'node_modules', '.bin', name);
const build = path.join(root, 'build');

let passed = 0;
let failed = 0;

/** Runs a command with its output shown; returns its exit status and what it wrote to stdout. */
function run(command, args, env = {}) {
  const result = spawnSync(command, args, {
    cwd: root,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
    encoding: 'utf8',
    maxBuffer: 1 << 28,
  });
  process.stdout.write(result.stdout ?? '');
  if (result.error) console.error(`${command}: ${result.error.message}`);
  return { ok: result.status === 0, output: result.stdout ?? '' };
}

const found = (command) => spawnSync(command, ['--version'], { stdio: 'ignore' }).status === 0;

/** A step that is itself one check. */
function check(title, command, args, env) {
  console.log(`\n== ${title}`);
  const { ok } = run(command, args, env);
  if (ok) passed += 1;
  else failed += 1;
  console.log(ok ? 'ok' : `FAILED: ${title}`);
  return ok;
}

/** A suite whose output holds its own counts; a suite that dies without counts is one failure. */
function suite(title, command, args, count) {
  console.log(`\n== ${title}`);
  const { ok, output } = run(command, args);
  const counts = count(output);
  passed += counts.passed;
  failed += ok ? counts.failed : Math.max(1, counts.failed);
}

const gitFiles = (...patterns) =>
  spawnSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '--', ...patterns], {
    cwd: root,
    encoding: 'utf8',
  })
    .stdout.split('\n')
    .filter((file) => file !== '' && existsSync(path.join(root, file)));

check('TypeScript: format and lint (biome)', bin('biome'), ['ci', '--error-on-warnings', '.']);
check('C++: format (clang-format)', bin('clang-format'), ['--dry-run', '-Werror', ...gitFiles('*.h', '*.cpp')]);
const tidy = ['clang-tidy-19', 'clang-tidy'].find(found);
if (tidy && found('cmake')) {
  run('cmake', ['-S', '.', '-B', path.join(build, 'tidy')]);
  const sources = gitFiles('native/core/*.cpp', 'native/reference/*.cpp', 'native/cpu/*.cpp');
  check(`C++: lint (${tidy})`, tidy, ['-p', path.join(build, 'tidy'), '--quiet', '--warnings-as-errors=*', ...sources]);
} else {
  console.log('\n== C++: lint skipped: clang-tidy and cmake are not installed');
}
check('TypeScript: types of tests', bin('tsc'), ['-p', 'test/tsconfig.json']);
check('TypeScript: build', bin('tsc'), ['-p', 'tsconfig.json']);

if (check('native tests: build', bin('node-gyp'), ['configure', 'build', '--silent'], { SET_NATIVE_TESTS: '1' })) {
  suite('native tests', path.join(build, 'Release', 'set_native_test'), [], (output) => {
    const match = /^(\d+) passed, (\d+) failed/m.exec(output);
    return { passed: Number(match?.[1] ?? 0), failed: Number(match?.[2] ?? 1) };
  });
}
suite('TypeScript tests', bin('vitest'), ['run', '--reporter=default', '--no-color'], (output) => {
  const line = /^\s*Tests\s+(.*)$/m.exec(output)?.[1] ?? '1 failed';
  const number = (word) => Number(new RegExp(`(\\d+) ${word}`).exec(line)?.[1] ?? 0);
  return { passed: number('passed'), failed: number('failed') };
});

console.log(`\n${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 && passed > 0 ? 0 : 1;
