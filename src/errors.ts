/** Stable error codes: only ever added to. */
export const errorCodes = [
  'ERR_ABORTED', // the AbortSignal fired, or Ctrl-C
  'ERR_BACKEND_UNAVAILABLE', // a device or instruction set that this machine does not have was asked for
  'ERR_BUSY', // too much waits for the model, or a callback would wait for itself
  'ERR_DATA_FORMAT', // a damaged or foreign data file
  'ERR_DATA_NOT_FOUND', // no such data set, or its files are not in the folders searched
  'ERR_DISPOSED', // used after dispose()
  'ERR_IN_USE', // a folder or file that another process uses, or that holds what must not be written over
  'ERR_INTERNAL', // an invariant of the library is broken: please report
  'ERR_INVALID_ARGUMENT', // a value of the wrong kind
  'ERR_INVALID_CSR', // offsets or indices break the CSR rules
  'ERR_IO', // a file could not be read or written
  'ERR_NATIVE_LOAD', // the compiled addon could not be loaded
  'ERR_NON_FINITE', // NaN or infinity in data, weights or loss
  'ERR_OUT_OF_MEMORY', // more memory is needed than this machine has
  'ERR_OUT_OF_RANGE', // a number outside its documented range
  'ERR_SHAPE', // sizes that do not fit together
  'ERR_USAGE', // the command line, never the library: options that do not go together
] as const;

export type ErrorCode = (typeof errorCodes)[number];

/**
 * Results that were finished before an error ended the work. Each kind of work, an experiment, a selection
 * and a kernel benchmark, adds the type of its own.
 */
// biome-ignore lint/suspicious/noEmptyInterface: see above
export interface PartialResults {}

/** Details that an error of any code may have. */
interface CommonDetails {
  /** Name of the option or argument that must be changed. */
  option?: string;
  /** The value that was given. */
  value?: unknown;
  /** Partial results, where there are any. */
  results?: PartialResults[keyof PartialResults] | undefined;
  /** Training of an experiment that failed; without `seed`, the trainings of all seeds. */
  reading?: string;
  method?: string;
  epsilon?: number | null;
  motifSize?: number | null;
  seed?: number;
}

/** Details of ERR_ABORTED. The module of `fit` adds the epochs that it completed. */
export interface AbortedDetails extends CommonDetails {
  /** Back end whose trial was stopped, and the signal that stopped it. */
  backend?: string;
  signal?: string | null;
}

/** Place in a data set or in given samples; rows and features count from 0. */
interface SamplesDetails extends CommonDetails {
  where?: string;
  row?: number;
  feature?: number;
  count?: number;
  features?: number;
}

