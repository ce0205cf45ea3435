import { closeSync, openSync, readSync, statSync } from 'node:fs';
import path from 'node:path';
import { SetNativeError } from '../errors.js';
import { closing } from './closing.js';

/*
 * Keeps files of others from being overwritten: only files of this program are. One is recognised by its
 * first characters, a picture by the specification beside it.
 */

const beginnings: Record<string, RegExp> = {
  'report.html': /^<!doctype html>.*<title>set-native: /s,
  'summary.csv': /^(dir,)?dataset,reading,method,|^\s*$/,
  'summary.json': /^\[(\]|\s+\{\s+("dir": .*\s+)?"dataset": .*\s+"reading": )/,
};
const figure = /^\{.*"\$schema": "https:\/\/vega\.github\.io\/schema\/vega-lite\//s;
const figureEnds = /(\.vl\.json|\.svg|\.png)$/;

/** Throws ERR_IN_USE where `folder` has a file of one of these names that this program did not write. */
export function refuseForeign(option: string, folder: string, names: string[]): void {
  const foreign = names.find((name) => !mayWrite(folder, name));
  if (foreign === undefined) return;
  const file = path.join(folder, foreign);
  throw new SetNativeError(
    'ERR_IN_USE',
    `[report] ${option} must name a folder without files of others, but ${file} is none that set-native wrote; ` +
      'move it away, or name another folder',
    { details: { option, file } },
  );
}

function mayWrite(folder: string, name: string): boolean {
  const beginning = beginningOf(path.join(folder, name));
  if (beginning === undefined || beginning === '') return true;
  if (!figureEnds.test(name)) return beginnings[name]!.test(beginning);
  return figure.test(beginningOf(path.join(folder, name.replace(figureEnds, '.vl.json'))) ?? '');
}

/** The first characters of a file; undefined where there is no regular file, and so nothing to lose. */
function beginningOf(file: string): string | undefined {
  if (!statSync(file, { throwIfNoEntry: false })?.isFile()) return undefined;
  const open = openSync(file, 'r');
  return closing(
    () => {
      const bytes = Buffer.alloc(2 ** 16);
      return bytes.toString('utf8', 0, readSync(open, bytes));
    },
    () => closeSync(open),
  );
}
