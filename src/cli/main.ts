#!/usr/bin/env node
import { Command, CommanderError } from 'commander';
import pc from 'picocolors';
import { isSetNativeError } from '../errors.js';
import { version } from '../info.js';
import { takesEscapeCodes } from '../report/terminal/escapeCodes.js';
import { benchCommand } from './bench.js';
import { dataCommand } from './data.js';
import { exitCode, messageFor } from './errors.js';
import { infoCommand } from './info.js';
import { reportCommand } from './report.js';
import { selectCommand } from './select.js';
import { endStopped, heedSignals } from './signals.js';
import { restoreTerminalAtExit } from './terminal.js';

/*
 * Exit codes: 0 done, 1 failed, 2 wrong command line, 128 + n stopped by signal n (130: Ctrl-C).
 */

function program(): Command {
  return new Command('set-native')
    .description('Truly sparse neural-network training: SET and SET-motif on native CSR kernels')
    .version(version(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .enablePositionalOptions() // so that bench can leave to `bench kernels` what follows it
    .addCommand(benchCommand())
    .addCommand(reportCommand())
    .addCommand(selectCommand())
    .addCommand(dataCommand())
    .addCommand(infoCommand())
    .addHelpText('after', '\nset-native <command> --help explains a command.');
}

/** Subcommands made apart do not inherit these. */
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

// The reader of a pipe may leave early (`| head`), and a terminal be closed: that is no failure, and what is
// left to do, files above all, is done.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE' || (error.code === 'EIO' && process.stdout.isTTY)) return;
  process.exitCode = 1;
  report(error);
});
process.stderr.on('error', () => {}); // progress is for whoever looks on

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
