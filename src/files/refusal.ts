import { SetNativeError } from '../errors.js';

/** A place in a file: a byte offset, or a line and column (both from 1). */
export interface Place {
  offset?: number | undefined;
  line?: number;
  column?: number;
}

/** Most characters of a part of a message: a file may be one long name. */
const mostShown = 250;

/**
 * The error of a file that is not what it should be: place, what was expected, what came, what to do. Both
 * may hold text of the file.
 */
export function refusal(
  operation: string,
  file: string,
  place: Place,
  expected: string,
  came: string,
  advice: string,
  cause?: unknown,
): SetNativeError<'ERR_DATA_FORMAT'> {
  const where = [
    place.offset === undefined ? '' : `, byte ${place.offset}`,
    place.line === undefined ? '' : `, line ${place.line}`,
    place.column === undefined ? '' : `, column ${place.column}`,
  ].join('');
  const [wanted, got] = [printable(expected), printable(came)];
  return new SetNativeError(
    'ERR_DATA_FORMAT',
    `[${operation}] ${file}${where}: expected ${wanted}, came ${got}; ${advice}`,
    { details: { file, ...place, expected: wanted, came: got }, cause },
  );
}

/** Text that is safe on a terminal: short, without control characters. */
function printable(text: string): string {
  const short = text.length > mostShown ? `${text.slice(0, mostShown)}…` : text;
  return short.replace(/\p{Cc}/gu, '\ufffd');
}
