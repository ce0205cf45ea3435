import { type NpyArray, type NpyNumbers, type NpyTexts, npyBytes, parseNpy } from './npy.js';
import { refusal } from './refusal.js';
import { readZip, type ZipSource, zipPieces } from './zip.js';

/*
 * Archives of named arrays in NumPy's format .npz: a zip of a file .npy for each. NumPy and SciPy read what
 * is written here, and the other way round.
 */

const extension = '.npy';

/** The bytes of an archive, in pieces: the same arrays in the same order give the same bytes. */
export function npzPieces(arrays: ReadonlyMap<string, NpyNumbers | NpyTexts<'S'>>): Promise<Uint8Array[]> {
  return zipPieces(
    [...arrays].map(([name, array]): [string, Uint8Array] => [name + extension, npyBytes(array)]),
  );
}

/**
 * Reads an archive of arrays with names out of `names`; none of them is unpacked before all are known to be.
 *
 * @param advice what to do about other names
 * @throws SetNativeError ERR_DATA_FORMAT for everything that is not exactly such an archive, for other names,
 * and for arrays of several axes in the order of Fortran
 */
export async function readNpz(
  bytes: Uint8Array,
  source: ZipSource,
  names: readonly string[],
  advice: string,
): Promise<Map<string, NpyArray>> {
  const { operation, file } = source;
  const entries = await readZip(bytes, source);
  for (const { name } of entries) {
    if (!name.endsWith(extension) || !names.includes(name.slice(0, -extension.length))) {
      throw refusal(operation, file, {}, `arrays ${names.join(', ')} alone`, JSON.stringify(name), advice);
    }
  }
  const arrays = new Map<string, NpyArray>();
  for (const { name, read } of entries) {
    const array = parseNpy(await read(), `${file}, ${name}`, { operation, rowsOnly: true });
    arrays.set(name.slice(0, -extension.length), array);
  }
  return arrays;
}
