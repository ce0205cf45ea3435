import { Command, InvalidArgumentError } from 'commander';
import { expect, test } from 'vitest';
import { epochsOrSteps, rateScheduleOption, scheduleOptions } from '../../../src/cli/scheduleOptions.js';
import { rateSchedules } from '../../../src/vocabulary.js';

/** What a command line says, with the defaults. */
function parsed(...words: string[]): Record<string, unknown> {
  const command = new Command('train').exitOverride().configureOutput({ writeErr() {} });
  command.addOption(rateScheduleOption('--schedule, --rate-schedule <name>', rateSchedules));
  for (const option of Object.values(scheduleOptions())) command.addOption(option);
  return command.parse(words, { from: 'user' }).opts();
}

test.each([
  ['1', 1],
  ['20', 20],
  ['500steps', { steps: 500 }],
  ['500 steps', { steps: 500 }],
  ['1step', { steps: 1 }],
])('from one evolution to the next: %j', (text, value) => {
  expect(epochsOrSteps(text)).toEqual(value);
});

test.each(['', '0', '1.5', '-1', '0steps', 'steps', '5e2steps', '500  steps', '500stepsx', '2147483648'])(
  'not from one evolution to the next: %j',
  (text) => {
    expect(() => epochsOrSteps(text)).toThrow(InvalidArgumentError);
    expect(() => epochsOrSteps(text)).toThrow('a number of epochs, or of steps as in 500steps');
  },
);

test('the defaults train as if no option was there; weight decay is that of the optimizer', () => {
  expect(parsed()).toEqual({
    ...{ rateSchedule: 'constant', rateEnd: 0, warmup: 0, dropout: 0 },
    ...{ zetaSchedule: 'constant', evolveEvery: 1, evolveUntil: 1 },
  });
});

test('every option is taken, the schedule of the rate by its short name, too', () => {
  const words =
    '--rate-schedule cosine --rate-end 1e-4 --warmup .5 --weight-decay-mode l2 --dropout 0.2 ' +
    '--zeta-schedule cosine --evolve-every 500steps --evolve-until 0.75';
  expect(parsed(...words.split(' '))).toEqual({
    ...{ rateSchedule: 'cosine', rateEnd: 1e-4, warmup: 0.5, weightDecayMode: 'l2', dropout: 0.2 },
    ...{ zetaSchedule: 'cosine', evolveEvery: { steps: 500 }, evolveUntil: 0.75 },
  });
  expect(parsed('--schedule', 'step')).toMatchObject({ rateSchedule: 'step' });
});

test.each([
  ['--rate-schedule', 'cosin'],
  ['--rate-end', '-1'],
  ['--warmup', '-1'],
  ['--weight-decay-mode', 'none'],
  ['--dropout', '1'],
  ['--zeta-schedule', 'linear'],
  ['--evolve-every', '0'],
  ['--evolve-until', '1.1'],
])('%s %s is refused by name', (flag, value) => {
  expect(() => parsed(flag, value)).toThrow(flag);
});
