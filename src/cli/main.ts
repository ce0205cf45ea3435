#!/usr/bin/env node
import { Command, CommanderError } from 'commander';
import pc from 'picocolors';
import { isSetNativeError } from '../errors.js';
import { version } from '../info.js';
import { takesEscapeCodes } from '../report/terminal/escapeCodes.js';
import { benchCommand } from './bench.js';
import { buildCommand } from './build.js';
import { dataCommand } from './data.js';
import { exitCode, messageFor } from './errors.js';
import { infoCommand } from './info.js';
import { inspectCommand } from './inspect.js';
import { predictCommand } from './predict.js';
import { reportCommand } from './report.js';
import { selectCommand } from './select.js';
import { endStopped, heedSignals } from './signals.js';
import { restoreTerminalAtExit } from './terminal.js';
import { trainCommand } from './train.js';

/*
 * Exit codes: 0 done, 1 failed, 2 wrong command line, 128 + n stopped by signal n (130: Ctrl-C).
 */

function program(): Command {
  return new Command('set-native')
    .description('Truly sparse neural-network training: SET and SET-motif on native CSR kernels')
    .version(version(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .enablePositionalOptions() // options behind `bench kernels` are options of it
    .addCommand(trainCommand())
    .addCommand(predictCommand())
    .addCommand(inspectCommand())
    .addCommand(benchCommand())
    .addCommand(reportCommand())
    .addCommand(selectCommand())
    .addCommand(dataCommand())
    .addCommand(infoCommand())
    .addCommand(buildCommand())
    .addHelpText('after', '\nset-native <command> --help explains a command.');
}

/** Configures a command and its subcommands, which do not inherit these settings. */
function settle(command: Command): Command {
  command.exitOverride().showHelpAfterError(`(${path(command)} --help lists what there is)`);
  command.helpOption('-h, --help', 'print this help');
  command.commands.forEach(settle);
  return command;
}

function path(command: Command): string {
  return command.parent ? `${path(command.parent)} ${command.name()}` : command.name();
}

restoreTerminalAtExit();
heedSignals();

// A reader of a pipe that leaves early (`| head`) or a closed terminal is no failure: the remaining work,
// files above all, is still done.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE' || (error.code === 'EIO' && process.stdout.isTTY)) return;
  process.exitCode = 1;
  report(error);
});
process.stderr.on('error', () => {}); // a lost line of progress is no failure

const all = settle(program());
/** The command that runs. */
let running = all;
all.hook('preAction', (_, command) => {
  running = command;
});
try {
  await all.parseAsync();
} catch (error) {
  if (isSetNativeError(error, 'ERR_ABORTED')) endStopped();
  else {
    process.exitCode = exitCode(error);
    // commander has printed its own errors already
    if (!(error instanceof CommanderError)) report(error as Error);
  }
}

function report(error: Error): void {
  const { red } = pc.createColors(takesEscapeCodes(process.stderr));
  process.stderr.write(`${red('error:')} ${messageFor(running, error)}\n`);
  if (process.env.SET_NATIVE_DEBUG) process.stderr.write(`${error.stack}\n`);
}
