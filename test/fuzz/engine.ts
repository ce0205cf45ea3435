import { getHeapStatistics } from 'node:v8';
import { SetNativeError } from '../../src/errors.js';
import { mutate } from './mutate.js';
import { Random } from './random.js';
import { restart, takeBranches } from './trace.js';

/*
 * A fuzzer guided by coverage: inputs that make the code take a branch it has not taken, or take one more
 * often, or refuse with another sentence, are kept and changed further. The same target, seed and number of
 * executions give the same inputs, on any machine.
 */

/** What is fuzzed. */
export interface Target {
  name: string;
  /** Valid files, small ones. */
  seeds: Uint8Array[];
  /** Words of the format. */
  tokens?: (string | Uint8Array)[];
  /**
   * Another change of an input than those of its bytes, used for three inputs of four; undefined where it
   * does not apply.
   */
  mutate?: (bytes: Buffer, random: Random) => Uint8Array | undefined;
  /**
   * Reads an input, now or by a promise, and throws unless what came of it is as promised. Refusals are
   * SetNativeErrors, of these codes.
   */
  read(bytes: Uint8Array): unknown;
  codes: string[];
  /** What the message of a refusal must hold: the name of the file. */
  file: string;
  /** Bytes that reading one input may take. */
  memory: number;
  /** Executions in the short run of `npm test`. */
  short: number;
}

export interface Failure {
  /** Which execution, from 1. */
  execution: number;
  input: Buffer;
  reason: string;
}

export interface Outcome {
  executions: number;
  accepted: number;
  refused: number;
  /** Inputs kept. */
  corpus: number;
  failure?: Failure;
}

export interface Limits {
  runs: number;
  seed: number;
  /** False: inputs are changed as always, but no coverage is looked at. */
  guided?: boolean;
  /** Told every input before it is read, and its number. */
  watch?: (input: Uint8Array, execution: number) => void;
}

const SLOWEST_MS = 1000;
const MOST_SENTENCES = 200;

export async function fuzz(target: Target, { runs, seed, guided = true, watch }: Limits): Promise<Outcome> {
  const random = new Random(seed);
  restart();
  const corpus: Buffer[] = target.seeds.map((bytes) => Buffer.from(bytes));
  const accepted = corpus.slice();
  const tokens = (target.tokens ?? []).map((token) => Buffer.from(token as string));
  const longest = Math.max(4096, ...corpus.map((bytes) => 2 * bytes.length));
  const seen = new Map<number, number>();
  const sentences = new Set<string>();
  const outcome: Outcome = { executions: 0, accepted: 0, refused: 0, corpus: 0 };

  /** Reads one input, and keeps it when it shows something new. */
  const execute = async (input: Buffer): Promise<void> => {
    outcome.executions++;
    watch?.(input, outcome.executions);
    const { reason, refusal } = await attempt(target, input);
    if (reason !== undefined) {
      outcome.failure = { execution: outcome.executions, ...(await minimise(target, input, reason)) };
      return;
    }
    outcome[refusal === undefined ? 'accepted' : 'refused']++;
    let isNew = false;
    takeBranches((branch, bucket) => {
      const before = seen.get(branch) ?? 0;
      const after = before | (1 << bucket);
      if (after === before) return;
      seen.set(branch, after);
      isNew = true;
    });
    if (refusal !== undefined && sentences.size < MOST_SENTENCES) {
      const before = sentences.size;
      sentences.add(sentenceOf(refusal));
      isNew ||= sentences.size > before;
    }
    if (!isNew || !guided) return;
    corpus.push(input);
    if (refusal === undefined) accepted.push(input);
  };

  const more = () => outcome.executions < runs && outcome.failure === undefined;
  for (const input of plainChanges(corpus.slice())) {
    if (!more()) break;
    await execute(input);
  }
  while (more()) {
    // Accepted ones lead further in; and the latest come oftener, for what is new in them has been tried
    // least.
    const from = random.once(2) ? accepted : corpus;
    let input = from[Math.max(random.below(from.length), random.below(from.length))]!;
    const byValue = target.mutate !== undefined && !random.once(4);
    for (
      let changes = random.once(2) ? 1 : 1 + random.below(random.once(4) ? 16 : 4);
      changes > 0;
      changes--
    ) {
      const changed = byValue ? target.mutate!(input, random) : undefined;
      input = Buffer.from(changed ?? mutate(input, random, corpus, tokens)).subarray(0, longest);
    }
    await execute(input);
  }
  outcome.corpus = corpus.length;
  return outcome;
}

