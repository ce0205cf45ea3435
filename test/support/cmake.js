/*
 * Builds with a preset of CMakePresets.json, on all cores.
 */
import { spawnSync } from 'node:child_process';
import os from 'node:os';
import path from 'node:path';

export const root = path.resolve(import.meta.dirname, '../..');

const oldest = [3, 21]; // the first that knows these presets

/** What is missing, or undefined where CMake is there and new enough. */
export function lacksCmake() {
  const { status, stdout } = spawnSync('cmake', ['--version'], { encoding: 'utf8' });
  const need = `CMake ${oldest.join('.')} or newer builds the native tests`;
  const get = 'install it (Debian: apt-get install cmake; macOS: brew install cmake)';
  if (status !== 0) return `${need}, and cmake is not on the PATH: ${get}`;
  const [, version, major, minor] = /version ((\d+)\.(\d+)\S*)/.exec(stdout);
  const isOld = major * 1000 + Number(minor) < oldest[0] * 1000 + oldest[1];
  return isOld ? `${need}, and this is ${version}: ${get}` : undefined;
}

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
