import { once } from 'node:events';
import { Argument, Command, Option } from 'commander';
import { type Encoding, encodeRows } from '../datasets/encoding.js';
import type { Cell } from '../datasets/table.js';
import { SetNativeError } from '../errors.js';
import { classifications, estimates } from '../training/classify.js';
import { SparseMLP } from '../training/model.js';
import { type ModelOptions, ranges } from '../training/options.js';
import { backendChoices } from '../vocabulary.js';
import { filePath, numberIn, oneOf } from './options.js';
import { openRows, type RowFormat, rowFormats, type SourceRow } from './rowSource.js';
import { endedBySignals } from './signals.js';
import { delimiterOption } from './tableOptions.js';

interface PredictFlags extends Pick<ModelOptions, 'threads' | 'backend'> {
  csv?: string;
  input?: RowFormat;
  output?: RowFormat;
  delimiter?: string;
  header: boolean;
  keep: string[];
  skipBad: boolean;
}

/** Most rows that are predicted at once. */
const mostRows = 1024;

export function predictCommand(): Command {
  return new Command('predict')
    .description('predict rows of a file or of standard input with a saved model')
    .addArgument(new Argument('<model>', 'a file of `set-native train --save`').argParser(filePath))
    .addOption(
      new Option('--csv <file>', 'rows: CSV or JSON lines, .gz or not (default: standard input)').argParser(
        filePath,
      ),
    )
    .addOption(
      new Option(
        '--input <format>',
        `${rowFormats.join(', ')} (default: by the name of the file, or the first byte)`,
      ).argParser(oneOf(rowFormats)),
    )
    .addOption(
      new Option('--output <format>', `${rowFormats.join(', ')} (default: that of the input)`).argParser(
        oneOf(rowFormats),
      ),
    )
    .addOption(delimiterOption())
    .option('--no-header', 'the first line of CSV is a row; columns are taken in their order')
    .addOption(
      new Option('--keep <column>', 'carry a column through, as an ID; may be given again')
        .argParser((name: string, before: string[]) => [...before, name])
        .default([], 'none'),
    )
    .option('--skip-bad', 'go on after a row that cannot be predicted; it is told on standard error', false)
    .addOption(
      new Option('--threads <n>', '0: all CPUs it may use').argParser(numberIn(ranges.threads)).default(0),
    )
    .addOption(
      new Option('--backend <name>', backendChoices.join(', '))
        .argParser(oneOf(backendChoices))
        .default('auto'),
    )
    .addHelpText(
      'after',
      `
Rows are raw, as in the table that the model was trained on: columns are found by their names, others are left out, the
label among them. Each row gives its class and the probability of each, or the numbers of --target; a model without
names gives its outputs. Rows keep their order, and are answered as they come: any number of them takes little memory.

Examples:
  $ set-native predict iris.safetensors --csv new.csv --keep id > answers.csv
  $ tail -f events.jsonl | set-native predict model.safetensors --skip-bad
  $ echo '[5.1, 3.5, 1.4, 0.2]' | set-native predict iris.safetensors`,
    )
    .action(predict);
}

async function predict(file: string, flags: PredictFlags): Promise<void> {
  const { threads = 0, backend = 'auto', csv, keep } = flags;
  const model = await SparseMLP.load(file, { threads, backend });
  try {
    const answers = answersOf(model);
    const names = answers.columns;
    const twice = keep.find((name, i) => keep.indexOf(name) !== i || names.includes(name));
    if (twice !== undefined) {
      throw new SetNativeError(
        'ERR_USAGE',
        `[predict] --keep ${twice}: the answers have a column of this name`,
        {
          details: { flag: '--keep' },
        },
      );
    }
    const columns = model.encoding?.columns?.map(({ name }) => name);
    const source = await openRows(
      csv,
      { columns, features: model.inputs, keep },
      { format: flags.input, delimiter: flags.delimiter, header: flags.header },
    );
    const output = new Output();
    const format = flags.output ?? source.format;
    const write =
      format === 'csv' ? csvWriter(keep, names, source.delimiter) : jsonWriter(keep, answers.object);
    const name = csv ?? 'standard input';
    let skipped = 0;
    let { start } = write; // when the first rows are there: the file may turn out to be none of these
    for await (const batch of source.batches) {
      await output.write(start);
      start = '';
      for (let at = 0; at < batch.length && !output.closed; at += mostRows) {
        const lines: string[] = [];
        for (const result of await results(batch.slice(at, at + mostRows), name, answers)) {
          if ('values' in result) lines.push(write.row(result.kept, result.values));
          else if (flags.skipBad) {
            process.stderr.write(`Skipped: ${result.error.message}\n`);
            skipped += 1;
          } else {
            await output.write(lines.join(''));
            throw result.error;
          }
        }
        await output.write(lines.join(''));
      }
      if (output.closed) break;
    }
    await output.write(start);
    if (skipped > 0) process.stderr.write(`${skipped} ${skipped === 1 ? 'row was' : 'rows were'} skipped.\n`);
  } finally {
    model.dispose();
  }
}

/** What a model says of a row. */
interface Answers {
  /** Names of the numbers and words of an answer. */
  columns: string[];
  /** Answers to rows, or the error of the first bad one. */
  answer(rows: (readonly Cell[])[]): Promise<(string | number)[][]>;
  /** An answer as an object. */
  object(values: (string | number)[]): object;
}

