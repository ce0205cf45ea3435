import { spawnSync } from 'node:child_process';

/** The first CMake that reads our presets. */
const oldest = [3, 21] as const;

/** How to get what compiles the native code. */
export const howToGetCompilers =
  'on Debian or Ubuntu: apt-get install cmake g++ make; on Fedora: dnf install cmake gcc-c++ make; on Alpine: ' +
  'apk add cmake g++ make; on macOS: xcode-select --install and brew install cmake; on Windows: winget install ' +
  'Kitware.CMake Ninja-build.Ninja MartinStorsjo.LLVM-MinGW.UCRT';

/** What is missing, or undefined where CMake is there and new enough. */
export function lacksCmake(): string | undefined {
  const { status, stdout } = spawnSync('cmake', ['--version'], { encoding: 'utf8' });
  const need = `native code is compiled by CMake ${oldest.join('.')} or newer`;
  if (status !== 0) return `${need}, and cmake is not on the PATH`;
  const [, version, major, minor] = /version ((\d+)\.(\d+)\S*)/.exec(stdout) ?? [];
  const isOld = Number(major) * 1000 + Number(minor) < oldest[0] * 1000 + oldest[1];
  return isOld ? `${need}, and this is ${version}` : undefined;
}
