import { inspect } from 'node:util';
import { SetNativeError } from './errors.js';

/*
 * Checks of what users hand in. Every error names the option in `details.option`.
 */

/** What a number may be, and how to say so. */
export interface NumberRange {
  text: string;
  /** Whole numbers only. */
  whole?: boolean;
  accepts(value: number): boolean;
}

export const wholeNumber = (min: number, max: number): NumberRange => ({
  text: `a whole number from ${min} to ${max}`,
  whole: true,
  accepts: (value) => Number.isInteger(value) && value >= min && value <= max,
});

/** Throws ERR_INVALID_ARGUMENT for a value that is no number, ERR_OUT_OF_RANGE outside the range. */
export function checkNumber(operation: string, option: string, value: unknown, range: NumberRange): number {
  if (typeof value === 'number' && range.accepts(value)) return value;
  throw new SetNativeError(
    typeof value === 'number' ? 'ERR_OUT_OF_RANGE' : 'ERR_INVALID_ARGUMENT',
    `[${operation}] ${option} must be ${range.text}, got ${show(value)}`,
    { details: { option, value } },
  );
}

export function checkChoice<T extends string>(
  operation: string,
  option: string,
  value: unknown,
  choices: readonly T[],
): T {
  if (choices.includes(value as T)) return value as T;
  throw new SetNativeError(
    'ERR_INVALID_ARGUMENT',
    `[${operation}] ${option} must be one of ${choices.join(', ')}; got ${show(value)}`,
    { details: { option, value } },
  );
}

export function checkBoolean(operation: string, option: string, value: unknown): boolean {
  if (typeof value === 'boolean') return value;
  throw invalid(operation, option, 'true or false', value);
}

/** Of callbacks and signals, which may be absent. */
export function checkHooks(
  operation: string,
  { signal, ...callbacks }: { signal?: unknown } & Record<string, unknown>,
): void {
  for (const [option, value] of Object.entries(callbacks)) {
    if (value !== undefined && typeof value !== 'function') throw invalid(operation, option, 'a function', value);
  }
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw invalid(operation, 'signal', 'an AbortSignal', signal);
  }
}

/** Throws ERR_INVALID_ARGUMENT for a key of `given` that is not in `known`: a misspelt option must not pass unseen. */
export function checkKeys(operation: string, given: unknown, known: readonly string[]): void {
  if (typeof given !== 'object' || given === null) {
    throw new SetNativeError('ERR_INVALID_ARGUMENT', `[${operation}] expected an options object, got ${show(given)}`);
  }
  const unknown = Object.keys(given).find((key) => !known.includes(key));
  if (unknown !== undefined) {
    throw new SetNativeError(
      'ERR_INVALID_ARGUMENT',
      `[${operation}] unknown option ${show(unknown)}; the options are ${known.join(', ')}`,
      { details: { option: unknown } },
    );
  }
}

export function invalid(operation: string, option: string, expected: string, value: unknown): SetNativeError {
  return new SetNativeError(
    'ERR_INVALID_ARGUMENT',
    `[${operation}] ${option} must be ${expected}, got ${show(value)}`,
    { details: { option, value } },
  );
}

/** Any value in a few words: big integers, symbols and objects without a prototype too. */
export function show(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value);
  return inspect(value, { depth: 0, maxArrayLength: 8, breakLength: Infinity, customInspect: false });
}
