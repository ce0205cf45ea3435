import { InvalidArgumentError } from 'commander';
import type { NumberRange } from '../checks.js';
import { parseDecimal } from '../datasets/numbers.js';

/*
 * Parsers of option values. commander puts the option and the value given in front of their messages.
 */

export function numberIn(range: NumberRange): (text: string) => number {
  return (text) => {
    const value = range.whole && !/^\d+$/.test(text) ? undefined : parseDecimal(text);
    if (value === undefined || !range.accepts(value)) throw new InvalidArgumentError(`Expected ${range.text}.`);
    return value;
  };
}

export function filePath(text: string): string {
  if (text === '') throw new InvalidArgumentError('Expected a path.');
  return text;
}

export function oneOf<T extends string>(choices: readonly T[]): (text: string) => T {
  return (text) => {
    if (!choices.includes(text as T)) throw new InvalidArgumentError(`Expected one of ${choices.join(', ')}.`);
    return text as T;
  };
}

/** Comma-separated values, each parsed by `item`. */
export function listOf<T>(item: (text: string) => T, { repeats = false } = {}): (text: string) => T[] {
  return (text) => {
    const values = text.split(',').map((part) => item(part.trim()));
    if (!repeats && new Set(values).size < values.length) throw new InvalidArgumentError('Name each value once.');
    return values;
  };
}
