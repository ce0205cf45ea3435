import { Writable } from 'node:stream';
import { stripVTControlCharacters } from 'node:util';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { type ExperimentConfig, experimentConfig } from '../../../../src/experiment/config.js';
import { groupsOf } from '../../../../src/experiment/plan.js';
import type { BenchRun } from '../../../../src/experiment/results.js';
import { createProgress, type Progress } from '../../../../src/report/terminal/progress.js';
import { type Status, statusLine } from '../../../../src/report/terminal/statusBar.js';

const config = experimentConfig({
  dataset: 'procedural',
  methods: ['set', 'dense'],
  epsilon: [13],
  epochs: 2,
  seed: 7,
});

beforeEach(() => {
  for (const [name, value] of Object.entries({ TERM: 'xterm', NO_COLOR: '', CI: '' }))
    vi.stubEnv(name, value);
});
afterEach(() => void vi.unstubAllEnvs());

/** A stream that keeps what is written to it. */
function fakeStream(terminal: { isTTY?: boolean; columns?: number }) {
  let text = '';
  const stream = new Writable({
    write(chunk, _encoding, done) {
      text += chunk;
      done();
    },
  });
  return { stream: Object.assign(stream, terminal) as unknown as NodeJS.WriteStream, written: () => text };
}

function progressOf(
  config: ExperimentConfig,
  stream: NodeJS.WriteStream,
  finished: BenchRun[] = [],
): Progress {
  const progress = createProgress(stream);
  progress.plan({ groups: groupsOf(config), jobs: 1, finished });
  return progress;
}

const network = { topology: 'dense', nnz: 1, density: 1 } as const;
function reporter(method: BenchRun['method'], trainMs: number, motifSize = 1) {
  const cell = method === 'dense' ? { epsilon: null, motifSize: null } : { epsilon: 13, motifSize };
  const run: BenchRun = { reading: 'plain', method, ...cell, seed: 7, ...network, epochs: [] };
  return () => {
    const epoch = run.epochs.length + 1;
    const evolution = { evolveMs: 0, evaluateMs: 0, nnz: 1, pruned: 0, grown: 0, linksByBirth: [] };
    const report = { epoch, trainLoss: 1, testLoss: 1, testAccuracy: 0.1234, trainMs, ...evolution };
    run.epochs.push(report);
    return [run, report] as const;
  };
}

/** Longer than the time between two drawings of the bar. */
const drawn = () => new Promise((resolve) => setTimeout(resolve, 250));

test('a terminal gets a bar with accuracy and, once every method was seen, the time left', async () => {
  const { stream, written } = fakeStream({ isTTY: true, columns: 100 });
  const progress = progressOf(config, stream);
  const [set, dense] = [reporter('set', 1000), reporter('dense', 60_000)];
  progress.epoch(...set());
  await drawn();
  expect(stripVTControlCharacters(written())).toMatch(
    /█+░+ {2}1\/4 {2}set ε 13 {2}seed 7 {2}epoch 1\/2 {2}accuracy 0.123/,
  );
  expect(written()).not.toContain('left');
  progress.epoch(...dense());
  await drawn();
  expect(written()).toMatch(/2\/4 {2}dense .*01:01 left/);
  progress.log('a line that stays');
  progress.stop();
  expect(written()).toContain('a line that stays\n');
  const after = written();
  await drawn();
  expect(written()).toBe(after);
});

test.each([
  ['TERM', 'dumb'],
  ['TERM', ''],
  ['NO_COLOR', '1'],
  ['CI', 'true'],
])('a terminal gets plain lines without escape codes where %s is "%s"', async (name, value) => {
  vi.stubEnv(name, value);
  const { stream, written } = fakeStream({ isTTY: true, columns: 100 });
  const progress = progressOf(config, stream);
  progress.epoch(...reporter('set', 1000)());
  progress.log('a note');
  progress.stop();
  expect(written()).toBe('seed 7  set ε 13  epoch 1/2  accuracy 0.123\na note\n');
});

