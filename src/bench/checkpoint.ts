import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { deserialize, serialize } from 'node:v8';
import { SetNativeError } from '../errors.js';
import { writeAtomically } from '../files.js';
import type { NativeLayer } from '../native.js';
import type { BenchRun } from './results.js';

/*
 * The state of a group of trials between two epochs, as a file: enough to go on to the same bits.
 *
 * Layout: a line of text that names the format, a line with the SHA-256 of the rest in hexadecimal, then the state as
 * node:v8 serialises it. A file that was cut or changed fails its sum and is never looked into.
 */

export interface GroupState {
  /** Epochs that every trial has behind it. */
  epoch: number;
  /** In the order of the group. */
  trials: {
    run: BenchRun;
    /** Absent when the training has failed: there is nothing to go on with. */
    layers?: NativeLayer[];
  }[];
}

const heading = 'set-native checkpoint 1';

export function writeCheckpoint(file: string, state: GroupState): void {
  const body = serialize(state);
  writeAtomically(file, [`${heading}\n${sumOf(body)}\n`, body]);
}

/** @throws SetNativeError ERR_IO (cannot be read), ERR_DATA_FORMAT (damaged, or not a checkpoint) */
export function readCheckpoint(file: string): GroupState {
  let bytes: Buffer;
  try {
    bytes = readFileSync(file);
  } catch (cause) {
    throw new SetNativeError('ERR_IO', `[bench] could not read ${file}: ${(cause as Error).message}`, { cause });
  }
  const body = bytes.subarray(heading.length + 66);
  const expected = `${heading}\n${sumOf(body)}\n`;
  if (bytes.subarray(0, expected.length).toString('latin1') !== expected) {
    throw new SetNativeError(
      'ERR_DATA_FORMAT',
      `[bench] ${file} is damaged or not a checkpoint of this version; delete it, and its trials start anew`,
      { details: { file } },
    );
  }
  return deserialize(body) as GroupState;
}

function sumOf(body: Uint8Array): string {
  return createHash('sha256').update(body).digest('hex');
}
