import { closeSync } from 'node:fs';
import tty from 'node:tty';

/*
 * Progress on the terminal, which is removed however the program ends.
 */

/** Display of the progress of a command. */
export interface Display {
  /** Writes a line that stays. */
  log(line: string): void;
  /** Restores the terminal; may be called more than once. */
  stop(): void;
}

/** A display of lines only, on standard error. */
export const plainDisplay: Display = {
  log: (line) => void process.stderr.write(`${line}\n`),
  stop() {},
};

let current: Display | undefined;

/** Makes sure that `display` is stopped when the program ends, also by an exception that nobody catches. */
export function show(display: Display): void {
  current = display;
}

/** Restores the terminal. */
export function unshow(): void {
  current?.stop();
  current = undefined;
}

/** Restores the terminals when the program ends. Called once, when the program starts. */
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
