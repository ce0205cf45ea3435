import { native } from './native.js';
import type { BackendName } from './vocabulary.js';

/*
 * Program that tryGpusApart starts: it uses the back end that its argument names, and writes in one line what
 * is wrong. A driver that crashes ends this process and not the one that asked.
 */
const name = process.argv[2] as BackendName;
process.stdout.write(`${name}: ${native().tryOut(name).replaceAll('\n', ' ')}\n`);
