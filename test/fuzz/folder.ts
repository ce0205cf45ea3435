import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

/** Where files need no disk, on Linux: a target writes some for each execution. */
const MEMORY = '/dev/shm';

/**
 * A folder for the files of one target, gone when its thread ends. When the process dies it still holds the
 * last input.
 */
export class ScratchFolder {
  readonly path: string;

  constructor() {
    this.path = fs.mkdtempSync(path.join(fs.existsSync(MEMORY) ? MEMORY : os.tmpdir(), 'set-native-fuzz-'));
    process.on('exit', () => fs.rmSync(this.path, { recursive: true, force: true }));
  }

  /** Writes a file and returns its path. */
  file(name: string, bytes: Uint8Array | string): string {
    const file = path.join(this.path, name);
    fs.writeFileSync(file, bytes);
    return file;
  }
}

/** Between the files of an input that stands for several: a control character that no format here has. */
export const SEPARATOR = '\x1c';

export function joined(...files: (string | Uint8Array)[]): Buffer {
  return Buffer.concat(
    files.flatMap((file, i) => [Buffer.from(i > 0 ? SEPARATOR : ''), Buffer.from(file as string)]),
  );
}

/**
 * The first `count` - 1 files end at separators, the last is what follows; files that are missing are empty.
 */
export function separated(bytes: Uint8Array, count: number): Uint8Array[] {
  const files: Uint8Array[] = [];
  let rest = bytes;
  while (files.length < count - 1) {
    const end = rest.indexOf(SEPARATOR.charCodeAt(0));
    files.push(end < 0 ? rest : rest.subarray(0, end));
    rest = end < 0 ? new Uint8Array() : rest.subarray(end + 1);
  }
  return [...files, rest];
}
