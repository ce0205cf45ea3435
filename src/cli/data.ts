import cliProgress from 'cli-progress';
import { Argument, Command } from 'commander';
import { pullable, pullDataset } from '../datasets/pull.js';
import { type DatasetListing, listDatasets } from '../datasets/registry.js';
import { plainTable } from '../table.js';
import { filePath, oneOf } from './options.js';
import { interruptible } from './terminal.js';

export function dataCommand(): Command {
  return new Command('data')
    .description('data sets: what there is and where')
    .addCommand(listCommand())
    .addCommand(pullCommand());
}

function listCommand(): Command {
  return new Command('list')
    .description('list the data sets known by name, and where their files were found')
    .option('--data-dir <dir>', 'look here (also: SET_NATIVE_DATA)', filePath)
    .option('--json', 'print it as JSON')
    .addHelpText(
      'after',
      `
Looked in: --data-dir, else SET_NATIVE_DATA, else the user's cache (~/.cache/set-native/data); there in a folder named
like the data set, then in the folder itself.

MNIST and Fashion-MNIST have the same file names: their labels tell them apart. Files with other labels load with a note:
as what their folder is called, mnist or fashion-mnist; from another folder as fashion-mnist, or as mnist where their names
have a dot (train-images.idx3-ubyte).

Examples:
  $ set-native data list
  $ set-native data list --data-dir ~/data --json`,
    )
    .action(({ json, dataDir }: { json?: boolean; dataDir?: string }) => {
      const listings = listDatasets({ dataDir });
      process.stdout.write(`${json ? JSON.stringify(listings, undefined, 2) : describe(listings)}\n`);
    });
}

function pullCommand(): Command {
  return new Command('pull')
    .description('fetch a data set from where its authors publish it, and check it')
    .addArgument(new Argument('<name>', pullable.join(', ')).argParser(oneOf(pullable)))
    .option('--data-dir <dir>', 'put it here (default: SET_NATIVE_DATA, or the cache in the home folder)', filePath)
    .option('--from <place>', 'a mirror that has the same files: its address, or a folder', filePath)
    .addHelpText(
      'after',
      `
Files that are there and whole are not fetched again. A file counts as fetched when its SHA-256 is the known one.
HTTP_PROXY, HTTPS_PROXY and NO_PROXY hold.

Examples:
  $ set-native data pull fashion-mnist
  $ set-native data pull cifar10 --data-dir ~/data
  $ set-native data pull mnist --from /srv/mirror`,
    )
    .action(pull);
}

async function pull(name: string, { dataDir, from }: { dataDir?: string; from?: string }): Promise<void> {
  const bars = new cliProgress.MultiBar({
    format: '{file} [{bar}] {percentage} % of {size} MB',
    stream: process.stderr,
    clearOnComplete: false,
  });
  const shown = new Map<string, cliProgress.SingleBar>();
  const onProgress = (file: string, received: number, total: number) => {
    if (!shown.has(file)) shown.set(file, bars.create(total, 0, { file, size: (total / 1e6).toFixed(1) }));
    shown.get(file)?.update(received);
  };
  const log = (text: string) => process.stderr.write(`${text}\n`);
  try {
    const folder = await interruptible(log, (signal) =>
      pullDataset(name, { signal, onProgress, ...(dataDir && { dataDir }), ...(from && { from }) }),
    );
    bars.stop();
    process.stdout.write(`${name}: ${shown.size > 0 ? 'fetched into' : 'whole already, in'} ${folder}\n`);
  } finally {
    bars.stop();
  }
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