/** Details of an error by its code: values of the message, each where it applies. */
export interface ErrorDetails {
  ERR_ABORTED: AbortedDetails;
  ERR_BACKEND_UNAVAILABLE: CommonDetails;
  ERR_BUSY: CommonDetails;
  ERR_DATA_FORMAT: CommonDetails & {
    file?: string;
    folder?: string;
    where?: string;
    /** Byte of the file, from 0. */
    offset?: number | undefined;
    /** Line and column of the file, from 1. */
    line?: number;
    column?: number;
    expected?: string;
    came?: string;
    /** Data sets that the files of a folder belong to. */
    owners?: string[];
    /** Data that the work began with, and data found now. */
    then?: unknown;
    now?: unknown;
    source?: string;
    sha256?: string;
  };
  ERR_DATA_NOT_FOUND: CommonDetails & {
    name?: string;
    /** Names that are known. */
    names?: readonly string[];
    pullable?: readonly string[];
    file?: string;
    folder?: string;
    /** Option or variable that named the folder. */
    origin?: 'dataDir' | 'SET_NATIVE_DATA' | 'cache';
    /** Files of each source that would do. */
    wanted?: readonly (readonly string[])[];
    /** Folders that were looked into. */
    tried?: string[];
    /** Descriptions of what is there instead. */
    instead?: string[];
  };
  ERR_DISPOSED: CommonDetails;
  ERR_INTERNAL: CommonDetails;
  ERR_INVALID_ARGUMENT: CommonDetails & { dir?: string };
  ERR_INVALID_CSR: CommonDetails;
  ERR_IN_USE: CommonDetails & {
    dir?: string;
    file?: string;
    /** Folder that holds work which can be resumed. */
    begun?: string;
    /** Names of files that are there. */
    foreign?: string[];
    /** Last sign of life of a process that cannot be asked whether it still runs. */
    heartbeat?: string;
  };
  ERR_IO: CommonDetails & { file?: string; folder?: string; url?: string; variable?: string };
  ERR_NATIVE_LOAD: CommonDetails & {
    /** Platform and architecture of the process, `linux-x64` for one. */
    platform?: string;
    /** Files that were tried, and why each cannot be loaded. */
    tried?: { file: string; reason: string }[];
    /** Command that compiles the addon. */
    command?: string;
  };
  ERR_NON_FINITE: SamplesDetails;
  ERR_OUT_OF_MEMORY: CommonDetails & {
    name?: string;
    file?: string;
    folder?: string;
    count?: number;
    features?: number;
    /** Number of samples that have room. */
    limit?: number;
    /** Bytes of memory that this process may use. */
    memory?: number;
    /** Bytes that are needed, and bytes that there are. */
    bytes?: number;
    available?: number;
  };
  ERR_OUT_OF_RANGE: SamplesDetails & {
    label?: number | undefined;
    classes?: number;
    testFraction?: number;
    /** Number of samples that there are. */
    available?: number;
  };
  ERR_SHAPE: SamplesDetails & {
    rows?: number;
    inputs?: number;
    values?: number;
    labels?: number;
    targets?: number;
    weights?: number;
    outputs?: number;
    length?: number;
    expected?: number;
    /** Number of features that a scaling was fitted to. */
    fitted?: number;
    then?: unknown;
    source?: string;
  };
  ERR_USAGE: CommonDetails & { flag?: string };
}

/**
 * The one error type of the library. The message reads `[operation] what was expected, what came, what to
 * do`; `code` is stable, `details` holds the values of the message for programs.
 */
export class SetNativeError<Code extends ErrorCode = ErrorCode> extends Error {
  /** `AbortError`, as the platform calls it, of ERR_ABORTED. */
  override readonly name: 'SetNativeError' | 'AbortError';

  constructor(
    readonly code: Code,
    message: string,
    options: { details?: ErrorDetails[Code]; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = code === 'ERR_ABORTED' ? 'AbortError' : 'SetNativeError';
    this.details = options.details ?? {};
  }

  readonly details: ErrorDetails[Code];
}

/** Whether `error` is a SetNativeError with this code, which decides the type of its details. */
export function isSetNativeError<Code extends ErrorCode>(
  error: unknown,
  code: Code,
): error is SetNativeError<Code> {
  return error instanceof SetNativeError && error.code === code;
}

/**
 * The error of a call that was stopped: ERR_ABORTED.
 *
 * @param signal signal that stopped it, whose reason becomes the `cause`; undefined where something else did
 * @param when end of the message: "after 2 complete epochs"
 * @param otherwise what stopped it where no signal did
 */
export function aborted(
  operation: string,
  signal: AbortSignal | undefined,
  when: string,
  details: AbortedDetails = {},
  otherwise = 'dispose()',
): SetNativeError<'ERR_ABORTED'> {
  const by = signal === undefined ? otherwise : 'the signal';
  return new SetNativeError('ERR_ABORTED', `[${operation}] stopped by ${by} ${when}`, {
    details,
    cause: signal?.reason,
  });
}

/**
 * Throws the error of `aborted` when the signal has fired, because an abort between two native calls finds
 * nothing to stop.
 */
export function checkSignal(operation: string, signal: AbortSignal | undefined, when: string): void {
  if (signal?.aborted) throw aborted(operation, signal, when);
}

/**
 * Whether the signal caused `error`: it is the reason of the signal, or an AbortError, ours or of the
 * platform, that has this reason as its cause.
 */
export function isAbortBy(signal: AbortSignal | undefined, error: unknown): boolean {
  if (!signal?.aborted) return false;
  if (Object.is(error, signal.reason)) return true;
  const { name, cause } = (error ?? {}) as { name?: unknown; cause?: unknown };
  return name === 'AbortError' && Object.is(cause, signal.reason);
}
