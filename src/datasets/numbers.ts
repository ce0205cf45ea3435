/**
 * Pattern of a decimal number in data files. No digit can match in two ways, so long garbage costs linear
 * time.
 */
const DECIMAL = /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?$/;

/**
 * The value of a decimal number such as `-1.5e3`; undefined for anything else: empty text, `NaN`, `0x10`, `1
 * 2`. It is infinite where the text exceeds a double.
 */
export function parseDecimal(text: string): number | undefined {
  return DECIMAL.test(text) ? Number(text) : undefined;
}

/**
 * Texts that programs write for "no value", in lower case: those that pandas knows, and the `?` of UCI and
 * Weka.
 */
const MISSING = new Set([
  ...['', '?', 'na', 'n/a', 'nan', '+nan', '-nan', 'null', 'none', '<na>', '#na', '#n/a', '#n/a n/a'],
  ...['1.#ind', '-1.#ind', '1.#qnan', '-1.#qnan'],
]);
const LONGEST_MISSING = 8;

/** Whether a cell states that there is no value, in letters of either case. */
export function isMissing(text: string): boolean {
  return text.length <= LONGEST_MISSING && MISSING.has(text.toLowerCase());
}

/** List of numbers whose count is not known before. It takes up to three times the memory of the numbers. */
export class NumberList<Numbers extends Float32Array | Float64Array> {
  length = 0;
  private values: Numbers;

  constructor(private readonly Type: new (length: number) => Numbers) {
    this.values = new Type(1024);
  }

  push(value: number): void {
    if (this.length === this.values.length) {
      const longer = new this.Type(2 * this.length);
      longer.set(this.values);
      this.values = longer;
    }
    this.values[this.length++] = value;
  }

  /** Numbers from `start` on, in an array of their own. */
  toArray(start = 0): Numbers {
    return this.values.slice(start, this.length) as Numbers;
  }
}
