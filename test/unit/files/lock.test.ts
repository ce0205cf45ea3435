import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { follow } from '../../../src/events.js';
import { FolderLock, onceDecided, silenceMs } from '../../../src/files/lock.js';

const links = vi.hoisted(() => ({ supported: true }));
vi.mock('node:fs', async (original) => {
  const fs = await original<typeof import('node:fs')>();
  const linkSync: typeof fs.linkSync = (from, to) => {
    if (!links.supported)
      throw Object.assign(new Error('EPERM: operation not permitted, link'), { code: 'EPERM' });
    fs.linkSync(from, to);
  };
  return { ...fs, linkSync };
});

let dir: string;
let lock: string;
/** What a lock of this process says. */
let own: Record<string, unknown>;
beforeEach(() => {
  dir = mkdtempSync(path.join(os.tmpdir(), 'set-native-lock-'));
  lock = path.join(dir, 'lock');
  links.supported = true;
  const held = take();
  own = JSON.parse(readFileSync(lock, 'utf8'));
  held.release();
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const take = () => FolderLock.take('bench', dir, 'dir');

const nonce = 'f'.repeat(32);
/** Above the largest process id of Linux. */
const noProcess = 4_194_305;

/** Puts the lock of another process there, whose last heartbeat is so long ago. */
function plant(changes: Record<string, unknown>, silentMs = 0, file = lock): void {
  writeFileSync(file, JSON.stringify({ ...own, nonce, ...changes }));
  const heartbeat = (Date.now() - silentMs) / 1000;
  utimesSync(file, heartbeat, heartbeat);
}

function expectTaken(): void {
  const held = take();
  expect(JSON.parse(readFileSync(lock, 'utf8'))).toMatchObject({ nonce: held.token.nonce, pid: process.pid });
  held.check();
  held.release();
  expect(readdirSync(dir)).toEqual([]);
}

test('a lock says whose it is; while it is held nobody takes it, in this process either; given back it is gone', () => {
  const held = take();
  const record = JSON.parse(readFileSync(lock, 'utf8'));
  expect(record).toMatchObject({ nonce: held.token.nonce, host: os.hostname(), pid: process.pid });
  if (process.platform === 'linux') {
    expect(record).toMatchObject({
      boot: expect.stringMatching(/-/),
      started: expect.stringMatching(/^\d+$/),
    });
  }
  expect(take).toThrow(`process ${process.pid} on ${os.hostname()} uses ${dir}`);
  expect(readdirSync(dir)).toEqual(['lock']);
  held.release();
  expect(readdirSync(dir)).toEqual([]);
});

test.each([
  ['of a process that is gone', () => plant({ pid: noProcess })],
  ['that a kill has cut', () => writeFileSync(lock, '{"nonce":"ab')],
  ['that a kill has left empty', () => writeFileSync(lock, '')],
  ['of an earlier version, of a process that is gone', () => writeFileSync(lock, oldLock(noProcess))],
  ['of an earlier version, older than the process that has its number', () => plantOld(process.pid, 864e5)],
])('a lock %s is taken over', (_, leave) => {
  leave();
  expectTaken();
});

function oldLock(pid: number, host = os.hostname()): string {
  return JSON.stringify({ pid, host });
}

function plantOld(pid: number, ageMs: number): void {
  writeFileSync(lock, oldLock(pid));
  utimesSync(lock, (Date.now() - ageMs) / 1000, (Date.now() - ageMs) / 1000);
}

test.runIf(process.platform === 'linux')(
  'a process that has the number and started at another time is another',
  () => {
    plant({ started: '1' });
    expectTaken();
    plant({ pid: process.ppid, started: '1' });
    expectTaken();
  },
);

test.each([
  ['in another container', { namespace: 'pid:[1]' }],
  ['before the machine was started anew, or on another machine of that name', { boot: 'another' }],
])('whether a process %s lives, its heartbeat says', (_, place) => {
  for (const pid of [process.pid, noProcess]) {
    plant({ ...place, pid }, silenceMs / 2);
    expect(take).toThrow(
      expect.objectContaining({
        code: 'ERR_IN_USE',
        details: expect.objectContaining({ heartbeat: expect.anything() }),
      }),
    );
    expect(JSON.parse(readFileSync(lock, 'utf8')).nonce).toBe(nonce);
    for (const silentMs of [silenceMs + 5000, -silenceMs - 5000]) {
      plant({ ...place, pid }, silentMs); // the second: the clock was set back since
      expectTaken();
    }
  }
});

test('where only silence can tell, it is waited for; a sign of life ends the waiting', {
  timeout: 20_000,
}, async () => {
  const waits: string[] = [];
  const decided = (signal?: AbortSignal) =>
    follow(onceDecided(take, signal), ({ why }) => void waits.push(why));
  plant({ namespace: 'pid:[1]' }, silenceMs - 500);
  (await decided()).release();
  expect(waits).toHaveLength(1);
  plant({ namespace: 'pid:[1]' }, silenceMs / 2);
  const refused = expect(decided()).rejects.toMatchObject({ code: 'ERR_IN_USE' });
  utimesSync(lock, Date.now() / 1000, Date.now() / 1000);
  await refused;
  await expect(decided(AbortSignal.abort())).rejects.toMatchObject({ code: 'ERR_ABORTED' });
});

test('a held lock is written anew every two seconds', { timeout: 20_000 }, async () => {
  const held = take();
  utimesSync(lock, 1, 1);
  for (let i = 0; i < 100 && statSync(lock).mtimeMs < 1e6; i++) await pause(100);
  expect(Date.now() - statSync(lock).mtimeMs).toBeLessThan(20_000);
  held.check();
  held.release();
});

test.each([
  ['a file', () => writeFileSync(lock, 'my own lock')],
  ['a long file', () => writeFileSync(lock, '{"pid":1'.padEnd(5000))],
  ['a folder', () => mkdirSync(lock)],
  ['a link', () => symlinkSync('elsewhere', lock)],
])('%s called lock that is not of this program is left alone', (_, make) => {
  make();
  const before = readdirSync(dir);
  expect(take).toThrow(
    expect.objectContaining({
      code: 'ERR_IN_USE',
      message: expect.stringContaining('not a file of this program'),
    }),
  );
  expect(readdirSync(dir)).toEqual(before);
});

test.skipIf(process.getuid === undefined || process.getuid() === 0)(
  'a lock that cannot be read is not free (root reads all)',
  () => {
    plant({ pid: noProcess });
    chmodSync(lock, 0);
    expect(take).toThrow(expect.objectContaining({ code: 'ERR_IO' }));
    expect(readdirSync(dir)).toEqual(['lock']);
  },
);

test('a takeover that a kill has interrupted is taken over', () => {
  plant({ pid: noProcess });
  plant({ pid: noProcess, nonce: 'e'.repeat(32) }, 0, path.join(dir, `lock.${nonce}`));
  writeFileSync(path.join(dir, `lock.${'d'.repeat(32)}.new`), '');
  expectTaken();
});

test('a successor that lives holds the lock, though its record is not in its place yet', () => {
  plant({ pid: noProcess });
  plant({ nonce: 'e'.repeat(32) }, 0, path.join(dir, `lock.${nonce}`));
  expect(take).toThrow(`process ${process.pid} on ${os.hostname()} uses ${dir}`);
});

test('a holder whose lock was taken over is told, and leaves it alone', () => {
  const held = take();
  rmSync(lock);
  expect(() => held.check()).toThrow(
    expect.objectContaining({ code: 'ERR_IO', message: expect.stringContaining('it is gone') }),
  );
  const other = take();
  expect(() => held.check()).toThrow(`process ${process.pid} on ${os.hostname()} has taken ${dir} over`);
  held.release();
  other.check();
  other.release();
});

test('where there are no hard links, locks are taken, refused and taken over all the same', () => {
  links.supported = false;
  const held = take();
  expect(take).toThrow(`uses ${dir}`);
  held.release();
  plant({ pid: noProcess });
  expectTaken();
});
