/** A decimal number as data files write it; no digit can match in two ways, so long garbage costs linear time. */
const DECIMAL = /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?$/;

/**
 * The value of a decimal number such as `-1.5e3`, or undefined for anything else: empty text, `NaN`, `0x10`, `1 2`.
 * May be infinite where the text exceeds a double.
 */
export function parseDecimal(text: string): number | undefined {
  return DECIMAL.test(text) ? Number(text) : undefined;
}
