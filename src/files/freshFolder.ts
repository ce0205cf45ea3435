import { lstatSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { type ErrorDetails, SetNativeError } from '../errors.js';
import { isLock, lockDebris } from './lock.js';

/** What file managers, network file systems and git leave in a folder that its owner calls empty. */
const systemFiles =
  /^(\.DS_Store|\.localized|Thumbs\.db|desktop\.ini|\.directory|\.gitkeep|\.keep|\.gitignore|\.nfs[0-9a-f]+)$/;

/** Files half written, which a kill leaves: of `writeAtomically`. */
const halfWritten = /^\.set-native-.*\.tmp$/;

/** A folder that something is to be kept in. */
interface FreshFolder {
  operation: string;
  dir: string;
  /** What it must not hold yet: the file that tells, and what it is called. */
  begun: { file: string; what: string };
  /** What a kill may leave besides: files half written, by name, and a folder that holds no more than such. */
  left?: { files: RegExp; folder: string };
}

/**
 * Throws ERR_IN_USE, naming `out`, where a folder holds more than what a process leaves that is killed before
 * its work begins.
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
