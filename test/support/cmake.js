/*
 * Builds with a preset of CMakePresets.json, on all cores.
 */
import { spawnSync } from 'node:child_process';
import os from 'node:os';
import path from 'node:path';
import { lacksCmake } from '../../dist/cli/cmake.js';

export { lacksCmake };

export const root = path.resolve(import.meta.dirname, '../..');

/** The preset that configures for a build preset: the addon's build has the native tests, too. */
const configuredBy = (preset) => (preset === 'test' ? 'release' : preset);

/** The folder that a preset builds in. */
export const folderOf = (preset) => path.join(root, 'build', configuredBy(preset));

export const configureArgs = (preset, defines = []) => ['--preset', configuredBy(preset), ...defines];

export const buildArgs = (preset) => [
  ...['--build', '--preset', preset],
  ...['--parallel', String(os.availableParallelism())],
];

/** Configures and builds; says whether that went well. */
export function build(preset, { defines = [], stdio = 'inherit' } = {}) {
  const lacking = lacksCmake();
  if (lacking !== undefined) console.error(lacking);
  return (
    lacking === undefined &&
    [configureArgs(preset, defines), buildArgs(preset)].every(
      (args) => spawnSync('cmake', args, { cwd: root, stdio }).status === 0,
    )
  );
}

/** Words before a program under ThreadSanitizer: older compilers' needs addresses that are not randomized. */
export function atFixedAddresses() {
  return spawnSync('setarch', ['-R', 'true']).status === 0 ? ['setarch', '-R'] : [];
}
