import { inspect, types } from 'node:util';
import { SetNativeError } from './errors.js';
import { suggest } from './suggest.js';

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
    if (value !== undefined && typeof value !== 'function')
      throw invalid(operation, option, 'a function', value);
  }
  if (signal !== undefined && !isSignal(signal)) throw invalid(operation, 'signal', 'an AbortSignal', signal);
}

/**
 * By what it can do: a test runner's or a browser window's signal is no instance of our realm's AbortSignal.
 */
function isSignal(value: unknown): boolean {
  const { aborted, addEventListener, removeEventListener } = (value ?? {}) as Partial<AbortSignal>;
  return (
    [typeof aborted, typeof addEventListener, typeof removeEventListener].join() ===
    'boolean,function,function'
  );
}

/**
 * Throws ERR_INVALID_ARGUMENT for a key of `given` that is not in `known`: a misspelt option must not pass
 * unseen.
 *
 * @param of whose keys they are, where they are not options of the call itself: "samples", "validation",
 * "evolution"
 * @param notes what to say of keys that stand for something that there is not
 */
export function checkKeys(
  operation: string,
  given: unknown,
  known: readonly string[],
  { of, notes = {} }: { of?: string; notes?: Record<string, string> } = {},
): void {
  if (!isOptions(given)) {
    const expected =
      of === undefined ? 'expected an options object' : `${of} must be an object of ${known.join(', ')}`;
    throw new SetNativeError('ERR_INVALID_ARGUMENT', `[${operation}] ${expected}, got ${describe(given)}`, {
      details: of === undefined ? {} : { option: of },
    });
  }
  const unknown = Object.keys(given).find((key) => !known.includes(key));
  if (unknown === undefined) return;
  const [kind, whose] = of === undefined ? ['option', ''] : ['key', ` of ${of}`];
  const meant = suggest(unknown, known);
  const note = Object.hasOwn(notes, unknown) ? `${notes[unknown]}; ` : meant ? `did you mean ${meant}? ` : '';
  throw new SetNativeError(
    'ERR_INVALID_ARGUMENT',
    `[${operation}] unknown ${kind} ${show(unknown)}${whose}; ${note}the ${kind}s are ${known.join(', ')}`,
    { details: { option: unknown } },
  );
}

/** Not what has no keys by its kind, of any realm: a Map, a Promise, a signal in the place of options. */
function isOptions(value: unknown): value is object {
  if (typeof value !== 'object' || value === null || isArrayLike(value)) return false;
  return Object.keys(value).length > 0 || Object.prototype.toString.call(value) === '[object Object]';
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

/** Of any realm. */
export function isArrayLike(value: unknown): value is ArrayLike<unknown> | ArrayBufferView {
  return Array.isArray(value) || ArrayBuffer.isView(value);
}

/**
 * What came, by its kind: "an Array of 4 numbers", "a Float64Array of 4 numbers", "an object with x, labels".
 */
export function describe(value: unknown): string {
  if (Array.isArray(value)) return `an Array of ${contents(value)}`;
  if (Buffer.isBuffer(value)) return `a Buffer of ${counted(value.length, 'byte')}`;
  if (types.isTypedArray(value)) {
    const name = value[Symbol.toStringTag];
    return `${withArticle(name)} of ${counted(value.length, 'number')}`;
  }
  if (types.isDataView(value)) return `a DataView of ${counted(value.byteLength, 'byte')}`;
  if (types.isAnyArrayBuffer(value)) return `an ArrayBuffer of ${counted(value.byteLength, 'byte')}`;
  if (types.isPromise(value)) return 'a Promise, which must be awaited';
  if (typeof value === 'function') return 'a function';
  if (typeof value !== 'object' || value === null || types.isProxy(value)) return show(value);
  const keys = Object.keys(value);
  const kind = Object.prototype.toString.call(value).slice('[object '.length, -1);
  if (keys.length === 0) return kind === 'Object' ? show(value) : withArticle(kind);
  return `an object with ${keys.slice(0, 8).join(', ')}${keys.length > 8 ? ' ...' : ''}`;
}

function contents(array: unknown[]): string {
  const kind = (each: unknown) => (isArrayLike(each) ? 'array' : each === null ? 'null' : typeof each);
  const first = kind(array[0]);
  const alike = array.length > 0 && array.every((each) => kind(each) === first);
  return counted(array.length, alike && !['null', 'undefined'].includes(first) ? first : 'value');
}

function withArticle(kind: string): string {
  return `${/^[AEIO]/.test(kind) ? 'an' : 'a'} ${kind}`;
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}
