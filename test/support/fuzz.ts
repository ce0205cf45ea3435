import { expect } from 'vitest';
import { SetNativeError } from '../../src/errors.js';

/** What a parser did with damaged bytes. */
export interface FuzzOutcome {
  accepted: number;
  refused: number;
}

/**
 * Cuts valid bytes at every length, changes every byte in several ways, and changes several bytes at once. The parser
 * must return or throw a SetNativeError each time, quickly; anything else fails the test, telling what was done.
 */
export function fuzz(valid: Buffer, parse: (bytes: Buffer) => unknown, randomRounds = 2000): FuzzOutcome {
  const outcome = { accepted: 0, refused: 0 };
  const attempt = (bytes: Buffer, what: string) => {
    const start = performance.now();
    try {
      parse(bytes);
      outcome.accepted++;
    } catch (error) {
      if (!(error instanceof SetNativeError))
        throw new Error(`${what} made the parser throw ${error}`, { cause: error });
      outcome.refused++;
    }
    expect(performance.now() - start, `${what}: milliseconds`).toBeLessThan(2000);
  };

  parse(valid);
  for (let length = 0; length < valid.length; length++)
    attempt(valid.subarray(0, length), `cutting to ${length} bytes`);
  for (let at = 0; at < valid.length; at++) {
    for (const value of [0x00, 0xff, 0x7f, valid[at]! ^ 0x01, valid[at]! ^ 0x80, valid[at]! + 1]) {
      const bytes = Buffer.from(valid);
      bytes[at] = value;
      attempt(bytes, `setting byte ${at} to ${value & 255}`);
    }
  }
  let state = 1;
  const draw = (below: number) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  for (let round = 0; round < randomRounds; round++) {
    const bytes = Buffer.from(valid);
    for (let changes = 1 + draw(6); changes > 0; changes--) bytes[draw(bytes.length)] = draw(256);
    attempt(bytes, `random round ${round}`);
  }
  return outcome;
}

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
