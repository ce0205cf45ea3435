import { lstatSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { type ErrorDetails, SetNativeError } from '../errors.js';
import { isLock, lockDebris } from './lock.js';

/**
 * Names of files that file managers, network file systems and git leave in a folder that its owner calls
 * empty.
 */
const systemFiles =
  /^(\.DS_Store|\.localized|Thumbs\.db|desktop\.ini|\.directory|\.gitkeep|\.keep|\.gitignore|\.nfs[0-9a-f]+)$/;

/** Names of half-written files of `writeAtomically`, which a kill leaves. */
const halfWritten = /^\.set-native-.*\.tmp$/;

/** A folder to keep work in. */
interface FreshFolder {
  operation: string;
  dir: string;
  /** File whose presence means that work has begun there, and its name in messages. */
  begun: { file: string; what: string };
  /** Other leftovers of a kill: names of half-written files, and of a folder that holds no others. */
  left?: { files: RegExp; folder: string };
}

/**
 * Throws ERR_IN_USE, naming `out`, where a folder holds more than a process leaves that was killed before its
 * work began.
 */
export function checkFresh({ operation, dir, begun, left }: FreshFolder): void {
  const there = readdirSync(dir);
  const refusal = (text: string, details: ErrorDetails['ERR_IN_USE']) =>
    new SetNativeError('ERR_IN_USE', `[${operation}] out must name a new ${text}`, {
      details: { option: 'out', dir, ...details },
    });
  if (there.includes(begun.file)) {
    throw refusal(`folder, but ${dir} holds ${begun.what}, which can be resumed`, { begun: dir });
  }
  const isLeftover = (name: string) =>
    systemFiles.test(name) || halfWritten.test(name) || left?.files.test(name) === true;
  const isDebris = (name: string) => {
    if (isLeftover(name) || lockDebris.test(name)) return true;
    const file = path.join(dir, name);
    if (name === 'lock') return isLock(file);
    return name === left?.folder && lstatSync(file).isDirectory() && readdirSync(file).every(isLeftover);
  };
  const foreign = there.filter((name) => !isDebris(name)).sort();
  if (foreign.length === 0) return;
  const shown = foreign.length > 5 ? [...foreign.slice(0, 5), `${foreign.length - 5} more`] : foreign;
  throw refusal(`or empty folder, but ${dir} holds ${shown.join(', ')}`, { foreign });
}
