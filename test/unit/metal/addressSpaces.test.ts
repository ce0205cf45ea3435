import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { describe, expect, test } from 'vitest';

/*
 * The Metal kernels as clang reads them with real address spaces, and in the C++ of 2014: a pointer to one
 * space that is used as a pointer to another is an error, as it is for Apple's compiler.
 */
const native = path.resolve(import.meta.dirname, '../../../native');
const clang = ['clang++-19', 'clang++-18', 'clang++-17', 'clang++'].find(
  (command) => spawnSync(command, ['--version']).status === 0,
);

const { flatten } = (await import(path.join(native, 'metal/embed.js'))) as { flatten(): string };
const { emulation, kernelsOf } = (await import(path.join(native, 'test/emulator/metal_bindings.js'))) as {
  emulation(text: string, options: { check: boolean }): string;
  kernelsOf(text: string): { instances?: { name: string }[] }[];
};

function problems(text: string): string {
  const flags = ['-std=c++14', '-fsyntax-only', '-Wall', '-Wextra', '-Werror'];
  const but = ['-Wno-c++17-extensions', '-Wno-unused-const-variable', '-Wno-unused-function']; // nested namespaces; what hosts use
  const { stderr } = spawnSync(clang!, [...flags, ...but, `-I${native}`, '-x', 'c++', '-'], {
    input: emulation(text, { check: true }),
    encoding: 'utf8',
  });
  return stderr;
}

describe.skipIf(clang === undefined)('address spaces (clang)', () => {
  test('the kernels mix none', () => {
    expect(problems(flatten())).toBe('');
  });

  test.for([
    ['device memory as a thread’s', 'inline float f(thread float* x) { return *x; }', 'return f(x);'],
    ['threadgroup memory as device memory', 'inline float f(device float* x) { return *x; }', 'return f(t);'],
    ['a constant as device memory', 'inline float f(device const float* x) { return *x; }', 'return f(&c);'],
    ['a write to a constant', '', 'return c = 1.0f;'],
    ['a cast that leaves the space', '', 'return *reinterpret_cast<const float*>(x);'],
  ] as const)('%s is an error', ([, helper, body]) => {
    const planted = (text: string) => `
${helper}
inline float planted(device float* x, threadgroup float* t, constant float& c) {
  (void)x, (void)t, (void)c;
  ${text}
}
`;
    expect(problems(flatten() + planted('return *x + *t + c;'))).toBe('');
    expect(problems(flatten() + planted(body))).toMatch(/error: .*(address space|const|cast)/is);
  });

  test('a template is read in each of its instances', () => {
    const text = `
template <typename Index>
kernel void planted(constant DrawKey& p [[buffer(0)]], device Index* x [[buffer(1)]]) {
  thread Index* y = x;
  (void)y, (void)p;
}
#define PLANTED(OP) OP(planted, per_index, kTrainThreads)
`;
    expect(problems(flatten() + text)).toMatch(/error: /);
  });
});

test.skipIf(clang === undefined)('instances have the names that the host looks for', () => {
  const flags = ['-E', '-P', '-D__METAL_VERSION__=300', '-x', 'c++', '-'];
  const input = flatten().replace('#include <metal_stdlib>', '');
  const { stdout } = spawnSync(clang!, flags, { input, encoding: 'utf8' });
  const made = [...stdout.matchAll(/host_name\(([^)]*)\)/g)].map(([, parts]) =>
    parts!.replaceAll(/[" ]/g, ''),
  );
  const wanted = kernelsOf(flatten()).flatMap(({ instances = [] }) => instances.map(({ name }) => name));
  expect(made.length).toBeGreaterThan(40);
  expect(made.sort()).toEqual(wanted.sort());
});
