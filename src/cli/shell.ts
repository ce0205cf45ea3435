/*
 * Commands as text that a POSIX shell reads back as the same words.
 */

/** A word: as it is where that is plain, else in single quotes. */
function quoted(word: string): string {
  // `=` may not begin a plain word, for zsh looks up a program of that name.
  if (/^[\w@%+:,./-][\w@%+=:,./-]*$/.test(word)) return word;
  return `'${word.replaceAll("'", "'\\''")}'`;
}

/** The command line of these words. */
export function shellCommand(words: readonly string[]): string {
  return words.map(quoted).join(' ');
}

/** A file for such a command, as a word that is not taken for an option. */
export function pathWord(file: string): string {
  return file.startsWith('-') ? `./${file}` : file;
}
