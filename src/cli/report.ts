import path from 'node:path';
import { Command } from 'commander';
import { SetNativeError } from '../errors.js';
import { reportSource, writeReport } from '../report/index.js';
import { filePath } from './options.js';

export function reportCommand(): Command {
  return new Command('report')
    .description('write the report of an experiment again, or one report of several')
    .argument('<dir...>', 'folders of `set-native bench --out`')
    .option('--out <dir>', 'where to write it (default: the folder, where there is one)', filePath)
    .addHelpText(
      'after',
      `
Writes report.html, which opens anywhere, and summary.json, summary.csv and figures/ beside it.

Examples:
  $ set-native report results
  $ set-native report monday tuesday --out both`,
    )
    .action(report);
}

async function report(dirs: string[], { out }: { out?: string }): Promise<void> {
  if (out === undefined && dirs.length > 1) {
    throw new SetNativeError(
      'ERR_USAGE',
      '[report] --out must name a folder for the report of several experiments',
      {
        details: { flag: '--out' },
      },
    );
  }
  const folder = out ?? dirs[0]!;
  const missing = await writeReport(folder, dirs.map(reportSource));
  if (missing !== undefined) process.stderr.write(`${missing}\n`);
  process.stdout.write(`${path.join(folder, 'report.html')}\n`);
}
