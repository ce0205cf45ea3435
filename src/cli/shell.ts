/*
 * Commands as text that a POSIX shell splits into the same words.
 */

/** A word, in single quotes unless it is plain. */
function quoted(word: string): string {
  // `=` may not begin a plain word, for zsh looks up a program of that name.
  if (/^[\w@%+:,./-][\w@%+=:,./-]*$/.test(word)) return word;
  return `'${word.replaceAll("'", "'\\''")}'`;
}

/** Command line of these words. */
export function shellCommand(words: readonly string[]): string {
  return words.map(quoted).join(' ');
}

/** A file as a word that no command takes for an option. */
export function pathWord(file: string): string {
  return file.startsWith('-') ? `./${file}` : file;
}
