import { expect, test } from 'vitest';
import { closing, closingAsync } from '../../../src/files/closing.js';

const refuse = () => {
  throw new Error('cannot close');
};
const fail = () => {
  throw new Error('the real one');
};

test('closing hands back whatever comes, and hides nothing', async () => {
  let closed = 0;
  const close = () => void closed++;
  expect(closing(() => 1, close)).toBe(1);
  expect(await closingAsync(async () => 2, close)).toBe(2);
  expect(() => closing(fail, close)).toThrow('the real one');
  await expect(closingAsync(async () => fail(), close)).rejects.toThrow('the real one');
  expect(closed).toBe(4);
  expect(() => closing(() => 1, refuse)).toThrow('cannot close');
  await expect(closingAsync(async () => 2, refuse)).rejects.toThrow('cannot close');
  expect(() => closing(fail, refuse)).toThrow('the real one');
  await expect(
    closingAsync(
      async () => fail(),
      async () => refuse(),
    ),
  ).rejects.toThrow('the real one');
});
