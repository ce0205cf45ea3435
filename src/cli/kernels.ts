import { Command, Option } from 'commander';
import { wholeNumber } from '../checks.js';
import { SetNativeError } from '../errors.js';
import { checkWritable } from '../files/output.js';
import { compareKernels } from '../kernels/compare.js';
import { type KernelResults, kernelsJson, readKernelResults } from '../kernels/results.js';
import { type KernelBenchOptions, runKernelBench } from '../kernels/run.js';
import { sweepSpec } from '../report/figures/kernelSweep.js';
import { loadVega } from '../report/figures/vega.js';
import { takesEscapeCodes } from '../report/terminal/escapeCodes.js';
import { jsonDisplay, writeJsonLine } from '../report/terminal/jsonLines.js';
import { renderKernels } from '../report/terminal/kernels.js';
import { ranges } from '../training/options.js';
import { isaNames, timedBackends } from '../vocabulary.js';
import { filePath, numberIn, oneOf, progressOption } from './options.js';
import { checkApart, tableStream, writeAndShow, writeOutput } from './outputs.js';
import { interruptible } from './signals.js';
import { type Display, plainDisplay } from './terminal.js';

interface KernelsOptions extends Omit<KernelBenchOptions, 'maxLinks'> {
  json?: string;
  compare?: string;
  sweep?: boolean;
  maxLinks?: number;
  figure?: string;
  progress: 'auto' | 'json';
}

const defaultMaxLinks = 1e8;

export function kernelsCommand(): Command {
  const apart = ['filter', 'full', 'compare']; // options for cases, which a sweep does not have
  return new Command('kernels')
    .description('time the native kernels, each checked first, against what this machine can do')
    .option('--filter <words>', 'only cases with all these words in their name, as "train batch=40"', '')
    .option('--full', 'every combination of epsilon, batch, motif size and threads: hours', false)
    .addOption(
      new Option(
        '--json <file>',
        'write the results as JSON; -: to standard output, the table to standard error',
      ).argParser(filePath),
    )
    .addOption(
      new Option('--compare <file>', 'show old over new times of an earlier --json').argParser(filePath),
    )
    .addOption(
      new Option('--sweep', 'instead, time training, evolution and initialisation by links').conflicts(apart),
    )
    .addOption(
      new Option('--backend <name>', `${timedBackends.join(', ')}; --sweep takes cpu`)
        .argParser(oneOf(timedBackends))
        .default('cpu'),
    )
    .addOption(
      new Option('--max-links <n>', `end of the sweep (default: ${defaultMaxLinks})`).argParser(
        numberIn(wholeNumber(1e5, 1e9)),
      ),
    )
    .addOption(new Option('--figure <file>', 'draw the sweep as SVG').argParser(filePath))
    .addOption(
      new Option('--threads <n>', '0: all CPUs it may use').argParser(numberIn(ranges.threads)).default(0),
    )
    .addOption(progressOption())
    .addOption(
      new Option('--isa <name>', `kernels for ${isaNames.join(', ')} (default: the widest)`).argParser(
        oneOf(isaNames),
      ),
    )
    .addHelpText(
      'after',
      `
Two to three minutes without --filter and --full; a sweep up to 1e8 links some minutes and 4 GB. Ctrl-C stops between
two runs of a case, shows what was done and exits with 130, as SIGTERM does with 143. A case that differs from the reference is not timed; the exit code is then 1.

Examples:
  $ set-native bench kernels --json before.json
  $ set-native bench kernels --filter "sparse-forward batch=40" --compare before.json
  $ set-native bench kernels --sweep --max-links 1000000 --figure sweep.svg`,
    )
    .action(kernels);
}

async function kernels(options: KernelsOptions, command: Command): Promise<void> {
  refuseOptionsOfBench(command);
  if (options.sweep && options.backend !== 'cpu')
    throw usage(`--sweep is for the CPU, not for --backend ${options.backend}`, '--sweep');
  const { json, compare, sweep, maxLinks, figure, progress: how, ...rest } = options;
  for (const [option, value] of Object.entries({ '--max-links': maxLinks, '--figure': figure })) {
    if (value !== undefined && !sweep) throw usage(`${option} belongs to --sweep`, option);
  }
  if (json !== undefined) checkWritable('bench', 'json', json);
  if (figure !== undefined) checkWritable('bench', 'figure', figure);
  checkApart({ '--json': json, '--figure': figure });
  const stream = tableStream(json, figure);
  const old = compare === undefined ? undefined : readKernelResults(compare);
  const draw = figure === undefined ? undefined : await loadVega().catch(noVega);

  const { onStep, ...display } = how === 'json' ? jsonSteps(process.stderr) : progress(process.stderr);
  const showResults = (results: KernelResults) => {
    const comparison = old && compareKernels(old, results);
    const table = renderKernels(results, {
      color: takesEscapeCodes(stream),
      ...(comparison && { comparison }),
    });
    return writeAndShow({ table, stream }, json, kernelsJson(results));
  };
  let results: KernelResults;
  try {
    results = await interruptible(display, (signal) =>
      runKernelBench(
        { ...rest, ...(sweep && { maxLinks: maxLinks ?? defaultMaxLinks }) },
        { signal, onStep },
      ),
    );
  } catch (error) {
    const partial = error instanceof SetNativeError ? error.details.results : undefined;
    const failure = partial && 'cases' in partial ? showResults(partial) : undefined;
    if (failure !== undefined) process.stderr.write(`${failure.message}\n`); // in addition to the error that stopped it
    throw error;
  }
  const unwritten = showResults(results);
  if (draw && figure !== undefined && results.sweep)
    writeOutput(figure, [await draw(sweepSpec(results.sweep))]);
  if (unwritten !== undefined) throw unwritten;
  const failed = [...results.cases, ...(results.sweep?.points ?? [])].filter(
    ({ failure }) => failure !== undefined,
  );
  if (failed.length > 0) {
    throw new SetNativeError(
      'ERR_INTERNAL',
      `[bench] ${failed.length} of the measurements failed; see the table`,
    );
  }
}

/**
 * Refuses options of `bench` in front of `kernels`, as in `bench --epochs 3 kernels`, because they would have
 * no effect.
 */
function refuseOptionsOfBench({ parent }: Command): void {
  const given = parent?.options.find(
    (option) => parent.getOptionValueSource(option.attributeName()) === 'cli',
  );
  if (given) throw usage(`${given.long} is an option of bench, not of bench kernels`, given.long!);
}

function noVega({ message }: Error): never {
  throw usage(`--figure takes the packages vega and vega-lite: ${message}`, '--figure');
}

function usage(message: string, flag: string): SetNativeError {
  return new SetNativeError('ERR_USAGE', `[bench] ${message}`, { details: { flag } });
}

/** Progress as lines of JSON, one per step. */
function jsonSteps(stream: NodeJS.WriteStream): Display & { onStep(text: string): void } {
  return { ...jsonDisplay(stream), onStep: (step) => writeJsonLine(stream, { kind: 'step', step }) };
}

/** Display of progress: one line that changes on a terminal that can show it, elsewhere a line per step. */
function progress(stream: NodeJS.WriteStream): Display & { onStep(text: string): void } {
  if (!takesEscapeCodes(stream)) return { ...plainDisplay, onStep: plainDisplay.log };
  const clear = '\r\x1b[K';
  return {
    onStep: (text) => void stream.write(`${clear}${text.slice(0, (stream.columns || 80) - 1)}`),
    log: (text) => void stream.write(`${clear}${text}\n`),
    stop: () => void stream.write(clear),
  };
}
