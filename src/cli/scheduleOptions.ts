import { InvalidArgumentError, Option } from 'commander';
import { experimentDefaults } from '../experiment/config.js';
import { optimizerDefaults, ranges } from '../training/options.js';
import { everyRange } from '../training/schedule.js';
import { type RateScheduleName, weightDecayModes, zetaSchedules } from '../vocabulary.js';
import { numberIn, oneOf } from './options.js';

/*
 * Options of `train` and `bench` alike: how learning rate and evolution change over a run, and what keeps
 * weights small.
 */

export function scheduleOptions() {
  const option = <T>(
    flags: string,
    text: string,
    parse: (value: string) => T,
    key: keyof typeof experimentDefaults,
  ) => {
    const value = experimentDefaults[key];
    return new Option(flags, text).argParser(parse).default(value, String(value));
  };
  const { sgd, adamw } = optimizerDefaults;
  return {
    rateEnd: option(
      '--rate-end <x>',
      'learning rate that linear and cosine end at',
      numberIn(ranges.rateEnd),
      'rateEnd',
    ),
    warmup: option(
      '--warmup <epochs>',
      'in which the learning rate grows first',
      numberIn(ranges.warmup),
      'warmup',
    ),
    weightDecayMode: new Option(
      '--weight-decay-mode <name>',
      `what weight decay does: ${weightDecayModes.join(', ')} (default: ${sgd.weightDecayMode}, with adamw ${adamw.weightDecayMode})`,
    ).argParser(oneOf(weightDecayModes)),
    dropout: option(
      '--dropout <p>',
      'probability of dropping an output of a hidden layer in a step',
      numberIn(ranges.dropout),
      'dropout',
    ),
    zetaSchedule: option(
      '--zeta-schedule <name>',
      `of the fraction replaced: ${zetaSchedules.join(', ')}; cosine ends at 0`,
      oneOf(zetaSchedules),
      'zetaSchedule',
    ),
    evolveEvery: option(
      '--evolve-every <n>',
      'epochs from one evolution to the next, or steps: 500steps',
      epochsOrSteps,
      'evolveEvery',
    ),
    evolveUntil: option(
      '--evolve-until <x>',
      'share of the run after which links stay',
      numberIn(ranges.until),
      'evolveUntil',
    ),
  };
}

/** The schedule of the learning rate, one of `names`, by its flags. */
export function rateScheduleOption<T extends RateScheduleName>(flags: string, names: readonly T[]): Option {
  return new Option(flags, `of the learning rate: ${names.join(', ')}`)
    .argParser(oneOf(names))
    .default(experimentDefaults.rateSchedule, experimentDefaults.rateSchedule);
}

/** A number of epochs, or of steps: "2", "500steps", "500 steps". */
export function epochsOrSteps(text: string): number | { steps: number } {
  const [, count = '', unit] = /^(\d+)( ?steps?)?$/.exec(text) ?? [];
  const value = Number(count);
  if (count === '' || !everyRange.accepts(value))
    throw new InvalidArgumentError(
      `Expected ${everyRange.text}, a number of epochs, or of steps as in 500steps.`,
    );
  return unit === undefined ? value : { steps: value };
}
