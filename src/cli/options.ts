import { type Command, InvalidArgumentError, Option } from 'commander';
import type { NumberRange } from '../checks.js';
import { parseDecimal } from '../datasets/numbers.js';
import { SetNativeError } from '../errors.js';

/*
 * Parsers of option values, and the options that were given. commander puts the option and its value in front
 * of their messages.
 */

export function numberIn(range: NumberRange): (text: string) => number {
  return (text) => {
    const value = range.whole && !/^\d+$/.test(text) ? undefined : parseDecimal(text);
    if (value === undefined || !range.accepts(value))
      throw new InvalidArgumentError(`Expected ${range.text}.`);
    return value;
  };
}

export function filePath(text: string): string {
  if (text === '') throw new InvalidArgumentError('Expected a path.');
  return text;
}

export function oneOf<T extends string>(choices: readonly T[]): (text: string) => T {
  return (text) => {
    if (!choices.includes(text as T))
      throw new InvalidArgumentError(`Expected one of ${choices.join(', ')}.`);
    return text as T;
  };
}

/** How long work tells of its progress, on standard error. */
export function progressOption(): Option {
  return new Option(
    '--progress <how>',
    'on standard error: auto, or json for a line of JSON per epoch or other unit of work',
  )
    .argParser(oneOf(['auto', 'json']))
    .default('auto');
}

/** Comma-separated values, each parsed by `item`. */
export function listOf<T>(item: (text: string) => T, { repeats = false } = {}): (text: string) => T[] {
  return (text) => {
    const values = text.split(',').map((part) => item(part.trim()));
    if (!repeats && new Set(values).size < values.length)
      throw new InvalidArgumentError('Name each value once.');
    return values;
  };
}

/**
 * Options that were given on the command line, without those that have their default.
 *
 * @param nameOf name of an option in the command
 */
export function typed<T extends object>(
  options: T,
  command: Command,
  nameOf = (key: string) => key,
): Partial<T> {
  const isTyped = (key: string) => command.getOptionValueSource(nameOf(key)) === 'cli';
  return Object.fromEntries(Object.entries(options).filter(([key]) => isTyped(key))) as Partial<T>;
}

/**
 * Options given beside --resume that change how the work goes on: those of `free`. Throws ERR_USAGE for an
 * option that is neither in `free` nor in `also`, because the work goes on with the options that it began
 * with.
 */
export function besideResume<T extends object, K extends keyof T & string>(
  operation: string,
  dir: string,
  options: T,
  command: Command,
  free: readonly K[],
  also: readonly string[] = [],
): Partial<Pick<T, K>> {
  const given = typed(options, command);
  const bound = Object.keys(given).find((key) => !['resume', ...free, ...also].includes(key));
  if (bound === undefined) {
    return Object.fromEntries(Object.entries(given).filter(([key]) => free.includes(key as K))) as Partial<
      Pick<T, K>
    >;
  }
  const flag = (key: string) =>
    command.options.find((option) => option.attributeName() === key)?.long ?? `--${key}`;
  const allowed = [...free, ...also].map(flag);
  const list = `${allowed.slice(0, -1).join(', ')} and ${allowed.at(-1)}`;
  throw new SetNativeError(
    'ERR_USAGE',
    `[${operation}] --resume goes on with the options that ${dir} was begun with; of others only ${list} may stand beside ` +
      `it, not ${flag(bound)}`,
    { details: { flag: flag(bound) } },
  );
}
