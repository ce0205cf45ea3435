/**
 * Whether escape codes (colours, bars, a line that changes) may be written to `stream`: only to a terminal
 * that knows them, and not where NO_COLOR or CI says that the text is kept or read by a program. Without TERM
 * nothing is known of the terminal.
 */
export function takesEscapeCodes(stream: { isTTY?: boolean }, env: NodeJS.ProcessEnv = process.env): boolean {
  const { TERM, NO_COLOR, CI } = env;
  const dumb = TERM === 'dumb' || (!TERM && process.platform !== 'win32');
  return stream.isTTY === true && !dumb && !NO_COLOR && (!CI || CI === 'false' || CI === '0');
}
