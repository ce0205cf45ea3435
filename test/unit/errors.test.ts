import { readFileSync } from 'node:fs';
import path from 'node:path';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import { errorCodes, isSetNativeError, SetNativeError } from '../../src/errors.js';
import { fromNative, native } from '../../src/native.js';

function thrown(call: () => unknown): unknown {
  try {
    call();
  } catch (error) {
    return error;
  }
  return expect.fail('expected an error');
}

test('an error of the addon becomes a SetNativeError of its code and message', () => {
  const error = thrown(() => native().permutation(-1, 1)) as Error;
  const converted = fromNative(error) as SetNativeError;
  expect(converted).toBeInstanceOf(SetNativeError);
  expect(converted).toMatchObject({ code: 'ERR_OUT_OF_RANGE', message: error.message, cause: error });
  expect(fromNative(converted)).toBe(converted);
});

test.each<[string, unknown]>([
  ["Node's, of a code that we have too", thrown(() => Buffer.alloc(8).readDoubleLE(8))],
  [
    "Node's, of the same from another realm",
    runInNewContext('try { b.readInt8(9) } catch (e) { e }', { b: Buffer.alloc(1) }),
  ],
  ["Node's, of another code", thrown(() => Buffer.from(1 as never))],
  ["a program's", Object.assign(new Error('[app] no licence'), { code: 'ERR_LICENCE' })],
  ['an error with a number as code', Object.assign(new Error('[app] no'), { code: 7 })],
  ['a text', 'ERR_IO'],
  ['nothing', undefined],
])('%s stays as it is', (_, error) => {
  expect(fromNative(error)).toBe(error);
});

test('an error is told by its code, one that only looks like it is not', () => {
  const error = new SetNativeError('ERR_IO', '[bench] no', { details: { file: 'x' } });
  expect(isSetNativeError(error, 'ERR_IO') && error.details.file).toBe('x');
  expect(isSetNativeError(error, 'ERR_IN_USE')).toBe(false);
  expect(isSetNativeError(Object.assign(new Error('no'), { code: 'ERR_IO' }), 'ERR_IO')).toBe(false);
  expect(isSetNativeError(undefined, 'ERR_IO')).toBe(false);
});

test('docs/errors.md lists the codes, in their order', () => {
  const text = readFileSync(path.resolve(import.meta.dirname, '../../docs/errors.md'), 'utf8');
  const listed = [...text.matchAll(/^\| `(ERR_\w+)` *\|/gm)].map(([, code]) => code);
  expect(listed).toEqual(errorCodes);
});
