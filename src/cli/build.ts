import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { Command } from 'commander';
import { addonPlaces, loadAddon, packageRoot } from '../addon.js';
import { wholeNumber } from '../checks.js';
import { SetNativeError } from '../errors.js';
import { numberIn } from './options.js';

export function buildCommand(): Command {
  return new Command('build')
    .description('compile the native addon, for a platform that the package has none for')
    .option(
      '--jobs <n>',
      'files to compile at once; default: JOBS, else one per core',
      numberIn(wholeNumber(1, 1024)),
    )
    .option('--cuda', 'the CUDA library, too: takes nvcc')
    .addHelpText(
      'after',
      `
It takes CMake 3.21 or newer, make or Ninja, and a C++17 compiler (g++ or clang++), and no network. What it compiles is
used in place of what the package brought.

Examples:
  $ set-native build
  $ set-native build --jobs 1`,
    )
    .action(build);
}

/** The first CMake that reads our presets. */
const oldestCmake = [3, 21] as const;

const howToGet =
  'on Debian or Ubuntu: apt-get install cmake g++ make; on Fedora: dnf install cmake gcc-c++ make; on Alpine: ' +
  'apk add cmake g++ make; on macOS: xcode-select --install and brew install cmake';

function build({ jobs, cuda = false }: { jobs?: number; cuda?: boolean }): void {
  requireCmake();
  const all = String(jobs ?? process.env.JOBS ?? os.availableParallelism());
  const machine = `${process.platform}-${process.arch}`;
  console.log(
    `set-native: compiling the addon for ${machine} with ${all} ${all === '1' ? 'job' : 'jobs'}; about a ` +
      'minute and a half on two cores',
  );
  const start = performance.now();

  // Headers of Node-API come from packages, so that any Node will do and nothing is fetched.
  const require = createRequire(import.meta.url);
  const headers = ['node-addon-api', 'node-api-headers'].map(
    (name) => path.resolve((require(name) as { include_dir: string }).include_dir), // one is relative
  );
  const hasMake = finds('make');
  run(
    [
      ...['--preset', 'release', '--log-level=WARNING', `-DSET_CUDA=${cuda ? 'ON' : 'OFF'}`],
      ...[`-DSET_NODE_INCLUDES=${headers.join(';')}`, `-DSET_NODE=${process.execPath}`],
      ...(!hasMake && finds('ninja') ? ['-G', 'Ninja'] : []),
    ],
    'ignore',
  );
  const targets = ['set_native', ...(cuda ? ['set_native_cuda'] : [])];
  run(['--build', 'build/release', '--parallel', all, '--target', ...targets], 'inherit');

  const compiled = addonPlaces().filter(({ origin }) => origin === 'compiled');
  const { file } = loadAddon(compiled);
  const seconds = Math.round((performance.now() - start) / 1000);
  console.log(`set-native: compiled in ${seconds} s: ${path.relative(process.cwd(), file)}`);
}

const finds = (command: string) => spawnSync(command, ['--version'], { stdio: 'ignore' }).status === 0;

function requireCmake(): void {
  const need = `[build] the addon is compiled by CMake ${oldestCmake.join('.')} or newer`;
  const { status, stdout } = spawnSync('cmake', ['--version'], { encoding: 'utf8' });
  if (status !== 0) throw unable(`${need}, and cmake is not on the PATH`);
  const [, version, major, minor] = /version ((\d+)\.(\d+)\S*)/.exec(stdout) ?? [];
  const isOld = Number(major) * 1000 + Number(minor) < oldestCmake[0] * 1000 + oldestCmake[1];
  if (isOld) throw unable(`${need}, and this is ${version}`);
}

function run(args: string[], stdout: 'ignore' | 'inherit'): void {
  const { status, error } = spawnSync('cmake', args, {
    cwd: packageRoot,
    stdio: ['ignore', stdout, 'inherit'],
  });
  if (status === 0) return;
  const why = error === undefined ? 'see above' : error.message;
  throw unable(`[build] the addon could not be compiled in ${packageRoot}: ${why}`);
}

function unable(message: string): SetNativeError {
  const lacksSources = !existsSync(path.join(packageRoot, 'CMakeLists.txt'));
  return new SetNativeError(
    'ERR_NATIVE_LOAD',
    `${message}; ${lacksSources ? 'its sources are not there' : howToGet}`,
  );
}
