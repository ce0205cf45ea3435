import { createHash, randomBytes } from 'node:crypto';
import {
  closeSync,
  constants,
  fstatSync,
  linkSync,
  lstatSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { z } from 'zod';
import { checkSignal, type ErrorDetails, isSetNativeError, SetNativeError } from '../errors.js';
import { bootId, isAlive, pidNamespace, startOf } from './machine.js';
import { notWritable } from './output.js';

/*
 * A lock says which process writes to a folder: the one whose record is in its file `lock`. At most one
 * process holds it, also where several start at once and where other containers and other hosts see the
 * folder too.
 *
 * A lock is stale when its process has ended. This process can check that only where process ids mean the
 * same, on one machine since it was started and within one container; a process with the same id that started
 * at another time is another one. Elsewhere the heartbeat decides: the holder rewrites its record every
 * `beatMs`, and loses the lock after `silenceMs` without.
 *
 * Nobody removes a stale lock, because another process may have replaced it since it was read. A process
 * succeeds it instead: the successor of the lock N is the process that creates the file `lock.N`, which can
 * happen once. So the holder is the end of a chain that begins in `lock`. It then moves its record to `lock`,
 * in one step, and removes the chain. A late `lock.N` beside a `lock` that is no longer N has no effect, and
 * its creator notices when it looks again.
 */

const beatMs = 2000;
/**
 * Time in which a holder that cannot be checked may be silent. It is far longer than anything that delays the
 * timer of a heartbeat.
 */
export const silenceMs = 30_000;

/** Identity of a held lock, for all threads that write under it. */
export interface LockToken {
  file: string;
  nonce: string;
}

const processId = z
  .number()
  .int()
  .min(1)
  .max(2 ** 31 - 1);

const recordSchema = z.object({
  nonce: z.string().regex(/^[0-9a-f]{32}$/),
  host: z.string(),
  /** Start of the machine; absent where the system names none. */
  boot: z.string().optional(),
  /** Namespace of `pid`; absent where the system has none. */
  namespace: z.string().optional(),
  pid: processId,
  /** Time when the process started, in a unit of the system. */
  started: z.string().optional(),
});

type LockRecord = z.infer<typeof recordSchema>;

/** Record of earlier versions, which have no heartbeat. */
const oldSchema = z.object({ pid: processId, host: z.string() });

/** An existing lock file. */
interface Found {
  file: string;
  /** Part of the name of its successor. */
  id: string;
  text: string;
  /** Time of the last heartbeat, by the clock of the file system. */
  mtimeMs: number;
  record: LockRecord | undefined;
  old: z.infer<typeof oldSchema> | undefined;
}

/** Names of files that a process leaves beside the lock when it is killed while it takes the lock. */
export const lockDebris = /^lock\.[0-9a-f]{32}(\.new)?$/;

export class FolderLock {
  readonly token: LockToken;
  readonly #dir: string;
  readonly #timer: NodeJS.Timeout;

  private constructor(dir: string, token: LockToken, text: string) {
    this.#dir = dir;
    this.token = token;
    this.#timer = setInterval(() => beat(token, text), beatMs).unref();
  }

  /**
   * Takes the lock of a folder. Throws ERR_IN_USE, naming `option`, where another process holds it, or may
   * hold it, or the file `lock` is not of this program, and ERR_IO where nothing can be written. The error
   * has `details.heartbeat` where the holder cannot be checked: see `onceDecided`.
   */
  static take(operation: string, dir: string, option: string): FolderLock {
    const nonce = randomBytes(16).toString('hex');
    const taker: Taker = {
      operation,
      dir,
      option,
      nonce,
      text: JSON.stringify({ nonce, ...self() } satisfies LockRecord),
    };
    const file = path.join(dir, 'lock');
    try {
      for (let tries = 0; tries < 1000; tries++) {
        const { placed, now } = place(taker, file);
        if (!placed && !succeed(taker, file, now)) continue;
        const debris = readdirSync(dir).filter((name) => lockDebris.test(name) && name !== `lock.${nonce}`);
        for (const name of debris) rmSync(path.join(dir, name), { force: true });
        return new FolderLock(dir, { file, nonce }, taker.text);
      }
    } catch (cause) {
      if (cause instanceof SetNativeError) throw cause;
      if (cause instanceof Foreign)
        throw refusal(taker, `${cause.message}; move it away, or name another folder`);
      throw notWritable(operation, option, dir, cause);
    }
    throw refusal(taker, `others keep taking and leaving ${dir}`);
  }

  /** Throws ERR_IO where another process has the lock by now: a process without the lock must not write. */
  check(): void {
    checkHeld(this.token);
  }

  /**
   * Releases the lock, unless another process has it by now. Does not throw: a lock that stays behind is
   * stale.
   */
  release(): void {
    clearInterval(this.#timer);
    try {
      if (isHeld(this.token)) rmSync(this.token.file, { force: true });
      const { nonce } = this.token;
      for (const name of [`lock.${nonce}`, `lock.${nonce}.new`])
        rmSync(path.join(this.#dir, name), { force: true });
    } catch {
      // see above
    }
  }
}

/** Throws ERR_IO unless the lock of `token` is still held. */
export function checkHeld({ file, nonce }: LockToken): void {
  let found: Found | undefined;
  try {
    found = look(file);
  } catch (cause) {
    throw new SetNativeError('ERR_IO', `[lock] could not read ${file}: ${(cause as Error).message}`, {
      cause,
    });
  }
  if (found?.record?.nonce === nonce) return;
  const folder = path.dirname(file);
  const who = found === undefined ? 'it is gone' : `${describe(found)} has taken ${folder} over`;
  throw new SetNativeError(
    'ERR_IO',
    `[lock] this process no longer holds ${file}: ${who} (that happens where this one stood still for more than ` +
      `${silenceMs / 1000} seconds, or the file was deleted); it stops here, and what it had written before is kept`,
    { details: { file } },
  );
}

/** Whether `file` is a lock of this program, whole or in part. Throws where it cannot be read. */
export function isLock(file: string): boolean {
  try {
    look(file);
    return true;
  } catch (error) {
    if (error instanceof Foreign) return false;
    throw error;
  }
}

/** A wait begins, of at most half a minute, for another process to show that it uses the folder. */
export interface WaitEvent {
  kind: 'wait';
  why: string;
}

/**
 * Result of `take`, which is tried again while only silence can show whether the holder lives: until the
 * holder shows that it does, and the error is thrown, or until it loses the lock. Throws what `take` throws,
 * and ERR_ABORTED when the signal fires.
 */
export async function* onceDecided<T>(
  take: () => T,
  signal: AbortSignal | undefined,
): AsyncGenerator<WaitEvent, T, void> {
  let before: unknown;
  for (;;) {
    try {
      return take();
    } catch (error) {
      const heartbeat = isSetNativeError(error, 'ERR_IN_USE') ? error.details.heartbeat : undefined;
      if (heartbeat === undefined || (before !== undefined && heartbeat !== before)) throw error;
      if (before === undefined) {
        const why = `Another process may be using the folder: waiting for a sign of it, ${silenceMs / 1000} seconds at most.`;
        yield { kind: 'wait', why };
      }
      before = heartbeat;
    }
    await pause(beatMs / 2);
    checkSignal('bench', signal, 'while it waited for another process');
  }
}

/** Error for a file or folder in the place of a lock that this program did not write. */
class Foreign extends Error {}

/** A process that wants the lock of `dir`. */
interface Taker {
  /** What takes it, as messages name it. */
  operation: string;
  dir: string;
  option: string;
  nonce: string;
  /** Record of the process. */
  text: string;
}

function refusal(
  { operation, dir, option }: Taker,
  why: string,
  details: ErrorDetails['ERR_IN_USE'] = {},
): SetNativeError {
  return new SetNativeError(
    'ERR_IN_USE',
    `[${operation}] ${option} must name a folder that no other process uses, but ${why}`,
    {
      details: { option, dir, ...details },
    },
  );
}

/**
 * Writes a whole record where there is no file yet; `now` is the time by the clock of the file system. Where
 * there are no hard links the record is incomplete for a moment.
 */
function place({ dir, nonce, text }: Taker, target: string): { placed: boolean; now: number } {
  const own = path.join(dir, `lock.${nonce}.new`);
  const open = openSync(own, 'wx');
  writeSync(open, text);
  const now = fstatSync(open).mtimeMs;
  closeSync(open);
  try {
    linkSync(own, target);
    return { placed: true, now };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST' || code === 'ENOENT') return { placed: false, now }; // ENOENT: cleared away as debris
  } finally {
    rmSync(own, { force: true });
  }
  try {
    writeFileSync(target, text, { flag: 'wx' });
    return { placed: true, now };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return { placed: false, now };
    throw error;
  }
}

/**
 * Takes over from a holder that has ended; returns false where something changed meanwhile. Throws where the
 * holder has not ended.
 */
function succeed(taker: Taker, lock: string, now: number): boolean {
  const { dir, nonce, text } = taker;
  const end = endOfChain(lock);
  if (end === undefined) return false;
  if (end.record?.nonce === nonce) return true; // a network that lost the answer to `place`
  if (isTorn(end) && isBeingWritten(end)) return false;
  const holder = stateOf(end, now);
  if (holder === 'alive') {
    throw refusal(taker, `${describe(end)} uses ${dir}; if there is no such process, delete ${end.file}`);
  }
  if (holder === 'silent') {
    const why = `${describe(end)}, which cannot be asked from here, may be using ${dir}`;
    const advice = `if it is gone, try again ${silenceMs / 1000} seconds after its end`;
    throw refusal(taker, `${why}; ${advice}`, { heartbeat: `${end.id} ${end.mtimeMs}` });
  }
  const claim = path.join(dir, `lock.${end.id}`);
  if (!place(taker, claim).placed) return false;
  if (endOfChain(lock)?.record?.nonce !== nonce) {
    rmSync(claim, { force: true }); // another was quicker, and has cleared the chain away
    return false;
  }
  const own = path.join(dir, `lock.${nonce}.new`);
  writeFileSync(own, text, { flag: 'wx' });
  renameSync(own, lock);
  return true;
}

/** Last file of the chain that begins in `lock`; undefined where there is no lock. */
function endOfChain(lock: string): Found | undefined {
  let end = look(lock);
  const seen = new Set<string>();
  while (end !== undefined && !seen.has(end.id)) {
    seen.add(end.id);
    const next = look(path.join(path.dirname(lock), `lock.${end.id}`));
    if (next === undefined) break;
    end = next;
  }
  return end;
}

/** Most bytes that are read of a lock, more than any record has. */
const mostBytes = 4096;

/**
 * Reads a lock file; undefined where there is none. Throws Foreign for what is no lock, and the error of the
 * system where it cannot be read, because such a lock is not free.
 */
function look(file: string): Found | undefined {
  const there = lstatSync(file, { throwIfNoEntry: false });
  if (there === undefined) return undefined;
  const foreign = new Foreign(`${file} is not a file of this program`);
  if (!there.isFile()) throw foreign;
  let open: number;
  try {
    open = openSync(file, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  try {
    const { size, ino, mtimeMs } = fstatSync(open);
    if (size > mostBytes) throw foreign;
    const bytes = Buffer.alloc(mostBytes);
    const text = bytes.toString('utf8', 0, readSync(open, bytes, 0, mostBytes, 0));
    const value = parsed(text);
    const record = recordSchema.safeParse(value).data;
    const old = record === undefined ? oldSchema.safeParse(value).data : undefined;
    if (record === undefined && old === undefined && !isBeginning(text)) throw foreign;
    const id =
      record?.nonce ?? createHash('sha256').update(`${text} ${ino} ${mtimeMs}`).digest('hex').slice(0, 32);
    return { file, id, text, mtimeMs, record, old };
  } finally {
    closeSync(open);
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Whether a text is a part of a record, as a kill or a power cut leaves it. */
function isBeginning(text: string): boolean {
  const begins = ['{"nonce":"', '{"pid":'].some((start) => start.startsWith(text) || text.startsWith(start));
  return /^\0*$/.test(text) || (begins && parsed(text) === undefined);
}

function isTorn({ record, old }: Found): boolean {
  return record === undefined && old === undefined;
}

/** Whether the file changes within a moment, because another process is writing it. */
function isBeingWritten({ file, id }: Found): boolean {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 250);
  return look(file)?.id !== id;
}

/** State of the holder. `silent`: it cannot be checked, and its last heartbeat is recent. */
function stateOf({ record, old, mtimeMs }: Found, now: number): 'alive' | 'silent' | 'gone' {
  if (old !== undefined) {
    // A lock with the id of this process that is older than this process is of a container that has ended.
    const isOlder = old.pid === process.pid && mtimeMs < Date.now() - 1000 * process.uptime();
    return old.host !== os.hostname() || (isAlive(old.pid) && !isOlder) ? 'alive' : 'gone';
  }
  if (record === undefined) return 'gone';
  // Both times are of the clock of the file system. A clock that was set back leaves a heartbeat in the
  // future, which is not a sign of life.
  const silent = Math.abs(now - mtimeMs) > silenceMs;
  const here = self();
  const isHere =
    record.boot === here.boot &&
    record.namespace === here.namespace &&
    (record.boot !== undefined || record.host === here.host);
  if (isHere) {
    if (!isAlive(record.pid)) return 'gone';
    const started = record.pid === process.pid ? here.started : startOf(record.pid);
    if (started !== undefined && record.started !== undefined)
      return started === record.started ? 'alive' : 'gone';
  }
  return silent ? 'gone' : isHere ? 'alive' : 'silent';
}

function describe({ record, old, file }: Found): string {
  const { pid, host } = record ?? old ?? {};
  return pid === undefined ? `what left ${file}` : `process ${pid} on ${host}`;
}

/** Rewrites the record in the file of `token`, wherever that is by now, to renew its time. */
function beat(token: LockToken, text: string): void {
  try {
    const open = openSync(token.file, constants.O_RDWR | (constants.O_NOFOLLOW ?? 0));
    try {
      const bytes = Buffer.alloc(mostBytes);
      const there = bytes.toString('utf8', 0, readSync(open, bytes, 0, mostBytes, 0));
      if (there === text) writeSync(open, text, 0);
    } finally {
      closeSync(open);
    }
  } catch {
    // `checkHeld` says so when something is to be written
  }
}

function isHeld({ file, nonce }: LockToken): boolean {
  return look(file)?.record?.nonce === nonce;
}

/** Record of this process, without the nonce. */
function self(): Omit<LockRecord, 'nonce'> {
  const boot = bootId();
  const namespace = pidNamespace();
  const started = startOf('self');
  return {
    host: os.hostname(),
    ...(boot !== undefined && { boot }),
    ...(namespace !== undefined && { namespace }),
    pid: process.pid,
    ...(started !== undefined && { started }),
  };
}
