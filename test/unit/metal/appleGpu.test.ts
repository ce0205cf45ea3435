import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, expect, test } from 'vitest';

/*
 * The one file in Objective-C++, checked by clang against declarations of what it uses of Apple's frameworks
 * (native/test/metal/apple_stubs): that it is well formed, implements metal/gpu.h, and calls what there is
 * with what it takes.
 */

const native = path.resolve(import.meta.dirname, '../../../native');
const file = path.join(native, 'metal/apple_gpu.mm');
const source = readFileSync(file, 'utf8');
const clang = ['clang++-19', 'clang++'].find((name) => spawnSync(name, ['--version']).status === 0);
const folder = mkdtempSync(path.join(os.tmpdir(), 'set-native-'));

afterAll(() => rmSync(folder, { recursive: true }));

/** What clang says of a text in place of the file, for a Mac whose SDK is of this version. */
function check(text: string, sdk = 110000): string {
  const copy = path.join(folder, 'apple_gpu.mm');
  writeFileSync(copy, text);
  const { stderr, status } = spawnSync(
    clang!,
    [
      ...[
        '-x',
        'objective-c++',
        '-std=c++17',
        '-fobjc-arc',
        '-fobjc-exceptions',
        '-fobjc-runtime=macosx-11.0',
      ],
      ...[
        '-fsyntax-only',
        '-Wall',
        '-Wextra',
        '-Wshadow',
        '-Werror',
        `-D__MAC_OS_X_VERSION_MAX_ALLOWED=${sdk}`,
      ],
      ...['-I', path.join(native, 'test/metal/apple_stubs'), '-I', native, copy],
    ],
    { encoding: 'utf8' },
  );
  return status === 0 ? '' : stderr || 'no reason given';
}

test.for([110000, 150000])('the Objective-C++ file is sound, with SDK %i', (sdk, { skip }) => {
  skip(clang === undefined, 'clang is not installed');
  expect(check(source, sdk)).toBe('');
});

test.for([
  [
    'a misspelt selector',
    'length:size atIndex',
    'lenght:size atIndex',
    /selector 'setBytes:lenght:atIndex:'/,
  ],
  ['a misspelt property', 'commands_.GPUStartTime', 'commands_.GpuStartTime', /'GpuStartTime' not found/],
  ['an object of another kind', 'setBuffer:memory', 'setBuffer:encoder_', /id<MTLComputeCommandEncoder>/],
  ['a constant that does not exist', 'MTLGPUFamilyApple7', 'MTLGPUFamilyApple07', /MTLGPUFamilyApple07/],
  ['an option of another call', 'MTLPipelineOptionNone', 'MTLResourceStorageModeShared', /MTLPipelineOption/],
  ['a method that is not there', 'double end_time() const override', 'double end() const', /end_time/],
  [
    'a method with other arguments',
    'set_threadgroup_memory(size_t bytes)',
    'set_threadgroup_memory(int bytes)',
    /set_thr/,
  ],
  ['a property that newer systems have', 'mathMode', 'mathmode', /'mathmode' not found/, 150000],
] as const)('clang finds %s', ([, from, to, fault, sdk], { skip }) => {
  skip(clang === undefined, 'clang is not installed');
  expect(source.split(from).length).toBe(2);
  expect(check(source.replace(from, to), sdk)).toMatch(fault);
});
