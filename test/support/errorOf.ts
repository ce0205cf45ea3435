import { expect } from 'vitest';
import { SetNativeError } from '../../src/errors.js';

/** The SetNativeError that an action throws; fails when it throws none. */
export function errorOf(action: () => unknown): SetNativeError {
  try {
    action();
  } catch (error) {
    expect(error).toBeInstanceOf(SetNativeError);
    return error as SetNativeError;
  }
  throw new Error('expected a SetNativeError, nothing was thrown');
}
