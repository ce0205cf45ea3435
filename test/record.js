/*
 * Results of a fixed list of runs, so that a change that should leave every bit as it was can show that it
 * does.
 *
 *   node test/record.js [options] [PACKAGE_DIR] OUT.json
 *                            records the built package in PACKAGE_DIR (default: this one)
 *     --cuda-library FILE    runs the CUDA back end, too: the emulator of the native tests, or a real one
 *     --data-dir DIR         runs on the real data sets found there, too
 *   node test/record.js --compare BEFORE.json AFTER.json
 *                            exit status 1 where a run differs or is missing
 *
 * Times, dates, versions, paths and facts of the machine are left out; arrays stand as the SHA-256 of their
 * bytes. Kernels of different instruction sets agree within rounding only, so records of one machine are
 * compared. Metal is not among the runs: no emulated Metal can be reached through the addon, and its bits are
 * the native tests' matter.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';

const { values: options, positionals } = parseArgs({
  options: {
    compare: { type: 'boolean' },
    'cuda-library': { type: 'string' },
    'data-dir': { type: 'string' },
  },
  allowPositionals: true,
});

// What the runs are made of.

/** Without arrays of no numbers: versions differ in which they give. */
const withoutEmpty = (layer) =>
  Object.fromEntries(
    Object.entries(layer).filter(([, value]) => !(ArrayBuffer.isView(value) && value.length === 0)),
  );

const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex');
const bytesOf = (array) => new Uint8Array(array.buffer, array.byteOffset, array.byteLength);

/** An object without what differs from run to run, its arrays of numbers as hashes. */
function lasting(value, folder) {
  const isTransient = (key) => /Ms$|^(environment|command|source|dataDir|ratioToSet|onFrontier)$/.test(key);
  if (ArrayBuffer.isView(value)) return sha256(bytesOf(value));
  if (Array.isArray(value)) return value.map((each) => lasting(each, folder));
  if (typeof value === 'string') return folder === undefined ? value : value.replaceAll(folder, '<folder>');
  if (typeof value !== 'object' || value === null) return value;
  const kept = Object.entries(value).filter(([key]) => !isTransient(key));
  return Object.fromEntries(kept.map(([key, each]) => [key, lasting(each, folder)]));
}

/** Runs the body for every variant, one after the other, and collects the results by the variant's name. */
async function each(variants, body) {
  const nameOf = (variant) => (typeof variant === 'string' ? variant : JSON.stringify(variant));
  const results = {};
  for (const variant of variants) results[nameOf(variant)] = await body(variant);
  return results;
}

/** Samples of noise in which the class adds to some features, from a linear congruential generator. */
function noise({ count, features, classes }) {
  const x = new Float32Array(count * features);
  const labels = Uint32Array.from({ length: count }, (_, row) => row % classes);
  let state = 1;
  for (let i = 0; i < x.length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const belongs = (i % features) % classes === labels[Math.floor(i / features)];
    x[i] = state / 2 ** 32 - 0.5 + (belongs ? 0.25 : 0);
  }
  return { x, labels, count, features };
}

