import { ADVICE, formatError } from './bytes.js';
import { MAX_RECORD_BYTES } from './csvRecords.js';

/*
 * Cuts a stream of bytes into records, without keeping more of it than the record that is not complete.
 */

/** The bytes of a record, without its line end, and the number of its first line, from 1. */
export interface RawRecord {
  bytes: Buffer;
  line: number;
}

const LF = 10;
const CR = 13;
const QUOTE = 34;

/**
 * The records of each piece of a stream that are complete with it; the rest of the last one comes with the
 * pieces that follow. Lines end in LF, CRLF or CR.
 *
 * @param quotes whether line ends within double quotes belong to the record, as in CSV
 * @throws SetNativeError ERR_DATA_FORMAT for a record of more than 16 MiB
 */
export async function* recordStream(
  pieces: AsyncIterable<Uint8Array>,
  file: string,
  { quotes }: { quotes: boolean },
): AsyncGenerator<RawRecord[]> {
  let waiting: Buffer[] = [];
  let waitingBytes = 0;
  let isOpen = false;
  /** Whether the byte before was a CR, whose LF belongs to it. */
  let afterCr = false;
  let line = 1;
  /** Line ends within the record so far. */
  let breaks = 0;
  const checkLength = (length: number) => {
    if (length <= MAX_RECORD_BYTES) return;
    const advice = isOpen ? 'close the quote' : 'take fewer columns or shorter cells';
    throw formatError(file, { line }, `at most ${MAX_RECORD_BYTES} bytes in a row`, 'more', advice);
  };
  for await (const piece of pieces) {
    const bytes = Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength);
    const records: RawRecord[] = [];
    let start = 0;
    for (let at = 0; at < bytes.length; at++) {
      const byte = bytes[at]!;
      const endsCrLf = byte === LF && afterCr;
      afterCr = byte === CR;
      if (endsCrLf) {
        // The record ended at the CR, unless that was within quotes.
        if (!isOpen && start === at) start = at + 1;
      } else if (byte === QUOTE && quotes) {
        isOpen = !isOpen;
      } else if (byte === LF || byte === CR) {
        if (isOpen) {
          breaks += 1;
          continue;
        }
        const own = bytes.subarray(start, at);
        checkLength(waitingBytes + own.length);
        records.push({ bytes: waiting.length === 0 ? own : Buffer.concat([...waiting, own]), line });
        [waiting, waitingBytes] = [[], 0];
        line += breaks + 1;
        breaks = 0;
        start = at + 1;
      }
    }
    if (start < bytes.length) {
      waiting.push(Buffer.from(bytes.subarray(start))); // a copy: the piece may be used again
      waitingBytes += bytes.length - start;
      checkLength(waitingBytes);
    }
    if (records.length > 0) yield records;
  }
  if (waitingBytes > 0) yield [{ bytes: Buffer.concat(waiting), line }];
}

/** The error of a record that is no JSON of one row. */
export function notJson(file: string, line: number, came: string): Error {
  return formatError(file, { line }, 'a list or an object in JSON on each line', came, ADVICE.content);
}
