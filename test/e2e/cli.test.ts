import { spawn, spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { BenchResults } from '../../src/bench.js';
import { info, listDatasets } from '../../src/index.js';
import { idxFile } from '../support/idxFile.js';

/*
 * The built program as a user runs it: child processes, exit codes, files.
 */

const root = path.resolve(import.meta.dirname, '../..');
const main = path.join(root, 'dist/cli/main.js');
let folder: string;

beforeAll(() => {
  if (!existsSync(main)) throw new Error('dist is missing: `npm run build` first');
  folder = mkdtempSync(path.join(tmpdir(), 'set-native-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Outcome {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** @param interrupt sends SIGINT as soon as this appears on stderr */
function run(args: string[], { env = {}, interrupt }: { env?: NodeJS.ProcessEnv; interrupt?: RegExp } = {}) {
  return new Promise<Outcome>((resolve) => {
    // An empty cache and no SET_NATIVE_DATA: what is found does not depend on the machine.
    const clean = {
      ...process.env,
      SET_NATIVE_DATA: '',
      SET_NATIVE_DEBUG: '',
      XDG_CACHE_HOME: folder,
      ...env,
    };
    const child = spawn(process.execPath, [main, ...args], { env: clean, cwd: folder });
    const outcome: Outcome = { code: null, stdout: '', stderr: '' };
    let pending = interrupt;
    child.stdout.on('data', (chunk) => {
      outcome.stdout += chunk;
    });
    child.stderr.on('data', (chunk) => {
      outcome.stderr += chunk;
      if (pending?.test(outcome.stderr)) {
        pending = undefined;
        child.kill('SIGINT');
      }
    });
    child.on('close', (code) => resolve({ ...outcome, code }));
  });
}

const absentGpu = process.platform === 'darwin' ? 'cuda' : 'metal';
const tiny = [
  ...['bench', '--dataset', 'procedural', '--hidden', '40,40', '--train', '200', '--test', '100'],
];

test.each([
  [['--help'], 'Commands:'],
  [['bench', '--help'], 'Examples:'],
  [['info', '--help'], 'Examples:'],
  [['data', 'list', '--help'], 'Examples:'],
])('%j explains itself', async (args, text) => {
  const { code, stdout, stderr } = await run(args);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(stdout).toContain(text);
});

test('--version is that of the package', async () => {
  const { version } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'));
  expect(await run(['--version'])).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' });
});

test.each([
  [['bnch'], "unknown command 'bnch'\n(Did you mean bench?)"],
  [['data', 'lst'], 'Did you mean list?'],
  [['bench', '--epsilom', '1'], 'Did you mean --epsilon?'],
  [['bench', 'extra'], 'too many arguments'],
  [['bench', '--methods', 'set,hebb'], "'--methods <list>' argument 'set,hebb' is invalid"],
  [['bench', '--methods', 'set,set'], 'Name each value once'],
  [['bench', '--dataset', 'cifar'], 'Expected one of fashion-mnist'],
  [['bench', '--epsilon', '0'], "'--epsilon <list>' argument '0' is invalid. Expected a number above 0."],
  [['bench', '--epsilon', '1,,2'], '--epsilon'],
  [['bench', '--epsilon', '0x10'], '--epsilon'],
  [['bench', '--epochs', '1e1'], '--epochs'],
  [['bench', '--runs', '0'], '--runs'],
  [['bench', '--epochs', '1.5'], '--epochs'],
  [['bench', '--train', '-1'], '--train'],
  [['bench', '--test', 'every'], '--test'],
  [['bench', '--hidden', '30,0'], '--hidden'],
  [['bench', '--batch-size', '0'], '--batch-size'],
  [['bench', '--learning-rate', 'fast'], '--learning-rate'],
  [['bench', '--momentum', '1'], '--momentum'],
  [['bench', '--weight-decay', '-0.1'], '--weight-decay'],
  [['bench', '--zeta', '0'], 'Expected a number above 0 and below 1.'],
  [['bench', '--zeta', '1'], '--zeta'],
  [['bench', '--rate-schedule', 'step'], 'Expected one of constant, linear, cosine.'],
  [[...tiny, '--rate-end', '0.01'], '--rate-end must be 0 with rateSchedule constant'],
  [['bench', '--evolve-every', '0steps'], 'Expected a whole number from 1'],
  [['bench', '--average', '1'], '--average'],
  [['bench', '--input-order', 'rows'], 'Expected given, tiles, tiles:4 or'],
  [
    [...tiny, '--methods', 'rigl', '--reading', 'improved'],
    '--methods must have one that the reading improved',
  ],
  [['bench', '--init', 'xavier'], 'Expected one of he-dense, he-fan-in, normal.'],
  [['bench', '--regrow-init', 'one'], '--regrow-init'],
  [['bench', '--topology', 'ring'], '--topology'],
  [
    ['bench', '--motif-size', '2,65'],
    "'--motif-size <list>' argument '2,65' is invalid. Expected a whole number",
  ],
  [['bench', '--motif-size', '0'], '--motif-size'],
  [['bench', '--motif-size', '2,2'], 'Name each value once'],
  [[...tiny, '--motif-size', '1,2', '--topology', 'motif'], 'a single size above 1 with topology motif'],
  [
    [...tiny, '--motif-size', '1,2', '--methods', 'set'],
    'a single size unless one of set-motif, set-motif-walk, set-motif-gradient is among the methods',
  ],
  [['bench', '--seed', '-1'], '--seed'],
  [['bench', '--threads', '2.5'], '--threads'],
  [['bench', '--backend', 'tpu'], '--backend'],
  [['bench', '--json'], 'argument missing'],
  [['bench', '--json='], "'--json <file>' argument '' is invalid. Expected a path."],
  [['bench', '--out='], '--out'],
  [['bench', '--data-dir='], '--data-dir'],
  [['data', 'list', '--data-dir='], '--data-dir'],
  [['bench', '--json', 'no/such/folder/x.json'], '--json must name a place that can be written'],
  [['bench', '--json', '.'], 'not a regular file'],
  [['bench', '--out', `${main}/x`], '--out must name a place that can be written'],
  [['bench', '--out', `${main}/x`], 'main.js is a file, not a folder'],
  [['bench', '--out', main], 'main.js is a file, not a folder'],
  [[...tiny, '--train', '20000'], 'expected a subset of 1 .. 10000 samples'],
])('%j is a usage error', async (args, message) => {
  const { code, stdout, stderr } = await run(args);
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  expect(stderr).toContain(message);
  expect(stderr).toMatch(/^error: /m);
  expect(stderr).not.toMatch(/\n +at /);
});

test.each([
  ['data that is not there', ['bench', '--dataset', 'lung', '--data-dir', 'nowhere'], 'nowhere', {}],
  ['a back end that is not there', [...tiny, '--backend', absentGpu], 'not available, because', {}],
  [
    'a bench on it',
    ['bench', 'kernels', '--backend', absentGpu],
    `[bench] ${absentGpu} is not available, because`,
    {},
  ],
  ['a training that diverges', [...tiny, '--learning-rate', '1e30'], '[bench] set at epsilon 5, seed 0', {}],
  ['an impossible instruction set', tiny, 'SET_NATIVE_ISA', { SET_NATIVE_ISA: 'sse9' }],
  [
    'a folder that is not there',
    ['bench', '--data-dir', 'nowhere'],
    '--data-dir must name a readable folder',
    {},
  ],
  ['another one', ['bench'], 'SET_NATIVE_DATA must name a readable folder', { SET_NATIVE_DATA: 'nowhere' }],
  ['a folder without Fashion-MNIST', ['bench', '--data-dir', '.'], 'fashion-mnist: expected', {}],
  [
    'a folder to select from that is not there',
    ['select', '--dataset', 'lung', '--data-dir', 'no'],
    '--data-dir must',
    {},
  ],
  [
    'a folder to list that is not there',
    ['data', 'list', '--data-dir', 'nowhere'],
    'there is no such folder',
    {},
  ],
  [
    'a network too large',
    ['bench', '--dataset', 'procedural', '--hidden', '2000000,2000000'],
    '[bench] dense: ',
    {},
  ],
])('%s is a failure', async (_, args, message, env) => {
  const { code, stderr } = await run(args, { env });
  expect(code).toBe(1);
  expect(stderr).toContain(message);
  expect(stderr).not.toMatch(/\n +at /);
  expect((await run(args, { env: { ...env, SET_NATIVE_DEBUG: '1' } })).stderr).toMatch(/\n +at /);
});

test('bench writes a table and results with every documented key', async () => {
  const { code, stdout, stderr } = await run([
    ...[
      ...tiny,
      '--epochs',
      '3',
      '--epsilon',
      '2',
      '--runs',
      '2',
      '--json',
      'results.json',
      '--out',
      'results',
    ],
  ]);
  expect(code).toBe(0);
  for (const method of ['set', 'set-motif', 'static', 'dense'])
    expect(stdout).toMatch(new RegExp(`^${method} `, 'm'));
  expect(stdout).toContain(' ± ');
  expect(stderr.match(/done in/g)).toHaveLength(8);
  expect(stdout + stderr).not.toContain(String.fromCharCode(27));

  const text = readFileSync(path.join(folder, 'results.json'), 'utf8');
  expect(readdirSync(path.join(folder, 'results')).sort()).toEqual([
    ...['experiment.json', 'figures', 'report.html', 'results.jsonl', 'summary.csv', 'summary.json'],
  ]);
  expect(stderr).toContain(`Report: ${path.join('results', 'report.html')}`);
  expect(readdirSync(folder).filter((name) => name.endsWith('.tmp'))).toEqual([]);

  const results: BenchResults = JSON.parse(text);
  expect(Object.keys(results)).toEqual([
    ...[
      'schemaVersion',
      'command',
      'complete',
      'environment',
      'config',
      'dataset',
      'notes',
      'runs',
      'summary',
    ],
  ]);
  expect(results).toMatchObject({ schemaVersion: 3, complete: true, notes: [] });
  expect(results.environment).toMatchObject({ node: process.version, backend: 'cpu', isa: info().isa.used });
  expect(results.config).toMatchObject({ epsilon: [2], runs: 2, zeta: 0.3, init: 'he-fan-in', train: 200 });
  expect(results.dataset).toMatchObject({
    name: 'procedural',
    features: 784,
    classes: 10,
    train: 200,
    test: 100,
  });
  expect(results.runs).toHaveLength(8);
  for (const run of results.runs) {
    expect(Object.keys(run)).toEqual([
      ...[
        'reading',
        'method',
        'epsilon',
        'motifSize',
        'seed',
        'topology',
        'nnz',
        'density',
        'epochs',
        'degrees',
      ],
      ...(run.method === 'dense' ? [] : ['inputDegree']),
    ]);
    expect(run.epochs.map(({ epoch }) => epoch)).toEqual([1, 2, 3]);
    for (const epoch of run.epochs) {
      expect(Object.keys(epoch)).toEqual([
        ...['epoch', 'trainLoss', 'testLoss', 'testAccuracy', 'validationLoss', 'validationAccuracy'],
        ...['trainMs', 'evolveMs', 'evaluateMs'],
        ...['nnz', 'pruned', 'grown', 'linksByBirth'],
      ]);
      expect(epoch).toMatchObject({ nnz: run.nnz, pruned: epoch.grown });
      expect(epoch.testAccuracy).toBeGreaterThanOrEqual(0);
      expect(epoch.testAccuracy).toBeLessThanOrEqual(1);
      expect(epoch.trainMs).toBeGreaterThan(0);
    }
    const evolves = run.method === 'set' || run.method === 'set-motif';
    expect(run.epochs.map(({ pruned }) => pruned > 0)).toEqual([evolves, evolves, false]);
    expect(run.epochs.map(({ evolveMs }) => evolveMs > 0)).toEqual([evolves, evolves, false]);
  }
  expect(results.summary.map(({ method, runs, epochs }) => [method, runs, epochs])).toEqual([
    ['set', 2, 3],
    ['set-motif', 2, 3],
    ['static', 2, 3],
    ['dense', 2, 3],
  ]);
  expect(results.summary[0]!.ratioToSet).toMatchObject({ train: { mean: 1 }, total: { mean: 1 } });
  for (const entry of results.summary) {
    expect(Object.keys(entry)).toEqual([
      ...['reading', 'method', 'epsilon', 'motifSize', 'runs', 'epochs', 'nnz', 'density', 'finalAccuracy'],
      ...[
        'selectedAccuracy',
        'bestAccuracy',
        'differenceToSet',
        'trainMs',
        'evolveMs',
        'evaluateMs',
        'ratioToSet',
        'initialLinks',
        'onFrontier',
      ],
    ]);
  }
});

test('a preset says what it stands for, and an option given beside it wins', async () => {
  const preset = [
    '--preset',
    'madelon',
    '--runs',
    '1',
    '--epochs',
    '2',
    '--epsilon',
    '2',
    '--reading',
    'improved',
  ];
  const { code, stderr } = await run([...tiny, ...preset, '--json', 'preset.json']);
  expect(code).toBe(0);
  expect(stderr).toMatch(
    /^madelon: set-native bench --reading described,improved .*--dataset madelon .*--init normal$/m,
  );
  const { config, runs }: BenchResults = JSON.parse(readFileSync(path.join(folder, 'preset.json'), 'utf8'));
  expect(config).toMatchObject({
    dataset: 'procedural',
    hidden: [40, 40],
    epochs: 2,
    batchSize: 100,
    init: 'normal',
  });
  expect(runs.map(({ reading, method }) => `${reading} ${method}`)).toEqual([
    ...['improved set', 'improved set-motif', 'improved static'],
  ]);
});

test('bench trains by schedules, which the results hold as the library takes them', async () => {
  const flags =
    '--rate-schedule cosine --rate-end 0.001 --warmup 0.5 --weight-decay-mode l2 --dropout 0.1 ' +
    '--zeta-schedule cosine --evolve-every 3steps --evolve-until 0.75 --epochs 3 --methods set --epsilon 4';
  const { code } = await run([...tiny, ...flags.split(' '), '--json', 'schedules.json']);
  expect(code).toBe(0);
  const { config, runs }: BenchResults = JSON.parse(
    readFileSync(path.join(folder, 'schedules.json'), 'utf8'),
  );
  expect(config).toMatchObject({
    ...{ rateSchedule: 'cosine', rateEnd: 0.001, warmup: 0.5, weightDecayMode: 'l2', dropout: 0.1 },
    ...{ zetaSchedule: 'cosine', evolveEvery: { steps: 3 }, evolveUntil: 0.75 },
  });
  // Of 15 steps those after 3, 6 and 9: the schedule ends at 11.25.
  expect(runs[0]!.epochs.map(({ pruned }) => pruned > 0)).toEqual([true, true, false]);
});

test('bench compares methods of other growth, in the order of tiles, with averages', async () => {
  const flags =
    '--methods static,rigl,set-motif-walk --motif-size 4 --input-order tiles:4 --average 0.5 --evolve-until 0.5 ' +
    '--epochs 4 --epsilon 4';
  const { code, stdout } = await run([...tiny, ...flags.split(' '), '--json', 'growth.json']);
  expect(code).toBe(0);
  expect(stdout).toContain('Averaged accuracy: of the mean of the networks after 50 % of the epochs.');
  const { config, runs }: BenchResults = JSON.parse(readFileSync(path.join(folder, 'growth.json'), 'utf8'));
  expect(config).toMatchObject({ inputOrder: { tiles: 4 }, average: 0.5 });
  expect(runs.map(({ method, averaged }) => [method, averaged!.epochs])).toEqual([
    ...[['static', 2] as const, ['rigl', 2], ['set-motif-walk', 2]],
  ]);
});

test('bench compares motif sizes: a second table, what is on the frontier, and all of it in the results', async () => {
  const { code, stdout, stderr } = await run([
    ...[...tiny, '--epochs', '2', '--epsilon', '2', '--runs', '2', '--json', 'sizes.json'],
    ...['--methods', 'set-motif,static', '--motif-size', '1,2,4'],
  ]);
  expect(code).toBe(0);
  const second = stdout.split('Accuracy and time against motif size')[1]!;
  for (const size of [1, 2, 4]) expect(second).toMatch(new RegExp(`^2 +${size} +\\d.* %$`, 'm'));
  for (const name of ['set', 'set-motif 2', 'set-motif 4', 'static', 'static 2', 'static 4']) {
    for (const seed of [0, 1]) expect(stderr).toContain(`seed ${seed}  ${name} ε 2  epoch 2/2`);
  }
  const { config, runs, summary }: BenchResults = JSON.parse(
    readFileSync(path.join(folder, 'sizes.json'), 'utf8'),
  );
  expect(config.motifSize).toEqual([1, 2, 4]);
  expect(runs).toHaveLength(12);
  const frontier = summary.filter(({ onFrontier }) => onFrontier).map(({ motifSize }) => motifSize);
  expect(second).toContain(`Motif sizes on the frontier: ${frontier.join(', ')} at ε 2.`);
});

test('Ctrl-C ends with 130, the table and what was completed', async () => {
  const { code, stdout, stderr } = await run(
    [
      ...tiny,
      '--hidden',
      '300,300',
      '--epochs',
      '60000',
      '--methods',
      'set,static',
      '--epsilon',
      '5',
      '--json',
      'cut.json',
    ],
    { interrupt: /static ε 5 {2}epoch 1\// },
  );
  expect(code).toBe(130);
  expect(stderr).toContain('Stopped by Ctrl-C.');
  expect(stdout).toContain('Not complete');
  const results: BenchResults = JSON.parse(readFileSync(path.join(folder, 'cut.json'), 'utf8'));
  expect(results.complete).toBe(false);
  expect(results.runs[0]!.epochs.length).toBeGreaterThan(0);
});

test('Ctrl-C before the first epoch ends with 130 and empty results', async () => {
  // The first network is found to have no path; the second, dense and large, takes its time to draw.
  const networks = ['--hidden', '4000,4000,4000', '--methods', 'static,dense', '--topology', 'motif-printed'];
  const { code, stdout, stderr } = await run(
    [...tiny, ...networks, '--epsilon', '1', '--json', 'empty.json'],
    {
      interrupt: /no path leads/,
    },
  );
  expect({ code, stderr }).toEqual({ code: 130, stderr: expect.stringContaining('Stopped by Ctrl-C.') });
  expect(stderr).toContain('Stopping after what runs now; Ctrl-C again quits at once.\n');
  expect(stdout).toContain('Not complete');
  expect(JSON.parse(readFileSync(path.join(folder, 'empty.json'), 'utf8'))).toMatchObject({
    ...{ complete: false, runs: [], summary: [] },
  });
});

test('a training that diverges leaves results with its failure; the exit code is 1', async () => {
  const args = ['--learning-rate', '1e12', '--methods', 'set', '--epsilon', '2,0.2', '--epochs', '2'];
  const { code, stdout, stderr } = await run([...tiny, ...args, '--json', 'failed.json']);
  expect(code).toBe(1);
  expect(stderr).toMatch(/^error: \[bench\] set at epsilon 2, seed 0: /m);
  expect(stdout).toMatch(/^set +0.2 /m);
  const results: BenchResults = JSON.parse(readFileSync(path.join(folder, 'failed.json'), 'utf8'));
  expect(results.complete).toBe(false);
  expect(results.runs.map(({ failure, epochs }) => [failure?.code, epochs.length])).toEqual([
    ['ERR_NON_FINITE', 0],
    [undefined, 2],
  ]);
});

/** Runs it in a shell, where streams can be closed or full. */
function shell(command: string, json: string) {
  const program = [process.execPath, main, ...tiny, '--epochs', '2', '--json', json].join(' ');
  const { status, stdout, stderr } = spawnSync('bash', ['-c', command.replace('BENCH', program)], {
    ...{ cwd: folder, encoding: 'utf8', timeout: 25_000 },
  });
  return { status, stdout, stderr };
}

test.each([
  ['both streams', 'BENCH 2>&1 | head -1; exit $PIPESTATUS'],
  ['stdout', 'BENCH 2>/dev/null | head -1; exit $PIPESTATUS'],
  ['stderr', 'BENCH 2> >(head -1) >/dev/null'],
])('%s closed early: the results are written all the same', (name, command) => {
  const json = `head ${name}.json`.replaceAll(' ', '-');
  expect(shell(command, json)).toMatchObject({
    status: 0,
    stderr: name === 'stderr' ? expect.anything() : '',
  });
  expect(JSON.parse(readFileSync(path.join(folder, json), 'utf8'))).toMatchObject({ complete: true });
});

test.runIf(existsSync('/dev/full'))('a full disk behind stdout is said, and the file is written', () => {
  expect(shell('BENCH >/dev/full', 'full.json')).toMatchObject({
    status: 1,
    stderr: expect.stringMatching(/^error: .*ENOSPC/m),
  });
  expect(JSON.parse(readFileSync(path.join(folder, 'full.json'), 'utf8'))).toMatchObject({ complete: true });
});

test.each([
  ['-', 'BENCH'],
  ['-', 'BENCH | { sleep 1; cat; }'],
  ['stdout', 'BENCH'],
  ['stdout', 'BENCH >out; cat out'],
])(
  '--json %s, %s: standard output holds the results alone, the table goes to standard error',
  (json, command) => {
    const link = path.join(folder, 'stdout'); // of ours: nothing can befall the machine's own
    if (!existsSync(link)) symlinkSync('/dev/stdout', link);
    const { status, stdout, stderr } = shell(command, `${json} --methods static --epsilon 2 --epochs 400`);
    expect(status).toBe(0);
    expect(stdout.length).toBeGreaterThan(2 ** 16); // more than a pipe takes
    expect(JSON.parse(stdout)).toMatchObject({ complete: true });
    expect(stderr).toMatch(/^static /m);
    expect(existsSync(path.join(folder, '-'))).toBe(false);
  },
);

test('outputs that are one file, or one of the folder of --out, are refused before the work starts', async () => {
  mkdirSync(path.join(folder, 'apart'));
  symlinkSync('apart', path.join(folder, 'same'));
  for (const args of [
    ['bench', 'kernels', '--sweep', '--json', 'x', '--figure', './x'],
    [...tiny, '--out', 'apart', '--json', 'apart/results.jsonl'],
    [...tiny, '--out', 'same', '--json', 'apart/report.html'],
  ]) {
    const { code, stdout, stderr } = await run(args);
    expect({ code, stdout, stderr }).toEqual({
      code: 2,
      stdout: '',
      stderr: expect.stringContaining('must name two'),
    });
  }
  expect(readdirSync(path.join(folder, 'apart'))).toEqual([]);
});

test('a report that cannot be written is a failure, and the results are told', () => {
  const more = '--out undrawn --methods static --epsilon 2 --epochs 300';
  // Something is in its place with the first line of progress.
  const command = `BENCH ${more} 2> >(read line; mkdir undrawn/report.html undrawn/report.html/x; cat >&2); exit $?`;
  const { status, stdout, stderr } = shell(command, 'undrawn.json');
  expect(stdout).toMatch(/^static /m);
  expect(JSON.parse(readFileSync(path.join(folder, 'undrawn.json'), 'utf8'))).toMatchObject({
    complete: true,
  });
  expect(status).toBe(1);
  expect(stderr).toMatch(/^error: \[report\] the report of undrawn could not be written/m);
});

test("select: another's file is not written over", async () => {
  mkdirSync(path.join(folder, 'chosen'));
  writeFileSync(path.join(folder, 'chosen', 'strength-map.png'), 'my own');
  const { code, stderr } = await run(['select', '--dataset', 'procedural', '--out', 'chosen']);
  expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining('--out must name a new') });
  expect(readFileSync(path.join(folder, 'chosen', 'strength-map.png'), 'utf8')).toBe('my own');
});

test('a file that cannot be written any more is a failure, and the others are written', () => {
  const more = '--out kept --methods static --epsilon 2 --epochs 300';
  // The folder goes away with the first line of progress.
  const command = `mkdir gone; BENCH ${more} 2>&1 >/dev/null | { read line; rm -r gone; cat >&2; }; exit $PIPESTATUS`;
  expect(shell(command, 'gone/x.json')).toMatchObject({
    status: 1,
    stderr: expect.stringMatching(/^error: \[write\] could not write gone\/x.json: ENOENT/m),
  });
  expect(readdirSync(path.join(folder, 'kept'))).toContain('report.html');
});

test.runIf(existsSync('/proc/self'))(
  '--out in a place where no folder can be made does not hang',
  async () => {
    const { code, stderr } = await run([...tiny, '--out', '/proc/x/y']);
    expect(code).toBe(2);
    expect(stderr).toContain('--out must name a place that can be written, got /proc/x/y');
  },
);

test('--out makes folders within folders', async () => {
  const { code } = await run([...tiny, '--epochs', '1', '--methods', 'static', '--out', 'some/new/folder']);
  expect(code).toBe(0);
  expect(readdirSync(path.join(folder, 'some/new/folder'))).toContain('results.jsonl');
});

test('images that are not known train under the name of their file, with a note', async () => {
  const images = path.join(folder, 'unknown images');
  mkdirSync(images);
  for (const part of ['train', 't10k']) {
    const labels = Array.from({ length: 60 }, (_, i) => i % 4);
    writeFileSync(path.join(images, `${part}-images-idx3-ubyte`), idxFile([60, 2, 2], Array(240).fill(1)));
    writeFileSync(path.join(images, `${part}-labels-idx1-ubyte`), idxFile([60], labels));
  }
  const note = 'train-images-idx3-ubyte, not fashion-mnist as published: another shape';
  const args = ['--data-dir', images, '--hidden', '5', '--epochs', '1', '--epsilon', '1', '--methods', 'set'];
  const { code, stdout, stderr } = await run(['bench', ...args, '--json', 'unknown.json']);
  expect({ code, stderr }).toMatchObject({ code: 0, stderr: expect.stringContaining(`Note: ${note}`) });
  expect(stdout).toMatch(/^train-images-idx3-ubyte, /);
  const { dataset, notes } = JSON.parse(readFileSync(path.join(folder, 'unknown.json'), 'utf8'));
  expect(dataset).toMatchObject({ name: 'train-images-idx3-ubyte', classes: 4, source: images });
  expect(notes).toContain(note);
});

test('without Fashion-MNIST the embedded data set is used, and how to get the real one is said', async () => {
  const { code, stdout, stderr } = await run([
    'bench',
    ...tiny.slice(3),
    '--epochs',
    '1',
    '--methods',
    'static',
  ]);
  expect(code).toBe(0);
  expect(stderr).toMatch(/^Fashion-MNIST was not found.*--data-dir or SET_NATIVE_DATA/);
  expect(stdout).toMatch(/^procedural, /);
});

test('info and data list say the same as the library', async () => {
  const text = await run(['info']);
  expect(text.code).toBe(0);
  for (const { name } of info().backends) expect(text.stdout).toContain(name);
  expect(JSON.parse((await run(['info', '--json'])).stdout)).toEqual(info());
  const wrong = await run(['info'], { env: { SET_NATIVE_ISA: 'sse9' } });
  expect(wrong).toMatchObject({ code: 0, stdout: expect.stringMatching(/none used.*SET_NATIVE_ISA/s) });
  const names = listDatasets().map(({ name }) => name);
  const list = await run(['data', 'list']);
  for (const name of names) expect(list.stdout).toMatch(new RegExp(`^${name} .*(not found|embedded)`, 'm'));
  const listings = JSON.parse((await run(['data', 'list', '--json'])).stdout);
  expect(listings.map(({ name }: { name: string }) => name)).toEqual(names);
});
