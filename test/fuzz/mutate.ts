import type { Random } from './random.js';
import { recentComparisons } from './trace.js';

/*
 * Changes of bytes, and of values for formats whose bytes carry a sum or a syntax that few changes survive.
 */

/** Sizes and counts that programs get wrong. */
const INTERESTING = [
  ...[
    0, 1, 2, 3, 4, 5, 7, 8, 9, 10, 13, 14, 15, 16, 31, 32, 63, 64, 100, 127, 128, 129, 255, 256, 257, 1000,
    1024, 4096,
  ],
  ...[
    32767,
    32768,
    65535,
    65536,
    65537,
    1e6,
    2 ** 24,
    2 ** 27,
    2 ** 30,
    2 ** 31 - 1,
    2 ** 31,
    2 ** 32 - 2,
    2 ** 32 - 1,
  ],
];

/** `number` as an unsigned integer of `width` bytes, its low ones. */
function integer(number: number, width: number, littleEndian: boolean): Buffer<ArrayBuffer> {
  const bytes = Buffer.alloc(width);
  const low = ((number % 256 ** width) + 256 ** width) % 256 ** width;
  if (littleEndian) bytes.writeUIntLE(low, 0, width);
  else bytes.writeUIntBE(low, 0, width);
  return bytes;
}

function splice(bytes: Buffer, at: number, removed: number, inserted: Uint8Array): Buffer {
  return Buffer.concat([
    bytes.subarray(0, at),
    inserted,
    bytes.subarray(Math.min(bytes.length, at + removed)),
  ]);
}

/**
 * One of two values that were compared, where the input holds it, becomes the other; elsewhere the other is
 * written.
 */
function answerComparison(bytes: Buffer, random: Random): Buffer {
  const pairs = recentComparisons();
  if (pairs.length === 0) return bytes;
  const pair = random.pick(pairs);
  const [held, wanted] = random.once(2) ? pair : [pair[1], pair[0]];
  let from = Buffer.from(String(held));
  let to = Buffer.from(String(wanted));
  if (Number.isInteger(held) && Number.isInteger(wanted) && !random.once(4)) {
    const [width, littleEndian] = [random.pick([1, 2, 4]), random.once(2)];
    from = integer(held as number, width, littleEndian);
    to = integer(wanted as number, width, littleEndian);
  }
  const after = bytes.indexOf(from, random.below(bytes.length + 1));
  const at = after < 0 ? bytes.indexOf(from) : after;
  if (at >= 0) return splice(bytes, at, from.length, to);
  return splice(bytes, random.below(bytes.length + 1), random.once(2) ? to.length : 0, to);
}

/** One change of a copy; `others` are inputs to take pieces of, `tokens` words of the format. */
export function mutate(
  bytes: Buffer,
  random: Random,
  others: readonly Buffer[],
  tokens: readonly Buffer[],
): Buffer {
  const at = random.below(bytes.length + 1);
  const length = 1 + random.below(random.once(4) ? bytes.length + 1 : 8);
  const put = (piece: Uint8Array) => splice(bytes, at, random.once(2) ? piece.length : 0, piece);
  const number = () => {
    const width = random.pick([1, 2, 4]);
    return integer(random.pick(INTERESTING) * (random.once(4) ? -1 : 1), width, random.once(2));
  };
  switch (random.below(11)) {
    case 0: // a bit
    case 1: {
      const copy = Buffer.from(bytes);
      if (at < copy.length) copy[at]! ^= 1 << random.below(8);
      return copy;
    }
    case 2: {
      const copy = Buffer.from(bytes);
      if (at < copy.length) copy[at]! += random.below(35) - 17;
      return copy;
    }
    case 3:
      return splice(bytes, at, 1, Buffer.of(random.below(256)));
    case 4:
      return splice(bytes, at, length, Buffer.alloc(0));
    case 5: {
      const from = random.below(bytes.length + 1);
      return put(bytes.subarray(from, from + length));
    }
    case 6:
      return put(Buffer.alloc(length, random.below(256)));
    case 7:
      return put(number());
    case 8:
      return tokens.length > 0 ? put(random.pick(tokens)) : put(number());
    case 9: {
      const other = random.pick(others);
      const from = random.below(other.length + 1);
      return random.once(2)
        ? put(other.subarray(from, from + length))
        : splice(bytes, at, bytes.length, other.subarray(from));
    }
    default:
      return answerComparison(bytes, random);
  }
}

const SCALARS = [
  ...[
    null,
    true,
    false,
    '',
    'x',
    '__proto__',
    '\u0000',
    '9'.repeat(400),
    [],
    {},
    [[[[]]]],
    -1,
    -0,
    0.5,
    1e308,
    2 ** 53,
    5e-324,
  ],
  ...[Number.MAX_SAFE_INTEGER + 2, 65536, 2 ** 31, 2 ** 32],
];

/**
 * One change of a tree of plain objects, arrays, typed arrays, numbers and texts, somewhere in a copy of it.
 */
export function mutateValue(value: unknown, random: Random): unknown {
  const replacement = () =>
    random.once(2) ? random.pick(INTERESTING) : structuredClone(random.pick(SCALARS));
  if (typeof value !== 'object' || value === null) {
    if (typeof value === 'number' && !random.once(4)) {
      return random.once(2) ? value + random.below(5) - 2 : value * random.pick([0, 0.5, 2, 1000]);
    }
    if (typeof value === 'string' && random.once(2))
      return value.slice(random.below(3)) + random.pick(['', 'e', '/', '\n']);
    return replacement();
  }
  if (ArrayBuffer.isView(value)) {
    const copy = (value as Float32Array).slice(random.once(4) ? 1 : 0);
    if (copy.length > 0)
      copy[random.below(copy.length)] = random.pick([...INTERESTING, -1, 0.5, Number.NaN, -Infinity]);
    return random.once(8) ? replacement() : copy;
  }
  const keys = Object.keys(value);
  const copy: Record<string, unknown> = Array.isArray(value) ? ([...value] as never) : { ...value };
  const key = keys.length > 0 ? random.pick(keys) : 'key';
  if (keys.length > 0 && !random.once(6)) {
    copy[key] = mutateValue(copy[key], random);
    return copy;
  }
  switch (random.below(4)) {
    case 0:
      return replacement();
    case 1:
      delete copy[key];
      return copy;
    case 2:
      copy[keys.length > 0 ? random.pick(keys) : 'key'] = structuredClone(copy[key]);
      return copy;
    default:
      if (Array.isArray(copy))
        copy.splice(random.below(copy.length + 1), random.below(2), structuredClone(copy[0]));
      else
        Object.defineProperty(copy, random.pick(['__proto__', 'then', 'toJSON']), {
          value: 1,
          enumerable: true,
        });
      return copy;
  }
}
