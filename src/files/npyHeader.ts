import { refusal } from './refusal.js';

/*
 * The header of NumPy's format .npy, a dict in Python: `{'descr': '<f4', 'fortran_order': False, 'shape': (3,
 * 4), }`. Only texts without escapes, truth values and tuples of whole numbers are read, which is all that
 * arrays of one type have.
 */

export interface NpyHeader {
  /** The type of elements, with its byte order. */
  descr: string;
  /** True where the first index runs fastest. */
  fortranOrder: boolean;
  shape: number[];
}

/** NumPy's own limit. */
export const mostAxes = 64;

export const otherType = 'convert the array in Python with astype, and save it again';

/** A text in quotes, a word or number, or any other character. */
const pattern = /[ \t\r\n\f]*('[^'\\]*'|"[^"\\]*"|\w+|[^ \t\r\n\f])/y;
const end = 'the end of the header';

/** The tokens of a header, one after the other. */
class Tokens {
  /** Where the last one begins. */
  at = 0;
  #next = 0;

  constructor(readonly text: string) {}

  take(): string {
    pattern.lastIndex = this.#next;
    const token = pattern.exec(this.text)?.[1];
    this.#next = token === undefined ? this.text.length : pattern.lastIndex;
    this.at = this.#next - (token?.length ?? 0);
    return token ?? end;
  }
}

/**
 * Reads a header in ASCII.
 *
 * @param begin its place in the file, for messages
 * @throws SetNativeError ERR_DATA_FORMAT
 */
export function parseNpyHeader(text: string, begin: number, file: string, operation: string): NpyHeader {
  const tokens = new Tokens(text);
  const wrong = (expected: string, came: string, advice = 'the header is damaged, or not by NumPy') =>
    refusal(operation, file, { offset: begin + tokens.at }, expected, came, advice);
  const expect = (expected: string) => {
    const came = tokens.take();
    if (came !== expected) throw wrong(expected, came);
  };
  const shape = (): number[] => {
    const sizes: number[] = [];
    for (let token = tokens.take(); token !== ')'; ) {
      // Python 2 wrote 3L for 3.
      const size = /^\d+L?$/.test(token) ? Number.parseInt(token, 10) : Number.NaN;
      if (!Number.isSafeInteger(size)) throw wrong('a whole number as size', token);
      if (sizes.push(size) > mostAxes) throw wrong(`at most ${mostAxes} sizes`, 'more');
      token = tokens.take();
      if (token === ',') token = tokens.take();
      else if (token !== ')' || sizes.length === 1) throw wrong('a comma', token); // (3) is a number, no tuple
    }
    return sizes;
  };
  const value = (): string | boolean | number[] => {
    const token = tokens.take();
    if (token === '(') return shape();
    if (token === 'True' || token === 'False') return token === 'True';
    if (token === '[') throw wrong('a type of numbers or texts', 'records of several', otherType);
    return unquoted(token) ?? never(wrong('a text, a truth value or a tuple', token));
  };

  const entries = new Map<string, ReturnType<typeof value>>();
  expect('{');
  for (let token = tokens.take(); token !== '}'; ) {
    const key = unquoted(token);
    if (key === undefined || !['descr', 'fortran_order', 'shape'].includes(key) || entries.has(key)) {
      throw wrong("'descr', 'fortran_order' and 'shape', once each", token);
    }
    expect(':');
    entries.set(key, value());
    token = tokens.take();
    if (token === ',') token = tokens.take();
    else if (token !== '}') throw wrong('a comma or }', token);
  }
  expect(end);

  const [descr, order, sizes] = ['descr', 'fortran_order', 'shape'].map((key) => entries.get(key));
  if (typeof descr !== 'string') throw wrong("a text as 'descr'", kind(descr));
  if (typeof order !== 'boolean') throw wrong("True or False as 'fortran_order'", kind(order));
  if (!Array.isArray(sizes)) throw wrong("a tuple as 'shape'", kind(sizes));
  return { descr, fortranOrder: order, shape: sizes };
}

/** The text between quotes; undefined for any other token. */
function unquoted(token: string): string | undefined {
  return /^['"]./s.test(token) ? token.slice(1, -1) : undefined;
}

function kind(value: unknown): string {
  return value === undefined ? 'nothing' : Array.isArray(value) ? 'a tuple' : `a ${typeof value}`;
}

function never(error: Error): never {
  throw error;
}
