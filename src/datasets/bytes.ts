import fs from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { SetNativeError } from '../errors.js';

/*
 * Bytes from outside: reading a file, unpacking it, and walking it without ever leaving it. Parsers take bytes and
 * the file's name, so that every error can say where.
 */

/** The most bytes a data file may hold, packed or unpacked: ten times what MNIST needs. */
export const MAX_FILE_BYTES = 2 ** 29;

/** A place in a file: a byte offset, or a line and column (both from 1). */
export interface Place {
  offset?: number;
  line?: number;
  column?: number;
}

/** `ERR_DATA_FORMAT` with a message of one form: file, place, what was expected, what came, what to do. */
export function formatError(
  file: string,
  place: Place,
  expected: string,
  came: string,
  cause?: unknown,
): SetNativeError {
  const where = [
    place.offset === undefined ? '' : `, byte ${place.offset}`,
    place.line === undefined ? '' : `, line ${place.line}`,
    place.column === undefined ? '' : `, column ${place.column}`,
  ].join('');
  return new SetNativeError(
    'ERR_DATA_FORMAT',
    `[data] ${file}${where}: expected ${expected}, came ${came}; the file is damaged or of another kind, fetch it again`,
    { details: { file, ...place, expected, came }, cause },
  );
}

/** Whether the bytes start as gzip does. */
function isGzip(bytes: Uint8Array): boolean {
  return bytes.length >= 2 && bytes[0] === 0x1f && bytes[1] === 0x8b;
}

/**
 * Unpacks gzip, told by its first two bytes; other bytes come back as they are.
 *
 * @param limit the most bytes the result may have, against gzip bombs
 * @throws SetNativeError ERR_DATA_FORMAT when cut off, damaged (checksum included) or larger than `limit`
 */
export function gunzip(bytes: Uint8Array, file: string, limit = MAX_FILE_BYTES): Uint8Array {
  if (!isGzip(bytes)) return bytes;
  try {
    return gunzipSync(bytes, { maxOutputLength: limit });
  } catch (cause) {
    throw unpackError(cause, file, {}, limit);
  }
}

/** What zlib threw while unpacking, as ERR_DATA_FORMAT. */
export function unpackError(cause: unknown, file: string, place: Place, limit: number): SetNativeError {
  const { code, message } = cause as NodeJS.ErrnoException;
  if (code === 'ERR_BUFFER_TOO_LARGE') {
    return formatError(file, place, `at most ${limit} bytes when unpacked`, 'more', cause);
  }
  return formatError(file, place, 'whole and undamaged compressed data', `"${message}" from zlib`, cause);
}

/**
 * Reads a whole file, unpacked if it is gzip (told by its content, not its name).
 *
 * @throws SetNativeError ERR_DATA_NOT_FOUND (no such file), ERR_IO (not readable, not a file), ERR_DATA_FORMAT (damaged
 *   gzip, or more than MAX_FILE_BYTES)
 */
export function readBytes(file: string): Uint8Array {
  let bytes: Uint8Array;
  try {
    const stat = fs.statSync(file);
    if (!stat.isFile()) {
      throw new SetNativeError('ERR_IO', `[data] ${file}: expected a file, came a folder or device; check the path`, {
        details: { file },
      });
    }
    if (stat.size > MAX_FILE_BYTES) throw formatError(file, {}, `at most ${MAX_FILE_BYTES} bytes`, `${stat.size}`);
    bytes = fs.readFileSync(file);
  } catch (cause) {
    if (cause instanceof SetNativeError) throw cause;
    const { code, message } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') {
      throw new SetNativeError('ERR_DATA_NOT_FOUND', `[data] ${file}: expected a file, there is none; check the path`, {
        details: { file },
        cause,
      });
    }
    throw new SetNativeError(
      'ERR_IO',
      `[data] ${file}: expected a readable file, came "${message}"; check its permissions`,
      {
        details: { file },
        cause,
      },
    );
  }
  return gunzip(bytes, file);
}

/** Walks bytes from front to back; asking for more than is there is ERR_DATA_FORMAT naming file and offset. */
export class ByteReader {
  offset = 0;
  private readonly view: DataView;

  /** @param base offset of `bytes` in the file, for messages */
  constructor(
    readonly bytes: Uint8Array,
    readonly file: string,
    public littleEndian = false,
    private readonly base = 0,
  ) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get remaining(): number {
    return this.bytes.length - this.offset;
  }

  /** An error at the current place, or at `offset`. */
  error(expected: string, came: string, offset = this.offset): SetNativeError {
    return formatError(this.file, { offset: this.base + offset }, expected, came);
  }

  /** Steps over `count` bytes of `what` and returns where they started. */
  private advance(count: number, what: string): number {
    if (count > this.remaining) throw this.error(`${count} bytes of ${what}`, `${this.remaining} to the end`);
    const start = this.offset;
    this.offset += count;
    return start;
  }

  u8(what: string): number {
    return this.view.getUint8(this.advance(1, what));
  }

  u16(what: string): number {
    return this.view.getUint16(this.advance(2, what), this.littleEndian);
  }

  u32(what: string): number {
    return this.view.getUint32(this.advance(4, what), this.littleEndian);
  }

  i32(what: string): number {
    return this.view.getInt32(this.advance(4, what), this.littleEndian);
  }

  /** A view (no copy) of the next `count` bytes. */
  take(count: number, what: string): Uint8Array {
    const start = this.advance(count, what);
    return this.bytes.subarray(start, start + count);
  }

  /** A reader of just the next `count` bytes. */
  window(count: number, what: string): ByteReader {
    const start = this.offset;
    return new ByteReader(this.take(count, what), this.file, this.littleEndian, this.base + start);
  }
}
