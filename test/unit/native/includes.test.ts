import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';

/*
 * Layers face one way in native/, too: what a folder may include is written down here. And every source is
 * compiled: one that no list of sources.json names would be missed by nobody.
 */

const root = path.resolve(import.meta.dirname, '../../..');
const native = path.join(root, 'native');

/** What a folder, or the files at the root, may include besides its own: only what stands above it. */
const mayInclude: Record<string, string[]> = {
  core: [],
  layout: ['core'],
  evolution: ['core', 'layout'],
  reference: ['core'],
  cpu: ['core', 'layout', 'evolution'],
  'cpu/simd': ['cpu'],
  gpu: ['core', 'layout', 'evolution', 'cpu'],
  cuda: ['core', 'gpu'],
  metal: ['core', 'cpu', 'gpu'],
  'metal/kernels': ['gpu', 'metal'],
  '.': ['core', 'reference', 'cpu', 'cuda', 'metal'],
  bench: ['core', 'layout', 'evolution', 'reference', 'cpu', 'gpu', '.'],
  binding: ['core', 'cpu', 'gpu', '.', 'bench'],
};

const files = readdirSync(native, { recursive: true, encoding: 'utf8' })
  .map((name) => name.replaceAll(path.sep, '/'))
  .filter((name) => /\.(?:h|cuh|cpp|cu|mm|metal)$/.test(name))
  .sort();
const production = files.filter((file) => !file.startsWith('test/'));
const folderOf = (file: string) => path.posix.dirname(file);

/** Files of native/ that `file` includes: their paths below it. */
function includesOf(file: string): string[] {
  const text = readFileSync(path.join(native, file), 'utf8');
  return [...text.matchAll(/^\s*#\s*include\s+"([^"]+)"/gm)].map(([, included]) => included!);
}

test('the includes are found', () => {
  expect(includesOf('cuda/library.cu')).toEqual(['cuda/library.h', 'cuda/abi.h', 'cuda/table.h']);
  for (const file of files) {
    for (const other of includesOf(file)) expect(files, `${file} includes ${other}`).toContain(other);
  }
});

test('the table names every folder, and a line only what stands above it', () => {
  const folders = Object.keys(mayInclude);
  expect([...folders].sort()).toEqual([...new Set(production.map(folderOf))].sort());
  for (const [i, folder] of folders.entries()) {
    for (const other of mayInclude[folder]!) expect(folders.slice(0, i), folder).toContain(other);
  }
});

test('nothing is included but what the table allows, and nothing of the tests', () => {
  const wrong = production.flatMap((file) => {
    const folder = folderOf(file);
    const allowed = [folder, ...mayInclude[folder]!];
    return includesOf(file)
      .filter((other) => !allowed.includes(folderOf(other)))
      .map((other) => `${file} includes ${other}`);
  });
  expect(wrong).toEqual([]);
});

test('only the binding includes Node-API', () => {
  const withNode = production.filter((file) =>
    /#include <napi/.test(readFileSync(path.join(native, file), 'utf8')),
  );
  expect(withNode.map(folderOf).filter((folder) => folder !== 'binding')).toEqual([]);
});

test('every source is in a list of sources.json or named in CMakeLists.txt, and every one listed is there', () => {
  const lists = JSON.parse(readFileSync(path.join(native, 'sources.json'), 'utf8')) as object;
  const strings = (value: unknown): string[] =>
    typeof value === 'object' ? Object.values(value!).flatMap(strings) : [String(value)];
  const listed = strings(lists).filter((item) => item.startsWith('native/'));
  const named = readFileSync(path.join(root, 'CMakeLists.txt'), 'utf8').match(/native\/[\w/]+\.cpp\b/g) ?? [];
  for (const file of [...listed, ...named]) expect(existsSync(path.join(root, file)), file).toBe(true);
  const sources = files.filter((file) => /\.(?:cpp|cu|mm)$/.test(file)).map((file) => `native/${file}`);
  expect(sources.filter((file) => ![...listed, ...named].includes(file))).toEqual([]);
});
