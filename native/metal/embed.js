/*
 * Makes one source text of the Metal kernels, for a compiler that knows no files: every file of kernels/ and
 * each header that they include, once, and the instances of templates last. `node embed.js OUT` writes the
 * text as C++ that defines what metal/source.h declares.
 */
import { readdirSync, readFileSync, realpathSync, writeFileSync } from 'node:fs';
import path from 'node:path';

const native = path.dirname(import.meta.dirname);

/** The parts of shared headers that only host code reads: from this line to its #else or #endif. */
const hostPart = /(?<=^#if !defined\(__METAL_VERSION__\)\n)[\s\S]*?(?=^#(?:else|endif))/gm;
const blank = (text) => text.replace(/[^\n]/g, '');

/** Returns the text of kernels/*.metal, or of the files given: paths below native/. */
export function flatten(files = kernelFiles()) {
  const seen = new Set();
  const lines = ['#include <metal_stdlib>'];
  const add = (file) => {
    if (seen.has(file)) return;
    seen.add(file);
    lines.push(`#line 1 "${file}"`);
    const text = readFileSync(path.join(native, file), 'utf8').replace(hostPart, blank).split('\n');
    text.forEach((line, number) => {
      const [, quoted] = /^#include "(.*)"/.exec(line) ?? [];
      if (quoted !== undefined) {
        add(quoted);
        lines.push(`#line ${number + 2} "${file}"`);
      } else {
        lines.push(/^#(include <|pragma once)/.test(line) ? '' : line);
      }
    });
  };
  for (const file of files) add(file);
  return `${lines.join('\n')}\n`;
}

function kernelFiles() {
  const kernels = readdirSync(path.join(native, 'metal/kernels'))
    .filter((name) => name.endsWith('.metal') && name !== 'instances.metal')
    .sort();
  return [...kernels, 'instances.metal'].map((name) => `metal/kernels/${name}`);
}

/** Returns the text as a string literal in pieces, because compilers limit the length of one. */
function literal(text) {
  return text
    .match(/[\s\S]{1,8000}(?:\n|$)/g)
    .map((piece) => `R"metal(${piece})metal"`)
    .join('\n');
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === import.meta.filename) {
  const [out] = process.argv.slice(2);
  if (out === undefined) throw new Error('usage: node embed.js OUT.cpp');
  writeFileSync(
    out,
    `#include "metal/source.h"\n\nconst char* const set_native::metal::kSource =\n${literal(flatten())};\n`,
  );
}
