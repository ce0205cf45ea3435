import { InvalidArgumentError, Option } from 'commander';
import type { TableChoice } from '../datasets/choice.js';
import type { TileOrder } from '../datasets/inputOrder.js';
import { missingRules } from '../datasets/table.js';
import type { ImageShape } from '../datasets/types.js';
import { SetNativeError } from '../errors.js';
import { filePath, listOf, oneOf } from './options.js';

/*
 * Options of commands that take a data set: the name of a known one, or a table of the user's.
 */

export const delimiterOption = () =>
  new Option('--delimiter <char>', 'between cells: one character, or tab (default: found out)').argParser(
    (text) => (text === 'tab' || text === '\\t' ? '\t' : text),
  );

export function tableOptions() {
  return {
    csv: new Option('--csv <file>', 'a table of your own, .gz or not, in place of --dataset').argParser(
      filePath,
    ),
    label: new Option('--label <column>', 'column of --csv that says what a row is (default: the last)'),
    columns: new Option(
      '--columns <list>',
      'columns of --csv that are features (default: all but the label)',
    ).argParser(listOf((name) => name)),
    missing: new Option(
      '--missing <rule>',
      `rows of --csv that lack a value: ${missingRules.join(', ')} (default: refuse)`,
    ).argParser(oneOf(missingRules)),
    delimiter: delimiterOption(),
  };
}

const tilesText = /^tiles(:([2-9]|[1-9]\d{1,4})(:[1-9]\d{0,4}(x[1-9]\d{0,4}){1,2})?)?$/;

/** An order of inputs: given, tiles, tiles:4 or, with the shape of an image, tiles:4:32x32x3. */
export function inputOrder(text: string): 'given' | TileOrder {
  if (text === 'given') return text;
  if (!tilesText.test(text)) {
    throw new InvalidArgumentError(
      'Expected given, tiles, tiles:4 or, with the shape of an image, tiles:4:28x28 or tiles:4:32x32x3.',
    );
  }
  const [, size = '2', shape] = text.split(':');
  const tiles = Number(size);
  return shape === undefined ? { tiles } : { tiles, shape: shape.split('x').map(Number) as ImageShape };
}

/**
 * The options that name a table, those that were given; empty for a known data set.
 *
 * @throws SetNativeError ERR_USAGE where both are named, or options of a table stand without one
 */
export function tableOf(operation: string, flags: TableChoice & { dataset?: string }): TableChoice {
  const { csv, label, columns, missing, delimiter, dataset } = flags;
  const rest = {
    ...(label !== undefined && { label }),
    ...(columns && { columns }),
    ...(missing && { missing }),
  };
  const given = { ...rest, ...(delimiter !== undefined && { delimiter }) };
  const usage = (text: string, flag: string) =>
    new SetNativeError('ERR_USAGE', `[${operation}] ${text}`, { details: { flag } });
  if (csv !== undefined && dataset !== undefined) {
    throw usage('--csv and --dataset each name the data; give one of them', '--csv');
  }
  const [alone] = Object.keys(given);
  if (csv === undefined && alone !== undefined) throw usage(`--${alone} takes a --csv`, `--${alone}`);
  return csv === undefined ? {} : { csv, ...given };
}
