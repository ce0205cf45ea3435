import { spawnSync } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { type AddonPlace, addonPlaces, libc, libcIn, loadAddon, packageManager } from '../../src/addon.js';
import { info, SetNativeError } from '../../src/index.js';

const root = path.resolve(import.meta.dirname, '../..');
const folder = mkdtempSync(path.join(os.tmpdir(), 'set-native-'));
afterAll(() => rmSync(folder, { recursive: true }));

const files = (...args: Parameters<typeof addonPlaces>) =>
  addonPlaces(...args).map(({ file }) => path.relative('/p', file));

test('an addon that was compiled here comes first, then the one of the platform', () => {
  const compiled = 'build/release/set_native.node';
  expect(files('/p', 'linux', 'x64', 'glibc')).toEqual([compiled, 'prebuilds/linux-x64/set_native.node']);
  expect(files('/p', 'linux', 'arm64', 'musl')).toEqual([
    compiled,
    'prebuilds/linux-arm64-musl/set_native.node',
  ]);
  expect(files('/p', 'darwin', 'arm64', 'unknown')).toEqual([
    compiled,
    'prebuilds/darwin-arm64/set_native.node',
  ]);
  expect(files('/p', 'linux', 'x64', 'unknown')).toEqual([
    compiled,
    'prebuilds/linux-x64/set_native.node',
    'prebuilds/linux-x64-musl/set_native.node',
  ]);
});

test.for([
  ['glibc', '7f00-7f01 r-xp 00000000 fe:00 1 /usr/lib/x86_64-linux-gnu/libc.so.6'],
  ['glibc', '/lib/aarch64-linux-gnu/libc-2.28.so\n/lib/ld-2.28.so'],
  ['musl', '7f00-7f01 r-xp 00000000 fe:00 1 /lib/ld-musl-x86_64.so.1'],
  ['musl', '/usr/lib/libc.musl-aarch64.so.1'],
  [undefined, '/usr/lib/libcrypto.so.3\n/srv/libc.so.6/notes.txt'],
  [undefined, ''],
] as const)('the C library is %s in the maps %j', ([kind, maps]) => {
  expect(libcIn(maps)).toBe(kind);
});

test('the C library of this process is known without a report, too', () => {
  const { report } = process;
  try {
    const told = libc();
    Object.defineProperty(process, 'report', { value: undefined, configurable: true });
    expect(libc()).toBe(told);
    if (process.platform === 'linux') expect(told).toMatch(/^(?:glibc|musl)$/);
  } finally {
    Object.defineProperty(process, 'report', { value: report, configurable: true });
  }
});

test('info names the file that was loaded', () => {
  expect(addonPlaces()).toContainEqual(info().addon);
});

/** What loading from these places throws. */
function thrown(places: AddonPlace[]): SetNativeError {
  try {
    loadAddon(places);
  } catch (error) {
    if (error instanceof SetNativeError) return error;
    throw error;
  }
  throw new Error('it was loaded');
}

test('an error names platform, C library, each place with the reason, and the command', () => {
  const damaged = path.join(folder, 'damaged.node');
  writeFileSync(damaged, 'no shared object');
  const absent = path.join(folder, 'absent.node');
  const error = thrown([
    { file: absent, origin: 'compiled' },
    { file: damaged, origin: 'prebuilt' },
  ]);
  expect(error.code).toBe('ERR_NATIVE_LOAD');
  expect(error.message).toContain(`${process.platform}-${process.arch}`);
  if (process.platform === 'linux') expect(error.message).toContain(`C library: ${libc()}`);
  expect(error.message).toContain(`${absent}: not there\n`);
  expect(error.message).toMatch(new RegExp(`${damaged}: .+\n`));
  expect(error.message).toMatch(/`[\w ]*set-native build`/);
  expect(error.details).toMatchObject({ tried: [{ file: absent }, { file: damaged }] });
});

test('a damaged addon gives way to the next', () => {
  const damaged = path.join(folder, 'damaged.node');
  writeFileSync(damaged, 'no shared object');
  const places = addonPlaces();
  const loaded = loadAddon([{ file: damaged, origin: 'compiled' }, ...places]);
  expect(places.map(({ file }) => file)).toContain(loaded.file);
});

