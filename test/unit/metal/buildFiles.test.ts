import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, expect, test } from 'vitest';

/*
 * What `set-native build` would do on a Mac, without one: CMake configures for Darwin and tells the commands
 * that it would run there.
 */

const root = path.resolve(import.meta.dirname, '../../..');
const folder = mkdtempSync(path.join(os.tmpdir(), 'set-native-'));
const compiler = spawnSync('sh', ['-c', 'command -v c++'], { encoding: 'utf8' }).stdout.trim();
const lacking = [
  ...(spawnSync('cmake', ['--version']).status === 0 ? [] : ['cmake']),
  ...(compiler === '' ? ['c++'] : []),
];

afterAll(() => rmSync(folder, { recursive: true }));

interface Commands {
  /** Command of each source that is compiled, by its path in the repository. */
  compile: Map<string, string>;
  link: string;
}

/** The commands of a build for `system` and `arch`. */
function commands(system: 'Darwin' | 'Linux', arch: string): Commands {
  const place = mkdtempSync(path.join(folder, `${system}-`));
  const given = {
    CMAKE_SYSTEM_NAME: system,
    CMAKE_SYSTEM_PROCESSOR: arch,
    CMAKE_OSX_ARCHITECTURES: arch,
    CMAKE_OSX_SYSROOT: folder,
    CMAKE_INSTALL_NAME_TOOL: process.execPath, // any program: it is not run
    CMAKE_CXX_COMPILER: compiler,
    CMAKE_CXX_COMPILER_FORCED: 1,
    CMAKE_OBJCXX_COMPILER: compiler,
    CMAKE_OBJCXX_COMPILER_FORCED: 1,
    SET_NODE: process.execPath,
    SET_NODE_INCLUDES: folder,
  };
  const defines = Object.entries(given).map(([name, value]) => `-D${name}=${value}`);
  const { status, stderr } = spawnSync('cmake', ['-S', root, '-B', place, ...defines], { encoding: 'utf8' });
  expect(status, stderr).toBe(0);
  const all = JSON.parse(readFileSync(path.join(place, 'compile_commands.json'), 'utf8')) as {
    file: string;
    command: string;
  }[];
  return {
    compile: new Map(
      all
        .filter(({ command }) => !/set_native_test|set_emulat|_asan|_tsan|_fake/.test(command))
        .map(({ file, command }) => [path.relative(root, file), command]),
    ),
    link: readFileSync(path.join(place, 'CMakeFiles/set_native.dir/link.txt'), 'utf8'),
  };
}

test.for(['arm64', 'x86_64'])('on a Mac of %s the addon is built with Metal', (arch, { skip }) => {
  skip(lacking.length > 0, `it takes ${lacking.join(' and ')}`);
  const { compile, link } = commands('Darwin', arch);
  const flags = ['-O3', '-std=c++17', '-ffp-contract=off', '-fvisibility=hidden', `-arch ${arch}`];
  for (const file of ['metal/apple_gpu.mm', 'metal/device.cpp', 'cpu/trainer.cpp', 'binding/addon.cpp']) {
    const command = compile.get(`native/${file}`) ?? '';
    for (const flag of flags) expect(command, file).toContain(flag);
    expect(command, file).not.toMatch(/-fno-exceptions|-fno-rtti|-ffast-math/);
  }
  expect(compile.get('native/metal/apple_gpu.mm')).toContain('-fobjc-arc');
  expect([...compile.keys()].some((file) => file.endsWith('metal_source.cpp'))).toBe(true);
  expect(compile.has('native/metal/no_metal.cpp')).toBe(false);
  const frameworks = ['-framework Metal', '-framework Foundation', '-framework CoreGraphics', '-lobjc'];
  for (const part of ['-bundle', 'libset_core.a', '-undefined dynamic_lookup', ...frameworks])
    expect(link).toContain(part);
  expect(link).not.toContain('version-script');
});

test('elsewhere it is built without', ({ skip }) => {
  skip(lacking.length > 0, `it takes ${lacking.join(' and ')}`);
  const { compile, link } = commands('Linux', 'x86_64');
  expect(compile.has('native/metal/no_metal.cpp')).toBe(true);
  expect([...compile.keys()].join()).not.toMatch(/apple_gpu|metal_source/);
  expect(link).not.toContain('-framework');
  for (const part of ['-Wl,-z,nodelete', '-static-libstdc++', 'exports.map']) expect(link).toContain(part);
});

test('every source of the back end is built, on Macs or elsewhere', () => {
  // What is left out would not be missed before the addon is loaded: that links with undefined symbols.
  const lists = JSON.parse(readFileSync(path.join(root, 'native/sources.json'), 'utf8')) as Record<
    string,
    string[]
  >;
  const built = [...lists.metal!, ...lists.no_metal!].map((file) => path.basename(file));
  const there = readdirSync(path.join(root, 'native/metal')).filter((name) => /\.(?:cpp|mm)$/.test(name));
  expect(built.sort()).toEqual(there.sort());
});
