/*
 * Makes C++ of the Metal kernels: the very text that Metal compiles, without its attributes, and behind it
 * for each kernel what an encoder does: arguments from where their attributes say.
 *
 *   node metal_bindings.js OUT.cpp                  what the emulator runs: simt_metal::kernels()
 *   node metal_bindings.js OUT.cpp NAME FILE.metal  the same of other kernels: simt_metal::NAME()
 *   node metal_bindings.js --check OUT.cpp          all kernels, real address spaces: clang -fsyntax-only
 *
 * Kernels that no compiler of Metal would take are refused here where that is easily seen: unknown
 * attributes, arguments without one, indices given twice.
 */
import { realpathSync, writeFileSync } from 'node:fs';
import { flatten } from '../../metal/embed.js';

const builtIns = {
  threadgroup_position_in_grid: 'position(simt::place().block)',
  threadgroups_per_grid: 'position(simt::place().grid_dim)',
  thread_index_in_threadgroup: 'simt::place().thread.x',
  thread_index_in_simdgroup: 'simt::place().thread.x % simt::kWarp',
  simdgroup_index_in_threadgroup: 'simt::place().thread.x / simt::kWarp',
};

/**
 * The instances of each operation that has several kernels, as gpu/op_table.h in the text lists operations
 * and heights: the end of their names and their template arguments.
 */
function instancesOf(text) {
  const widths = [
    ['16', 'uint16_t'],
    ['32', 'uint32_t'],
  ];
  const heights = [...text.matchAll(/\bHEIGHT\((\d+), __VA_ARGS__\)/g)].map(([, height]) => height);
  const families = {
    per_index: widths,
    per_height: widths.flatMap(([bits, index]) =>
      heights.map((height) => [`${bits}_${height}`, `${index}, ${height}`]),
    ),
  };
  const operations = [...text.matchAll(/\bOP\((\w+), (per_\w+),/g)];
  return operations.map(([, name, family]) => [name, families[family]]);
}

/** Replaced by spaces, so that columns and lines stay. */
const blank = (text) => text.replace(/[^\n]/g, ' ');

/** `device const float* x [[buffer(2)]]` -> how the argument is found. */
function argument(kernelName, text) {
  const match = /^([\s\S]*?)(\w+)\s*\[\[\s*(\w+)(?:\((\d+)\))?\s*\]\]$/.exec(text.trim());
  if (match === null) throw new Error(`${kernelName}: an argument without attribute: ${text.trim()}`);
  const [, declared, name, attribute, index] = match;
  const type = declared.trim();
  if (attribute === 'buffer') {
    if (/^constant\b.*&$/.test(type))
      return { name, index: +index, value: type.replace(/^constant\s+|\s*&$/g, '') };
    if (/^device\b.*\*$/.test(type))
      return { name, index: +index, pointer: type.replace(/^device\s+|\s*\*$/g, '') };
  }
  if (attribute === 'threadgroup' && index === '0' && /^threadgroup\b.*\*$/.test(type))
    return { name, shared: type.replace(/^threadgroup\s+|\s*\*$/g, '') };
  if (attribute in builtIns) return { name, builtIn: builtIns[attribute] };
  throw new Error(`${kernelName}: cannot bind ${text.trim()}`);
}

/** Some standard libraries have functions of these names outside of std, too. */
const hiding = ['exp', 'fabs', 'fma', 'isfinite', 'log', 'tanh']
  .map((name) => `using metal::${name};`)
  .join(' ');

/** All kernels of a text: name, template parameters, arguments. */
export function kernelsOf(text) {
  const code = text.replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, blank);
  const found = [];
  for (const match of code.matchAll(
    /(?:template\s*<([^>]*)>\s*)?\bkernel\s+void\s+(\w+)\s*\(([\s\S]*?)\)\s*\{/g,
  )) {
    const [, template, name, list] = match;
    const args = list.split(/,(?![^[]*\]\])/).map((text) => argument(name, text));
    const taken = args.filter(({ index }) => index !== undefined).map(({ index }) => index);
    if (new Set(taken).size !== taken.length) throw new Error(`${name}: two buffers of one index`);
    found.push({ name, template, args });
  }
  for (const [name, list] of instancesOf(code)) {
    const kernel = found.find((each) => each.name === name);
    if (kernel?.template === undefined) throw new Error(`${name}: no such template`);
    kernel.instances = list.map(([suffix, values]) => ({ name: `${name}_${suffix}`, values }));
  }
  return found;
}

