import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  closeSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { checkApart } from '../../../src/cli/outputs.js';
import { checkWritable, makeFolder, removeLeftovers, writeAtomically } from '../../../src/files/output.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'set-native-files-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const inFolder = (...names: string[]) => path.join(folder, ...names);
const text = (name: string) => readFileSync(inFolder(name), 'utf8');
const modeOf = (name: string) => statSync(inFolder(name)).mode & 0o7777;

/** Checks and writes as a command does: neither may leave anything but the file. */
function write(name: string, content = 'new'): void {
  checkWritable('bench', 'json', inFolder(name));
  writeAtomically(inFolder(name), [content.slice(0, 1), Buffer.from(content.slice(1))]);
}

test.each([
  ['to a file', { link: 'target' }, 'target'],
  ['to nothing yet', { link: 'absent' }, 'absent'],
  ['to a link', { link: 'second', second: './third', third: 'target' }, 'target'],
  ['into another folder', { link: 'sub/deep' }, 'sub/deep'],
  ['out of a linked folder', { away: 'sub/inner', link: 'away/../deep' }, 'sub/deep'],
])('a symbolic link %s stays, and what it points at is written', (_, links, target) => {
  mkdirSync(inFolder('sub', 'inner'), { recursive: true });
  writeFileSync(inFolder('target'), 'old and longer');
  for (const [name, to] of Object.entries(links)) symlinkSync(to, inFolder(name));
  const before = readdirSync(folder);
  write('link');
  for (const [name, to] of Object.entries(links)) expect(readlinkSync(inFolder(name))).toBe(to);
  expect(text(target)).toBe('new');
  expect(readdirSync(folder).sort()).toEqual([...new Set([...before, target.split('/')[0]])].sort());
});

test.each([
  ['links that go round', { link: 'other', other: 'link' }, /ELOOP|too many symbolic links/],
  ['a link into a folder that is not there', { link: 'nowhere/x' }, /there is no folder .*nowhere/],
  ['a link to a folder', { link: '.' }, /it is a folder, not a regular file/],
])('%s: said before the work starts, and nothing is written', (_, links, message) => {
  for (const [name, to] of Object.entries(links)) symlinkSync(to, inFolder(name));
  expect(() => checkWritable('bench', 'json', inFolder('link'))).toThrow(message);
  expect(() => checkWritable('bench', 'json', inFolder('link'))).toThrow(/^\[bench\] json must name a place/);
  expect(() => writeAtomically(inFolder('link'), ['x'])).toThrow(expect.objectContaining({ code: 'ERR_IO' }));
  expect(readdirSync(folder).sort()).toEqual(Object.keys(links).sort());
});

test('a name that ends like a folder is not taken for a file', () => {
  expect(() => checkWritable('bench', 'json', `${inFolder('x')}/`)).toThrow('it names a folder');
});

test('a check changes nothing', () => {
  writeFileSync(inFolder('there'), 'old');
  utimesSync(inFolder('there'), 1, 1);
  for (const name of ['there', 'new']) checkWritable('bench', 'json', inFolder(name));
  expect([text('there'), statSync(inFolder('there')).mtimeMs]).toEqual(['old', 1000]);
  expect(readdirSync(folder)).toEqual(['there']);
});

test.skipIf(process.platform === 'win32')(
  'the mode stays, and nobody else can read what is being written',
  () => {
    for (const mode of [0o600, 0o640, 0o666]) {
      writeFileSync(inFolder('x'), 'old');
      chmodSync(inFolder('x'), mode);
      const modes: number[] = [];
      writeAtomically(
        inFolder('x'),
        (function* () {
          for (const name of readdirSync(folder)) modes.push(modeOf(name) & ~mode);
          yield 'new';
        })(),
      );
      expect({ content: text('x'), mode: modeOf('x'), modes }).toEqual({
        content: 'new',
        mode,
        modes: [0, 0],
      });
    }
  },
);

test.skipIf(process.platform === 'win32')('a new file obeys the umask', () => {
  const before = process.umask(0o027);
  try {
    write('x');
  } finally {
    process.umask(before);
  }
  expect(modeOf('x')).toBe(0o640);
});

test('other names of a file (hard links) see what was written', () => {
  writeFileSync(inFolder('x'), 'old and longer');
  linkSync(inFolder('x'), inFolder('same'));
  write('x');
  expect([text('x'), text('same')]).toEqual(['new', 'new']);
});

