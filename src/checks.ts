import { inspect, types } from 'node:util';
import { SetNativeError } from './errors.js';
import { suggest } from './suggest.js';

/*
 * Checks of options and arguments. Every error names the option in `details.option`.
 */

/** Numbers that an option accepts, and the words for them. */
export interface NumberRange {
  text: string;
  /** True where only whole numbers are accepted. */
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

/**
 * Throws ERR_INVALID_ARGUMENT for a callback that is no function or a signal that is no AbortSignal; each may
 * be absent.
 */
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
 * Whether a value behaves like an AbortSignal. The signal of a test runner or of a browser window is no
 * instance of the AbortSignal of this realm.
 */
function isSignal(value: unknown): boolean {
  const { aborted, addEventListener, removeEventListener } = (value ?? {}) as Partial<AbortSignal>;
  return (
    [typeof aborted, typeof addEventListener, typeof removeEventListener].join() ===
    'boolean,function,function'
  );
}

/**
 * Throws ERR_INVALID_ARGUMENT for a key of `given` that is not in `known`, so that a misspelt option is not
 * ignored.
 *
 * @param of object whose keys they are, where they are not options of the call itself: "samples",
 * "validation", "evolution"
 * @param notes advice for keys of other libraries that have no counterpart here
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

/**
 * Whether a value of any realm can be an options object. A Map, a Promise or a signal, which have no keys,
 * cannot.
 */
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

/** Any value in a few words, including big integers, symbols and objects without a prototype. */
export function show(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value);
  return inspect(value, { depth: 0, maxArrayLength: 8, breakLength: Infinity, customInspect: false });
}

/** Whether a value is an array or a typed array of any realm. */
export function isArrayLike(value: unknown): value is ArrayLike<unknown> | ArrayBufferView {
  return Array.isArray(value) || ArrayBuffer.isView(value);
}

/**
 * The kind of a value in words: "an Array of 4 numbers", "a Float64Array of 4 numbers", "an object with x,
 * labels".
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