function answersOf(model: SparseMLP): Answers {
  const { encoding } = model;
  const outputsOf = async (rows: (readonly Cell[])[]) =>
    model.predict(encodeRows('predict', rows, encoding ?? plainEncoding(model.inputs)));
  const classNames = model.loss === 'mse' ? undefined : encoding?.classNames;
  if (classNames !== undefined) {
    return {
      columns: ['prediction', 'probability', ...classNames.map((name) => `p(${name})`)],
      answer: async (rows) =>
        classifications(await outputsOf(rows), model.outputs, classNames).map(
          ({ className, probability, probabilities }) => [
            className,
            digits(probability),
            ...classNames.map((name) => digits(probabilities[name]!)),
          ],
        ),
      object: ([prediction, probability, ...others]) => ({
        prediction,
        probability,
        probabilities: Object.fromEntries(new Map(classNames.map((name, i) => [name, others[i]]))),
      }),
    };
  }
  const targets = encoding?.targets;
  if (targets !== undefined) {
    const columns = targets.names.map((name) => `predicted ${name}`);
    return {
      columns,
      answer: async (rows) =>
        estimates(await outputsOf(rows), targets).map((row) =>
          targets.names.map((name) => digits(row[name]!)),
        ),
      object: (values) => ({
        prediction: Object.fromEntries(new Map(targets.names.map((name, i) => [name, values[i]]))),
      }),
    };
  }
  return {
    columns: Array.from({ length: model.outputs }, (_, i) => `output ${i + 1}`),
    answer: async (rows) => {
      const outputs = Array.from(await outputsOf(rows), digits);
      return rows.map((_, row) => outputs.slice(row * model.outputs, (row + 1) * model.outputs));
    },
    object: (values) => ({ outputs: values }),
  };
}

/** Numbers as they are: of a model that does not know how rows become features. */
function plainEncoding(inputs: number): Encoding {
  const list = (value: number) => new Array<number>(inputs).fill(value);
  return { scaling: { offset: list(0), divisor: list(1) }, classNames: [] };
}

/** Six digits: the last ones of a float32 depend on how many rows are computed together. */
function digits(value: number): number {
  return Number(value.toPrecision(6));
}

/** A row's answer, or its error. */
type Result = { kept: readonly unknown[]; values: (string | number)[] } | { error: Error };

/** Results of rows, in their order. */
async function results(rows: SourceRow[], file: string, answers: Answers): Promise<Result[]> {
  const sound = rows.filter((row) => 'cells' in row);
  const found = new Map<SourceRow, Result>();
  try {
    const values = sound.length > 0 ? await answers.answer(sound.map(({ cells }) => cells)) : [];
    for (const [i, row] of sound.entries()) found.set(row, { kept: row.kept, values: values[i]! });
  } catch (error) {
    if (!isOfRow(error)) throw error;
    // Each alone tells which of them are bad.
    for (const row of sound) {
      try {
        const [values] = await answers.answer([row.cells]);
        found.set(row, { kept: row.kept, values: values! });
      } catch (cause) {
        if (!isOfRow(cause)) throw cause;
        found.set(row, { error: placed(cause, file, row.line) });
      }
    }
  }
  return rows.map((row) => ('error' in row ? row : found.get(row)!));
}

function isOfRow(error: unknown): error is SetNativeError {
  return (
    error instanceof SetNativeError && ['ERR_DATA_FORMAT', 'ERR_NON_FINITE', 'ERR_SHAPE'].includes(error.code)
  );
}

/** The error of a row, with its line in place of its number among those that were predicted with it. */
function placed(error: SetNativeError, file: string, line: number): Error {
  const text = error.message.replace(/^\[\w+\] (row 1:? ?)?/, '');
  return new SetNativeError(error.code, `[predict] ${file}, line ${line}: ${text}`, {
    details: { ...error.details, file, line } as object,
    cause: error,
  });
}

interface RowWriter {
  /** What stands in front of the first row. */
  start: string;
  row(kept: readonly unknown[], values: (string | number)[]): string;
}

function csvWriter(keep: string[], columns: string[], delimiter: string): RowWriter {
  const line = (cells: readonly unknown[]) =>
    `${cells.map((cell) => csvCell(cell, delimiter)).join(delimiter)}\n`;
  return {
    start: line([...keep, ...columns]),
    row: (kept, values) => line([...kept, ...values]),
  };
}

/** A cell of CSV, in quotes where it would not be read as it is. */
function csvCell(value: unknown, delimiter: string): string {
  const text =
    value === null || value === undefined
      ? ''
      : typeof value === 'object'
        ? JSON.stringify(value)
        : String(value);
  const isPlain = !/["\r\n]|^\s|\s$/.test(text) && !text.includes(delimiter);
  return isPlain ? text : `"${text.replaceAll('"', '""')}"`;
}

function jsonWriter(keep: string[], object: Answers['object']): RowWriter {
  return {
    start: '',
    row: (kept, values) => {
      const carried = keep.map((name, i): [string, unknown] => [name, kept[i]]);
      return `${JSON.stringify(Object.fromEntries(new Map([...carried, ...Object.entries(object(values))])))}\n`;
    },
  };
}

/** Standard output, which waits for its reader, and is done when the reader leaves. */
class Output {
  /** Whether the reader has left. */
  closed = false;

  constructor() {
    process.stdout.on('error', () => {
      this.closed = true;
    });
  }

  async write(text: string): Promise<void> {
    if (text === '' || this.closed) return;
    // A pipe blocks while its reader does not read: signals end the program meanwhile.
    const isRead = endedBySignals(() => process.stdout.write(text));
    if (isRead)
      await new Promise((resolve) => setImmediate(resolve)); // an error of the pipe comes then
    else await Promise.race([once(process.stdout, 'drain'), once(process.stdout, 'close')]).catch(() => {});
  }
}