test('stop puts the terminal back once; what is said after it is a plain line', async () => {
  const { stream, written } = fakeStream({ isTTY: true, columns: 100 });
  const progress = progressOf(config, stream);
  expect(written()).toContain('\x1b[?25l');
  progress.stop();
  expect(written().lastIndexOf('\x1b[?25h')).toBeGreaterThan(written().lastIndexOf('\x1b[?25l'));
  expect(written().lastIndexOf('\x1b[?7h')).toBeGreaterThan(written().lastIndexOf('\x1b[?7l'));
  const before = written();
  progress.stop();
  progress.log('late');
  await drawn();
  expect(written().slice(before.length)).toBe('late\n');
});

test('anything else gets plain lines: the first epoch, about five of many, and the end', () => {
  const { stream, written } = fakeStream({});
  const progress = progressOf({ ...config, epochs: 20 }, stream);
  const set = reporter('set', 500);
  for (let epoch = 1; epoch <= 20; epoch++) progress.epoch(...set());
  progress.log('a note');
  progress.stop();
  const line = (epoch: number) => `seed 7  set ε 13  epoch ${epoch}/20  accuracy 0.123`;
  expect(written().split('\n')).toEqual([
    ...[1, 4, 8, 12, 16].map(line),
    `${line(20)}  done in 10.0 s`,
    'a note',
    '',
  ]);
});

test('with dozens of trainings the time left is told before each was seen', async () => {
  const { stream, written } = fakeStream({ isTTY: true, columns: 100 });
  const progress = progressOf({ ...config, epochs: 100 }, stream);
  const set = reporter('set', 1000);
  for (let epoch = 1; epoch <= 50; epoch++) progress.epoch(...set());
  await drawn();
  progress.stop();
  expect(written()).toMatch(/50\/200 .* 02:30 left/);
});

test('an experiment that goes on begins where it was stopped', async () => {
  const { stream, written } = fakeStream({ isTTY: true, columns: 100 });
  const [run] = reporter('set', 1000)();
  const progress = progressOf(config, stream, [run]);
  progress.epoch(...reporter('dense', 1000)());
  await drawn();
  progress.stop();
  expect(written()).toMatch(/3\/4 /);
});

test('motif sizes are told apart, and the time left waits for each of them', async () => {
  const { stream, written } = fakeStream({ isTTY: true, columns: 100 });
  const sizes = experimentConfig({ ...config, methods: ['set-motif'], motifSize: [1, 2, 4], epochs: 1 });
  const progress = progressOf(sizes, stream);
  progress.epoch(...reporter('set', 1000)());
  progress.epoch(...reporter('set-motif', 1000, 2)());
  await drawn();
  expect(written()).toMatch(/2\/3 {2}set-motif 2 ε 13 /);
  expect(written()).not.toContain('left');
  progress.epoch(...reporter('set-motif', 1000, 4)());
  await drawn();
  progress.stop();
  expect(written()).toMatch(/3\/3 {2}set-motif 4 ε 13 .* 00:00 left/);
});

test('the line fits the terminal: accuracy and time left stay at 60 columns, the bar shrinks', () => {
  const status: Status = {
    done: '123/240',
    run: 'set-motif ε 13',
    seed: 'seed 12',
    epoch: 'epoch 10/20',
    accuracy: 'accuracy 0.812',
    left: '1:02:03 left',
  };
  const line = (columns: number) => statusLine(status, 0.5, columns);
  for (let columns = 1; columns <= 200; columns++)
    expect(line(columns).length).toBeLessThan(Math.max(2, columns));
  expect(line(200)).toMatch(
    /^█{12}░{12} {2}123\/240 {2}set-motif ε 13 {2}seed 12 {2}epoch 10\/20 {2}accuracy 0.812 {2}1:02:03/,
  );
  expect(line(60)).toMatch(/^█+░+ .*set-motif.*accuracy 0.812 {2}1:02:03 left$/);
  expect(line(60)).not.toContain('seed');
  expect(line(40)).toMatch(/^█+░+ .*accuracy 0.812 {2}1:02:03 left$/);
  expect(line(24)).toMatch(/^█+░+ {2}accuracy 0.812$/);
});

test('before the plan is known there are lines, and nothing to put back', () => {
  const { stream, written } = fakeStream({ isTTY: true, columns: 100 });
  const progress = createProgress(stream);
  progress.log('a note');
  progress.stop();
  expect(written()).toBe('a note\n');
});
