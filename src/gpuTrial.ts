import { native } from './native.js';
import type { BackendName } from './vocabulary.js';

/*
 * The program that tryApart starts: uses the back end that its argument names, and writes what is wrong in
 * one line. A driver that crashes takes down this process instead of the one that asked.
 */
const name = process.argv[2] as BackendName;
process.stdout.write(`${name}: ${native().tryOut(name).replaceAll('\n', ' ')}\n`);
