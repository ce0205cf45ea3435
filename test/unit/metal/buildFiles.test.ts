import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';

/*
 * What `npm install` would do on a Mac, without one: node-gyp's generator writes the makefiles that it would
 * write there, and make tells the commands that it would run.
 */

const root = path.resolve(import.meta.dirname, '../../..');
const nodeGyp = path.dirname(createRequire(import.meta.url).resolve('node-gyp/package.json'));
const folder = mkdtempSync(path.join(os.tmpdir(), 'set-native-'));
const headers = path.join(nodeFolder(), 'include/node');
const lacking = ['python3', 'make'].filter((name) => spawnSync(name, ['--version']).status !== 0);
if (!existsSync(path.join(headers, 'common.gypi'))) lacking.push("Node's headers");

/** Where the build of the native code, which comes before these tests, had Node's headers from. */
function nodeFolder(): string {
  const config = path.join(root, 'build/config.gypi');
  const [, folder] = /"nodedir": "(.*)"/.exec(existsSync(config) ? readFileSync(config, 'utf8') : '') ?? [];
  return folder ?? path.dirname(path.dirname(process.execPath));
}

afterAll(() => rmSync(folder, { recursive: true }));

/** The commands of a build on `flavor` and `arch`, with binding.gyp as it is or edited. */
function commands(flavor: 'mac' | 'linux', arch: string, edit = (text: string) => text): string[] {
  const place = mkdtempSync(path.join(folder, `${flavor}-`));
  for (const name of ['native', 'node_modules', 'package.json'])
    symlinkSync(path.join(root, name), path.join(place, name));
  writeFileSync(path.join(place, 'binding.gyp'), edit(readFileSync(path.join(root, 'binding.gyp'), 'utf8')));
  const build = path.join(place, 'build');
  mkdirSync(build);
  const { variables, target_defaults } = process.config as unknown as {
    variables: object;
    target_defaults: object;
  };
  const settings = { clang: 1, standalone_static_library: 1, host_arch: arch, target_arch: arch };
  writeFileSync(
    path.join(build, 'config.gypi'),
    JSON.stringify({ variables: { ...variables, ...settings }, target_defaults }, (_, value) =>
      typeof value === 'boolean' ? String(value) : value,
    ),
  );
  const gyp = spawnSync(
    'python3',
    [
      ...[path.join(root, 'test/support/gyp.py'), path.join(nodeGyp, 'gyp/pylib'), flavor, 'binding.gyp'],
      ...[
        '-I',
        'build/config.gypi',
        '-I',
        path.join(nodeGyp, 'addon.gypi'),
        '-I',
        path.join(headers, 'common.gypi'),
      ],
      ...['-Dlibrary=shared_library', '-Dvisibility=default', '-Dnode_lib_file=node.lib', '-Dnode_engine=v8'],
      ...[`-DOS=${flavor}`, `-Dnode_root_dir=${path.dirname(headers)}`, `-Dnode_gyp_dir=${nodeGyp}`],
      ...[
        `-Dmodule_root_dir=${place}`,
        '--depth=.',
        '--no-parallel',
        '--generator-output',
        'build',
        '-Goutput_dir=.',
      ],
    ],
    {
      cwd: place,
      encoding: 'utf8',
    },
  );
  expect(gyp).toMatchObject({ status: 0 });
  const make = spawnSync('make', ['--dry-run', 'BUILDTYPE=Release', 'V=1', 'CXX=c++'], {
    cwd: build,
    encoding: 'utf8',
    maxBuffer: 1 << 26,
  });
  expect(make).toMatchObject({ status: 0, stderr: '' });
  return make.stdout.split('\n').filter((line) => !line.startsWith('printf '));
}

/** The one command that mentions `part` and is a compiler's or linker's. */
function command(all: string[], part: string): string {
  return all.find((line) => line.startsWith('c++ ') && line.includes(part)) ?? '';
}

const frameworks = ['-framework Metal', '-framework Foundation', '-framework CoreGraphics', '-lobjc'];

