import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const release = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../build/Release');

/*
 * An inline function or template emitted by a kernel file would exist once per instruction set under one
 * name, and the linker would be free to give everybody the AVX-512 copy: a crash on older machines that no
 * test here would see.
 */
test.for(['portable', 'avx2', 'avx512'])(
  'the %s kernels share no symbol with the rest of the program',
  (isa, { skip }) => {
    const archive = path.join(release, `set_kernels_${isa}.a`);
    skip(!existsSync(archive), `${path.basename(archive)} was not built here`);
    const nm = spawnSync('nm', ['--defined-only', '-C', archive], { encoding: 'utf8' });
    skip(nm.error !== undefined, 'nm is not installed');
    const symbols = nm.stdout.split('\n');
    expect(
      symbols.filter((line) => line.includes(` T set_native::cpu::${isa}::`)).length,
    ).toBeGreaterThanOrEqual(4);
    expect(symbols.filter((line) => / [WVu] /.test(line))).toEqual([]);
  },
);