/** C++ that calls a kernel, one GPU thread of it. */
function binder({ name, template, args }) {
  const call = args.map((arg) => {
    if (arg.value !== undefined) return `*a.value<${arg.value}>(${arg.index})`;
    if (arg.pointer !== undefined) return `a.buffer<${arg.pointer}>(${arg.index})`;
    if (arg.shared !== undefined) return `reinterpret_cast<${arg.shared}*>(simt::shared_memory())`;
    return arg.builtIn;
  });
  const values = template?.replace(/\w+\s+(\w+)/g, '$1');
  return [
    ...(template ? [`template <${template}>`] : []),
    `void run_${name}(const Arguments& a) {`,
    `  (void)a;`,
    `  ${name}${values ? `<${values}>` : ''}(${call.join(', ')});`,
    `}`,
  ].join('\n');
}

function entries({ name, instances: list, template, args }) {
  if (template !== undefined && list === undefined) throw new Error(`${name}: a template without instances`);
  const buffers = args.flatMap(({ index, pointer }) => (pointer ? [index] : []));
  const values = args.flatMap(({ index, value }) => (value ? [`{${index}, sizeof(${value})}`] : []));
  const rest = `{${buffers.join(', ')}}, {${values.join(', ')}}`;
  return (list ?? [{ name }]).map(
    (one) => `    {"${one.name}", &run_${name}${one.values ? `<${one.values}>` : ''}, ${rest}},`,
  );
}

/** C++ of a text in the Metal shading language. */
export function emulation(text, { check = false, table = 'kernels' } = {}) {
  const kernels = kernelsOf(text);
  const plain = text
    .replace(/^#include <.*$/gm, '')
    .replace(/^SET_GPU_OPS\(SET_INSTANCES\)$/gm, blank)
    .replace(/\[\[[^\]]*\]\]/g, blank);
  const parts = [
    ...(check ? ['#define SET_CHECK_ADDRESS_SPACES'] : ['#include "test/emulator/metal_kernels.h"']),
    '#include "test/emulator/metal_language.h"',
    `namespace set_native_metal_${table} {`,
    hiding,
    plain,
  ];
  if (check) {
    // Templates are checked when they are instantiated.
    const uses = kernels.flatMap(({ name, instances: list = [] }) =>
      list.map(({ values }) => `&${name}<${values}>`),
    );
    parts.push('#line 1 "instances"', ...uses.map((use, k) => `inline auto* const used_${k} = ${use};`), '}');
  } else {
    parts.push(
      '#line 1 "bindings"',
      '#undef device\n#undef constant\n#undef threadgroup\n#undef thread\n#undef kernel',
      'using ::set_native::simt_metal::Arguments;\nnamespace simt = ::set_native::simt;',
      'namespace {\n[[maybe_unused]] uint3 position(const simt::Dim& d) { return {d.x, d.y, d.z}; }',
      ...kernels.map(binder),
      '}',
      '}',
      `const std::vector<set_native::simt_metal::Kernel>& set_native::simt_metal::${table}() {`,
      `  using namespace set_native_metal_${table};`,
      '  static const std::vector<Kernel> all = {',
      ...kernels.flatMap(entries),
      '  };\n  return all;\n}',
    );
  }
  return `${parts.join('\n')}\n`;
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === import.meta.filename) {
  const args = process.argv.slice(2);
  const check = args[0] === '--check';
  const [out, table, file] = check ? args.slice(1) : args;
  if (out === undefined) throw new Error('usage: node metal_bindings.js [--check] OUT.cpp [NAME FILE.metal]');
  writeFileSync(out, emulation(file === undefined ? flatten() : flatten([file]), { check, table }));
}
