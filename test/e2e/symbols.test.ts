import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const release = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../build/release');

/*
 * An inline function or template emitted by a kernel file would exist once per instruction set under one
 * name, and the linker would be free to give everybody the AVX-512 copy: a crash on older machines that no
 * test here would see.
 */
test.for(['portable', 'avx2', 'avx512'])(
  'the %s kernels share no symbol with the rest of the program',
  (isa, { skip }) => {
    const folder = path.join(release, 'CMakeFiles', `set_kernels_${isa}.dir`);
    skip(!existsSync(folder), `kernels for ${isa} were not built here`);
    const objects = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) =>
      name.endsWith('.o'),
    );
    const nm = spawnSync('nm', ['--defined-only', '-C', ...objects], { cwd: folder, encoding: 'utf8' });
    skip(nm.error !== undefined, 'nm is not installed');
    const symbols = nm.stdout.split('\n');
    expect(
      symbols.filter((line) => line.includes(` T set_native::cpu::${isa}::`)).length,
    ).toBeGreaterThanOrEqual(4);
    expect(symbols.filter((line) => / [WVu] /.test(line))).toEqual([]);
  },
);
