import type { Preset } from '../experiment/presets.js';
import { pathWord, shellCommand } from './shell.js';

/*
 * Command lines that a user can type.
 */

/** The command line that resumes the experiment or selection in `dir`. */
export function resumeCommand(command: string, dir: string): string {
  return shellCommand(['set-native', command, '--resume', pathWord(dir)]);
}

/** The command line that a preset stands for. */
export function presetCommand({ options }: Preset): string {
  const flags = Object.entries(options).flatMap(([option, value]) => [`--${flagOf(option)}`, String(value)]);
  return shellCommand(['set-native', 'bench', ...flags]);
}

function flagOf(option: string): string {
  if (option === 'readings') return 'reading';
  return option.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}