/** The library of a package, and what runs do with it and with its command line. */
async function toolsOf(packageDir) {
  const library = await import(pathToFileURL(path.resolve(packageDir, 'dist/index.js')).href);
  const main = path.resolve(packageDir, 'dist/cli/main.js');
  const images = library.prepare(library.loadDataset('procedural'), { train: 310, validation: 50, test: 70 });

  /** Trains a network, once or in parts, and returns all that can be seen of it. */
  async function trained(model, training, { data = images, parts = [training] } = {}) {
    const network = await library.SparseMLP.create({
      epsilon: 5,
      seed: 7,
      threads: 1,
      backend: 'cpu',
      ...model,
    });
    try {
      const histories = [];
      for (const part of parts) {
        const { stopAfter, ...fit } = { epochs: 3, validation: data.validation, ...part };
        const stop = new AbortController();
        const onEpoch = ({ epoch }) => epoch === stopAfter && stop.abort();
        const hooks = { onEpoch, onWarning: () => {}, signal: stop.signal };
        histories.push(
          await network.fit(data.train, { ...fit, ...hooks }).catch((error) => {
            if (error.code !== 'ERR_ABORTED') throw error;
            return { stopped: true, ...error.details.history };
          }),
        );
      }
      const oneRow = data.test.x.slice(0, data.test.features); // takes kernels of its own
      return lasting({
        histories,
        evaluation: await network.evaluate(data.test),
        predictions: await network.predict(data.test.x),
        prediction: await network.predict(oneRow),
        layers: await network.layers(),
        links: (await network.download()).map(withoutEmpty),
      });
    } finally {
      network.dispose();
    }
  }

  /**
   * Runs a command line, and further arguments that may have spaces in them, to its end, or until its
   * standard error matches `stopAt`: then it gets SIGINT. Rejects unless the exit code is the one to expect.
   * Without `cuda` it finds no CUDA library, which `select` would take.
   */
  function command(line, args, { stopAt, env = {}, cuda = false } = {}) {
    const expected = stopAt === undefined ? 0 : 130;
    const noCuda = { SET_NATIVE_CUDA_LIBRARY: path.resolve(packageDir, 'none') };
    return new Promise((resolve, reject) => {
      const child = spawn(process.execPath, [main, ...line.split(' '), ...args], {
        stdio: ['ignore', 'ignore', 'pipe'],
        env: { ...process.env, ...(cuda ? {} : noCuda), ...env },
      });
      let errors = '';
      let isStopped = false;
      child.stderr.setEncoding('utf8').on('data', (text) => {
        errors += text;
        if (isStopped || !stopAt?.test(errors)) return;
        isStopped = true; // once: a second signal would end it at once
        child.kill('SIGINT');
      });
      child.on('error', reject);
      child.on('close', (code) => {
        if (code === expected) resolve();
        else reject(new Error(`${line}: exit code ${code}, not ${expected}: ${errors.slice(-500)}`));
      });
    });
  }

  /** The results of `bench`. */
  const bench = (line, args = [], settings = {}) =>
    inFolder(async (folder) => {
      const file = path.join(folder, 'results.json');
      await command(`bench ${line}`, [...args, '--json', file], settings);
      return lasting(JSON.parse(readFileSync(file, 'utf8')), folder);
    });

  /** What a command leaves in the folder of --out when it is stopped, and stopped again after --resume. */
  const stoppedTwice = (line, stopAt, settings = {}) =>
    inFolder(async (folder) => {
      const resume = `${line.split(' ')[0]} --resume`;
      await command(`${line} --out`, [folder], { ...settings, stopAt });
      await command(resume, [folder], { ...settings, stopAt });
      await command(resume, [folder], settings);
      return contentsOf(folder);
    });

  return { library, trained, command, bench, stoppedTwice };
}

