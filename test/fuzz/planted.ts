import { SetNativeError } from '../../src/errors.js';
import type { Target } from './engine.js';

/*
 * A parser with a bug, to show that the fuzzer finds such: only behind a length, a version and a magic number
 * of four bytes does it read what is not there. Nobody draws those four bytes by chance.
 */

const MAGIC = 0x5e7a11fe;

function parsePlanted(bytes: Uint8Array): number {
  const refuse = (what: string) => new SetNativeError('ERR_DATA_FORMAT', `[data] planted: expected ${what}`);
  if (bytes.length < 12) throw refuse('at least 12 bytes');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint32(0) !== MAGIC) throw refuse('a magic number');
  const count = view.getUint16(4, true);
  if (count !== bytes.length - 6) throw refuse('a count of what follows');
  if (bytes[6] !== 3) return 0;
  return view.getUint8(6 + count); // one too far
}

export const planted: Target = {
  name: 'planted',
  seeds: [Buffer.from('a valid file it is not')],
  read: parsePlanted,
  codes: ['ERR_DATA_FORMAT'],
  file: 'planted',
  memory: 2 ** 24,
  short: 20_000,
};
