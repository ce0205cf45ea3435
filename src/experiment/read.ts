import { existsSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { SetNativeError } from '../errors.js';
import { counts, listOf } from '../files/bounded.js';
import { damaged, parseRecord, readLines, readText, type Writer } from '../files/records.js';
import { benchMethods, readings, topologies } from '../vocabulary.js';
import { type ExperimentConfig, experimentConfig, experimentKeys } from './config.js';
import { type BenchRun, type Experiment, schemaVersion } from './results.js';
import { runCheck } from './runCheck.js';
import { trialKey, trialNameInFull } from './trial.js';

/*
 * Reading back the folder of an experiment. Its files may have been cut, edited, put together or written by
 * another version: an error that names file, line and key refuses whatever results.ts does not describe, or
 * does not belong to the experiment.
 */

const writer: Writer = { operation: 'bench', name: '`set-native bench`', schemaVersion };

const count = z.number().int().nonnegative();
const share = z.number().min(0).max(1);

const epoch = z.object({
  epoch: z.number().int().positive(),
  trainLoss: z.number(),
  testLoss: z.number().optional(),
  testAccuracy: share,
  validationLoss: z.number().optional(),
  validationAccuracy: share.optional(),
  trainMs: z.number().nonnegative(),
  evolveMs: z.number().nonnegative(),
  evaluateMs: z.number().nonnegative(),
  nnz: count,
  pruned: count,
  grown: count,
  linksByBirth: counts,
});

const degrees = listOf(
  z.object({ inputs: count, outputs: count, dense: z.boolean(), in: counts, out: counts }),
);

/** Schema of one training. */
export const runSchema = z.object({
  reading: z.enum(readings),
  method: z.enum(benchMethods),
  epsilon: z.number().positive().nullable(),
  motifSize: z.number().int().positive().nullable(),
  seed: count,
  topology: z.enum(topologies),
  nnz: count,
  density: share,
  epochs: listOf(epoch),
  degrees: z.object({ start: degrees, end: degrees }).optional(),
  inputDegree: counts.optional(),
  averaged: z
    .object({
      testAccuracy: share,
      testLoss: z.number(),
      validationAccuracy: share.optional(),
      epochs: z.number().int().positive(),
    })
    .optional(),
  failure: z.object({ code: z.string(), message: z.string() }).optional(),
});

const experiment = z.object({
  schemaVersion: z.literal(schemaVersion),
  command: z.string(),
  complete: z.boolean(),
  environment: z.object({
    version: z.string(),
    node: z.string(),
    platform: z.string(),
    cpu: z.string(),
    cores: count,
    isa: z.string().nullable(),
    threads: count,
    backend: z.string(),
    date: z.string(),
  }),
  config: z.looseObject({ dataset: z.string() }), // experimentConfig checks the rest of it
  dataset: z
    .object({
      name: z.string(),
      source: z.string(),
      features: count,
      classes: count,
      available: count,
      train: count,
      validation: count,
      test: count,
      image: z.object({ width: count, height: count }).optional(),
      sha256: z
        .string()
        .regex(/^[0-9a-f]{64}$/)
        .optional(),
    })
    .refine(({ image, features }) => image === undefined || image.width * image.height === features, {
      path: ['image'],
      message: 'expected width × height to be the number of features',
    }),
  notes: listOf(z.string()),
});

/** Throws ERR_INVALID_ARGUMENT unless `dir` is the folder of an experiment. */
export function requireExperiment(dir: string): void {
  if (existsSync(path.join(dir, 'experiment.json'))) return;
  throw new SetNativeError(
    'ERR_INVALID_ARGUMENT',
    `[bench] expected the folder of an experiment, as ${writer.name} makes it, but ${dir} has no experiment.json`,
    { details: { option: 'dir', dir } },
  );
}

/**
 * Reads the experiment in `dir`, and its finished runs. A last line without an end, which a kill may leave,
 * is passed over.
 *
 * @throws SetNativeError ERR_INVALID_ARGUMENT (no experiment there), ERR_IO (cannot be read), ERR_DATA_FORMAT
 * (anything that this program does not write; a training that is there twice, or that the experiment does not
 * have)
 */
export function readExperiment(dir: string): { experiment: Experiment; runs: BenchRun[] } {
  requireExperiment(dir);
  const head = path.join(dir, 'experiment.json');
  const list = path.join(dir, 'results.jsonl');
  const lines = readLines(list, writer);
  const found = parseRecord(experiment, readText(head, writer), head, writer) as unknown as Experiment;
  const check = runCheck(configOf(found, head), found.dataset);
  const lineOf = new Map<string, number>();
  const runs = lines.map((text, i) => {
    const line = i + 1;
    const where = `${list}, line ${line}`;
    const run = parseRecord(runSchema, text, where, writer) as BenchRun;
    const wrong = check(run);
    if (wrong !== undefined) throw damaged(where, wrong, writer);
    const key = trialKey(run);
    const first = lineOf.get(key);
    if (first !== undefined) {
      throw damaged(
        where,
        `is of the same training as line ${first} (${trialNameInFull(run)}); delete one of them`,
        writer,
      );
    }
    lineOf.set(key, line);
    return run;
  });
  return { experiment: found, runs };
}

/** The options of an experiment, checked; those that only a later version knows are left out. */
function configOf({ config }: Experiment, where: string): ExperimentConfig {
  const known = Object.entries(config).filter(([key]) => experimentKeys.includes(key));
  try {
    return experimentConfig(Object.fromEntries(known) as unknown as ExperimentConfig);
  } catch (cause) {
    throw damaged(where, `has a config that cannot be: ${(cause as Error).message}`, writer, cause);
  }
}
