import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { describe, expect, test, vi } from 'vitest';
import type { BenchResults } from '../../src/bench.js';
import type { NativeInfo } from '../../src/native.js';

/*
 * What users see of the CUDA library when its driver misbehaves. A library that stands in for it, built with
 * the native tests, plays the parts that SET_FAKE_CUDA names (native/test/cuda/fake.cpp).
 */

const root = path.resolve(import.meta.dirname, '../..');
const main = path.join(root, 'dist/cli/main.js');
const fake = path.join(root, 'build/release/libset_native_cuda_fake.so');

function run(args: string[], env: NodeJS.ProcessEnv) {
  const { status, signal, stdout, stderr } = spawnSync(process.execPath, [main, ...args], {
    env: { ...process.env, SET_NATIVE_CUDA_LIBRARY: fake, ...env },
    encoding: 'utf8',
    timeout: 25_000,
  });
  return { status, signal, stdout, stderr };
}

function cudaOf(env: NodeJS.ProcessEnv) {
  const { stdout, ...rest } = run(['info', '--json'], env);
  expect(rest).toEqual({ status: 0, signal: null, stderr: '' });
  return (JSON.parse(stdout) as NativeInfo).backends.find(({ name }) => name === 'cuda')!;
}

const tiny = [
  'bench',
  '--dataset',
  'procedural',
  '--hidden',
  '20',
  '--train',
  '100',
  '--test',
  '50',
  '--epochs',
  '1',
];

test('without a library info says where it was looked for, and how to get one', () => {
  const { available, reason } = cudaOf({ SET_NATIVE_CUDA_LIBRARY: '/nowhere/lib.so' });
  expect(available).toBe(false);
  expect(reason).toMatch(
    /^not available, because its library was not found at \/nowhere\/lib\.so; .*build --cuda/,
  );
});

describe.skipIf(process.platform !== 'linux')('with the library that stands in', () => {
  test('it was built', () => expect(existsSync(fake)).toBe(true));

  test('info shows device, memory and driver', () => {
    const device = 'Fake, 0.0 GB, compute capability 9.0, driver for CUDA 13.0';
    const capacity = { warps: 256, memory: 2 ** 20 };
    expect(cudaOf({ SET_FAKE_CUDA: '' })).toEqual({
      name: 'cuda',
      available: true,
      device,
      reason: '',
      capacity,
    });
  });

  test.each([
    ['crash', 'its trial in a process of its own crashed (SIGSEGV)'],
    ['none', 'there is no device'],
    ['fail open', '[cuda] could not open the device: open went wrong'],
    ['nothing download', '[cuda] the device gave other bytes back than it was given'],
    ['abi', 'build both from the same sources'],
    ['null', 'gave no table'],
  ])('%s: info goes on and gives the reason', (mood, reason) => {
    const cuda = cudaOf({ SET_FAKE_CUDA: mood });
    expect(cuda.available).toBe(false);
    expect(cuda.reason).toMatch(/^not available, because (?!not available)/);
    expect(cuda.reason).toContain(reason);
  });

  test('a driver that crashes fails a training that asked for it, and auto takes the CPU', () => {
    const asked = run([...tiny, '--backend', 'cuda'], { SET_FAKE_CUDA: 'crash' });
    expect(asked).toMatchObject({ status: 1, signal: null });
    expect(asked.stderr).toContain('its trial in a process of its own crashed (SIGSEGV)');
    const automatic = run(tiny, { SET_FAKE_CUDA: 'crash' });
    expect(automatic).toMatchObject({ status: 0, signal: null });
    expect(automatic.stdout).toMatch(/\bcpu \(/);
  });

  test('a training runs on it, its kernels in the emulator', () => {
    const { status, stderr, stdout } = run([...tiny, '--backend', 'cuda'], { SET_FAKE_CUDA: 'emulate' });
    expect(status, stderr).toBe(0);
    expect(stdout).toMatch(/\bcuda \(/);
  });

  test.skipIf(os.availableParallelism() < 2)(
    'a sweep trains several networks at once, to the same results',
    () => {
      const folder = mkdtempSync(path.join(os.tmpdir(), 'set-native-'));
      const json = path.join(folder, 'results.json');
      const sweep = (...jobs: string[]) => {
        const args = [
          ...tiny,
          '--methods',
          'set',
          '--runs',
          '3',
          '--backend',
          'cuda',
          '--json',
          json,
          ...jobs,
        ];
        const { status, stderr } = run(args, { SET_FAKE_CUDA: 'emulate' });
        expect(status, stderr).toBe(0);
        const { config, runs } = JSON.parse(readFileSync(json, 'utf8')) as BenchResults;
        return {
          jobs: config.jobs,
          runs: JSON.stringify(runs, (key, value) => (key.endsWith('Ms') ? 0 : value)),
          stderr,
        };
      };
      const one = sweep('--jobs', '1');
      const chosen = sweep();
      expect(one.jobs).toBe(1);
      expect(one.stderr).not.toContain('at once');
      expect(chosen.jobs).toBeGreaterThan(1);
      expect(chosen.stderr).toContain(`Note: ${chosen.jobs} groups at once, chosen by the size`);
      expect(chosen.runs).toBe(one.runs);
      rmSync(folder, { recursive: true });
    },
  );

  test('the bench of kernels says why it cannot run', () => {
    const { status, stderr } = run(['bench', 'kernels', '--backend', 'cuda'], { SET_FAKE_CUDA: 'none' });
    expect(status).toBe(1);
    expect(stderr).toContain('[bench] cuda is not available, because there is no device');
  });

  test('the bench of kernels on the CPU does not mind a driver that crashes', () => {
    const { status, stderr } = run(['bench', 'kernels', '--filter', 'loss batch=40'], {
      SET_FAKE_CUDA: 'crash',
    });
    expect(status, stderr).toBe(0);
  });

  test('a driver that hangs is given up', async () => {
    vi.doMock('node:child_process', async (original) => {
      const real = await original<typeof import('node:child_process')>();
      const hurried = (file: string, [, name]: string[], options: object) =>
        real.spawnSync(file, [path.join(root, 'dist/gpuTrial.js'), name!], { ...options, timeout: 1500 });
      return { ...real, spawnSync: hurried };
    });
    vi.stubEnv('SET_NATIVE_CUDA_LIBRARY', fake);
    vi.stubEnv('SET_FAKE_CUDA', 'hang');
    const { info } = await import('../../src/info.js');
    const cuda = info().backends.find(({ name }) => name === 'cuda')!;
    expect(cuda.reason).toBe(
      'not available, because its trial in a process of its own did not end within 30 seconds',
    );
    vi.doUnmock('node:child_process');
    vi.unstubAllEnvs();
  });
});
