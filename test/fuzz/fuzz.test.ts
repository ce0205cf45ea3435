import { spawn } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Outcome } from './engine.js';
import { targets } from './targets.js';

const program = path.join(path.dirname(fileURLToPath(import.meta.url)), 'run.js');

/** Runs the fuzzer as `npm run fuzz` does. */
function fuzz(...args: string[]): Promise<{ status: number | null; outcomes: Line[]; errors: string }> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [program, ...args]);
    let [output, errors] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', (text) => {
      output += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text) => {
      errors += text;
    });
    child.on('close', (status) => {
      const outcomes = output.split('\n').flatMap((line) => (line.startsWith('{') ? [JSON.parse(line)] : []));
      resolve({ status, outcomes, errors });
    });
  });
}

type Line = Omit<Outcome, 'failure'> & { target: string; failure?: string };

describe('every parser, fuzzed', () => {
  let run: Awaited<ReturnType<typeof fuzz>>;
  beforeAll(async () => {
    run = await fuzz('--seed', '1');
  }, 300_000);

  it.each(targets.map((target) => [target.name, target] as const))(
    '%s reads or refuses whatever it is given',
    (name, { short }) => {
      const outcome = run.outcomes.find(({ target }) => target === name);
      expect(outcome, run.errors).toMatchObject({ executions: short });
      expect(outcome!.failure, run.errors).toBeUndefined();
      expect(outcome!.accepted).toBeGreaterThan(0);
      expect(outcome!.accepted + outcome!.refused).toBe(short);
    },
  );
});

describe('the fuzzer', () => {
  it('finds a planted bug behind a magic number, by what the code compares, and makes its input small', async () => {
    const { status, outcomes, errors } = await fuzz('planted', '--seed', '1');
    expect(status).toBe(1);
    expect(outcomes[0]!.failure).toContain('threw RangeError');
    expect(outcomes[0]!.executions).toBeLessThan(20_000);
    expect(errors).toContain('again: npm run fuzz -- planted --input ');
    const file = /--input (.*)/.exec(errors)![1]!;
    expect(readFileSync(file).readUInt32BE(0)).toBe(0x5e7a11fe);
    const again = await fuzz('planted', '--input', file);
    expect(again.status).toBe(1);
    rmSync(path.dirname(file), { recursive: true });
  }, 60_000);

  it('does not find it without', async () => {
    const { status, outcomes } = await fuzz('planted', '--seed', '1', '--blind');
    expect(status).toBe(0);
    expect(outcomes).toMatchObject([{ executions: 20_000 }]);
  }, 60_000);

  it('does the same again for the same seed, and something else for another', async () => {
    const [once, again, other] = await Promise.all(
      ['1', '1', '2'].map(async (seed) => {
        const { accepted, refused, corpus } = (await fuzz('idx', '--runs', '3000', '--seed', seed))
          .outcomes[0]!;
        return { accepted, refused, corpus };
      }),
    );
    expect(again).toEqual(once);
    expect(other).not.toEqual(once);
  }, 60_000);
});
