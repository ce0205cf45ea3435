import { existsSync, statSync } from 'node:fs';
import { Command } from 'commander';
import { type DatasetListing, listDatasets } from '../datasets/registry.js';
import { plainTable } from '../table.js';
import { filePath } from './options.js';

export function dataCommand(): Command {
  return new Command('data').description('data sets: what there is and where').addCommand(listCommand());
}

function listCommand(): Command {
  return new Command('list')
    .description('list the data sets known by name, and where their files were found')
    .option('--data-dir <dir>', 'look here first (also: SET_NATIVE_DATA)', filePath)
    .option('--json', 'print it as JSON')
    .addHelpText(
      'after',
      `
Looked in: --data-dir, SET_NATIVE_DATA, the user's cache (~/.cache/set-native/data); there also in a folder named
like the data set.

Examples:
  $ set-native data list
  $ set-native data list --data-dir ~/data --json`,
    )
    .action(({ json, dataDir }: { json?: boolean; dataDir?: string }) => {
      if (dataDir !== undefined && !(existsSync(dataDir) && statSync(dataDir).isDirectory())) {
        process.stderr.write(`There is no folder ${dataDir} (--data-dir).\n`);
      }
      const listings = listDatasets({ dataDir });
      process.stdout.write(`${json ? JSON.stringify(listings, undefined, 2) : describe(listings)}\n`);
    });
}

function describe(listings: DatasetListing[]): string {
  const columns = ['name', 'train', 'test', 'features', 'classes', 'found in'].map((heading, i) => ({
    heading,
    align: i >= 1 && i <= 4 ? ('right' as const) : ('left' as const),
  }));
  const rows = listings.map(({ name, shape: { train, test, features, classes }, where, note }) => [
    name,
    String(train),
    String(test ?? 'split'),
    String(features),
    String(classes),
    `${where ?? 'not found'}${note === undefined ? '' : ` (${note})`}`,
  ]);
  return plainTable(columns, rows);
}
