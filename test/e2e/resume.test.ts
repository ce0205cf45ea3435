import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';

/*
 * The built program killed at random moments and resumed, on one worker and on two.
 */

const main = path.resolve(import.meta.dirname, '../../dist/cli/main.js');
const experiment = [
  ...[
    'bench',
    '--dataset',
    'procedural',
    '--hidden',
    '200,200',
    '--train',
    '1000',
    '--test',
    '200',
    '--runs',
    '2',
  ],
  ...['--epsilon', '3,13', '--epochs', '10', '--methods', 'set,set-motif,static', '--motif-size', '2,4'],
];
let folder: string;

beforeAll(() => {
  if (!existsSync(main)) throw new Error('dist is missing: `npm run build` first');
  folder = mkdtempSync(path.join(tmpdir(), 'set-native-resume-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Resolves to the exit code; null when it was killed, after `killAfterMs` of training. */
function run(args: string[], killAfterMs?: number): Promise<number | null> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [main, ...args], {
      cwd: folder,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    child.stderr.once('data', () => {
      if (killAfterMs !== undefined) setTimeout(() => child.kill('SIGKILL'), killAfterMs);
    });
    child.on('close', resolve);
  });
}

/** What was recorded, but for the times, in an order that does not depend on which job came first. */
function recorded(out: string): string[] {
  const untimed = (key: string, value: unknown) => (key.endsWith('Ms') ? undefined : value);
  return readFileSync(path.join(folder, out, 'results.jsonl'), 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.stringify(JSON.parse(line, untimed)))
    .sort();
}

test.each([1, 2])(
  '20 kills, %i at once: the results are those of a run that was never interrupted',
  { timeout: 120_000 },
  async (jobs) => {
    if (!existsSync(path.join(folder, 'whole'))) expect(await run([...experiment, '--out', 'whole'])).toBe(0);
    const out = `killed-${jobs}`;
    const share = ['--jobs', String(jobs)];
    let kills = 0;
    let code = await run([...experiment, ...share, '--out', out], 100);
    while (code === null && kills < 20) {
      kills += 1;
      code = await run(
        ['bench', '--resume', out, ...share],
        kills < 20 ? 20 + ((kills * 97) % 400) : undefined,
      );
    }
    expect(code).toBe(0);
    expect(kills).toBeGreaterThan(3);
    expect(recorded(out)).toEqual(recorded('whole'));
  },
);

test('the moments of AdamW outlive a kill', { timeout: 60_000 }, async () => {
  const small = experiment
    .join(' ')
    .replace('--methods set,set-motif,static --motif-size 2,4', '--methods set');
  const adamw = [...small.split(' '), '--optimizer', 'adamw', '--activation', 'srelu'];
  expect(await run([...adamw, '--out', 'adamw'])).toBe(0);
  let kills = 0;
  let code = await run([...adamw, '--out', 'adamw-killed'], 200);
  while (code === null && kills < 5) {
    kills += 1;
    code = await run(['bench', '--resume', 'adamw-killed'], kills < 5 ? 100 + 90 * kills : undefined);
  }
  expect(code).toBe(0);
  expect(kills).toBeGreaterThan(1);
  expect(recorded('adamw-killed')).toEqual(recorded('adamw'));
});

test('--resume takes no other experiment, and says so', async () => {
  expect(await run(['bench', '--resume', 'whole', '--epochs', '3'])).toBe(2);
  expect(await run(['bench', '--resume', 'nowhere'])).toBe(2);
});