/** With the rights of a user who is not root. */
function unprivileged(body: () => void): void {
  const root = process.geteuid!() === 0;
  if (root) process.seteuid!(65_534);
  try {
    body();
  } finally {
    if (root) process.seteuid!(0);
  }
}

test.skipIf(process.platform === 'win32')(
  'in a folder that takes no new file, one that may be written is',
  () => {
    writeFileSync(inFolder('x'), 'old and longer');
    chmodSync(inFolder('x'), 0o666);
    chmodSync(folder, 0o555);
    unprivileged(() => {
      write('x');
      expect(() => checkWritable('bench', 'json', inFolder('y'))).toThrow('EACCES');
    });
    chmodSync(folder, 0o755);
    expect(text('x')).toBe('new');
    expect(readdirSync(folder)).toEqual(['x']);
  },
);

test.skipIf(process.platform === 'win32')('a file that may not be written is not replaced', () => {
  writeFileSync(inFolder('x'), 'old');
  chmodSync(inFolder('x'), 0o444);
  chmodSync(folder, 0o777);
  unprivileged(() => {
    expect(() => checkWritable('bench', 'json', inFolder('x'))).toThrow('EACCES');
    expect(() => writeAtomically(inFolder('x'), ['new'])).toThrow('EACCES');
  });
  expect(text('x')).toBe('old');
});

test.runIf(process.geteuid?.() === 0)('the owner stays (only root can tell)', () => {
  writeFileSync(inFolder('x'), 'old');
  execFileSync('chown', ['1234:4321', inFolder('x')]);
  write('x');
  expect(statSync(inFolder('x'))).toMatchObject({ uid: 1234, gid: 4321 });
  expect(text('x')).toBe('new');
});

test("another's file that may be written stays another's", { skip: process.geteuid?.() !== 0 }, () => {
  writeFileSync(inFolder('x'), 'old and longer');
  chmodSync(inFolder('x'), 0o666);
  chmodSync(folder, 0o777);
  unprivileged(() => write('x'));
  expect([statSync(inFolder('x')).uid, text('x')]).toEqual([0, 'new']);
  expect(readdirSync(folder)).toEqual(['x']);
});

test('names as long as the system takes them', () => {
  write('x'.repeat(255));
  expect(text('x'.repeat(255))).toBe('new');
  expect(() => checkWritable('bench', 'json', inFolder('x'.repeat(256)))).toThrow('ENAMETOOLONG');
});

test('a writer that fails leaves the file as it was, and nothing beside it', () => {
  writeFileSync(inFolder('x'), 'old');
  const fail = function* () {
    yield 'half';
    throw new Error('no more');
  };
  expect(() => writeAtomically(inFolder('x'), fail())).toThrow('could not write');
  expect([text('x'), readdirSync(folder)]).toEqual(['old', ['x']]);
});

test.runIf(existsSync('/dev/null'))('a device is written, never replaced', () => {
  symlinkSync('/dev/null', inFolder('device')); // by a link of ours: whatever goes wrong, not to the machine's own
  write('device');
  expect(readlinkSync(inFolder('device'))).toBe('/dev/null');
  expect(statSync('/dev/null').isCharacterDevice()).toBe(true);
});

test.runIf(existsSync('/dev/full'))('a device that takes no more is an error', () => {
  symlinkSync('/dev/full', inFolder('device'));
  expect(() => write('device')).toThrow(/could not write .*device: ENOSPC/);
});

test.skipIf(process.platform === 'win32')(
  'a pipe is not opened by the check, and gets all of a long text',
  async () => {
    execFileSync('mkfifo', [inFolder('pipe')]);
    checkWritable('bench', 'json', inFolder('pipe'));
    const reader = spawn('sh', ['-c', `cat '${inFolder('pipe')}' > '${inFolder('out')}'`]);
    const long = 'x'.repeat(300_000);
    writeAtomically(inFolder('pipe'), [long, 'end']);
    await once(reader, 'close');
    expect(lstatSync(inFolder('pipe')).isFIFO()).toBe(true);
    expect(text('out') === `${long}end`).toBe(true);
  },
);

test.skipIf(process.platform === 'win32')('a reader of a pipe may leave early', () => {
  execFileSync('mkfifo', [inFolder('pipe')]);
  spawn('sh', ['-c', `head -c 1 '${inFolder('pipe')}'`], { stdio: 'ignore' });
  expect(() => write('pipe', 'x'.repeat(300_000))).not.toThrow();
});

