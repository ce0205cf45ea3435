import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { constants, tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';

/*
 * The built program told to stop, by every signal, at work of every kind, with and without a terminal.
 */

const main = path.resolve(import.meta.dirname, '../../dist/cli/main.js');
const terminal = path.resolve(import.meta.dirname, '../support/terminal.py');
const python = spawnSync('python3', ['-c', 'import pty, os; os.waitstatus_to_exitcode']).status === 0;
const onTerminal = test.skipIf(!python); // needs python3, 3.9 or newer, with its module pty
vi.setConfig({ testTimeout: 120_000 }); // of processes that share the machine with others
let folder: string;
const env = {
  ...process.env,
  SET_NATIVE_DATA: '',
  SET_NATIVE_DEBUG: '',
  NO_COLOR: '',
  CI: '',
  TERM: 'xterm',
  _: '',
};

beforeAll(() => {
  if (!existsSync(main)) throw new Error('dist is missing: `npm run build` first');
  folder = mkdtempSync(path.join(tmpdir(), 'set-native-signals-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const sizes = [
  '--dataset',
  'procedural',
  '--hidden',
  '60',
  '--train',
  '500',
  '--test',
  '100',
  '--epochs',
  '60000',
];
const bench = ['bench', ...sizes, '--methods', 'set', '--epsilon', '5', '--runs', '2'];

interface Outcome {
  code: number | null;
  stdout: string;
  stderr: string;
}

/**
 * Sends the signals when `pattern` has appeared on stderr, the first at once, the others as soon as the one
 * before is acknowledged.
 */
function run(args: string[], pattern: RegExp, ...sent: NodeJS.Signals[]): Promise<Outcome> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [main, ...args], { cwd: folder, env });
    const outcome: Outcome = { code: null, stdout: '', stderr: '' };
    const due = [pattern, /Stopping after what runs now/];
    child.stdout.on('data', (chunk) => {
      outcome.stdout += chunk;
    });
    child.stderr.on('data', (chunk) => {
      outcome.stderr += chunk;
      if (sent.length > 0 && due[0]?.test(outcome.stderr)) {
        due.shift();
        child.kill(sent.shift());
      }
    });
    child.on('close', (code) => resolve({ ...outcome, code }));
  });
}

/** The same on a terminal; what `actions` are, test/support/terminal.py says. */
function runOnTerminal(args: string[], pattern: string, actions: string, changes: NodeJS.ProcessEnv = {}) {
  return new Promise<{ code: number; text: string }>((resolve) => {
    const program = [process.execPath, main, ...args];
    const child = spawn('python3', [terminal, pattern, actions, ...program], {
      ...{ cwd: folder, env: { ...env, ...changes }, stdio: ['ignore', 'pipe', 'inherit'] },
    });
    let text = '';
    child.stdout!.on('data', (chunk) => {
      text += chunk;
    });
    child.on('close', () => resolve({ text, code: Number(text.trimEnd().split('\n').at(-1)) }));
  });
}

