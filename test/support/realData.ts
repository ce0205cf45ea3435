import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const repository = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');

const candidates = [process.env.SET_NATIVE_DATA, '../shared/data'];

/**
 * The folder of real data sets: SET_NATIVE_DATA, else ../shared/data beside the repository, else undefined.
 */
export const realDataDir = candidates
  .filter((candidate) => candidate !== undefined)
  .map((candidate) => path.resolve(repository, candidate))
  .find((folder) => fs.existsSync(folder));

/** For test titles: why tests on real files are skipped. */
export const realDataSkip =
  realDataDir === undefined ? ' (skipped: no SET_NATIVE_DATA, no ../shared/data)' : '';