test('without a word of the package manager, folders tell of it', () => {
  const project = (name: string, ...lockFiles: string[]) => {
    const modules = path.join(folder, name, 'node_modules', 'set-native');
    mkdirSync(modules, { recursive: true });
    for (const file of lockFiles) writeFileSync(path.join(folder, name, file), '');
    return modules;
  };
  expect(packageManager('/', 'pnpm/10.2.0 npm/? node/v20')).toBe('pnpm');
  expect(packageManager(project('y', 'yarn.lock'), '')).toBe('yarn');
  expect(packageManager(project('b', 'bun.lock'), '')).toBe('bun');
  expect(packageManager(project('n', 'package-lock.json'), '')).toBe('npm');
  expect(packageManager('/p/node_modules/.pnpm/set-native@1/node_modules/set-native', '')).toBe('pnpm');
  expect(packageManager('/somewhere', 'constructor/1')).toBe('npm');
});

test('set-native build says what it takes where CMake is missing', () => {
  const bin = path.join(folder, 'bin');
  mkdirSync(bin);
  symlinkSync(process.execPath, path.join(bin, 'node'));
  const { status, stderr } = spawnSync(process.execPath, [path.join(root, 'dist/cli/main.js'), 'build'], {
    env: { PATH: bin },
    encoding: 'utf8',
  });
  expect(status).toBe(1);
  expect(stderr).toMatch(/cmake is not on the PATH.*apt-get install cmake g\+\+ make/);
});

/** What `set-native build` writes where `cmake` is a program that says its version and fails at all else. */
function buildWith(version: string, args: string[] = [], variables: NodeJS.ProcessEnv = {}) {
  const bin = mkdtempSync(path.join(folder, 'cmake-'));
  const lines = [`[ "$1" = --version ] && { echo 'cmake version ${version}'; exit 0; }`, 'exit 1'];
  writeFileSync(path.join(bin, 'cmake'), `#!/bin/sh\n${lines.join('\n')}\n`, { mode: 0o755 });
  return spawnSync(process.execPath, [path.join(root, 'dist/cli/main.js'), 'build', ...args], {
    env: { PATH: bin, ...variables },
    encoding: 'utf8',
  });
}

test.skipIf(process.platform === 'win32')('a CMake that is too old is named with its version', () => {
  const { status, stderr } = buildWith('3.20.9');
  expect(status).toBe(1);
  expect(stderr).toContain('CMake 3.21 or newer, and this is 3.20.9; on Debian');
});

test.skipIf(process.platform === 'win32')(
  'before it compiles it says what, with how many jobs and how long; a failure says what it takes',
  () => {
    const failed = buildWith('3.21.0');
    const what = `compiling the addon for ${process.platform}-${process.arch}`;
    const cores = os.availableParallelism();
    const jobs = cores === 1 ? '1 job' : `${cores} jobs`;
    expect(failed.status).toBe(1);
    expect(failed.stdout).toBe(`set-native: ${what} with ${jobs}; about a minute and a half on two cores\n`);
    expect(failed.stderr).toMatch(/could not be compiled in .*: see above; on Debian.*cmake g\+\+ make/);
    expect(buildWith('3.21.0', [], { JOBS: '7' }).stdout).toContain('with 7 jobs');
    expect(buildWith('3.21.0', ['--jobs', '3'], { JOBS: '7' }).stdout).toContain('with 3 jobs');
  },
);

test('the package has what an install needs, and no more', () => {
  const pack = spawnSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], {
    cwd: root,
    encoding: 'utf8',
  });
  const [{ files, size, unpackedSize }] = JSON.parse(pack.stdout) as [
    { files: { path: string }[]; size: number; unpackedSize: number },
  ];
  expect(size).toBeLessThanOrEqual(10e6);
  expect(unpackedSize).toBeLessThanOrEqual(30e6);
  const names = files.map((file) => file.path);
  for (const name of ['CMakeLists.txt', 'CMakePresets.json', 'native/sources.json', 'native/metal/embed.js'])
    expect(names).toContain(name);
  expect(names).toContain('THIRD-PARTY-LICENSES');
  const { metal } = JSON.parse(readFileSync(path.join(root, 'native/sources.json'), 'utf8')) as {
    metal: string[];
  };
  const kernels = readdirSync(path.join(root, 'native/metal/kernels')).map(
    (k) => `native/metal/kernels/${k}`,
  );
  for (const name of [...metal, ...kernels, 'native/gpu/language.h', 'native/core/vocabulary.h'])
    expect(names).toContain(name);
  expect(
    names.filter((name) =>
      /\.(?:map|svg|png|csv|gyp)$(?<!exports.map)|^(?:src|test|native\/test)\//.test(name),
    ),
  ).toEqual([]);
});

test('nothing runs when the package is installed', async () => {
  const { default: manifest } = await import('../../package.json', { with: { type: 'json' } });
  for (const name of ['preinstall', 'install', 'postinstall'])
    expect(manifest.scripts).not.toHaveProperty(name);
  expect(manifest.gypfile).toBe(false);
});
