/*
 * What a prebuilt addon must be, told by readelf and objdump. Each check returns the line that shows it, and
 * throws where it is something else.
 */
import { spawnSync } from 'node:child_process';
import { statSync } from 'node:fs';

/** What addons export. */
const exported = ['napi_register_module_v1', 'node_api_module_get_api_version_v1'];

/**
 * For Linux: the libraries that a file may need, which are those of the C library and never libstdc++, what
 * it exports and how large it may be. Only CUDA's runtime asks for the dynamic linker.
 */
const kinds = {
  glibc: {
    libraries: ['libm.so.6', 'libc.so.6', 'libpthread.so.0', 'libdl.so.2'],
    exported,
    mostBytes: 4e6,
  },
  musl: { libraries: ['libc.so'], exported, mostBytes: 4e6 },
  cuda: {
    libraries: ['libc.so.6', 'libpthread.so.0', 'libdl.so.2', 'librt.so.1', 'ld-linux-x86-64.so.2'],
    exported: ['set_native_cuda_library'],
    mostBytes: 8e6,
  },
};
const newestGlibc = [2, 28];

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

function sizeOf(file, mostBytes = 4e6) {
  const { size } = statSync(file);
  expect(file, `has ${size} bytes, more than ${mostBytes}`, size <= mostBytes);
  return `${(size / 1e6).toFixed(2)} MB`;
}

function expectExports(file, names, wanted) {
  expect(file, `exports ${names}, not ${wanted}`, names.join() === wanted.join());
}

/**
 * Checks an addon for Windows: it needs what is part of every Windows 10, and no program by name, so that it
 * can be loaded in a renamed Node, too.
 */
export function checkForWindows(file) {
  const headers = output('objdump', ['--private-headers', file]);
  const needed = all(headers, /DLL Name: (\S+)/g);
  const others = needed.filter((name) => !/^(?:KERNEL32|api-ms-win-crt-[a-z]+-l1-1-0)\.dll$/i.test(name));
  expect(file, `needs ${others}`, needed.length > 0 && others.length === 0);
  expectExports(file, all(headers, /^\s*\[\s*\d+\] (?!\+base)(\S+)$/gm), exported);
  return `needs KERNEL32.dll and the C runtime; ${sizeOf(file)}`;
}

/** Checks an addon for `glibc` or `musl`, or the `cuda` library, for glibc. */
export function checkForLinux(file, kind) {
  const { libraries, exported, mostBytes } = kinds[kind];
  const dynamic = output('readelf', ['--wide', '--dynamic', file]);
  const needed = all(dynamic, /\(NEEDED\)\s+Shared library: \[(.*)\]/g);
  expect(
    file,
    `needs ${needed}, more than ${libraries}`,
    needed.every((name) => libraries.includes(name)),
  );
  expect(file, 'has a path to look for libraries in', !/\(R(?:UN)?PATH\)/.test(dynamic));
  expect(
    file,
    'may be unloaded while its threads run',
    kind === 'cuda' || /\(FLAGS_1\).*NODELETE/.test(dynamic),
  );

  const versions = all(output('readelf', ['--wide', '--version-info', file]), /Name: GLIBC_(\d+(?:\.\d+)+)/g);
  const order = (version) => version.split('.').reduce((sum, part, k) => sum + Number(part) / 1000 ** k, 0);
  const newest = versions.sort((a, b) => order(a) - order(b)).at(-1);
  const limit = newestGlibc.join('.');
  expect(
    file,
    `needs glibc ${newest}, newer than ${limit}`,
    newest === undefined || order(newest) <= order(limit),
  );
  expect(file, 'is not for musl: it needs versions of glibc', kind !== 'musl' || newest === undefined);

  const symbols = output('readelf', ['--wide', '--dyn-syms', file]);
  expectExports(file, all(symbols, /(?:GLOBAL|WEAK|UNIQUE)\s+DEFAULT\s+\d+\s+(\S+)/g), exported);
  expect(
    file,
    'has an executable stack',
    /GNU_STACK.* RW /.test(output('readelf', ['--wide', '--segments', file])),
  );
  return `needs ${needed.join(', ')}; glibc ${newest ?? 'none'}; ${sizeOf(file, mostBytes)}`;
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
