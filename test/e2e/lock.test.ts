import { type ChildProcess, fork } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';

/*
 * Several processes that want the folder of a killed one at the same moment.
 */

const built = path.resolve(import.meta.dirname, '../../dist/files/lock.js');
const program = `
  import { FolderLock } from ${JSON.stringify(built)};
  let lock;
  process.on('message', ({ dir, at }) => {
    lock?.release();
    lock = undefined;
    if (dir === undefined) return process.send('released');
    while (Date.now() < at);
    try {
      lock = FolderLock.take('bench', dir, 'dir');
      process.send('held');
    } catch (error) {
      process.send(error.message);
    }
  });
  process.send('ready');`;

let root: string;
let children: ChildProcess[];
const answers = () =>
  Promise.all(children.map((child) => new Promise<unknown>((resolve) => child.once('message', resolve))));

/** Resolves to what the processes say to a message that all of them get. */
function ask(message: object): Promise<unknown[]> {
  const said = answers();
  for (const child of children) child.send(message);
  return said;
}

beforeAll(async () => {
  if (!existsSync(built)) throw new Error('dist is missing: `npm run build` first');
  root = mkdtempSync(path.join(os.tmpdir(), 'set-native-locks-'));
  const file = path.join(root, 'taker.mjs');
  writeFileSync(file, program);
  children = [1, 2, 3].map(() => fork(file));
  await answers();
}, 60_000);
afterAll(() => {
  for (const child of children) child.disconnect();
  rmSync(root, { recursive: true, force: true });
});

test('of three that take a stale lock at once one gets it, and the others are told who, 60 times', {
  timeout: 60_000,
}, async () => {
  for (let round = 0; round < 60; round++) {
    const dir = mkdtempSync(path.join(root, 'folder-'));
    // None, one of an earlier version, one that a kill has cut.
    const stale = [undefined, JSON.stringify({ pid: 4_194_305, host: os.hostname() }), '{"nonce'][round % 3];
    if (stale !== undefined) writeFileSync(path.join(dir, 'lock'), stale);
    const said = await ask({ dir, at: Date.now() + 10 });
    expect(said.filter((answer) => answer === 'held')).toHaveLength(1);
    expect(said.filter((answer) => /process \d+ on .* uses /.test(String(answer)))).toHaveLength(2);
    await ask({});
    expect(readdirSync(dir)).toEqual([]);
  }
});
