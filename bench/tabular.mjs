// Accuracy on public tables beside scikit-learn's MLPClassifier, on the same splits:
//
//   node bench/tabular.mjs [--seeds 5] [--csv FILE --label COLUMN] [--python python3]
//
// The tables are three that scikit-learn brings along, and --csv. Each seed splits a table anew, two thirds to
// train on. Both have the same hidden layers; here they are sparse and evolve. Here, and in the column `early`,
// a tenth of the training rows chooses the epoch to stop at; in the column `loss`, scikit-learn's default, the
// training loss does, on all rows. Everything else is scikit-learn's default, and here the same for all tables:
// nothing was chosen by the test rows.

import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import readline from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { prepare, readCsv, SparseMLP, splitSamples } from 'set-native';

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '5' },
    csv: { type: 'string' },
    label: { type: 'string' },
    python: { type: 'string', default: 'python3' },
  },
});
const hidden = [200, 200];
const peer = path.join(path.dirname(fileURLToPath(import.meta.url)), 'peers', 'tabular_peer.py');
const folder = mkdtempSync(path.join(os.tmpdir(), 'set-native-tabular-'));
process.on('exit', () => rmSync(folder, { recursive: true }));

const { stdout } = spawnSync(values.python, [peer, 'tables', folder], { encoding: 'utf8' });
const { version, skip } = stdout === '' ? { skip: `${values.python} gave no tables` } : JSON.parse(stdout);
if (skip !== undefined) {
  console.error(`it takes scikit-learn: ${skip}`);
  process.exit(1);
}
const python = spawn(values.python, [peer], { stdio: ['pipe', 'pipe', 'inherit'] });
const answers = readline.createInterface({ input: python.stdout })[Symbol.asyncIterator]();

/** Rows as scikit-learn gets them: features and the number of the class. */
function write(file, { x, labels, count, features }) {
  const line = (_, row) => [...x.subarray(row * features, (row + 1) * features), labels[row]].join(',');
  writeFileSync(file, `${Array.from({ length: count }, line).join('\n')}\n`);
  return file;
}

async function theirs(train, test, seed, early) {
  const asked = {
    train: write(path.join(folder, 'train'), train),
    test: write(path.join(folder, 'test'), test),
    hidden,
    seed,
    early,
  };
  python.stdin.write(`${JSON.stringify(asked)}\n`);
  return JSON.parse((await answers.next()).value);
}

async function ours(data, test, seed) {
  const validation = Math.round(data.train.count / 10);
  const prepared = prepare({ ...data, test }, { seed, validation });
  const model = await SparseMLP.create({
    layers: [data.features, ...hidden, data.classes],
    epsilon: 8,
    optimizer: 'adamw',
    seed,
  });
  await model.fit(prepared.train, {
    epochs: 500,
    batchSize: 32,
    validation: prepared.validation,
    earlyStopping: { monitor: 'validationLoss', patience: 20, restoreBest: true },
    onWarning: () => {},
  });
  const { accuracy } = await model.evaluate(prepared.test);
  const links = (await model.layers()).reduce((sum, { nnz }) => sum + nnz, 0);
  model.dispose();
  return { accuracy, links };
}

const tables = ['breast-cancer', 'digits', 'wine'].map((name) => [name, path.join(folder, `${name}.csv`)]);
if (values.csv !== undefined) tables.push([path.basename(values.csv), values.csv]);
console.log(`scikit-learn ${version}, hidden layers ${hidden.join(' x ')}, ${values.seeds} seeds`);
console.log('table | rows | accuracy | early | difference | loss | difference | links | its links');
const mean = (list) => list.reduce((sum, value) => sum + value, 0) / list.length;
/** Mean over the seeds and sample standard deviation. */
function spread(list) {
  const squares = list.reduce((sum, value) => sum + (value - mean(list)) ** 2, 0);
  return `${mean(list).toFixed(4)} ± ${Math.sqrt(squares / (list.length - 1)).toFixed(4)}`;
}
for (const [name, file] of tables) {
  const data = readCsv(file, { label: file === values.csv ? values.label : 'label' });
  const [accuracy, early, loss] = [[], [], []];
  let links;
  for (let seed = 0; seed < Number(values.seeds); seed++) {
    const { train, test } = splitSamples(data.train, { seed });
    const own = await ours({ ...data, train }, test, seed);
    accuracy.push(own.accuracy);
    links ??= own.links;
    early.push((await theirs(train, test, seed, true)).accuracy);
    loss.push((await theirs(train, test, seed, false)).accuracy);
  }
  const less = (list) => spread(accuracy.map((value, seed) => value - list[seed]));
  const sizes = [data.features, ...hidden, data.classes];
  const theirLinks = sizes.slice(1).reduce((sum, size, k) => sum + size * sizes[k], 0);
  const means = [accuracy, early, loss].map((list) => mean(list).toFixed(4));
  console.log(
    [name, data.train.count, means[0], means[1], less(early), means[2], less(loss), links, theirLinks].join(
      ' | ',
    ),
  );
}
python.stdin.end();
