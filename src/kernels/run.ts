import { chooseBackend, isGpu } from '../backend.js';
import { aborted, checkSignal, SetNativeError } from '../errors.js';
import { info, version } from '../info.js';
import { fromNative, type NativeKernelBench, native } from '../native.js';
import type { TimedBackendName } from '../vocabulary.js';
import { type KernelCase, type KernelCeilings, type KernelResults, kernelSchemaVersion } from './results.js';
import { type SweepOptions, sweep } from './sweep.js';

export interface KernelBenchOptions {
  /** Words that the name of a case must have: "batch=40" as a whole, "forward" anywhere. */
  filter: string;
  /** Whether all combinations of parameters run, which takes hours. */
  full: boolean;
  /** Number of threads; 0: all CPUs that the process may use. */
  threads: number;
  /** Instruction set; default: the one that SET_NATIVE_ISA names, else the widest. */
  isa?: string;
  /** Back end; default: cpu. */
  backend?: TimedBackendName;
  /** Largest number of links of the sweep, which then runs instead of the cases. */
  maxLinks?: number;
}

interface KernelBenchHooks {
  signal?: AbortSignal;
  /** Called before each step. */
  onStep?: (text: string) => void;
}

/**
 * Measures ceilings, then cases or the sweep, on native threads; the JavaScript thread stays free.
 *
 * @throws SetNativeError ERR_INVALID_ARGUMENT for a filter that matches no case. ERR_ABORTED with finished
 * measurements in `details.results`.
 */
export async function runKernelBench(
  options: KernelBenchOptions,
  { signal, onStep = () => {} }: KernelBenchHooks = {},
): Promise<KernelResults> {
  const { filter, full, isa = '', backend = 'cpu', maxLinks } = options;
  checkSignal('bench', signal, 'before it began');
  chooseBackend(backend);
  const threads = options.threads || info().threads;
  const bench = create({ backend, filter, full, isa, threads });
  if (bench.cases.length === 0) {
    throw new SetNativeError(
      'ERR_INVALID_ARGUMENT',
      `[bench] \`filter\` ${JSON.stringify(filter)} matches no case; without it, all are listed as they run`,
      { details: { option: 'filter', value: filter } },
    );
  }
  const results: KernelResults = {
    schemaVersion: kernelSchemaVersion,
    complete: false,
    date: new Date().toISOString(),
    version: version(),
    machine: JSON.parse(bench.machine),
    gpu: JSON.parse(bench.gpu),
    ceilings: [],
    cases: [],
    sweep: null,
  };
  const abort = () => bench.abort();
  signal?.addEventListener('abort', abort);
  try {
    for (const count of isGpu(backend) ? [] : threads > 1 ? [1, threads] : [1]) {
      onStep(`ceilings of the machine, ${count} thread${count > 1 ? 's' : ''}`);
      results.ceilings.push(JSON.parse(await bench.ceilings(count)) as KernelCeilings);
    }
    if (maxLinks === undefined) await runCases(bench, results, onStep);
    else await runSweep({ maxLinks, threads, isa: results.machine.isa }, results, { signal, onStep });
  } catch (cause) {
    const error = fromNative(cause);
    if (!signal?.aborted) throw error;
    throw aborted('bench', signal, `after ${results.cases.length} cases`, { results });
  } finally {
    signal?.removeEventListener('abort', abort);
  }
  results.complete = true;
  return results;
}

function create(options: Parameters<ReturnType<typeof native>['createKernelBench']>[0]): NativeKernelBench {
  try {
    return native().createKernelBench(options);
  } catch (error) {
    throw fromNative(error);
  }
}

async function runCases(bench: NativeKernelBench, results: KernelResults, onStep: (text: string) => void) {
  for (const [number, name] of bench.cases.entries()) {
    onStep(`${number + 1}/${bench.cases.length} ${name}`);
    results.cases.push(JSON.parse(await bench.run(number)) as KernelCase);
  }
}

async function runSweep(
  options: SweepOptions,
  results: KernelResults,
  { signal, onStep }: { signal: AbortSignal | undefined; onStep: (text: string) => void },
) {
  for await (const partial of sweep(options, { signal, onStep })) results.sweep = partial;
}