async function inFolder(body) {
  const folder = mkdtempSync(path.join(tmpdir(), 'set-native-record-'));
  try {
    return await body(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** What a command has left in a folder: names of all files, contents of those that hold no times. */
function contentsOf(folder) {
  const files = readdirSync(folder, { recursive: true }).sort();
  const lines = (text) => text.trimEnd().split('\n');
  const contents = (file) => {
    const text = () => readFileSync(path.join(folder, file), 'utf8');
    if (file.endsWith('.jsonl')) return lines(text()).map((line) => lasting(JSON.parse(line)));
    if (file.endsWith('.json') && !file.includes('time-split')) return lasting(JSON.parse(text()), folder);
    return undefined;
  };
  return Object.fromEntries(files.map((file) => [file, contents(file) ?? 'exists']));
}

// The runs. Names say what a run is about: a name that is gone counts as a difference.

const hidden = [784, 60, 50, 10];
const setMotif = (evolution = {}) => ({ evolution: { method: 'set-motif', ...evolution } });
const small =
  '--dataset procedural --train 310 --validation 50 --test 70 --hidden 60,50 --epochs 3 --threads 1 --backend cpu';
const experiment = `${small} --epsilon 2,5 --runs 2 --motif-size 2,4`;
const tiny =
  'bench --dataset procedural --train 40 --validation 10 --test 10 --hidden 20,15 --epsilon 2 --epochs 6 ' +
  '--activation srelu --threads 1';
const selection =
  'select --dataset procedural --train 310 --test 70 --hidden 60 --keep 5,20 --epochs 20 --runs 3 --threads 1';
const activations = ['relu', 'tanh', 'sigmoid', 'linear', 'all-relu', 'srelu'];
const losses = ['softmax-cross-entropy', 'sigmoid-binary-cross-entropy', 'mse'];

/** Trainings small enough for a slow back end. */
const onBackend =
  (backend) =>
  async ({ trained }) => {
    const data = {
      train: noise({ count: 50, features: 40, classes: 4 }),
      validation: noise({ count: 10, features: 40, classes: 4 }),
      test: noise({ count: 21, features: 40, classes: 4 }),
    };
    const train = (model, training) =>
      trained({ layers: [40, 30, 20, 4], backend, ...model }, { batchSize: 16, ...training }, { data });
    return {
      methods: await each(['set', 'set-motif', 'static'], (method) => train({}, { evolution: { method } })),
      prune: await train({}, { evolution: { prune: 'thesis' } }),
      motifs: await each([2, 4], (motifSize) => train({ topology: 'motif', motifSize }, setMotif())),
      runs: await train({ motifSize: 3 }, setMotif({ motifParse: 'runs', motifScore: 'max' })),
      dense: await train({ topology: 'dense' }),
      activations: await each(activations, (activation) => train({ activation })),
      losses: await each(losses, (loss) => train({ loss })),
      batchSizes: await each([1, 2, 50], (batchSize) => train({}, { batchSize })),
      output: await train({}, { evolution: { evolveOutput: true, regrowInit: 'zero' } }),
    };
  };

const runs = {
  'SET prunes by the exact rule and by that of the thesis': ({ trained }) =>
    each(['exact', 'thesis'], (prune) => trained({ layers: hidden }, { evolution: { prune } })),

  'SET gives new links each of the weights': ({ trained }) =>
    each(['he-dense', 'zero', 'he-fan-in'], (regrowInit) =>
      trained({ layers: hidden }, { evolution: { regrowInit, zeta: 0.5 } }),
    ),

  'SET evolves a sparse output layer when told to': ({ trained }) =>
    trained({ layers: hidden, epsilon: 2 }, { evolution: { evolveOutput: true } }),

  'static trains every topology': ({ trained }) =>
    each(['erdos-renyi', 'motif', 'motif-printed', 'dense'], (topology) =>
      trained({ layers: hidden, topology }, { evolution: { method: 'static' } }),
    ),

  'initial weights of every kind': ({ trained }) =>
    each(['he-dense', 'he-fan-in', 'normal'], (init) => trained({ layers: hidden, init })),

  'SET-motif keeps whole motifs of every size': ({ trained }) =>
    each([2, 3, 4, 8, 16], (motifSize) =>
      trained({ layers: hidden, topology: 'motif', motifSize }, setMotif()),
    ),

  'SET-motif on other topologies': ({ trained }) =>
    each(['erdos-renyi', 'motif-printed', 'dense'], (topology) =>
      trained({ layers: hidden, topology, motifSize: 4 }, setMotif()),
    ),

  'SET-motif finds and ranks motifs in every way': ({ trained }) =>
    each(['aligned', 'runs'], (motifParse) =>
      each(['mean', 'max', 'min', 'sum'], (motifScore) =>
        trained({ layers: hidden, motifSize: 2 }, setMotif({ motifParse, motifScore })),
      ),
    ),

  'activations, on single links, motifs and dense layers': ({ trained }) =>
    each(activations, (activation) =>
      each(['erdos-renyi', 'motif', 'dense'], (topology) =>
        trained(
          { layers: hidden, activation, topology, motifSize: 4 },
          topology === 'motif' ? setMotif() : {},
        ),
      ),
    ),

  AdamW: ({ trained }) =>
    each(['relu', 'srelu'], (activation) =>
      each(['set', 'set-motif', 'static'], (method) =>
        trained({ layers: hidden, activation, optimizer: 'adamw' }, { evolution: { method } }),
      ),
    ),

  'leaky ReLU and its slope': ({ trained }) =>
    each([undefined, 0.3], (alpha) => trained({ layers: hidden, activation: 'leaky-relu', alpha })),

  losses: ({ trained }) => each(losses, (loss) => trained({ layers: hidden, loss })),

  'batch sizes, most with a smaller last batch': ({ trained }) =>
    each([1, 2, 3, 7, 40, 64, 310, 1000], (batchSize) =>
      each(['erdos-renyi', 'motif'], (topology) =>
        trained({ layers: hidden, topology, motifSize: 4 }, { batchSize, epochs: 2 }),
      ),
    ),

  'decay, momentum, learning rates and the order of samples': ({ trained }) =>
    each(
      [
        ...['thesis', 'l2', 'decoupled'].map((weightDecayMode) => ({ weightDecayMode, weightDecay: 0.01 })),
        { weightDecay: 0, momentum: 0 },
        { shuffle: false },
      ],
      (training) => trained({ layers: hidden }, { learningRate: (epoch) => 0.05 / epoch, ...training }),
    ),

  'any number of threads': ({ trained }) =>
    each([1, 2, 3], (threads) =>
      each([40, 2], (batchSize) =>
        each(['erdos-renyi', 'motif'], (topology) =>
          trained(
            {
              layers: [784, 400, 300, 10],
              epsilon: 20,
              topology,
              motifSize: 4,
              activation: 'srelu',
              threads,
            },
            { batchSize, epochs: 2, ...(topology === 'motif' ? setMotif() : {}) },
          ),
        ),
      ),
    ),

  'a layer of more than 65,536 neurons': ({ trained }) => {
    const shape = { features: 70_000, classes: 4 };
    const data = { train: noise({ count: 30, ...shape }), test: noise({ count: 5, ...shape }) };
    return each(['erdos-renyi', 'motif'], (topology) =>
      trained({ layers: [70_000, 30, 4], topology, epsilon: 2 }, { batchSize: 8 }, { data }),
    );
  },

  'a training in parts is the training at once': ({ trained }) => {
    const parts = {
      'at once': [{}],
      'one epoch and two': [{ epochs: 1 }, { epochs: 2 }],
      'stopped and continued': [{ stopAfter: 1 }, { epochs: 2 }],
    };
    return each(Object.keys(parts), (name) => trained({ layers: hidden }, {}, { parts: parts[name] }));
  },

  'schedules of evolution': ({ trained }) => {
    const schedules = {
      'every 2 epochs': { every: 2 },
      'every 5 steps': { every: { steps: 5 } },
      'along a cosine': { zeta: (progress) => 0.15 * (1 + Math.cos(Math.PI * progress)) },
      'until half of the run': { until: 0.5 },
    };
    return each(Object.keys(schedules), (name) =>
      trained({ layers: hidden }, { epochs: 4, evolution: schedules[name] }),
    );
  },

  'samples that are drawn, split and scaled': ({ library }) => {
    const whole = library.loadDataset('procedural');
    return each(['none', 'min-max', 'standardise'], (kind) => {
      const options = { seed: 3, train: 500, test: 200, scaling: { kind } };
      const { train, test } = library.prepare({ ...whole, test: undefined }, options);
      return lasting({ train, test });
    });
  },

  'the reference back end': onBackend('reference'),
  'the CPU back end on the list of the others': onBackend('cpu'),
  'the CUDA back end': { needs: 'cuda-library', run: onBackend('cuda') },

  'an experiment': ({ bench }) => bench(experiment),

  'readings of the thesis': ({ bench }) =>
    bench(`${small} --reading published,described,improved,plain --init he-dense --epochs 13`),

  'an experiment with options of every kind': ({ bench }) =>
    bench(
      `${small} --topology motif --motif-size 3 --activation all-relu --batch-size 25 --scaling standardise ` +
        '--learning-rate 0.02 --momentum 0.8 --weight-decay 0.001 --zeta 0.2 --regrow-init zero --seed 11',
    ),

  'an experiment under each instruction set': ({ library, bench }) =>
    each(library.info().isa.available, (isa) => bench(small, [], { env: { SET_NATIVE_ISA: isa } })),

  'an experiment of several jobs': ({ bench }) => bench(`${experiment} --jobs 2`),

  'a training that diverges': ({ trained }) =>
    trained({ layers: hidden, loss: 'mse' }, { learningRate: 1e6 }).catch(({ code, message, details }) =>
      lasting({ code, message, details }),
    ),

  'the folder of an experiment': ({ command }) =>
    inFolder(async (folder) => {
      await command(`bench ${experiment} --out`, [folder]);
      return contentsOf(folder);
    }),

  'an experiment that is stopped twice and resumed': ({ stoppedTwice }) =>
    stoppedTwice(`bench ${experiment} --epochs 40 --methods set,set-motif,static`, /epoch/),

  'an experiment that is stopped twice and resumed, on the reference back end': ({ stoppedTwice }) =>
    stoppedTwice(`${tiny} --epochs 100 --backend reference`, /epoch/),

  'an experiment that is stopped twice and resumed, on CUDA': {
    needs: 'cuda-library',
    run: ({ stoppedTwice }) => stoppedTwice(`${tiny} --backend cuda --jobs 1`, /epoch/, { cuda: true }),
  },

  'a selection of features': ({ command }) =>
    inFolder(async (folder) => {
      await command(`${selection} --out`, [folder]);
      return contentsOf(folder);
    }),

  'a selection of features that is stopped twice and resumed': ({ stoppedTwice }) =>
    stoppedTwice(selection, /seed/),

  'real data sets, as they are read': {
    needs: 'data-dir',
    run: ({ library }, dataDir) => {
      const found = library.listDatasets({ dataDir }).filter((listing) => listing.found);
      return each(
        found.map(({ name }) => name),
        (name) => lasting(library.loadDataset(name, { dataDir })),
      );
    },
  },

  'lung and Madelon by their presets, in small': {
    needs: 'data-dir',
    run: ({ bench }, dataDir) =>
      each(['thesis-lung', 'madelon'], (preset) =>
        bench(
          `--preset ${preset} --hidden 80,80,80 --epsilon 1,5 --epochs 2 --runs 1 --threads 1 --backend cpu`,
          ['--data-dir', dataDir],
        ),
      ),
  },
};

// Recording and comparing.

async function record(file, packageDir) {
  if (options['cuda-library']) {
    process.env.SET_NATIVE_CUDA_LIBRARY = path.resolve(options['cuda-library']);
    process.env.SET_FAKE_CUDA = 'emulate'; // read by the library that stands in for CUDA alone
  }
  const tools = await toolsOf(packageDir);
  const results = {};
  for (const [name, run] of Object.entries(runs)) {
    const { needs, run: body = run } = run;
    if (needs !== undefined && options[needs] === undefined) {
      console.log(`skipped  ${name}: it takes --${needs}`);
      continue;
    }
    const start = performance.now();
    try {
      results[name] = await body(tools, options[needs]);
      console.log(`recorded ${name} (${((performance.now() - start) / 1000).toFixed(1)} s)`);
    } catch (error) {
      console.log(`FAILED   ${name}: ${error.message}`);
      process.exitCode = 1;
    }
  }
  writeFileSync(file, `${JSON.stringify(results, undefined, 1)}\n`);
}

/** The path to the first place where two results differ; undefined where they are equal. */
function firstDifference(before, after, place = '') {
  if (Object.is(before, after)) return undefined;
  const areObjects = [before, after].every((value) => typeof value === 'object' && value !== null);
  if (!areObjects) return `${place}: ${JSON.stringify(before)} was, ${JSON.stringify(after)} is`;
  for (const key of new Set([...Object.keys(before), ...Object.keys(after)])) {
    const difference = firstDifference(before[key], after[key], `${place}/${key}`);
    if (difference !== undefined) return difference;
  }
  return undefined;
}

function compare(before, after) {
  let failed = 0;
  for (const name of new Set([...Object.keys(before), ...Object.keys(after)])) {
    const difference = firstDifference(before[name], after[name]);
    if (!(name in before)) console.log(`new       ${name}`);
    else if (difference === undefined) console.log(`equal     ${name}`);
    else {
      console.log(name in after ? `DIFFERENT ${name}\n          ${difference}` : `MISSING   ${name}`);
      failed += 1;
    }
  }
  const compared = Object.keys(before).length;
  console.log(`${compared - failed} passed, ${failed} failed`);
  process.exitCode = failed > 0 || compared === 0 ? 1 : 0;
}

if (positionals.length !== 2 && (options.compare || positionals.length !== 1)) {
  console.error(
    'usage: node test/record.js [options] [PACKAGE_DIR] OUT.json, or --compare BEFORE.json AFTER.json',
  );
  process.exitCode = 2;
} else if (options.compare) {
  compare(...positionals.map((file) => JSON.parse(readFileSync(file, 'utf8'))));
} else {
  await record(
    positionals.at(-1),
    positionals.length === 2 ? positionals[0] : path.dirname(import.meta.dirname),
  );
}
