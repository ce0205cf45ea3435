import type { WorkerOptions } from 'node:worker_threads';
import { type ErrorCode, type ErrorDetails, SetNativeError } from './errors.js';
import { fromNative } from './native.js';

/*
 * What worker threads need wherever the library starts them: options of node that they must not inherit, and
 * errors as messages.
 */

/**
 * Options that keep a worker from inheriting `--input-type`, the option for the text of `node -e`: node runs
 * no file with it. Where it is among node's arguments the worker inherits none of them, because a worker
 * accepts only a few in a list of its own.
 */
export function nodeOptions(): WorkerOptions {
  const { execArgv, env } = process;
  const given = env.NODE_OPTIONS ?? '';
  const taken = given.replaceAll(/(?<!\S)--input-type[= ]\s*\S+/g, '');
  return {
    ...(execArgv.some((option) => option.startsWith('--input-type')) && { execArgv: [] }),
    ...(taken !== given && { env: { ...env, NODE_OPTIONS: taken } }),
  };
}

/** An error as a message; `code` is there where it is one of the library. */
export interface SentError {
  code?: ErrorCode;
  message: string;
  details?: ErrorDetails[ErrorCode];
  /** Sent as an Error without a code. */
  cause?: Error;
}

export function sentError(cause: unknown): SentError {
  const error = fromNative(cause);
  const known = error instanceof SetNativeError ? { code: error.code, details: error.details } : {};
  if (!(error instanceof Error)) return { message: String(error) };
  return { ...known, message: error.message, ...(error.cause instanceof Error && { cause: error.cause }) };
}

/** The error that was sent; the reason of the signal, which stayed on this side, is the cause of an abort. */
export function receivedError(
  { code, message, details, cause: sent }: SentError,
  signal: AbortSignal | undefined,
): Error {
  if (code === undefined) return new Error(message);
  const cause = code === 'ERR_ABORTED' ? signal?.reason : sent;
  return new SetNativeError(code, message, { ...(details && { details }), cause });
}
