import { existsSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { SetNativeError } from '../errors.js';
import { damaged, parseRecord, readLines, readText, type Writer } from '../files/records.js';
import { type SelectionConfig, selectionConfig, selectionKeys } from './config.js';
import type { Finished, Selection, SelectionRun, WholeNetwork } from './results.js';
import { runName } from './run.js';
import { featureCount } from './strength.js';

/*
 * Reading back the folder of a selection. Its files may have been cut, edited, put together or written by
 * another version: whatever results.ts does not describe, or does not belong to the selection, is refused.
 */

export const names = { results: 'selection.json', runs: 'runs.jsonl' };

export const writer: Writer = { operation: 'select', name: '`set-native select`' };

const count = z.number().int().nonnegative();
const fraction = z.number().min(0).max(1);

const selection = z.object({
  config: z.looseObject({ dataset: z.string() }), // selectionConfig checks the rest of it
  dataset: z.object({
    name: z.string(),
    features: count,
    classes: count,
    train: count,
    test: count,
    note: z.string().optional(),
    image: z.object({ width: count, height: count }).optional(),
    source: z.string(),
    sha256: z.string().regex(/^[0-9a-f]{64}$/),
  }),
  environment: z.object({ version: z.string(), cpu: z.string(), isa: z.string().nullable() }),
  notes: z.array(z.string()),
  complete: z.boolean(),
});

const run = z.object({
  seed: count,
  keep: z.number(),
  features: z.array(count),
  accuracy: fraction,
  randomAccuracy: fraction,
});

const network = z.object({ seed: count, accuracy: fraction, strength: z.array(z.number().nonnegative()) });

/** Throws ERR_INVALID_ARGUMENT unless `dir` is the folder of a selection. */
export function requireSelection(dir: string): void {
  if (existsSync(path.join(dir, names.results))) return;
  throw new SetNativeError(
    'ERR_INVALID_ARGUMENT',
    `[select] expected the folder of a selection, as ${writer.name} makes it, but ${dir} has no ${names.results}`,
    { details: { option: 'dir', dir } },
  );
}

/**
 * Reads the selection in `dir`, and what is finished of it. A last line without an end, which a kill may
 * leave, is passed over.
 *
 * @throws SetNativeError ERR_INVALID_ARGUMENT (no selection there), ERR_IO (cannot be read), ERR_DATA_FORMAT
 * (anything that this program does not write; a run that is there twice, or that the selection does not have)
 */
export function readSelection(dir: string): { selection: Selection; finished: Finished } {
  requireSelection(dir);
  const head = path.join(dir, names.results);
  const list = path.join(dir, names.runs);
  const found = parseRecord(selection, readText(head, writer), head, writer) as unknown as Selection;
  found.config = configOf(found, head);
  const finished: Finished = { networks: [], runs: [] };
  const lineOf = new Map<string, number>();
  for (const [i, text] of readLines(list, writer).entries()) {
    const where = `${list}, line ${i + 1}`;
    const isRun = /^\{"seed":\d+,"keep":/.test(text);
    const record = parseRecord<SelectionRun | WholeNetwork>(isRun ? run : network, text, where, writer);
    const wrong = 'keep' in record ? wrongRun(record, found) : wrongNetwork(record, found);
    if (wrong !== undefined) throw damaged(where, wrong, writer);
    const key = runName(record);
    const first = lineOf.get(key);
    if (first !== undefined)
      throw damaged(where, `is of ${key}, as line ${first}; delete one of them`, writer);
    lineOf.set(key, i + 1);
    if ('keep' in record) finished.runs.push(record);
    else finished.networks.push(record);
  }
  return { selection: found, finished };
}

/** The options of a selection, checked; those that only a later version knows are left out. */
function configOf({ config }: Selection, where: string): SelectionConfig {
  const known = Object.entries(config).filter(([key]) => (selectionKeys as readonly string[]).includes(key));
  try {
    return selectionConfig(Object.fromEntries(known) as unknown as SelectionConfig);
  } catch (cause) {
    throw damaged(where, `has a config that cannot be: ${(cause as Error).message}`, writer, cause);
  }
}

function isSeedOf(seed: number, config: SelectionConfig): boolean {
  return seed >= config.seed && seed < config.seed + config.runs;
}

/** What is wrong, as the rest of a sentence; undefined where the run can be one of the selection. */
function wrongRun(record: SelectionRun, { config, dataset }: Selection): string | undefined {
  const { seed, keep, features } = record;
  const known = isSeedOf(seed, config) && config.keep.includes(keep);
  if (!known) return `is of a run that the selection does not have: ${runName(record)}`;
  const expected = featureCount(keep, dataset.features);
  const ascending = features.every(
    (feature, i) => feature < dataset.features && (i === 0 || feature > features[i - 1]!),
  );
  if (features.length === expected && ascending) return undefined;
  return `has features that are not ${expected} of ${dataset.features}, ascending`;
}

function wrongNetwork(record: WholeNetwork, { config, dataset }: Selection): string | undefined {
  if (!isSeedOf(record.seed, config))
    return `is of a network that the selection does not have: ${runName(record)}`;
  const { length } = record.strength;
  const { features } = dataset;
  return length === features
    ? undefined
    : `has strength of ${length} inputs, where there are ${features} features`;
}
