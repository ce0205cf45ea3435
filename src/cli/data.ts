import cliProgress from 'cli-progress';
import { Argument, Command } from 'commander';
import { type PullOptions, pullable, pullDataset } from '../datasets/pull.js';
import { type DatasetListing, listDatasets } from '../datasets/registry.js';
import { takesEscapeCodes } from '../report/terminal/escapeCodes.js';
import { plainTable } from '../report/terminal/plainTable.js';
import { filePath, oneOf } from './options.js';
import { interruptible } from './signals.js';
import { type Display, plainDisplay } from './terminal.js';

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
    .option(
      '--data-dir <dir>',
      'put it here (default: SET_NATIVE_DATA, or the cache in the home folder)',
      filePath,
    )
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
  const display = takesEscapeCodes(process.stderr) ? bars() : plainLines();
  let fetched = false;
  const onProgress: OnProgress = (...progress) => {
    fetched = true;
    display.onProgress(...progress);
  };
  const folder = await interruptible(display, (signal) =>
    pullDataset(name, { signal, onProgress, ...(dataDir && { dataDir }), ...(from && { from }) }),
  );
  process.stdout.write(`${name}: ${fetched ? 'fetched into' : 'whole already, in'} ${folder}\n`);
}

type OnProgress = NonNullable<PullOptions['onProgress']>;

const megabytes = (bytes: number) => (bytes / 1e6).toFixed(1);

/** Display of one bar per file. */
function bars(): Display & { onProgress: OnProgress } {
  const all = new cliProgress.MultiBar({
    format: '{file} [{bar}] {percentage} % of {size} MB',
    stream: process.stderr,
    clearOnComplete: false,
    gracefulExit: false, // the program handles signals itself
  });
  const shown = new Map<string, cliProgress.SingleBar>();
  return {
    onProgress(file, received, total) {
      if (!shown.has(file)) shown.set(file, all.create(total, 0, { file, size: megabytes(total) }));
      shown.get(file)?.update(received);
    },
    log(line) {
      all.log(`${line}\n`);
      all.update(); // now, since stop() forgets lines that were not shown yet
    },
    stop() {
      if (all.isActive) all.stop();
    },
  };
}

/** Display of one line per quarter of a file. */
function plainLines(): Display & { onProgress: OnProgress } {
  const quarters = new Map<string, number>();
  return {
    ...plainDisplay,
    onProgress(file, received, total) {
      const quarter = Math.floor((4 * received) / total);
      if (quarter === (quarters.get(file) ?? 0)) return;
      quarters.set(file, quarter);
      plainDisplay.log(`${file}  ${25 * quarter} % of ${megabytes(total)} MB`);
    },
  };
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
