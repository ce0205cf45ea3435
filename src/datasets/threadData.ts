/*
 * Data on their way to a worker thread and back: arrays go through shared memory, or change hands, and stand
 * in the rest by number.
 */

export type TypedArray = Float32Array | Uint32Array | Uint8Array;
export type SharedArray = TypedArray & { buffer: SharedArrayBuffer };

/** Stands for an array of a list, by its number. */
export interface ArrayNumber {
  sharedArray: number;
}

export const isArrayNumber = (value: unknown): value is ArrayNumber =>
  typeof value === 'object' && value !== null && 'sharedArray' in value;

/** Whether a value is a list or an object of no class, of any realm. */
function isPlain(value: unknown): value is object {
  if (typeof value !== 'object' || value === null) return false;
  if (Array.isArray(value)) return true;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

/** A copy of plain data in which `replace` gave everything that is no list and no plain object. */
export function replaced(value: unknown, replace: (item: unknown) => unknown): unknown {
  if (!isPlain(value) || isArrayNumber(value)) return replace(value);
  if (Array.isArray(value)) return Array.from(value, (item) => replaced(item, replace));
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, replaced(item, replace)]));
}
