/** Stable error codes: only ever added to. */
export const errorCodes = [
  'ERR_ABORTED', // the AbortSignal fired, or Ctrl-C
  'ERR_BACKEND_UNAVAILABLE', // a device or instruction set that is not here was asked for
  'ERR_BUSY', // the model is training, or otherwise at work, already
  'ERR_DATA_FORMAT', // a damaged or foreign data file
  'ERR_DATA_NOT_FOUND', // no such data set, or its files are not where we looked
  'ERR_DISPOSED', // used after dispose()
  'ERR_IN_USE', // a folder or file that another process uses, or that holds what must not be written over
  'ERR_INTERNAL', // an invariant of ours is broken: please report
  'ERR_INVALID_ARGUMENT', // a value of the wrong kind
  'ERR_INVALID_CSR', // offsets or indices break the CSR rules
  'ERR_IO', // a file could not be read or written
  'ERR_NATIVE_LOAD', // the compiled addon could not be loaded
  'ERR_NON_FINITE', // NaN or infinity in data, weights or loss
  'ERR_OUT_OF_MEMORY', // more than this machine has
  'ERR_OUT_OF_RANGE', // a number outside its documented range
  'ERR_SHAPE', // sizes that do not fit together
  'ERR_USAGE', // the command line, never the library: options that do not go together
] as const;

export type ErrorCode = (typeof errorCodes)[number];

/**
 * The one error type of the library. The message reads `[operation] what was expected, what came, what to
 * do`; `code` is stable, `details` holds the values of the message for programs.
 */
export class SetNativeError extends Error {
  /** `AbortError`, as the platform calls it, of ERR_ABORTED. */
  override readonly name: 'SetNativeError' | 'AbortError';

  constructor(
    readonly code: ErrorCode,
    message: string,
    options: { details?: Record<string, unknown>; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = code === 'ERR_ABORTED' ? 'AbortError' : 'SetNativeError';
    this.details = options.details ?? {};
  }

  readonly details: Record<string, unknown>;
}

/**
 * What a call rejects with that was stopped: ERR_ABORTED.
 *
 * @param signal what stopped it, whose reason becomes the `cause`; undefined: `dispose()` did
 * @param when for the message: "after 2 complete epochs"
 */
export function aborted(
  operation: string,
  signal: AbortSignal | undefined,
  when: string,
  details: Record<string, unknown> = {},
): SetNativeError {
  const by = signal === undefined ? 'dispose()' : 'the signal';
  return new SetNativeError('ERR_ABORTED', `[${operation}] stopped by ${by} ${when}`, {
    details,
    cause: signal?.reason,
  });
}

/**
 * Throws what `aborted` makes when the signal has fired. An abort between two native calls finds nothing to
 * stop.
 */
export function checkSignal(operation: string, signal: AbortSignal | undefined, when: string): void {
  if (signal?.aborted) throw aborted(operation, signal, when);
}

/**
 * Whether `error` comes of the signal: its reason, or an AbortError, ours or of the platform, that has it as
 * cause.
 */
export function isAbortBy(signal: AbortSignal | undefined, error: unknown): boolean {
  if (!signal?.aborted) return false;
  if (Object.is(error, signal.reason)) return true;
  const { name, cause } = (error ?? {}) as { name?: unknown; cause?: unknown };
  return name === 'AbortError' && Object.is(cause, signal.reason);
}
