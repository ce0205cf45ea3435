import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { faultsOf } from '../../support/metalLanguage.js';

const native = path.resolve(import.meta.dirname, '../../../native');
const embed = (await import(path.join(native, 'metal/embed.js'))) as { flatten(): string };

const kernel = (args: string, body = '') => `kernel void f(${args}) {\n${body}\n}\n`;
const p = 'constant FParams& p [[buffer(0)]]';

test('the Metal kernels hold to what Apple compiles', () => {
  expect(faultsOf(embed.flatten())).toEqual([]);
});

test('the kernels are the operations of the GPU back ends', () => {
  const table = readFileSync(path.join(native, 'gpu/op_table.h'), 'utf8');
  const ops = [...table.matchAll(/^ {2}OP\((\w+), /gm)].map(([, name]) => name!);
  const kernels = [...embed.flatten().matchAll(/\bkernel\s+void\s+(\w+)/g)].map(([, name]) => name!);
  expect(ops.length).toBeGreaterThan(30);
  const own = ['copy_bytes', 'clear_bytes']; // what other devices have commands for
  expect(kernels.filter((name) => !own.includes(name)).sort()).toEqual(ops.sort());
});

describe('what is refused', () => {
  test.for([
    ['a double', 'inline float f(float x) {\n  double y = x;\n}', /no double/],
    ['the standard library', 'inline float f(float x) {\n  return std::max(x, 0.0f);\n}', /no std/],
    ['a lambda', 'inline void f() {\n  const auto g = [&](float x) { return x; };\n}', /a lambda/],
    ['a static variable', 'inline void f() {\n  static uint32_t calls = 0;\n}', /static/],
    ['if constexpr', 'inline void f() {\n  if constexpr (true) return;\n}', /C\+\+17/],
    ['a hexadecimal float', 'inline float f() {\n  return 0x1p-3f;\n}', /hexadecimal/],
    ['a name of Metal', 'inline uint32_t f(uint32_t n) {\n  const uint32_t half = n / 2;\n}', /a name that/],
    [
      'a parameter without address space',
      'inline float f(const float* x) {\n  return x[0];\n}',
      /f: const float\* x/,
    ],
    [
      'a reference without one',
      'template <typename T>\ninline void f(uint32_t n, T& total) {\n}',
      /f: T& total/,
    ],
    [
      'a variable without one',
      'inline void f(device float* x) {\n  const float* y = x;\n}',
      /const float\* y/,
    ],
    [
      'a variable of a loop',
      'inline void f(device float* x) {\n  for (float* y = x; y; ++y) {}\n}',
      /float\* y/,
    ],
    ['a member without one', 'struct S {\n  const uint32_t* words;\n};', /uint32_t\* words/],
    ['a result without one', 'inline const float* f(device float* x) {\n  return x;\n}', /float\* f/],
    ['a cast', 'inline void f(device float* x) {\n  g(reinterpret_cast<float4*>(x));\n}', /float4\*/],
    ['a constructor', 'struct S {\n  explicit S(const State* s) {\n  }\n};', /S: const State\* s/],
    ['a gap in the buffers', kernel(`${p}, device float* x [[buffer(2)]]`), /x has index 2, not 1/],
    ['buffers in another order', kernel('device float* x [[buffer(1)]]'), /x has index 1, not 0/],
    ['parameters in device memory', kernel('device FParams& p [[buffer(0)]]'), /p is no constant/],
    ['a wrong place of given', kernel(`${p}, constant uint32_t& given [[buffer(3)]]`), /index 30/],
    ['given for nothing', kernel(`${p}, constant uint32_t& given [[buffer(30)]]`), /may be missing/],
    [
      'the bit of another buffer',
      kernel(
        `${p}, device float* x [[buffer(1)]], constant uint32_t& given [[buffer(30)]]`,
        '  x = SET_GIVEN(given, 2, x);',
      ),
      /but x is 1/,
    ],
    ['an argument without attribute', kernel(`${p}, uint3 block`), /no attribute/],
    ['a template without instances', `template <typename T>\n${kernel(p)}`, /without instances/],
  ] as const)('%s', ([, text, fault]) => {
    expect(faultsOf(`using namespace metal;\n${text}`).join('\n')).toMatch(fault);
  });
});

test('what is not refused', () => {
  expect(
    faultsOf(`
SET_CONSTANT uint32_t kTile = 32;
/** A double, std::max, float* x. */
template <typename Index>
inline device const Index* f(device const Index* x, thread uint32_t& total, constant FParams& p, uint32_t n) {
  threadgroup float4* tile = g(x), y = a * b;
  if (flags & mask) return x + n * 2;
  total = n & (kTile - 1);
  return reinterpret_cast<device const Index*>(x) + (a & b);
}
template <typename Index>
${kernel(
  `${p}, device const Index* x [[buffer(1)]], constant uint32_t& given [[buffer(30)]]`,
  '  x = SET_GIVEN(given, 1, x);',
)}
#define SET_GPU_OPS(OP) OP(f, per_index, kTile)
`),
  ).toEqual([]);
});
