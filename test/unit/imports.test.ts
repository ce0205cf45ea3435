import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import ts from 'typescript';
import { expect, test } from 'vitest';

/*
 * Layers face one way: what a folder of src/ may import is written down here, and no file imports itself over
 * others. Imports of types count too, since whoever reads a file follows them as well, and so does the path
 * of a program or worker that a file starts.
 */

const src = path.resolve(import.meta.dirname, '../../src');

const ground = [
  'vocabulary.ts',
  'benchMethods.ts',
  'errors.ts',
  'events.ts',
  'extremes.ts',
  'statistics.ts',
  'suggest.ts',
  'checks.ts',
  'whenAborted.ts',
];
const addon = ['native.ts', 'backend.ts', 'info.ts'];

/** What a folder, or a file at the root, may import besides its own files: only what stands above it. */
const mayImport: Record<string, string[]> = {
  'vocabulary.ts': [],
  'benchMethods.ts': ['vocabulary.ts'],
  'errors.ts': [],
  'events.ts': [],
  'extremes.ts': [],
  'statistics.ts': [],
  'suggest.ts': [],
  'checks.ts': ['errors.ts', 'suggest.ts'],
  'whenAborted.ts': [],
  files: ['errors.ts'],
  'addon.ts': ['errors.ts'],
  'native.ts': ['vocabulary.ts', 'errors.ts', 'addon.ts'],
  'threads.ts': ['errors.ts', 'native.ts'],
  'gpuTrial.ts': ['vocabulary.ts', 'native.ts'],
  'backend.ts': ['vocabulary.ts', 'errors.ts', 'native.ts', 'gpuTrial.ts'],
  'info.ts': ['addon.ts', 'native.ts', 'backend.ts'],
  datasets: [...ground, 'files', 'native.ts', 'threads.ts'],
  training: [...ground, ...addon, 'files', 'datasets'],
  thesis: [...ground, 'native.ts', 'datasets'],
  experiment: [...ground, ...addon, 'threads.ts', 'files', 'datasets', 'training', 'thesis'],
  selection: [...ground, ...addon, 'files', 'datasets', 'training', 'experiment'],
  kernels: [...ground, ...addon],
  'report/figures': [...ground, 'files', 'thesis', 'experiment', 'selection', 'kernels'],
  'report/terminal': [...ground, 'training', 'experiment', 'selection', 'kernels'],
  'report/html': [...ground, 'thesis', 'experiment'],
  report: [...ground, 'files', 'experiment', 'report/figures', 'report/html'],
  cli: [
    ...ground,
    ...['addon.ts', 'info.ts', 'files', 'datasets', 'training', 'experiment', 'selection', 'kernels'],
    ...['report', 'report/figures', 'report/terminal'],
  ],
  'index.ts': ['vocabulary.ts', 'errors.ts', 'info.ts', 'files', 'datasets', 'training'],
  'bench.ts': ['vocabulary.ts', 'statistics.ts', 'experiment', 'selection', 'report/terminal'],
};

const files = readdirSync(src, { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts'))
  .map((name) => name.replaceAll(path.sep, '/'))
  .sort();

/** The place of a file in the table. */
const placeOf = (file: string) => (file.includes('/') ? path.posix.dirname(file) : file);

const startedProgram = /new URL\('(\.[^']+\.js)', import\.meta\.url\)/g;

/** Files of src/ that `file` imports, or starts as a program. */
function importsOf(file: string): string[] {
  const text = readFileSync(path.join(src, file), 'utf8');
  const imported = ts.preProcessFile(text, true, true).importedFiles.map(({ fileName }) => fileName);
  const started = [...text.matchAll(startedProgram)].map(([, fileName]) => fileName!);
  return [...imported.filter((name) => name.startsWith('.')), ...started].map((name) =>
    path.posix.join(path.posix.dirname(file), name).replace(/\.js$/, '.ts'),
  );
}

const imports = new Map(files.map((file) => [file, importsOf(file)]));

test('the imports are found', () => {
  expect(imports.get('datasets/workFolder.ts')).toEqual(['files/machine.ts']);
  expect(imports.get('experiment/jobs.ts')).toContain('experiment/worker.ts');
  for (const [file, others] of imports) {
    for (const other of others) expect(files, `${file} imports ${other}`).toContain(other);
  }
});

test('the table names every folder and every file at the root, and nothing else', () => {
  expect(Object.keys(mayImport).sort()).toEqual([...new Set(files.map(placeOf))].sort());
});

test('a line of the table names only what stands above it', () => {
  const places = Object.keys(mayImport);
  for (const [i, place] of places.entries()) {
    for (const other of mayImport[place]!) expect(places.slice(0, i), `${place}: ${other}`).toContain(other);
  }
});

test('nothing is imported but what the table allows', () => {
  const wrong = files.flatMap((file) => {
    const allowed = [placeOf(file), ...mayImport[placeOf(file)]!];
    return imports
      .get(file)!
      .filter((other) => !allowed.includes(placeOf(other)))
      .map((other) => `${file} imports ${other}`);
  });
  expect(wrong).toEqual([]);
});

test('no file imports itself over others', () => {
  const done = new Set<string>();
  const circles: string[] = [];
  const visit = (file: string, way: string[]) => {
    if (way.includes(file)) {
      circles.push([...way.slice(way.indexOf(file)), file].join(' -> '));
      return;
    }
    if (done.has(file)) return;
    for (const other of imports.get(file)!) visit(other, [...way, file]);
    done.add(file);
  };
  for (const file of files) visit(file, []);
  expect(circles).toEqual([]);
});

test('the main entry loads no package, and none of the experiments, before they are used', () => {
  const loaded = new Set<string>();
  const packages = new Set<string>();
  const visit = (file: string) => {
    if (loaded.has(file)) return;
    loaded.add(file);
    const output = ts.transpileModule(readFileSync(path.join(src, file), 'utf8'), {
      compilerOptions: { module: ts.ModuleKind.ESNext, verbatimModuleSyntax: true },
    }).outputText;
    // What is left of the imports when those of types are gone. import() counts where it is called.
    for (const [, name] of output.matchAll(/^(?:import|export)\b[^;]*?from '([^']+)'/gm)) {
      if (name!.startsWith('.'))
        visit(path.posix.join(path.posix.dirname(file), name!).replace(/\.js$/, '.ts'));
      else if (!name!.startsWith('node:')) packages.add(name!);
    }
  };
  visit('index.ts');
  expect(loaded).toContain('training/model.ts');
  expect([...packages]).toEqual([]);
  const folders = ['cli/', 'experiment/', 'selection/', 'report/', 'kernels/', 'thesis/'];
  expect([...loaded].filter((file) => folders.some((folder) => file.startsWith(folder)))).toEqual([]);
});
