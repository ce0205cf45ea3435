/*
 * `npm run fuzz -- [target ...] [--runs N] [--seed S] [--input FILE] [--blind]`: fuzzes the parsers of bytes
 * from outside; docs/contributing.md says more.
 */
import path from 'node:path';
import { instrument } from './instrument.js';

await import(path.join(await instrument(), 'test/fuzz/main.js'));