test.runIf(existsSync('/proc/self/fd'))('a file that has lost its name is written all the same', () => {
  const open = openSync(inFolder('x'), 'w+');
  rmSync(inFolder('x'));
  const link = `/proc/self/fd/${open}`;
  checkWritable('bench', 'json', link);
  writeAtomically(link, ['new']);
  expect([readFileSync(link, 'utf8'), readdirSync(folder)]).toEqual(['new', []]);
  closeSync(open);
});

test.skipIf(process.platform === 'win32')('a socket is refused', async () => {
  const server = net.createServer().listen(inFolder('socket'));
  await once(server, 'listening');
  expect(() => checkWritable('bench', 'json', inFolder('socket'))).toThrow('it is a socket');
  server.close();
});

test('what a kill has left goes with the next write; what may still be finished stays', () => {
  let live = '';
  const look = function* () {
    live = readdirSync(folder)[0]!;
    yield 'new';
  };
  writeAtomically(inFolder('x'), look());
  expect(live).toContain(`-${process.pid}-`);
  const dead = spawnSync(process.execPath, ['-v']).pid;
  const killed = live.replace(`-${process.pid}-`, `-${dead}-`);
  const elsewhere = killed.replace(/native-.{8}/, 'native-00000000'); // where that process may be alive
  const names = [live, killed, elsewhere, 'other.tmp'];
  for (const name of names) writeFileSync(inFolder(name), '');
  write('x');
  expect(readdirSync(folder).sort()).toEqual([live, elsewhere, 'other.tmp', 'x'].sort());
  for (const name of names.filter((each) => existsSync(inFolder(each)))) utimesSync(inFolder(name), 1, 1);
  removeLeftovers(folder);
  expect(readdirSync(folder).sort()).toEqual(['other.tmp', 'x']);
});

test('no name is used twice for what is being written', () => {
  const names = new Set<string>();
  for (let i = 0; i < 3; i++) {
    writeAtomically(
      inFolder('x'),
      (function* () {
        for (const name of readdirSync(folder)) names.add(name);
        yield 'new';
      })(),
    );
  }
  expect(names.size).toBe(4); // three, and x
});

test('two outputs that are one file are refused, however they are named', () => {
  writeFileSync(inFolder('x'), '');
  symlinkSync('x', inFolder('link'));
  linkSync(inFolder('x'), inFolder('same'));
  for (const name of ['x', 'link', 'same', './/x']) {
    expect(() => checkApart({ '--json': inFolder('x'), '--figure': `${folder}/${name}` })).toThrow(
      '--json and --figure must name two files',
    );
  }
  expect(() => checkApart({ '--json': inFolder('new'), '--figure': `${folder}/./new` })).toThrow('two files');
  expect(() => checkApart({ '--json': '-', '--figure': '-' })).toThrow('two files');
  checkApart({ '--json': inFolder('x'), '--figure': inFolder('y'), '--other': undefined });
  checkApart({ '--json': '/dev/null', '--figure': '/dev/null' });
  mkdirSync(inFolder('taken'));
  checkApart({ '--json': inFolder('x'), lock: inFolder('taken'), report: inFolder('x', 'report.html') }); // others refuse them
});

test('a folder is made where a link points', () => {
  symlinkSync('target', inFolder('link'));
  makeFolder(inFolder('link', 'inner'));
  expect(statSync(inFolder('target', 'inner')).isDirectory()).toBe(true);
});

test("under Node's permission model, which closes flushing, files are written and replaced all the same", async () => {
  const { default: manifest } = await import('../../../package.json', { with: { type: 'json' } });
  const output = path.resolve(import.meta.dirname, '../../..', manifest.main, '../files/output.js');
  const program = `
    import { writeAtomically, writeInBackground } from ${JSON.stringify(pathToFileURL(output).href)};
    const file = ${JSON.stringify(inFolder('file'))};
    writeAtomically(file, ['first']);
    await writeInBackground(file, [Buffer.from('second')]);
    await writeInBackground(\`\${file}2\`, [Buffer.from('third')]);`;
  writeFileSync(inFolder('program.mjs'), program);
  const flag =
    Number(process.versions.node.split('.')[0]) < 23 ? '--experimental-permission' : '--permission';
  const flags = [flag, '--allow-fs-read=*', `--allow-fs-write=${folder}/*`];
  const { status, stderr } = spawnSync(process.execPath, [...flags, inFolder('program.mjs')], {
    encoding: 'utf8',
  });
  expect(status, stderr).toBe(0);
  expect([text('file'), text('file2')]).toEqual(['second', 'third']);
});
