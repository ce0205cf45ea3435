import { expect, test } from 'vitest';
import { csvRecords } from '../../../src/datasets/csvRecords.js';
import { recordStream } from '../../../src/datasets/recordStream.js';
import { isSetNativeError } from '../../../src/errors.js';

const text = '\ufeffa,"b\r\nc"\r\n\r\n"d ""e\n""",é\rf,花\n"","\r"\r\n\n\rlast,"x\ny"';

async function recordsOf(bytes: Buffer, size: number): Promise<{ cells: string[]; line: number }[]> {
  async function* pieces() {
    const reused = Buffer.alloc(size); // as a stream may do
    for (let at = 0; at < bytes.length; at += size) {
      const length = bytes.copy(reused, 0, at, at + size);
      yield reused.subarray(0, length);
    }
  }
  const found: { cells: string[]; line: number }[] = [];
  for await (const records of recordStream(pieces(), 'x.csv', { quotes: true })) {
    for (const record of records) found.push(...csvRecords(record.bytes, 'x.csv', ',', record.line));
  }
  return found;
}

test('records and their lines are those of the whole text, wherever the pieces end', async () => {
  const bytes = Buffer.from(text);
  const whole = [...csvRecords(bytes, 'x.csv', ',')];
  expect(whole.map(({ line }) => line)).toEqual([1, 4, 6, 7, 11]);
  for (let size = 1; size <= bytes.length; size++) {
    const found = await recordsOf(bytes, size);
    expect(
      found.map(({ cells, line }) => ({ cells, line })),
      `pieces of ${size}`,
    ).toEqual(whole);
  }
});

test('without quotes a quote ends nothing and opens nothing', async () => {
  async function* pieces() {
    yield Buffer.from('["a\n"b"]\r');
    yield Buffer.from('\nc');
  }
  const found: string[] = [];
  for await (const records of recordStream(pieces(), 'x', { quotes: false }))
    found.push(...records.map(({ bytes, line }) => `${line} ${bytes}`));
  expect(found).toEqual(['1 ["a', '2 "b"]', '3 c']);
});

test('a quote that is never closed ends at 16 MiB, not with the memory', async () => {
  let given = 0;
  async function* endless() {
    yield Buffer.from('a\n"');
    for (;;) {
      given += 1;
      yield Buffer.alloc(2 ** 20, 'x');
    }
  }
  let error: unknown;
  try {
    for await (const _ of recordStream(endless(), 'x.csv', { quotes: true }));
  } catch (thrown) {
    error = thrown;
  }
  expect(isSetNativeError(error, 'ERR_DATA_FORMAT') && error.details).toMatchObject({ line: 2 });
  expect((error as Error).message).toContain('close the quote');
  expect(given).toBe(16);
});
