import type { Encoding } from '../datasets/encoding.js';
import { largest } from '../extremes.js';

/*
 * Outputs of a network in the words of the data: names and probabilities of classes, or named numbers in
 * their own units.
 */

export interface Classification {
  /** Name of the most probable class; the first of equals. */
  className: string;
  /** Its probability. */
  probability: number;
  /** Probability of each class, by name. */
  probabilities: Record<string, number>;
}

/**
 * The class of each row of outputs; a single output is the probability of the second class.
 *
 * @param outputs count × width, row-major
 */
export function classifications(
  outputs: Float32Array,
  width: number,
  classNames: string[],
): Classification[] {
  return rowsOf(outputs, width).map((own) => {
    const values = width === 1 ? [1 - own[0]!, own[0]!] : [...own];
    const best = values.indexOf(largest(values));
    return {
      className: classNames[best]!,
      probability: values[best]!,
      probabilities: named(classNames, values),
    };
  });
}

/** The numbers of each row of outputs, by name, as they were before they were scaled. */
export function estimates(
  outputs: Float32Array,
  { names, offset, divisor }: NonNullable<Encoding['targets']>,
): Record<string, number>[] {
  return rowsOf(outputs, names.length).map((own) =>
    named(
      names,
      Array.from(own, (value, i) => value * divisor[i]! + offset[i]!),
    ),
  );
}

/** Values by names, of which one may be `__proto__`. */
function named(names: string[], values: number[]): Record<string, number> {
  return Object.fromEntries(new Map(names.map((name, i) => [name, values[i]!])));
}

function rowsOf(outputs: Float32Array, width: number): Float32Array[] {
  return Array.from({ length: outputs.length / width }, (_, row) =>
    outputs.subarray(row * width, (row + 1) * width),
  );
}
