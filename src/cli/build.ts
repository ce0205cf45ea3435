import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { Command } from 'commander';
import { addonPlaces, loadAddon, packageRoot } from '../addon.js';
import { wholeNumber } from '../checks.js';
import { SetNativeError } from '../errors.js';
import { howToGetCompilers, lacksCmake } from './cmake.js';
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

function build({ jobs, cuda = false }: { jobs?: number; cuda?: boolean }): void {
  const lacking = lacksCmake();
  if (lacking !== undefined) throw unable(lacking);
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
  const withCuda = cuda ? ['--target', 'set_native', 'set_native_cuda'] : [];
  run(['--build', '--preset', 'addon', '--parallel', all, ...withCuda], 'inherit');

  const compiled = addonPlaces().filter(({ origin }) => origin === 'compiled');
  const { file } = loadAddon(compiled);
  const seconds = Math.round((performance.now() - start) / 1000);
  console.log(`set-native: compiled in ${seconds} s: ${path.relative(process.cwd(), file)}`);
}

const finds = (command: string) => spawnSync(command, ['--version'], { stdio: 'ignore' }).status === 0;

function run(args: string[], stdout: 'ignore' | 'inherit'): void {
  const { status, error } = spawnSync('cmake', args, {
    cwd: packageRoot,
    stdio: ['ignore', stdout, 'inherit'],
  });
  if (status === 0) return;
  const why = error === undefined ? 'see above' : error.message;
  throw unable(`the addon could not be compiled in ${packageRoot}: ${why}`);
}

const unable = (message: string) =>
  new SetNativeError('ERR_NATIVE_LOAD', `[build] ${message}; ${howToGetCompilers}`);
