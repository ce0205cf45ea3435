import { type Command, CommanderError } from 'commander';
import { isSetNativeError, SetNativeError } from '../errors.js';
import { resumeCommand } from './commandLines.js';

/*
 * Errors for the user of a command. The library names its options, such as `dataDir`; only this file turns
 * them into the flags of the command, such as --data-dir.
 */

/** Attributes of flags whose name differs from that of the option of the library. */
const otherNames: Record<string, string> = { dir: 'resume', readings: 'reading' };

/**
 * Message of an error, with flags of `command` in the place of options. The library names an option either at
 * the start of a message, `[operation] option must`, or in backquotes.
 */
export function messageFor(command: Command, error: Error): string {
  const flagOf = (option: string) =>
    command.options.find((each) => each.attributeName() === (otherNames[option] ?? option))?.long;
  const message = error.message
    .replace(/(\] )(\w+)(?= must\b)/g, (text, start, option) => {
      const flag = flagOf(option);
      return flag ? `${start}${flag}` : text;
    })
    .replace(/`(\w+)`/g, (text, option) => flagOf(option) ?? text);
  const begun = isSetNativeError(error, 'ERR_IN_USE') ? error.details.begun : undefined;
  return begun === undefined ? message : `${message}; go on with: ${resumeCommand(command.name(), begun)}`;
}

/** Exit code of the program: 2 where the command line must be changed, else 1. */
export function exitCode(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  if (!(error instanceof SetNativeError)) return 1;
  return error.code === 'ERR_USAGE' || error.details.option !== undefined ? 2 : 1;
}
