/*
 * What a prebuilt addon for Linux must be, told by readelf and objdump. Returns the lines that show it;
 * throws where it is something else.
 */
import { spawnSync } from 'node:child_process';
import { statSync } from 'node:fs';

/** Libraries that it may need: those of the C library, never libstdc++ or the dynamic linker. */
const libraries = {
  glibc: ['libm.so.6', 'libc.so.6', 'libpthread.so.0', 'libdl.so.2'],
  musl: ['libc.so'],
};
const newestGlibc = [2, 28];
const exported = ['napi_register_module_v1', 'node_api_module_get_api_version_v1'];
const mostBytes = 4e6;

function output(command, args) {
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    encoding: 'utf8',
    maxBuffer: 1 << 30,
  });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${error?.message ?? stderr}`);
  return stdout;
}

const all = (text, pattern) => [...new Set([...text.matchAll(pattern)].map((match) => match[1]))].sort();

function expect(file, what, holds) {
  if (!holds) throw new Error(`${file}: ${what}`);
}

/** Checks a linked addon for `glibc` or `musl`. */
export function check(file, libc) {
  const dynamic = output('readelf', ['--wide', '--dynamic', file]);
  const needed = all(dynamic, /\(NEEDED\)\s+Shared library: \[(.*)\]/g);
  expect(
    file,
    `needs ${needed}, more than ${libraries[libc]}`,
    needed.every((name) => libraries[libc].includes(name)),
  );
  expect(file, 'has a path to look for libraries in', !/\(R(?:UN)?PATH\)/.test(dynamic));
  expect(file, 'may be unloaded while its threads run', /\(FLAGS_1\).*NODELETE/.test(dynamic));

  const versions = all(output('readelf', ['--wide', '--version-info', file]), /Name: GLIBC_(\d+(?:\.\d+)+)/g);
  const order = (version) => version.split('.').reduce((sum, part, k) => sum + Number(part) / 1000 ** k, 0);
  const newest = versions.sort((a, b) => order(a) - order(b)).at(-1);
  const limit = newestGlibc.join('.');
  expect(
    file,
    `needs glibc ${newest}, newer than ${limit}`,
    newest === undefined || order(newest) <= order(limit),
  );
  expect(file, 'is not for musl: it needs versions of glibc', libc === 'glibc' || newest === undefined);

  const symbols = output('readelf', ['--wide', '--dyn-syms', file]);
  const names = all(symbols, /(?:GLOBAL|WEAK|UNIQUE)\s+DEFAULT\s+\d+\s+(\S+)/g);
  expect(file, `exports ${names}, not ${exported}`, names.join() === exported.join());
  expect(
    file,
    'has an executable stack',
    /GNU_STACK.* RW /.test(output('readelf', ['--wide', '--segments', file])),
  );
  const { size } = statSync(file);
  expect(file, `has ${size} bytes, more than ${mostBytes}`, size <= mostBytes);
  return [`needs ${needed.join(', ')}`, `glibc ${newest ?? 'none'}`, `${(size / 1e6).toFixed(2)} MB`].join(
    '; ',
  );
}

/**
 * Checks that code for AVX and AVX-512 is in functions alone that say so by their name, which are called
 * where the processor has it: all others run on every x86-64.
 */
export function checkBaseline(archives) {
  const offenders = new Set();
  let wide = 0;
  for (const archive of archives) {
    let name = '';
    for (const line of output('objdump', [
      '--disassemble',
      '--demangle',
      '--no-show-raw-insn',
      archive,
    ]).split('\n')) {
      const head = /^[0-9a-f]+ <(.*)>:$/.exec(line);
      if (head) name = head[1];
      else if (/%[yz]mm\d|\bv(?:mov|add|mul|fmadd|xor)[a-z]*\s/.test(line)) {
        if (/avx/.test(name)) wide++;
        else offenders.add(name);
      }
    }
  }
  expect(archives[0], 'no code for AVX was found: is it read rightly?', wide > 0);
  expect(archives[0], `code for AVX in ${[...offenders].slice(0, 5).join(', ')}`, offenders.size === 0);
}
