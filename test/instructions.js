/*
 * Instructions per link of everything that is hot, counted by callgrind: a guard that a noisy machine cannot
 * move.
 *
 *   npm run test:instructions               compares with test/instructions.json
 *   npm run test:instructions -- --record   writes that file anew, after a change that was meant
 *
 * Counts depend on the compiler: with another one than the record's, differences are shown and fail nothing.
 * Skipped where valgrind is missing, or on another architecture than the record's. The last line is `N
 * passed, N failed`.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { build, folderOf, root } from './support/cmake.js';

const recordFile = path.join(import.meta.dirname, 'instructions.json');
const program = path.join(folderOf('test'), 'set_native_instructions');
const isas = ['portable', 'avx2']; // valgrind knows no AVX-512
const architecture = 'x64';
const tolerance = 0.03;

function skip(reason) {
  console.log(`instruction counts skipped: ${reason}\n0 passed, 0 failed`);
}

function run(command, args, options = {}) {
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    cwd: root,
    encoding: 'utf8',
    ...options,
  });
  if (status === 0) return stdout;
  const reason =
    error?.message ?? (stderr?.trim().split('\n').slice(-3).join('; ') || `exit status ${status}`);
  throw new Error(`${path.basename(command)} ${args.join(' ')}: ${reason}`);
}

/** Instructions per link by workload, and the compiler. */
function count(isa) {
  const measured = 'set_native_measured';
  const folder = mkdtempSync(path.join(tmpdir(), 'set-native-'));
  try {
    const stdout = run('valgrind', [
      ...['--tool=callgrind', `--zero-before=${measured}`, `--dump-after=${measured}`],
      ...[`--callgrind-out-file=${path.join(folder, 'out')}`, program, isa],
    ]);
    const [compiler, ...lines] = stdout.trim().split('\n');
    const totals = readdirSync(folder)
      .map((file) => ({ file, part: Number(/\.(\d+)$/.exec(file)?.[1]) }))
      .filter(({ part }) => part > 0)
      .sort((a, b) => a.part - b.part)
      .map(({ file }) => Number(/^totals: (\d+)/m.exec(readFileSync(path.join(folder, file), 'utf8'))?.[1]));
    if (totals.length < lines.length)
      throw new Error(`valgrind wrote ${totals.length} dumps for ${lines.length} workloads`);
    const counts = lines.map((line, i) => {
      const [name, links] = line.split('\t');
      return [name, Number((totals[i] / Number(links)).toPrecision(5))];
    });
    return { compiler, counts: Object.fromEntries(counts) };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function show(name, ...cells) {
  console.log(name.padEnd(44) + cells.map((cell) => cell.padStart(12)).join(''));
}

try {
  main();
} catch (error) {
  console.log(`${error.message}\n0 passed, 1 failed`);
  process.exitCode = 1;
}

function main() {
  if (process.arch !== architecture) return skip(`they are recorded for ${architecture}`);
  if (spawnSync('valgrind', ['--version']).error) return skip('valgrind is not installed');
  if (!build('test', { stdio: ['ignore', 'ignore', 'inherit'] })) throw new Error('the build failed');

  const results = Object.fromEntries(isas.map((isa) => [isa, count(isa)]));
  const { compiler } = results[isas[0]];
  const found = Object.fromEntries(isas.map((isa) => [isa, results[isa].counts]));

  if (process.argv.includes('--record')) {
    writeFileSync(recordFile, `${JSON.stringify({ compiler, instructionsPerLink: found }, undefined, 2)}\n`);
    console.log(`recorded in ${path.relative(root, recordFile)}`);
    return;
  }

  const record = JSON.parse(readFileSync(recordFile, 'utf8'));
  const sameCompiler = record.compiler === compiler;
  let passed = 0;
  let failed = 0;
  show('instructions per link', 'recorded', 'now', 'change');
  for (const isa of isas) {
    const names = new Set([...Object.keys(record.instructionsPerLink[isa]), ...Object.keys(found[isa])]);
    for (const name of names) {
      const before = record.instructionsPerLink[isa][name];
      const now = found[isa][name];
      const change = now / before - 1; // NaN where the record has other workloads
      const worse = !(change <= tolerance);
      show(`${isa}: ${name}`, String(before ?? '–'), String(now ?? '–'), `${(100 * change).toFixed(1)} %`);
      if (worse && sameCompiler) failed += 1;
      else passed += 1;
    }
  }
  if (!sameCompiler)
    console.log(`Compiled by ${compiler}, recorded with ${record.compiler}: differences fail nothing.`);
  if (failed > 0) {
    console.log(
      `More than ${100 * tolerance} % above the record. If that was meant: npm run test:instructions -- --record`,
    );
  }
  console.log(`${passed} passed, ${failed} failed`);
  process.exitCode = failed > 0 ? 1 : 0;
}