test.skipIf(spawnSync('mkfifo', ['--version']).status !== 0)(
  'a signal ends a program that waits for the reader of a pipe',
  async () => {
    spawnSync('mkfifo', [path.join(folder, 'unread')]);
    const quick = [
      'bench',
      '--dataset',
      'procedural',
      '--hidden',
      '5',
      '--train',
      '50',
      '--test',
      '50',
      '--epochs',
      '1',
    ];
    const args = [...quick, '--methods', 'static', '--epsilon', '2', '--json', 'unread'];
    const child = spawn(process.execPath, [main, ...args], {
      cwd: folder,
      env,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    // Whatever it does when the first comes, one of them finds it waiting.
    const patience = setInterval(() => child.kill('SIGTERM'), 3000);
    const signal = await new Promise((resolve) => child.on('close', (_, by) => resolve(by)));
    clearInterval(patience);
    expect(signal).toBe('SIGTERM');
  },
);

test.each(['SIGTERM', 'SIGHUP', 'SIGQUIT'] as const)(
  '%s stops bench: checkpoint, results so far, no lock, 128 + n',
  async (signal) => {
    const args = [...bench, '--out', signal, '--json', `${signal}.json`];
    const { code, stdout, stderr } = await run(args, /epoch 1\//, signal);
    expect({ code, stderr }).toEqual({ code: 128 + constants.signals[signal], stderr: expect.anything() });
    expect(stderr).toContain(`Stopped by ${signal}.\n`);
    expect(stderr).toContain(`Go on with: set-native bench --resume ${signal}\n`);
    expect(stdout).toContain('Not complete');
    expect(
      JSON.parse(readFileSync(path.join(folder, `${signal}.json`), 'utf8')).runs[0].epochs.length,
    ).toBeGreaterThan(0);
    expect(readdirSync(path.join(folder, signal)).sort()).toEqual(['checkpoints', 'experiment.json']);
    expect(readdirSync(path.join(folder, signal, 'checkpoints'))).toHaveLength(1);
  },
);

test('SIGTERM stops bench with two jobs: both leave a checkpoint', async () => {
  const { code } = await run([...bench, '--jobs', '2', '--out', 'jobs'], /seed 1 .*epoch 1\//, 'SIGTERM');
  expect(code).toBe(143);
  expect(readdirSync(path.join(folder, 'jobs')).sort()).toEqual(['checkpoints', 'experiment.json']);
  expect(readdirSync(path.join(folder, 'jobs', 'checkpoints')).length).toBeGreaterThan(0);
});

test('SIGTERM stops the kernel benchmark with what was done', async () => {
  const { code, stdout, stderr } = await run(['bench', 'kernels', '--threads', '1'], /1\/\d+ /, 'SIGTERM');
  expect({ code, stderr }).toEqual({ code: 143, stderr: expect.stringContaining('Stopped by SIGTERM.\n') });
  expect(stdout).toContain('ceilings');
});

test('SIGTERM stops select: the table of what is done, and a folder that --resume goes on with', async () => {
  const work = [...sizes.slice(0, -1), '3', '--keep', '5,100', '--runs', '3', '--out', 'cut'];
  const cut = await run(['select', ...work], /seed 1 {2}5 %/, 'SIGTERM');
  expect({ ...cut, stdout: '' }).toEqual({
    ...{ code: 143, stdout: '', stderr: expect.stringContaining('Stopped by SIGTERM.\n') },
  });
  expect(cut.stdout).toMatch(/^5 % +39 +0\.\d{3}.*Not complete/ms);
  expect(cut.stderr).toContain('Go on with: set-native select --resume cut\n');
  expect(readdirSync(path.join(folder, 'cut'))).toEqual(
    expect.arrayContaining(['accuracy-by-share.svg', 'runs.jsonl', 'selection.json']),
  );
  expect(await run(['select', '--resume', 'cut', '--epochs', '3'], /./)).toMatchObject({ code: 2 });
  const resumed = await run(['select', '--resume', 'cut'], /./);
  expect(resumed).toMatchObject({ code: 0, stderr: expect.stringMatching(/^seed [12] {2}/) });
  expect(resumed.stdout).not.toContain('Not complete');
  expect(JSON.parse(readFileSync(path.join(folder, 'cut', 'selection.json'), 'utf8')).runs).toHaveLength(6);
});

test('SIGHUP stops a download, and nothing half-fetched is left', async () => {
  const server = createServer((_, response) => {
    response.writeHead(200);
    response.write(Buffer.alloc(12e6)); // and never the rest
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const args = ['data', 'pull', 'fashion-mnist', '--data-dir', 'data', '--from', `http://127.0.0.1:${port}`];
  const { code, stderr } = await run(args, /25 % of 26\.4 MB\n/, 'SIGHUP');
  server.closeAllConnections();
  server.close();
  expect({ code, stderr }).toEqual({ code: 129, stderr: expect.stringContaining('Stopped by SIGHUP.\n') });
  expect(readdirSync(path.join(folder, 'data', 'fashion-mnist'))).toEqual([]);
});

/** Runs lines of a program that has signals and terminal in hand as main.ts has. */
function program(body: string, ...sent: NodeJS.Signals[]) {
  const file = (name: string) => JSON.stringify(pathToFileURL(path.resolve(main, '..', name)).href);
  const text = `
    import { heedSignals, interruptible } from ${file('signals.js')};
    import { restoreTerminalAtExit } from ${file('terminal.js')};
    restoreTerminalAtExit();
    heedSignals();
    const display = { log: (line) => console.error(line), stop: () => console.error('restored') };
    setTimeout(() => {}, 60_000);
    console.error('ready');
    ${body}`;
  return new Promise<Omit<Outcome, 'stdout'>>((resolve) => {
    const child = spawn(process.execPath, ['--input-type=module', '-e', text], { env });
    let stderr = '';
    child.stderr.on('data', (chunk) => {
      stderr += chunk;
      if (stderr.includes('ready')) for (const signal of sent.splice(0)) child.kill(signal);
    });
    child.on('close', (code) => resolve({ code, stderr }));
  });
}

test('a signal while nothing is under way that could be kept ends the program at once', async () => {
  expect(await program('', 'SIGHUP')).toEqual({ code: 129, stderr: 'ready\nStopped by SIGHUP.\n' });
  const afterwards = "await interruptible(display, async () => {}); console.error('done');";
  const { code, stderr } = await program(afterwards, 'SIGTERM');
  expect({ code, stderr }).toEqual({
    code: 143,
    stderr: expect.stringMatching(/done\n(.*\n)*Stopped by SIGTERM\.\n$/),
  });
});

test('a second signal of another kind quits at once, with its own exit code', async () => {
  const endless = `await interruptible(display, (signal) => new Promise(() => {
    signal.addEventListener('abort', () => process.kill(process.pid, 'SIGQUIT'));
  }));`;
  const { code, stderr } = await program(endless, 'SIGTERM');
  expect({ code, stderr }).toEqual({
    code: 131,
    stderr: expect.stringMatching(/^ready\nStopping after .*\n(restored\n)*Stopped by SIGQUIT\.\n$/),
  });
});

test('an exception that nobody catches leaves the terminal as it was', async () => {
  for (const broken of [
    "setTimeout(() => { throw new Error('boom'); })",
    "Promise.reject(new Error('boom'))",
  ]) {
    const { code, stderr } = await program(
      `await interruptible(display, () => { ${broken}; return new Promise(() => {}); });`,
    );
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringMatching(/restored\n(.*\n)*.*boom/) });
  }
});

test('a signal that npx passes on as well counts once', async () => {
  const patient = `await interruptible(display, (signal) => new Promise((resolve) => {
    signal.addEventListener('abort', () => setTimeout(resolve, 100));
  }));
  process.exit(7);`;
  const { code, stderr } = await program(patient, 'SIGINT', 'SIGINT');
  expect({ code, stderr }).toEqual({
    code: 7,
    stderr: expect.stringMatching(/^ready\nStopping after .*\nrestored\n$/),
  });
});

const bash = spawnSync('bash', ['-c', 'nohup true']).status === 0;
test.skipIf(!bash)('what nohup has started goes on when its terminal goes', async () => {
  const work = [...bench.with(bench.indexOf('60000'), '20'), '--runs', '10000'];
  const script = 'nohup "$@" >/dev/null & echo "process $!" >&2; wait $!';
  const child = spawn('bash', ['-c', script, 'bash', process.execPath, main, ...work], { cwd: folder, env });
  let [stderr, heldOff] = ['', ''];
  const code = await new Promise((resolve) => {
    child.stderr.on('data', (chunk) => {
      stderr += chunk;
      const process_ = Number(/process (\d+)/.exec(stderr)?.[1]);
      if (heldOff === '' && stderr.includes('done in')) {
        process.kill(process_, 'SIGHUP');
        heldOff = stderr;
      } else if (heldOff !== '' && stderr.slice(heldOff.length).split('done in').length > 3) {
        process.kill(process_, 'SIGTERM');
      }
    });
    child.on('close', resolve);
  });
  expect({ code, stderr }).toEqual({ code: 143, stderr: expect.stringContaining('Stopped by SIGTERM.\n') });
});

onTerminal.each([
  ['SIGTERM', 143],
  ['^C', 130],
])(
  '%s on a terminal: the bar goes, cursor and line wrap are back, exit code %i',
  async (actions, expected) => {
    const { code, text } = await runOnTerminal(bench, 'epoch \\d+/', actions);
    expect(code).toBe(expected);
    expect(text).toContain('\x1b[?25l');
    for (const mode of ['\x1b[?25', '\x1b[?7']) {
      expect(text.lastIndexOf(`${mode}h`)).toBeGreaterThan(text.lastIndexOf(`${mode}l`));
    }
  },
);

onTerminal(
  'a terminal that is closed costs nothing: checkpoint and results are written, exit code 129',
  async () => {
    const { code } = await runOnTerminal(
      [...bench, '--out', 'gone', '--json', 'gone.json'],
      'epoch \\d+/',
      'close',
    );
    expect(code).toBe(129);
    expect(readdirSync(path.join(folder, 'gone')).sort()).toEqual(['checkpoints', 'experiment.json']);
    expect(
      JSON.parse(readFileSync(path.join(folder, 'gone.json'), 'utf8')).runs[0].epochs.length,
    ).toBeGreaterThan(0);
  },
);

onTerminal.each([
  ['bench', [...bench.slice(0, -2), '--epochs', '3'], 'nothing', ''],
  ['bench kernels', ['bench', 'kernels', '--threads', '1'], '1/\\d+ ', 'SIGTERM'],
  ['select', ['select', ...sizes.slice(0, -1), '2', '--keep', '5', '--runs', '1'], 'nothing', ''],
])('%s writes no escape codes to a terminal with TERM=dumb', async (_, args, pattern, actions) => {
  const { text } = await runOnTerminal(args, pattern, actions, { TERM: 'dumb' });
  expect(text).toMatch(/accuracy|1\/\d+ /);
  expect(text).not.toContain('\x1b');
});
