import { native } from './native.js';

/*
 * The program that tryCudaApart starts: opens library and device, and writes what is wrong in one line. A driver that
 * crashes takes down this process instead of the one that asked.
 */
process.stdout.write(`cuda: ${native().tryCuda().replaceAll('\n', ' ')}\n`);
