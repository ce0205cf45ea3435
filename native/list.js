/*
 * `node list.js KEY ...` writes what sources.json has under these keys, a list as the words of a command, for
 * binding.gyp. CMakeLists.txt reads the same file by itself.
 */
import { readFileSync } from 'node:fs';
import path from 'node:path';

let value = JSON.parse(readFileSync(path.join(import.meta.dirname, 'sources.json'), 'utf8'));
for (const key of process.argv.slice(2)) value = value[key];
const words = (items) => items.map((item) => JSON.stringify(item)).join(' ');
console.log(Array.isArray(value) ? words(value) : value);
