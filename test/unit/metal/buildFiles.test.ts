import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
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
  /** All commands: kernels are compiled once per instruction set. */
  every: string[];
  link: string;
}

/** The commands of a build for `system` and `arch`, with sources.json as it is or edited. */
function commands(system: 'Darwin' | 'Linux', arch: string, edit = (text: string) => text): Commands {
  const source = mkdtempSync(path.join(folder, `${system}-`));
  const place = path.join(source, 'build');
  cpSync(path.join(root, 'native'), path.join(source, 'native'), { recursive: true });
  cpSync(path.join(root, 'CMakeLists.txt'), path.join(source, 'CMakeLists.txt'));
  const lists = path.join(source, 'native/sources.json');
  writeFileSync(lists, edit(readFileSync(lists, 'utf8')));
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
    ...(system === 'Darwin' && {
      CMAKE_CXX_COMPILER_ID: 'AppleClang',
      CMAKE_OBJCXX_COMPILER_ID: 'AppleClang',
    }),
    ...(system === 'Darwin' && { CMAKE_CXX_COMPILER_VERSION: '15.0', CMAKE_OBJCXX_COMPILER_VERSION: '15.0' }),
    SET_NODE: process.execPath,
    SET_NODE_INCLUDES: folder,
  };
  const defines = Object.entries(given).map(([name, value]) => `-D${name}=${value}`);
  const { status, stderr } = spawnSync('cmake', ['-S', source, '-B', place, ...defines], {
    encoding: 'utf8',
  });
  expect(status, stderr).toBe(0);
  const all = JSON.parse(readFileSync(path.join(place, 'compile_commands.json'), 'utf8')) as {
    file: string;
    command: string;
  }[];
  const ours = all.filter(({ command }) => !/set_native_test|emulat|_asan|_tsan|_fake/.test(command));
  return {
    compile: new Map(ours.map(({ file, command }) => [path.relative(source, file), command])),
    every: ours.map(({ command }) => command),
    link: readFileSync(path.join(place, 'CMakeFiles/set_native.dir/link.txt'), 'utf8'),
  };
}

/** What a build on a Mac lacks or has too much of. */
function faultsOnMac({ compile, link }: Commands, arch: string): string[] {
  const faults: string[] = [];
  const look = (title: string, text: string, wanted: string[], unwanted: string[] = []) => {
    for (const part of wanted) if (!text.includes(part)) faults.push(`${title} lacks ${part}`);
    for (const part of unwanted) if (text.includes(part)) faults.push(`${title} has ${part}`);
  };
  const target = [`-arch ${arch}`, '-mmacosx-version-min=11.0'];
  const flags = ['-O3', '-std=c++17', '-ffp-contract=off', '-fvisibility=hidden', ...target];
  const without = ['-fno-exceptions', '-fno-rtti', '-ffast-math', '-std=gnu++'];
  const generated =
    [...compile.keys()].find((file) => file.endsWith('metal_source.cpp')) ?? 'metal_source.cpp';
  const plain = ['metal/device.cpp', 'metal/metal.cpp', 'cpu/trainer.cpp', 'binding/addon.cpp'];
  for (const file of [...plain.map((name) => `native/${name}`), generated])
    look(file, compile.get(file) ?? '', flags, without);
  look('apple_gpu.mm', compile.get('native/metal/apple_gpu.mm') ?? '', [...flags, '-fobjc-arc'], without);
  look('the core', [...compile.keys()].join(), [], ['no_metal.cpp']);
  const frameworks = ['-framework Metal', '-framework Foundation', '-framework CoreGraphics', '-lobjc'];
  const parts = ['-bundle', 'libset_core.a', '-undefined dynamic_lookup', ...target, ...frameworks];
  look('the addon', link, parts, ['version-script']);
  return faults;
}

const needs = `it takes ${lacking.join(' and ')}`;

test.for(['arm64', 'x86_64'])('on a Mac of %s the addon is built with Metal', (arch, { skip }) => {
  skip(lacking.length > 0, needs);
  const all = commands('Darwin', arch);
  expect(faultsOnMac(all, arch)).toEqual([]);
  const wide = all.every.some((command) => command.includes('-mavx512f'));
  expect(wide).toBe(arch === 'x86_64');
});

test.for([
  ['a lost flag', '["-fobjc-arc"]', '[]', /apple_gpu.mm lacks -fobjc-arc/],
  ['a lost framework', '-framework Metal', '-framework Mettle', /the addon lacks -framework Metal/],
  ['another system', '"11.0"', '"13.0"', /lacks -mmacosx-version-min=11.0/],
] as const)('the dry run notices %s', ([, from, to, fault], { skip }) => {
  skip(lacking.length > 0, needs);
  const edited = commands('Darwin', 'arm64', (text) => {
    expect(text).toContain(from);
    return text.replaceAll(from, to);
  });
  expect(faultsOnMac(edited, 'arm64').join('\n')).toMatch(fault);
});

test('elsewhere it is built without', ({ skip }) => {
  skip(lacking.length > 0, needs);
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
