import path from 'node:path';
import { checkChoice, invalid } from '../checks.js';
import { SetNativeError } from '../errors.js';
import { readCsv } from './readCsv.js';
import { loadDataset } from './registry.js';
import { type MissingRule, missingRules } from './table.js';
import type { Dataset } from './types.js';

/*
 * Data as the options of an experiment or a selection name them: a known data set, or a table in CSV.
 */

/** Options of a table, which take the place of the files of a known data set. */
export interface TableChoice {
  /** A table in CSV, .gz or not: `dataset` is then any name for it. */
  csv?: string;
  /** Name of the label column of `csv`. Default: the last column. */
  label?: string;
  /** Columns of `csv` that are features. Default: all but the label. */
  columns?: readonly string[];
  /** What becomes of rows of `csv` that lack a value. Default `refuse`. */
  missing?: MissingRule;
  /** Character between the cells of `csv`. Default: found out. */
  delimiter?: string;
}

export const tableChoiceKeys = [
  'csv',
  'label',
  'columns',
  'missing',
  'delimiter',
] as const satisfies (keyof TableChoice)[];

/** Throws ERR_INVALID_ARGUMENT, naming the option, unless the options of a table are sound. */
export function checkTableChoice(operation: string, choice: TableChoice): void {
  for (const option of ['csv', 'label', 'delimiter'] as const) {
    const value = choice[option];
    if (value !== undefined && (typeof value !== 'string' || value === ''))
      throw invalid(operation, option, 'a text that is not empty', value);
  }
  const { columns } = choice;
  if (columns !== undefined && !(Array.isArray(columns) && columns.every((name) => typeof name === 'string')))
    throw invalid(operation, 'columns', 'a list of names', columns);
  if (choice.missing !== undefined) checkChoice(operation, 'missing', choice.missing, missingRules);
  const alone = tableChoiceKeys.find((key) => choice[key] !== undefined);
  if (choice.csv === undefined && alone !== undefined) {
    throw new SetNativeError('ERR_INVALID_ARGUMENT', `[${operation}] ${alone} must be absent without csv`, {
      details: { option: alone, value: choice[alone] },
    });
  }
}

/** Loads what the options name. Throws as `readCsv` and `loadDataset` do. */
export function loadChoice(choice: TableChoice & { dataset: string; dataDir?: string | undefined }): Dataset {
  const { dataset, dataDir, csv, label, columns, missing, delimiter } = choice;
  if (csv === undefined) return loadDataset(dataset, dataDir === undefined ? {} : { dataDir });
  return readCsv(csv, {
    name: dataset,
    ...(label !== undefined && { label }),
    ...(columns && { columns }),
    ...(missing && { missing }),
    ...(delimiter !== undefined && { delimiter }),
  });
}

/** What to do where work that goes on finds other data than it began with. */
export function sameFiles({ csv }: TableChoice): string {
  return csv === undefined ? 'point `dataDir` at the same files' : 'name the same table with `csv`';
}

/** The same options with absolute paths, which hold wherever work goes on. */
export function absoluteChoice<T extends TableChoice & { dataDir?: string }>(choice: T): T {
  return {
    ...choice,
    ...(choice.dataDir !== undefined && { dataDir: path.resolve(choice.dataDir) }),
    ...(choice.csv !== undefined && { csv: path.resolve(choice.csv) }),
  };
}