/** What a build on a Mac lacks or has too much of. */
function faultsOnMac(all: string[], arch: string): string[] {
  const faults: string[] = [];
  const look = (title: string, text: string, wanted: string[], unwanted: string[] = []) => {
    if (text === '') faults.push(`${title} is missing`);
    else for (const flag of wanted) if (!text.includes(flag)) faults.push(`${title} lacks ${flag}`);
    for (const flag of unwanted) if (text.includes(flag)) faults.push(`${title} has ${flag}`);
  };
  const all11 = [
    '-O3',
    '-std=c++17',
    '-ffp-contract=off',
    '-mmacosx-version-min=11.0',
    '-fvisibility=hidden',
  ];
  const flags = [...all11, `-arch ${arch}`];
  const without = ['-fno-exceptions', '-fno-rtti', '-ffast-math', '-std=gnu++'];
  look('apple_gpu.mm', command(all, 'metal/apple_gpu.mm'), [...flags, '-fobjc-arc'], without);
  for (const file of [
    'metal/device.cpp',
    'metal/metal.cpp',
    'geni/metal_source.cpp',
    'cpu/trainer.cpp',
    'addon.cpp',
  ]) {
    look(file, command(all, file), flags, without);
  }
  look('the addon', command(all, '-o Release/set_native.node'), [
    '-bundle',
    'Release/set_core.a',
    ...frameworks,
  ]);
  const archive = all.find((line) => line.includes('-static -o Release/set_core.a')) ?? '';
  look('the core', archive, ['metal/apple_gpu.o', 'geni/metal_source.o', 'metal/metal.o'], ['no_metal.o']);
  look('the text of the kernels', all.find((line) => line.includes('node native/metal/embed.js')) ?? '', [
    '.cpp',
  ]);
  return faults;
}

const needs = `it takes ${lacking.join(' and ')}`;

test.for([
  ['arm64', 'arm64'],
  ['x64', 'x86_64'],
] as const)('on a Mac of %s the addon is built with Metal', ([arch, apple], { skip }) => {
  skip(lacking.length > 0, needs);
  const all = commands('mac', arch);
  expect(faultsOnMac(all, apple)).toEqual([]);
  expect(command(all, 'obj.target/set_kernels_avx512/').includes('-mavx512f')).toBe(arch === 'x64');
});

test('elsewhere it is built without', ({ skip }) => {
  skip(lacking.length > 0, needs);
  const all = commands('linux', 'x64').join('\n');
  expect(all).toContain('metal/no_metal.cpp');
  expect(all).not.toMatch(/apple_gpu|metal_source|metal\/metal\.|-framework/);
});

describe('the dry run notices', () => {
  test.for([
    ['a lost flag', (text: string) => text.replace('node native/list.js mac flags', 'true'), /-fobjc-arc/],
    [
      'a lost framework',
      (text: string) => text.replace('node native/list.js link mac', 'echo -lobjc'),
      /-framework Metal/,
    ],
    [
      'flags in target_defaults, which lose against those of Node',
      (text: string) =>
        text
          .replaceAll('"includes": ["native/target.gypi"],', '')
          .replace(
            '"targets": [',
            '"target_defaults": {"includes": ["native/target.gypi"]},\n  "targets": [',
          ),
      /has -fno-exceptions/,
    ],
  ] as const)('%s', ([, edit, fault], { skip }) => {
    skip(lacking.length > 0, needs);
    expect(faultsOnMac(commands('mac', 'arm64', edit), 'arm64').join('\n')).toMatch(fault);
  });
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

test('the npm package has what a build on a Mac reads', () => {
  const pack = spawnSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], {
    cwd: root,
    encoding: 'utf8',
  });
  const files = new Set(
    (JSON.parse(pack.stdout) as [{ files: { path: string }[] }])[0].files.map((file) => file.path),
  );
  const { metal } = JSON.parse(readFileSync(path.join(root, 'native/sources.json'), 'utf8')) as {
    metal: string[];
  };
  const kernels = readdirSync(path.join(root, 'native/metal/kernels')).map(
    (name) => `native/metal/kernels/${name}`,
  );
  const gyp = ['binding.gyp', 'native/target.gypi', 'native/list.js', 'native/sources.json'];
  const read = [...gyp, 'native/install.js', 'native/metal/embed.js'];
  for (const file of [...read, ...metal, ...kernels, 'native/gpu/language.h', 'native/core/vocabulary.h'])
    expect(files).toContain(file);
});
