import { describe, show } from '../checks.js';
import { checkSampleKinds, checkX } from '../datasets/samples.js';
import type { AnySamples, Samples, TargetSamples } from '../datasets/types.js';
import { type ErrorDetails, SetNativeError } from '../errors.js';

/*
 * Checks of samples on their way to a model. An error comes before any of them is used, and names the call
 * and the user's row.
 */

/** Sizes that samples must fit. */
export interface Ends {
  inputs: number;
  outputs: number;
}

/**
 * Throws unless the model can train on, or be evaluated by, the samples: ERR_INVALID_ARGUMENT for things of
 * the wrong kind, ERR_SHAPE for lengths that do not fit, ERR_OUT_OF_RANGE for a label beyond the outputs.
 * The copy in native memory checks the values of x, targets and weights.
 *
 * @param name of the samples in messages: "validation"; none for those that the call itself takes
 */
export function checkSamplesFor(
  { inputs, outputs }: Ends,
  operation: string,
  samples: AnySamples,
  name?: string,
): void {
  checkSampleKinds(operation, samples, name);
  const { x, count, features, weights } = samples;
  const part = (key: string) => (name === undefined ? key : `${name}.${key}`);
  const fail = <Code extends 'ERR_SHAPE' | 'ERR_OUT_OF_RANGE'>(
    code: Code,
    text: string,
    details: ErrorDetails[Code],
  ) => new SetNativeError(code, `[${operation}] ${text}`, { details });
  if (features !== inputs) {
    throw fail(
      'ERR_SHAPE',
      `${name ?? 'samples'} must have ${inputs} features, as the model has inputs, got ${features}`,
      { option: part('features'), features, inputs },
    );
  }
  checkRows(operation, part('x'), x, features);
  const rows = x.length / features;
  if (weights !== undefined && weights.length !== rows) {
    throw fail(
      'ERR_SHAPE',
      `${part('weights')} must be one number per row of x: x has ${rows} rows, got ${weights.length} weights`,
      { option: part('weights'), rows, weights: weights.length },
    );
  }
  if (count !== undefined && count !== rows) {
    throw fail(
      'ERR_SHAPE',
      `${part('count')} must be x.length / features = ${rows}, or absent, got ${show(count)}`,
      { option: part('count'), rows, count },
    );
  }
  const { labels, targets } = samples as Partial<Samples & TargetSamples>;
  if (labels === undefined) {
    if (targets!.length === rows * outputs) return;
    throw fail(
      'ERR_SHAPE',
      `${part('targets')} must be ${outputs} numbers per row of x, as the model has outputs: x has ${rows} rows, got ` +
        `${targets!.length} targets`,
      { option: part('targets'), rows, outputs, targets: targets!.length },
    );
  }
  if (labels.length !== rows) {
    const oneHot = labels.length === rows * outputs && labels.every((label) => label <= 1);
    throw fail(
      'ERR_SHAPE',
      `${part('labels')} must be one number per row of x: x has ${rows} rows of ${features}, got ${labels.length} labels` +
        `${oneHot ? '; of one-hot rows, hand in where the 1 is' : ''}`,
      { option: part('labels'), rows, labels: labels.length },
    );
  }
  const classes = Math.max(2, outputs); // a single output takes labels 0 and 1
  const row = labels.findIndex((label) => label >= classes);
  if (row >= 0) {
    const why =
      outputs === 1 ? 'a model with one output tells two classes' : `the model has ${outputs} outputs`;
    throw fail(
      'ERR_OUT_OF_RANGE',
      `${part('labels')} must be below ${classes}, for ${why}, got ${labels[row]} in row ${row}; classes count from 0`,
      { option: part('labels'), row, label: labels[row], classes },
    );
  }
}

/** Throws ERR_INVALID_ARGUMENT or ERR_SHAPE unless x is rows that fit the model's inputs. */
export function checkRowsFor({ inputs }: Ends, operation: string, x: Float32Array): void {
  if (typeof x === 'object' && x !== null && 'x' in x) {
    throw new SetNativeError(
      'ERR_INVALID_ARGUMENT',
      `[${operation}] expected the Float32Array alone, got ${describe(x)}; use ${operation}(samples.x)`,
      { details: { option: 'x' } },
    );
  }
  checkX(operation, 'x', x);
  checkRows(operation, 'x', x, inputs);
}

function checkRows(operation: string, option: string, x: Float32Array, features: number): void {
  if (x.length > 0 && x.length % features === 0) return;
  throw new SetNativeError(
    'ERR_SHAPE',
    `[${operation}] ${option} must hold one or more whole rows of ${features} features, got ${x.length} numbers`,
    { details: { option, features, length: x.length } },
  );
}
