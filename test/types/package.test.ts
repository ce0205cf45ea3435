import { spawnSync } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';

/*
 * The packed package as a project of its own meets it: with its dependencies, without those of its
 * development, and with the types of Node.
 */

const root = path.resolve(import.meta.dirname, '../..');
const project = mkdtempSync(path.join(os.tmpdir(), 'set-native-types-'));
afterAll(() => rmSync(project, { recursive: true }));

const run = (program: string, ...args: string[]) => {
  const { stdout, stderr, status } = spawnSync(program, args, { cwd: project, encoding: 'utf8' });
  return { output: stdout + stderr, status };
};
/** A program of a package that the tests have. */
const programOf = (name: string, bin: string) => {
  const folder = path.join(root, 'node_modules', name);
  const file = JSON.parse(readFileSync(path.join(folder, 'package.json'), 'utf8')).bin[bin] as string;
  return path.join(folder, file);
};
const tsc = programOf('typescript', 'tsc');

let tarball: string;
beforeAll(() => {
  const packed = spawnSync('npm', ['pack', '--ignore-scripts', '--pack-destination', project], {
    cwd: root,
    encoding: 'utf8',
  });
  expect(packed.status, packed.stderr).toBe(0);
  tarball = path.join(project, readdirSync(project).find((name) => name.endsWith('.tgz'))!);
  const modules = path.join(project, 'node_modules');
  mkdirSync(path.join(modules, '@types'), { recursive: true });
  expect(run('tar', 'xzf', tarball, '-C', modules).status).toBe(0);
  expect(run('mv', path.join(modules, 'package'), path.join(modules, 'set-native')).status).toBe(0);
  const { dependencies } = createRequire(import.meta.url)(`${modules}/set-native/package.json`);
  for (const name of [...Object.keys(dependencies), '@types/node'])
    symlinkSync(path.join(root, 'node_modules', name), path.join(modules, name));
  const source = readFileSync(path.join(import.meta.dirname, 'api.ts'), 'utf8');
  writeFileSync(path.join(project, 'package.json'), '{ "type": "module" }');
  writeFileSync(path.join(project, 'module.ts'), source);
  writeFileSync(path.join(project, 'common.cts'), source);
}, 60_000);

// [module, moduleResolution, files]. A CommonJS file may require a module of ES from nodenext on, as Node
// does.
const ways = [
  ['node16', 'node16', ['module.ts']],
  ['node20', 'node16', ['module.ts', 'common.cts']],
  ['nodenext', 'nodenext', ['module.ts', 'common.cts']],
  ['esnext', 'bundler', ['module.ts']],
  ['preserve', 'bundler', ['module.ts', 'common.cts']],
] as const;

test.each(ways)(
  'module %s, moduleResolution %s',
  (module, resolution, files) => {
    const options = [
      ...['--noEmit', '--strict', '--exactOptionalPropertyTypes', '--noUncheckedIndexedAccess'],
      ...['--skipLibCheck', 'false', '--target', 'es2022', '--lib', 'es2023', '--types', 'node'],
      ...['--module', module, '--moduleResolution', resolution],
    ];
    expect(run(process.execPath, tsc, ...options, ...files)).toEqual({ output: '', status: 0 });
    // The same, where the type of an option is wrong.
    const wrong = "import { SparseMLP } from 'set-native';\nvoid SparseMLP.create({ layers: '784' });\n";
    writeFileSync(path.join(project, 'wrong.ts'), wrong);
    expect(run(process.execPath, tsc, ...options, 'wrong.ts').output).toContain(
      'wrong.ts(2,25): error TS2322',
    );
  },
  120_000,
);

test('attw finds nothing wrong with the package', () => {
  const attw = programOf('@arethetypeswrong/cli', 'attw');
  // Node requires modules of ES since 20.19, the oldest that the package takes.
  const rules = ['--ignore-rules', 'cjs-resolves-to-esm'];
  const { output, status } = run(
    process.execPath,
    attw,
    tarball,
    ...rules,
    '--no-color',
    '--format',
    'ascii',
  );
  expect({ status, output: status === 0 ? '' : output }).toEqual({ status: 0, output: '' });
  // It does look: an entry without its types is refused.
  const bare = path.join(project, 'bare/package');
  mkdirSync(bare, { recursive: true });
  const manifest = { name: 'bare', version: '1.0.0', type: 'module', exports: './index.js' };
  writeFileSync(path.join(bare, 'package.json'), JSON.stringify(manifest));
  writeFileSync(path.join(bare, 'index.js'), 'export {};');
  writeFileSync(path.join(bare, 'other.d.ts'), 'export {};');
  expect(run('tar', 'czf', 'bare.tgz', '-C', 'bare', 'package').status).toBe(0);
  const refused = run(process.execPath, attw, 'bare.tgz', ...rules, '--no-color');
  expect(refused.status).toBe(1);
  expect(refused.output).toContain('no type declarations were found');
});
