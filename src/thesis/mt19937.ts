/*
 * The generator that NumPy calls legacy: MT19937 (Matsumoto and Nishimura 1998) with the draws of
 * `numpy.random.seed`, `rand`, `uniform` and `shuffle`, the same values from the same seed. It serves
 * to reproduce what NumPy drew; all other draws of the library are Philox.
 */

const size = 624;
const shift = 397;

/** State of a generator, to go back to. */
export interface GeneratorState {
  words: Uint32Array;
  position: number;
}

export class Mt19937 {
  readonly #words = new Uint32Array(size);
  #position = size;

  /** @param seed 0 .. 2^32 - 1 */
  constructor(seed: number) {
    const words = this.#words;
    words[0] = seed;
    for (let i = 1; i < size; i++) {
      const previous = words[i - 1]!;
      words[i] = Math.imul(1812433253, previous ^ (previous >>> 30)) + i;
    }
  }

  get state(): GeneratorState {
    return { words: this.#words.slice(), position: this.#position };
  }

  set state({ words, position }: GeneratorState) {
    this.#words.set(words);
    this.#position = position;
  }

  /** 32 random bits. */
  next(): number {
    if (this.#position === size) this.#twist();
    let y = this.#words[this.#position++]!;
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    return (y ^ (y >>> 18)) >>> 0;
  }

  /** `numpy.random.rand`: 53 bits, 0 <= u < 1. */
  random(): number {
    const high = this.next() >>> 5;
    const low = this.next() >>> 6;
    return (high * 0x4000000 + low) / 0x20000000000000;
  }

  /** `numpy.random.uniform`. */
  uniform(low: number, high: number): number {
    return low + (high - low) * this.random();
  }

  /** `numpy.random.shuffle` of a one-dimensional array, in place. */
  shuffle(values: Uint32Array): Uint32Array {
    for (let i = values.length - 1; i > 0; i--) {
      const j = this.#below(i);
      const value = values[i]!;
      values[i] = values[j]!;
      values[j] = value;
    }
    return values;
  }

  /** A number 0 .. limit: masked to just enough bits, and drawn again while it is above. */
  #below(limit: number): number {
    const mask = 0xffffffff >>> Math.clz32(limit);
    for (;;) {
      const value = (this.next() & mask) >>> 0;
      if (value <= limit) return value;
    }
  }

  #twist(): void {
    const words = this.#words;
    const mix = (i: number, next: number, far: number) => {
      const y = (words[i]! & 0x80000000) | (words[next]! & 0x7fffffff);
      words[i] = words[far]! ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0);
    };
    for (let i = 0; i < size - shift; i++) mix(i, i + 1, i + shift);
    for (let i = size - shift; i < size - 1; i++) mix(i, i + 1, i + shift - size);
    mix(size - 1, 0, shift - 1);
    this.#position = 0;
  }
}
