import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { BackendChoice, BackendName, GpuName } from '../../src/vocabulary.js';

/*
 * Which back ends are tried in a child process before they are used, how long that may take, and what is made
 * of how it ended. The addon and the child are played: test/e2e/cuda.test.ts has real ones.
 */

const spawnSync = vi.fn();
const refused = new Map<GpuName, string>();
let untried: BackendName[] = [];
let usable: BackendName[] = [];

vi.mock('node:child_process', () => ({ spawnSync }));
vi.mock('../../src/native.js', () => ({
  native: () => ({
    untried: (name: BackendName) => (untried.includes(name) ? 'its kernels' : ''),
    refuse: (name: GpuName, reason: string) => refused.set(name, reason),
    info: () => {
      expect(untried.filter((name) => spawnSync.mock.calls.every(([, args]) => args[1] !== name))).toEqual(
        [],
      );
      return { backends: usable.map((name) => ({ name, available: !refused.has(name as GpuName) })) };
    },
  }),
}));

beforeEach(() => {
  vi.resetModules();
  refused.clear();
  untried = ['metal'];
  usable = ['cpu', 'metal'];
  ended({ stdout: 'metal: \n' });
});
afterEach(() => void spawnSync.mockReset());

const ended = (how: object) =>
  spawnSync.mockReturnValue({ status: 0, signal: null, stdout: '', stderr: '', ...how });
const choose = async (choice: BackendChoice) => (await import('../../src/backend.js')).chooseBackend(choice);
const tried = () => spawnSync.mock.calls.map(([, args, { timeout }]) => [args[1], timeout]);

test.each([
  ['auto', ['metal'], [['metal', 60_000]]],
  ['metal', ['metal', 'cuda'], [['metal', 60_000]]],
  ['cuda', ['metal', 'cuda'], [['cuda', 30_000]]],
  ['cpu', ['metal', 'cuda'], []],
  ['reference', ['metal', 'cuda'], []],
  ['auto', [], []],
] as const)('choosing %s where %j are untried tries %j', async (choice, all, expected) => {
  untried = [...all];
  await choose(choice);
  expect(tried()).toEqual(expected);
});

test.each(['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'])(
  'a child that was stopped by %s says nothing about the GPU: the call is aborted, and may be made again',
  async (signal) => {
    ended({ status: null, signal });
    await expect(choose('auto')).rejects.toMatchObject({
      code: 'ERR_ABORTED',
      details: { backend: 'metal', signal },
    });
    expect(refused.size).toBe(0);
    ended({ stdout: 'metal: \n' });
    expect(await choose('auto')).toBe('metal');
  },
);

test('what the child found nothing wrong with is taken', async () => {
  expect(await choose('auto')).toBe('metal');
  expect(refused.size).toBe(0);
});

const trial = 'its trial in a process of its own';
test.each([
  [{ stdout: 'a driver speaks\nmetal: not available, because there is no GPU\n' }, 'there is no GPU'],
  [{ stdout: 'cuda: \n' }, `${trial} gave no answer`],
  [{ status: null, signal: 'SIGBUS' }, `${trial} crashed (SIGBUS)`],
  [{ status: 7, stderr: 'one\ntwo\n' }, `${trial} ended with status 7: two`],
  [{ error: Object.assign(new Error(), { code: 'ETIMEDOUT' }) }, `${trial} did not end within 60 seconds`],
  [{ error: new Error('no such file') }, `${trial} could not be started: no such file`],
])('a child that ends with %j makes auto take the CPU', async (how, reason) => {
  ended(how);
  expect(await choose('auto')).toBe('cpu');
  expect(refused.get('metal')).toBe(reason);
});
