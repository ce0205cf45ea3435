/*
 * `node test/native.js PRESET [words of a test's name]` builds the native tests with a preset of
 * CMakePresets.json and runs them; with cuda or metal those of GPU code, on the GPU.
 */
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { atFixedAddresses, build, folderOf } from './support/cmake.js';

const [preset, ...words] = process.argv.slice(2);
const onGpu = preset === 'cuda' || preset === 'metal';
const env = onGpu ? { ...process.env, SET_NATIVE_TEST_DEVICE: preset } : process.env;
const parts = onGpu && words.length === 0 ? [['gpu'], ['hardware']] : [words];

function runs(args) {
  const program = path.join(folderOf(preset), 'set_native_test');
  const [command, ...rest] = [...(preset === 'tsan' ? atFixedAddresses() : []), program, ...args];
  return spawnSync(command, rest, { stdio: 'inherit', env }).status === 0;
}

process.exitCode = build(preset) && parts.every(runs) ? 0 : 1;
