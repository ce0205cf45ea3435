import { closeSync } from 'node:fs';
import tty from 'node:tty';

/*
 * What of the progress of a command is on the terminal, and how it comes off again however the program ends.
 */

/** Shows how a command gets on. */
export interface Display {
  /** A line that stays. */
  log(line: string): void;
  /** Puts the terminal back as it was; may be called more than once. */
  stop(): void;
}

/** A display of lines only, on standard error. */
export const plainDisplay: Display = {
  log: (line) => void process.stderr.write(`${line}\n`),
  stop() {},
};

let current: Display | undefined;

/** From now on `display` is stopped when the program ends, through an exception that nobody catches too. */
export function show(display: Display): void {
  current = display;
}

/** Puts the terminal back as it was. */
export function unshow(): void {
  current?.stop();
  current = undefined;
}

/** To be called once, when the program starts. */
export function restoreTerminalAtExit(): void {
  const terminals = [0, 1, 2].filter((file) => tty.isatty(file));
  process.on('exit', () => {
    unshow();
    for (const file of terminals) {
      // Node aborts when it cannot reset a terminal that has been closed; it leaves closed files alone.
      if (!tty.isatty(file)) closeSync(file);
    }
  });
}