/**
 * A refusal without what is of the input in it: texts, numbers, what came, what another parser says in
 * brackets.
 */
function sentenceOf(refusal: string): string {
  return refusal.split(/, came |\(/, 1)[0]!.replace(/"(?:[^"\\]|\\.)*"|\w*\d\w*/g, '#');
}

/** Each seed whole, cut at every length, and with every byte changed in several ways. */
export function* plainChanges(seeds: Buffer[]): Generator<Buffer> {
  yield* seeds;
  for (const seed of seeds.filter(({ length }) => length <= 512)) {
    for (let length = 0; length < seed.length; length++) yield seed.subarray(0, length);
    for (let at = 0; at < seed.length; at++) {
      for (const value of [0x00, 0xff, 0x7f, seed[at]! ^ 0x01, seed[at]! ^ 0x80, seed[at]! + 1]) {
        const bytes = Buffer.from(seed);
        bytes[at] = value;
        yield bytes;
      }
    }
  }
}

/** Reads one input. `reason`: what is wrong with how it went; `refusal`: the message of a proper refusal. */
export async function attempt(target: Target, input: Buffer): Promise<{ reason?: string; refusal?: string }> {
  const memory = () => {
    const { external_memory, used_heap_size } = getHeapStatistics();
    return external_memory + used_heap_size;
  };
  const before = memory();
  const start = performance.now();
  let refusal: string | undefined;
  try {
    await target.read(input);
  } catch (error) {
    if (!(error instanceof SetNativeError)) return { reason: `threw ${textOf(error)}` };
    refusal = error.message;
    if (!target.codes.includes(error.code)) return { reason: `refused with ${textOf(error)}` };
    if (!refusal.includes(target.file))
      return { reason: `refused without naming ${target.file}: ${refusal}` };
  }
  const ms = performance.now() - start;
  const taken = memory() - before; // less than was taken where garbage was collected meanwhile
  if (ms > SLOWEST_MS && (await cpuMsOf(target, input)) > SLOWEST_MS) {
    return { reason: `took more than ${SLOWEST_MS} ms` };
  }
  if (taken > target.memory) return { reason: `took more than ${target.memory} bytes of memory` };
  return refusal === undefined ? {} : { refusal };
}

/** Of a second reading: a busy machine makes one slow by the clock. */
async function cpuMsOf(target: Target, input: Buffer): Promise<number> {
  const start = process.cpuUsage();
  try {
    await target.read(input);
  } catch {
    // seen before
  }
  const { user, system } = process.cpuUsage(start);
  return (user + system) / 1000;
}

/** One form for all errors, so that the same fault is known again. */
function textOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const code = error instanceof SetNativeError ? ` ${error.code}` : '';
  return `${error.constructor.name}${code}: ${error.message}`;
}

/** Smaller input that fails in the same way: blocks are left out, then bytes become '0'. */
async function minimise(
  target: Target,
  input: Buffer,
  reason: string,
): Promise<Pick<Failure, 'input' | 'reason'>> {
  const kind = (text: string | undefined) => text?.split(/[:\d]/, 1)[0];
  let best = { input, reason };
  let attempts = 2000;
  const isBetter = async (smaller: Buffer) => {
    if (attempts-- <= 0) return false;
    const { reason: now } = await attempt(target, smaller);
    if (now === undefined || kind(now) !== kind(reason)) return false;
    best = { input: smaller, reason: now };
    return true;
  };
  for (let size = input.length >> 1; size >= 1; size >>= 1) {
    for (let at = 0; at < best.input.length; ) {
      const smaller = Buffer.concat([best.input.subarray(0, at), best.input.subarray(at + size)]);
      if (!(await isBetter(smaller))) at += size;
    }
  }
  for (let at = 0; at < best.input.length; at++) {
    if (best.input[at] === 0x30) continue;
    const plain = Buffer.from(best.input);
    plain[at] = 0x30;
    await isBetter(plain);
  }
  return best;
}
