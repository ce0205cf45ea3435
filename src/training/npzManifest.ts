import path from 'node:path';
import { z } from 'zod';
import type { Encoding } from '../datasets/encoding.js';
import { SetNativeError } from '../errors.js';
import { boundedText } from '../files/bounded.js';
import type { NativeModelSpec } from '../native.js';
import { configOf, type Fail, readEncoding, readOptions } from './modelFile.js';
import type { ModelOptions } from './options.js';

/*
 * The `model.json` of a folder of layers: the options of the model, and what was done to the data. It is
 * there, as not complete, before the first layer is written, and complete after the last.
 */

export const operation = 'fromNpz';
const format = 'set-native-npz';
const formatVersion = 1;
export const manifestName = 'model.json';
export const layerPattern = /^layer\d+\.npz$/;
export const layerName = (k: number) => `layer${k}.npz`;

const bytesOf = (record: object) => Buffer.from(`${JSON.stringify(record, undefined, 2)}\n`);

/** The file while layers are written. */
export function begunManifest(): Uint8Array {
  return bytesOf({ format, formatVersion, complete: false });
}

/** The file of a whole export. */
export function manifestBytes({ spec, dense, epochs, encoding }: Manifest): Uint8Array {
  return bytesOf({
    ...{ format, formatVersion, complete: true, config: configOf(spec), dense, epochs, encoding },
  });
}

/** Whether a file is the model.json of an export, complete or not, of any version. */
export function isManifest(file: string): boolean {
  try {
    return (JSON.parse(boundedText(file)) as { format?: unknown } | null)?.format === format;
  } catch {
    return false;
  }
}

/** Makes the errors of a file, or of a folder. */
export const failure =
  (file: string): Fail =>
  (expected, came, cause) =>
    new SetNativeError('ERR_DATA_FORMAT', `[${operation}] ${file}: expected ${expected}, came ${came}`, {
      details: { file, expected, came },
      cause,
    });

const manifestSchema = z.strictObject({
  format: z.literal(format),
  formatVersion: z.literal(formatVersion),
  complete: z.literal(true),
  config: z.unknown(),
  dense: z.array(z.boolean()).min(1),
  epochs: z
    .number()
    .int()
    .min(0)
    .max(2 ** 32 - 2),
  encoding: z.unknown().optional(),
});

export interface Manifest {
  spec: NativeModelSpec;
  /** Of each layer, whether it is dense. */
  dense: boolean[];
  epochs: number;
  encoding: Encoding | undefined;
}

/** Reads the model.json of a folder. */
export function readManifest(folder: string, machine: Pick<ModelOptions, 'backend' | 'threads'>): Manifest {
  const file = path.join(folder, manifestName);
  let text: string;
  try {
    text = boundedText(file);
  } catch (cause) {
    const { message } = cause as Error;
    throw new SetNativeError(
      'ERR_IO',
      `[${operation}] could not read ${file}: ${message}; a folder without it is no export, and layers that ` +
        'Python made are given as a list of files',
      { details: { file }, cause },
    );
  }
  return parseManifest(text, file, machine);
}

/** Reads the text of a model.json. Throws ERR_DATA_FORMAT for any other. */
export function parseManifest(
  text: string,
  file: string,
  machine: Pick<ModelOptions, 'backend' | 'threads'>,
): Manifest {
  const fail = failure(file);
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch (cause) {
    throw fail('a text in JSON', (cause as Error).message.slice(0, 100), cause);
  }
  if ((content as Partial<Manifest & { complete: unknown }> | null)?.complete === false) {
    throw fail('a whole export', 'one that was not finished: export the model again');
  }
  const { data, error } = manifestSchema.safeParse(content);
  if (error !== undefined) {
    const { path: keys, message } = error.issues[0]!;
    throw fail('what exportNpz writes', `${keys.join('.')}: ${message}`.slice(0, 300), error);
  }
  const spec = readOptions(JSON.stringify(data.config), machine, fail);
  if (data.dense.length !== spec.sizes.length - 1) {
    throw fail(`dense of ${spec.sizes.length - 1} layers`, `${data.dense.length}`);
  }
  const { dense, epochs, encoding } = data;
  const kept = encoding === undefined ? undefined : JSON.stringify(encoding);
  return { spec, dense, epochs, encoding: readEncoding(kept, spec, fail) };
}
