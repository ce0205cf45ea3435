import { spawn, spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { trainingData } from '../../src/cli/trainingData.js';
import { prepare, readCsv, SparseMLP } from '../../src/index.js';

/*
 * The built program on tables of one's own: train, predict, inspect, and experiments on a CSV file.
 */

const main = path.resolve(import.meta.dirname, '../../dist/cli/main.js');
const env = { ...process.env, SET_NATIVE_DATA: '', SET_NATIVE_DEBUG: '', NO_COLOR: '1' };
vi.setConfig({ testTimeout: 120_000 }); // of processes that share the machine with others
let folder: string;

beforeAll(() => {
  if (!existsSync(main)) throw new Error('dist is missing: `npm run build` first');
  folder = mkdtempSync(path.join(tmpdir(), 'set-native-tables-'));
  writeFileSync(path.join(folder, 'flowers.csv'), flowers(150));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A table with a byte order mark, CRLF, quotes, words in other scripts, and classes that numbers tell. */
function flowers(rows: number): string {
  const names = ['"Iris ""setosa"""', 'ÿlor 花', '"virginica, wild"'];
  const lines = Array.from({ length: rows }, (_, i) => {
    const c = i % 3;
    const wobble = (Math.imul(i + 1, 2_654_435_761) >>> 0) / 2 ** 32;
    const colour = c === 0 ? 'blé' : '"rouge, vif"';
    return `${i},${(4 + c + wobble / 2).toFixed(3)},${colour},${(3 - c + wobble / 3).toFixed(3)},${names[c]}`;
  });
  return `\ufeffid,"length, cm",colour,width,kind\r\n${lines.join('\r\n')}\r\n`;
}

/** A table of images of 3 x 3 pixels. */
function images(count: number): string {
  const rows = Array.from({ length: count }, (_, row) => {
    const cells = pixels.map((_, i) => ((Math.imul(row * 9 + i + 1, 2_654_435_761) >>> 0) % 200) / 100);
    return [...cells, ['dark', 'light'][row % 2]].join();
  });
  return `${[...pixels, 'kind'].join()}\n${rows.join('\n')}\n`;
}
const pixels = Array.from({ length: 9 }, (_, i) => `p${i}`);

const place = (name: string) => path.join(folder, name);
const bytesOf = (name: string) => readFileSync(place(name));

function run(args: string[], input?: string | Buffer) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, ...args], {
    cwd: folder,
    env,
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
    ...(input !== undefined && { input }),
  });
  return { code: status, stdout, stderr };
}

const table = ['--csv', 'flowers.csv', '--label', 'kind'];
const network = ['--layers', '40', '--epsilon', '3', '--threads', '1'];
const training = ['train', ...table, ...network];

/** Runs the program until `pattern` appears on standard error, then sends the signal. */
function interrupted(args: string[], pattern: RegExp, signal: NodeJS.Signals) {
  return new Promise<{ code: number | null; stderr: string }>((resolve) => {
    const child = spawn(process.execPath, [main, ...args], { cwd: folder, env });
    let stderr = '';
    let sent = false;
    child.stderr.on('data', (chunk) => {
      stderr += chunk;
      if (!sent && pattern.test(stderr)) {
        sent = true;
        child.kill(signal);
      }
    });
    child.on('close', (code) => resolve({ code, stderr }));
  });
}

describe('train', () => {
  test('says that nothing is kept without --save', () => {
    const { code, stdout, stderr } = run([...training, '--epochs', '2']);
    expect({ code, stderr }).toMatchObject({
      code: 0,
      stderr: expect.stringContaining('not kept: --save FILE'),
    });
    expect(stdout).toMatch(/^saved +no$/m);
    expect(stdout).toMatch(/^validation +accuracy/m);
    expect(stdout).not.toMatch(/^test /m); // a table has no test set
  });

  test.each([
    ['set', []],
    ['set', ['--optimizer', 'adamw']],
    ['set', ['--dropout', '0.3']],
    ['set-motif', ['--topology', 'motif']],
  ])('goes on to the bits of a training that never stopped: %s %j', (method, more) => {
    const options = [...training, '--method', method, ...more];
    expect(run([...options, '--epochs', '7', '--save', 'whole.st']).code).toBe(0);
    expect(run([...options, '--epochs', '3', '--save', 'parts.st']).code).toBe(0);
    expect(bytesOf('parts.st')).not.toEqual(bytesOf('whole.st'));
    expect(run([...options, '--epochs', '7', '--resume', 'parts.st']).code).toBe(0);
    expect(bytesOf('parts.st')).toEqual(bytesOf('whole.st'));
  });

  test('--dropout reaches the training, and is from 0 to below 1', () => {
    const options = [...training, '--epochs', '2'];
    expect(run([...options, '--save', 'none.st']).code).toBe(0);
    expect(run([...options, '--dropout', '0', '--save', 'zero.st']).code).toBe(0);
    expect(run([...options, '--dropout', '0.5', '--save', 'half.st']).code).toBe(0);
    expect(bytesOf('zero.st')).toEqual(bytesOf('none.st'));
    expect(bytesOf('half.st')).not.toEqual(bytesOf('none.st'));
    const { code, stderr } = run([...options, '--dropout', '1']);
    expect({ code, stderr }).toMatchObject({ code: 2, stderr: expect.stringContaining('below 1') });
  });

  test('--average keeps the mean of the last epochs, and says so', async () => {
    const options = [...training, '--epochs', '4', '--evolve-until', '0.5'];
    expect(run([...options, '--save', 'last.st']).stdout).not.toMatch(/^averaged/m);
    const { code, stdout } = run([...options, '--average', '0.5', '--save', 'mean.st']);
    expect({ code, stdout }).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^averaged +the last 2 epochs; validation of the last alone: accuracy /m),
    });
    expect(bytesOf('mean.st')).not.toEqual(bytesOf('last.st'));
    const bare = run([...options, '--average', '0.9', '--validation', '0']);
    expect(bare.stdout).toMatch(/^averaged +the last epoch$/m);
    expect(run([...options, '--average', '1'])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('below 1'),
    });
    expect(run([...options, '--average', '0.5', '--patience', '2'])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('--patience keeps the best epoch and --average the mean of epochs'),
    });
  });

  test('--resume keeps the mean that an interrupted run has begun, also when all epochs are trained', async () => {
    const [half, whole] = ['half.st', 'whole-mean.st'];
    const options = [...training, '--epochs', '4', '--evolve-until', '0.25', '--average', '0.25'];
    expect(run([...options, '--save', whole]).code).toBe(0);
    const chosen = { table: { csv: place('flowers.csv'), label: 'kind' }, scaling: 'own' } as const;
    const data = trainingData({ ...chosen, validation: 0.2, seed: 0, inputOrder: 'given' });
    const layers = [data.train.features, 40, 3];
    for (const at of [2, 3, 4]) {
      // The same training, of which a file is left from the middle.
      const model = await SparseMLP.create({ layers, epsilon: 3, threads: 1, encoding: data.encoding });
      let bytes = new Uint8Array();
      await model.fit(data.train, {
        ...{ until: 4, average: 0.25, evolution: { until: 0.25 }, onWarning: () => {} },
        onEpoch: async ({ epoch }) => {
          if (epoch === at) bytes = await model.toBuffer();
        },
      });
      model.dispose();
      writeFileSync(place(half), bytes);
      const { code, stdout } = run([...options, '--resume', half]);
      expect({ code, stdout }).toMatchObject({
        code: 0,
        stdout: expect.stringMatching(/^averaged +the last 3 /m),
      });
      expect(bytesOf(half)).toEqual(bytesOf(whole));
    }
    expect(run([...options, '--resume', half])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('has 4 already'),
    });
  });

  test.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)(
    '%s within an epoch saves the last whole one, from which it goes on to the same bits',
    async (signal, code) => {
      const file = `${signal}.st`;
      const long = [...training, '--layers', '300,300', '--batch-size', '1', '--schedule', 'constant'];
      const stopped = await interrupted(
        [...long, '--epochs', '5000', '--save', file, '--progress', 'json'],
        /"epoch":2,/,
        signal,
      );
      expect(stopped.code).toBe(code);
      expect(stopped.stderr).toContain(`--save ${file} --progress json --resume ${file}`);
      const model = await SparseMLP.load(place(file), { backend: 'cpu', threads: 1 });
      const { epochs } = model;
      model.dispose();
      expect(epochs).toBeGreaterThanOrEqual(2);
      const end = ['--epochs', String(epochs + 2)];
      expect(run([...long, ...end, '--resume', file]).code).toBe(0);
      expect(run([...long, ...end, '--save', 'never-stopped.st']).code).toBe(0);
      expect(bytesOf(file)).toEqual(bytesOf('never-stopped.st'));
    },
  );

  test('a signal before the first whole epoch keeps the network that was drawn', async () => {
    const options = [
      ...training,
      '--layers',
      '3000,3000',
      '--epsilon',
      '300',
      '--batch-size',
      '1',
      '--epochs',
      '50',
    ];
    const { code } = await interrupted([...options, '--save', 'early.st'], /The model goes to/, 'SIGTERM');
    expect(code).toBe(143);
    const model = await SparseMLP.load(place('early.st'), { backend: 'cpu', threads: 1 });
    expect(model.epochs).toBe(0);
    model.dispose();
  });

  test.each([
    ['--epsilon', '5', /--epsilon 5 contradicts made\.st, which was made with 3/],
    ['--layers', '50', /--layers 50 contradicts made\.st, which was made with 40/],
    ['--seed', '9', /--seed 9 contradicts made\.st, which was made with 0/],
    ['--activation', 'tanh', /--activation tanh contradicts/],
    ['--optimizer', 'adamw', /--optimizer adamw contradicts/],
  ])('--resume refuses %s %s, which the file contradicts', (flag, value, message) => {
    if (!existsSync(place('made.st'))) run([...training, '--epochs', '2', '--save', 'made.st']);
    const before = bytesOf('made.st');
    const { code, stderr } = run([...training, flag, value, '--epochs', '4', '--resume', 'made.st']);
    expect(code).toBe(2);
    expect(stderr).toMatch(message);
    expect(bytesOf('made.st')).toEqual(before);
  });

  test('--resume refuses other data, epochs that are done, and a model for deployment', async () => {
    run([...training, '--epochs', '2', '--save', 'resumed.st']);
    const other = run([...training, '--validation', '0.5', '--epochs', '4', '--resume', 'resumed.st']);
    expect(other).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('was trained on data with other'),
    });
    const done = run([...training, '--epochs', '2', '--resume', 'resumed.st']);
    expect(done).toMatchObject({ code: 2, stderr: expect.stringContaining('resumed.st has 2 already') });
    const model = await SparseMLP.load(place('resumed.st'), { backend: 'cpu', threads: 1 });
    await model.save(place('light.st'), { optimizer: false });
    model.dispose();
    const light = run([...training, '--epochs', '4', '--resume', 'light.st']);
    expect(light).toMatchObject({ code: 2, stderr: expect.stringContaining('light.st is without it') });
  });

  test('--progress json: a line of JSON for each epoch, on standard error', () => {
    const { code, stdout, stderr } = run([...training, '--epochs', '3', '--progress', 'json']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^epochs +3/);
    const lines = stderr
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    const epochs = lines.filter(({ kind }) => kind === 'epoch');
    expect(epochs.map(({ epoch }) => epoch)).toEqual([1, 2, 3]);
    for (const line of epochs) {
      expect(line).toMatchObject({
        epochs: 3,
        loss: expect.any(Number),
        validationAccuracy: expect.any(Number),
      });
      expect(line).toMatchObject({ links: expect.any(Number), replaced: expect.any(Number) });
      expect(line).toMatchObject({ samplesPerSecond: expect.any(Number), secondsLeft: expect.any(Number) });
    }
    expect(epochs.at(-1).secondsLeft).toBe(0);
  });

  test('a test set of a data set is evaluated in the end; numbers are predicted by --target', () => {
    const small = ['--dataset', 'procedural', '--epochs', '1', '--batch-size', '400', '--layers', '20'];
    expect(run(['train', ...small]).stdout).toMatch(/^test +accuracy 0\.\d+, loss/m);
    const numbers = ['--csv', 'flowers.csv', '--target', 'width', '--epochs', '30', '--save', 'width.st'];
    expect(run(['train', ...numbers]).stdout).toMatch(/^validation +r² 0\.[89]/m);
    const rows = run(['predict', 'width.st', '--csv', 'flowers.csv', '--keep', 'width'])
      .stdout.trim()
      .split('\n');
    expect(rows[0]).toBe('width,predicted width');
    const errors = rows
      .slice(1)
      .map((row) => Math.abs(Number(row.split(',')[0]) - Number(row.split(',')[1])));
    expect(errors.reduce((sum, each) => sum + each, 0) / errors.length).toBeLessThan(0.4);
  });

  test('--columns names the features', () => {
    const few = ['--columns', 'width,colour', '--epochs', '2', '--save', 'few.st'];
    expect(run([...training, ...few]).code).toBe(0);
    const facts = JSON.parse(run(['inspect', 'few.st', '--json']).stdout);
    expect(facts.encoding.columns.map(({ name }: { name: string }) => name)).toEqual(['width', 'colour']);
    expect(run(['predict', 'few.st'], 'colour,width\nblé,3').stdout).toContain('setosa');
    const unknown = run([...training, '--columns', 'height']);
    expect(unknown).toMatchObject({ code: 2, stderr: expect.stringContaining('"height"') });
  });

  test('--input-order puts pixels in tiles; predict takes rows as they are in the table', () => {
    writeFileSync(place('pixels.csv'), images(60));
    const options = ['train', '--csv', 'pixels.csv', ...network, '--epochs', '2'];
    const ordered = [...options, '--input-order', 'tiles:2:3x3'];
    expect(run([...ordered, '--save', 'tiles.st']).code).toBe(0);
    expect(run(['inspect', 'tiles.st']).stdout).toMatch(/^inputs +p0, p1, p3, p4, p2, p5, p6, p7, p8$/m);
    const { columns, order } = JSON.parse(run(['inspect', 'tiles.st', '--json']).stdout).encoding;
    expect(order).toEqual([0, 1, 3, 4, 2, 5, 6, 7, 8]);
    expect(columns.map(({ name }: { name: string }) => name)).toEqual(pixels);
    // The same as a table whose columns are in that order.
    const names = order.map((i: number) => pixels[i]).join();
    expect(run([...options, '--columns', names, '--save', 'columns.st']).code).toBe(0);
    const answers = ['tiles.st', 'columns.st'].map((file) => run(['predict', file, '--csv', 'pixels.csv']));
    expect(answers[0]!.stdout.split('\n')).toHaveLength(62);
    expect(answers[0]).toEqual(answers[1]);
    // A training goes on in its order alone.
    expect(run([...options, '--epochs', '3', '--resume', 'tiles.st'])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('--input-order'),
    });
    expect(run([...ordered, '--epochs', '3', '--resume', 'tiles.st']).code).toBe(0);
    // Tiles are of images.
    expect(run([...options, '--input-order', 'tiles:4'])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('pixels.csv does not have; give it, as --input-order tiles:4:28x28'),
    });
    expect(run([...options, '--input-order', 'tiles:2:3x4'])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('of 9 pixels'),
    });
    expect(run([...options, '--input-order', 'rows'])).toMatchObject({ code: 2 });
    expect(run(['bench', '--csv', 'pixels.csv', '--input-order', 'tiles'])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('as tiles:2:28x28 or, of three channels, tiles:2:32x32x3'),
    });
    // Known images have a shape.
    const small = ['--dataset', 'procedural', '--epochs', '1', '--batch-size', '400', '--layers', '20'];
    expect(run(['train', ...small, '--input-order', 'tiles', '--save', 'shapes.st']).code).toBe(0);
    expect(run(['inspect', 'shapes.st']).stdout).toMatch(
      /^inputs +feature 0, feature 1, feature 28, feature 29,/m,
    );
  });

  test('--shift and --flip augment images, which goes on as if it had never stopped', () => {
    writeFileSync(place('images.csv'), images(60));
    const options = ['train', '--csv', 'images.csv', ...network, '--input-order', 'tiles:2:3x3'];
    const moving = [...options, '--shift', '2', '--flip'];
    expect(run([...options, '--epochs', '3', '--shift', '0', '--save', 'still.st']).code).toBe(0);
    expect(run([...moving, '--epochs', '3', '--save', 'moved.st']).code).toBe(0);
    expect(bytesOf('moved.st')).not.toEqual(bytesOf('still.st'));
    expect(run([...moving, '--epochs', '1', '--save', 'begun.st']).code).toBe(0);
    expect(run([...moving, '--epochs', '3', '--resume', 'begun.st']).code).toBe(0);
    expect(bytesOf('begun.st')).toEqual(bytesOf('moved.st'));
    expect(run([...training, '--flip'])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('--flip takes the shape of an image, which flowers.csv does not have'),
    });
    expect(run(['train', '--dataset', 'procedural', '--shift', '28'])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('--shift 28 leaves nothing of images of 28 x 28 pixels'),
    });
    expect(run([...options, '--shift', '1.5'])).toMatchObject({ code: 2 });
  });

  test('schedules: options train as those of fit do, and what they do not go with is refused', async () => {
    const flags =
      '--rate-schedule cosine --rate-end 0.01 --warmup 0.5 --weight-decay-mode l2 --zeta-schedule cosine ' +
      '--evolve-every 2steps --evolve-until 0.75 --epochs 4 --validation 0 --batch-size 40 --save by-name.st';
    expect(run([...training, ...flags.split(' ')]).code).toBe(0);
    const data = readCsv(place('flowers.csv'), { label: 'kind' });
    const { train, encoding } = prepare({ ...data, test: data.train });
    const model = await SparseMLP.create({
      ...{ layers: [train.features, 40, 3], epsilon: 3, threads: 1, encoding },
    });
    await model.fit(train, {
      ...{ epochs: 4, weightDecayMode: 'l2' },
      learningRate: { schedule: 'cosine', end: 0.01, warmup: 0.5 },
      evolution: { zeta: { schedule: 'cosine' }, every: { steps: 2 }, until: 0.75 },
    });
    const saved = await SparseMLP.load(place('by-name.st'));
    expect(await saved.download()).toEqual(await model.download());
    for (const each of [model, saved]) each.dispose();
    expect(run([...training, '--rate-end', '0.01'])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('--rate-end takes --rate-schedule linear or cosine'),
    });
  });

  test('missing values: refused by name of the place, dropped, or filled, then also in predictions', () => {
    const gaps = flowers(60)
      .replace('\r\n5,', '\r\n,')
      .replace(/(\r\n6,[^,]+,[^,]+,)[^,]+/, '$1NA');
    writeFileSync(place('gaps.csv'), gaps);
    const options = ['train', '--csv', 'gaps.csv', '--label', 'kind', '--epochs', '2'];
    expect(run(options)).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('gaps.csv, line 7, column 1'),
    });
    expect(run([...options, '--missing', 'drop']).stderr).toContain('rows were left out');
    expect(run([...options, '--missing', 'mean', '--save', 'gaps.st']).code).toBe(0);
    expect(run(['predict', 'gaps.st', '--csv', 'gaps.csv']).stdout.trim().split('\n')).toHaveLength(61);
    expect(run(['train', '--missing', 'drop', '--dataset', 'procedural']).code).toBe(2);
    expect(run(['train', ...table, '--dataset', 'procedural']).code).toBe(2);
    expect(run(['train']).code).toBe(2);
  });
});

describe('predict', () => {
  beforeAll(() => {
    expect(run([...training, '--epochs', '20', '--save', 'model.st']).code).toBe(0);
  });

  test('names classes as the model does in another process; columns in any order, the label is left out', async () => {
    const model = await SparseMLP.load(place('model.st'), { backend: 'cpu', threads: 1 });
    const rows = [
      { id: 3, 'length, cm': 4.2, colour: 'blé', width: 3.1 },
      { id: 4, 'length, cm': 6.2, colour: 'rouge, vif', width: 1.1 },
    ];
    const expected = await model.classify(rows);
    model.dispose();
    const csv = 'width,kind,"colour",more,id,"length, cm"\n3.1,?,blé,"a\nb",3,4.2\n1.1,,"rouge, vif",,4,6.2';
    const { code, stdout, stderr } = run(['predict', 'model.st', '--keep', 'more', '--output', 'jsonl'], csv);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const found = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(found.map(({ more }) => more)).toEqual(['a\nb', '']);
    for (const [i, { prediction, probabilities }] of found.entries()) {
      expect(prediction).toBe(expected[i]!.className);
      for (const [name, p] of Object.entries(expected[i]!.probabilities))
        expect(probabilities[name]).toBeCloseTo(p, 5);
    }
    const asJson = run(
      ['predict', 'model.st', '--output', 'jsonl'],
      rows.map((row) => JSON.stringify(row)).join('\n'),
    );
    expect(
      asJson.stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line).prediction),
    ).toEqual(found.map(({ prediction }) => prediction));
    const asLists = run(
      ['predict', 'model.st'],
      rows.map((row) => JSON.stringify(Object.values(row))).join('\r\n'),
    );
    expect(asLists.stdout).toBe(asJson.stdout);
  });

  test('the same answers to a file, packed, by line ends of any kind, and to a pipe', () => {
    const answers = run(['predict', 'model.st', '--csv', 'flowers.csv', '--keep', 'id']).stdout;
    expect(answers.split('\n')).toHaveLength(152);
    expect(answers.split('\n')[0]).toBe(
      'id,prediction,probability,"p(Iris ""setosa"")","p(virginica, wild)",p(ÿlor 花)',
    );
    const right = answers
      .split('\n')
      .slice(1, -1)
      .filter((line, i) => {
        return line.includes([',"Iris ""setosa""",', ',ÿlor 花,', ',"virginica, wild",'][i % 3]!);
      });
    expect(right.length).toBeGreaterThan(140);
    writeFileSync(place('packed.csv.gz'), gzipSync(flowers(150)));
    expect(run(['predict', 'model.st', '--csv', 'packed.csv.gz', '--keep', 'id']).stdout).toBe(answers);
    for (const end of ['\n', '\r', '\r\n\r\n'])
      expect(run(['predict', 'model.st', '--keep', 'id'], flowers(150).replaceAll('\r\n', end)).stdout).toBe(
        answers,
      );
    const tabs = flowers(150)
      .replaceAll(/"([^"]*), ([^"]*)"/g, '$1# $2')
      .replaceAll(',', ';')
      .replaceAll(/(\w+)# (\w+)/g, '"$1, $2"');
    expect(run(['predict', 'model.st', '--keep', 'id'], tabs).stdout.split('\n')).toHaveLength(152);
  });

  test.each([
    ['4,4.2,grün,3.1', 'line 3: expected one of blé, rouge, vif in colour, came "grün"'],
    ['4,long,blé,3.1', 'line 3: expected a number in length, cm, came "long"'],
    ['4,4.2,blé', 'line 3: expected 4 cells, came 3'],
    ['4,4.2,blé,', 'line 3: expected a value of width'],
    ['4,4.2,"b"lé,3', 'line 3, column 3: expected quotes around a whole cell'],
    ['4,1e39,blé,3', 'line 3: expected a number that fits float32'],
  ])('a bad row, %s, stops it behind the rows before, or is skipped', (bad, message) => {
    const csv = `id,"length, cm",colour,width\n1,4.2,blé,3\n${bad}\n3,4.4,blé,3`;
    const stopped = run(['predict', 'model.st', '--keep', 'id'], csv);
    expect(stopped.code).toBe(1);
    expect(stopped.stderr).toContain(message);
    expect(stopped.stdout.split('\n').map((line) => line.split(',')[0])).toEqual(['id', '1', '']);
    const skipped = run(['predict', 'model.st', '--keep', 'id', '--skip-bad'], csv);
    expect(skipped.code).toBe(0);
    expect(skipped.stderr).toContain(message);
    expect(skipped.stderr).toContain('1 row was skipped.');
    expect(skipped.stdout.split('\n').map((line) => line.split(',')[0])).toEqual(['id', '1', '3', '']);
  });

  test('a table without a column that is to be kept is refused before anything is written', () => {
    const { code, stdout, stderr } = run(['predict', 'model.st', '--csv', 'flowers.csv', '--keep', 'name']);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toContain('a column named name');
  });

  test.each([
    ['{"id":1', 'line 2: expected a list or an object in JSON'],
    ['[1,2]', 'line 2: expected 4 cells, came 2'],
    ['7', 'line 2: expected a list or an object in JSON'],
    ['{"id":{},"length, cm":1,"colour":"blé","width":1}', 'line 2: expected a number in id'],
    ['{"colour":"blé"}', 'line 2: expected a value of id'],
    ['{"x":1}', 'line 2: expected a column named id, came x'],
    ['[1,2,"bl\u00e9",1]'.replace('\u00e9', '\ud800'), 'line 2: expected one of'],
  ])('a bad line of JSON, %s', (bad, message) => {
    const good = '[1,4.2,"blé",3]';
    const { code, stdout, stderr } = run(['predict', 'model.st'], `${good}\n${bad}\n${good}`);
    expect({ code, stderr }).toMatchObject({ code: 1, stderr: expect.stringContaining(message) });
    expect(stdout.trim().split('\n')).toHaveLength(1);
    expect(
      run(['predict', 'model.st', '--skip-bad'], `${good}\n${bad}\n${good}`).stdout.trim().split('\n'),
    ).toHaveLength(2);
  });

  test('a table that lacks a column, or has one twice, is refused by its first line', () => {
    const lacks = run(['predict', 'model.st'], 'id,colour,width\n1,blé,3');
    expect(lacks).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('line 1: expected a column named length, cm'),
    });
    const twice = run(['predict', 'model.st'], 'id,id,"length, cm",colour,width\n1,1,1,blé,3');
    expect(twice).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('one column named id, came columns 1, 2'),
    });
    const unnamed = run(['predict', 'model.st', '--no-header'], '1,4.2,blé,3\n2,4.3,blé,3');
    expect(unnamed.stdout.trim().split('\n')).toHaveLength(3);
    expect(run(['predict', 'model.st', '--keep', 'prediction'], 'x\n1')).toMatchObject({ code: 2 });
    expect(run(['predict', 'model.st', '--csv', 'nowhere.csv'])).toMatchObject({ code: 1 });
  });

  test('a line is answered before the next one comes', async () => {
    const child = spawn(process.execPath, [main, 'predict', 'model.st'], { cwd: folder, env });
    let answered = '';
    child.stdout.on('data', (chunk) => {
      answered += chunk;
    });
    for (let i = 1; i <= 3; i++) {
      child.stdin.write(`[${i},4.2,"blé",3]\n`);
      await vi.waitFor(() => expect(answered.split('\n')).toHaveLength(i + 1), 20_000);
      if (i === 3) child.stdin.end();
    }
    expect(await new Promise((resolve) => child.on('close', resolve))).toBe(0);
  });

  test('two hundred thousand rows take no more memory than a few, in their order', () => {
    const rows = Array.from({ length: 200_000 }, (_, i) => `${i},4.${i % 10},blé,3.${i % 7}`);
    writeFileSync(place('many.csv'), `id,"length, cm",colour,width\n${rows.join('\n')}\n`);
    const probe = "process.on('exit', () => process.stderr.write(String(process.resourceUsage().maxRSS)))";
    const peakOf = (file: string) => {
      writeFileSync(place('probe.mjs'), probe);
      const args = [
        '--import',
        place('probe.mjs'),
        main,
        'predict',
        'model.st',
        '--csv',
        file,
        '--keep',
        'id',
      ];
      const done = spawnSync(process.execPath, args, {
        cwd: folder,
        env,
        encoding: 'utf8',
        maxBuffer: 2 ** 28,
      });
      return {
        ids: done.stdout
          .trim()
          .split('\n')
          .slice(1)
          .map((line) => Number.parseInt(line, 10)),
        kib: Number(done.stderr),
      };
    };
    const few = peakOf('flowers.csv');
    const many = peakOf('many.csv');
    expect(many.ids).toEqual(Array.from({ length: 200_000 }, (_, i) => i));
    expect(many.kib - few.kib).toBeLessThan(160 * 1024);
  });

  test('a reader that leaves early ends it quietly, also one that stops to read before', async () => {
    writeFileSync(place('endless.csv'), `id,"length, cm",colour,width\n${'1,4.2,blé,3\n'.repeat(300_000)}`);
    const child = spawn(process.execPath, [main, 'predict', 'model.st', '--csv', 'endless.csv'], {
      cwd: folder,
      env,
    });
    let stderr = '';
    child.stderr.on('data', (chunk) => {
      stderr += chunk;
    });
    child.stdout.once('data', () => {
      child.stdout.pause();
      setTimeout(() => child.stdout.destroy(), 300);
    });
    const code = await new Promise((resolve) => child.on('close', resolve));
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  });

  test.each(['SIGINT', 'SIGTERM'] as const)(
    '%s ends it, also while its reader does not read',
    async (signal) => {
      writeFileSync(place('unread.csv'), `id,"length, cm",colour,width\n${'1,4.2,blé,3\n'.repeat(300_000)}`);
      // A pipe of the system, which nobody reads: the stream of a child would read ahead.
      const program = `sh -c 'echo $$ > pid; exec "$0" "$@"' "$2" "$1" predict model.st --csv unread.csv`;
      const reader = `{ sleep 2; kill -${signal.slice(3)} "$(cat pid)"; sleep 1; cat > rest; }`;
      const script = `${program} | ${reader}; echo "\${PIPESTATUS[0]}"`;
      const { stdout } = spawnSync('bash', ['-c', script, 'bash', main, process.execPath], {
        cwd: folder,
        env,
        encoding: 'utf8',
      });
      expect(Number(stdout)).toBe(signal === 'SIGINT' ? 130 : 143);
    },
  );

  test('a model without an encoding gives its outputs', async () => {
    const model = await SparseMLP.create({ layers: [3, 5, 2], backend: 'cpu', threads: 1 });
    await model.save(place('plain.st'));
    const outputs = await model.predict(new Float32Array([1, 2, 3]));
    model.dispose();
    const { stdout } = run(['predict', 'plain.st', '--no-header'], '1,2,3\n');
    const [names, values] = stdout.trim().split('\n');
    expect(names).toBe('output 1,output 2');
    for (const [i, value] of values!.split(',').entries()) expect(Number(value)).toBeCloseTo(outputs[i]!, 5);
    expect(JSON.parse(run(['predict', 'plain.st'], '[1,2,3]').stdout).outputs).toHaveLength(2);
  });
});

describe('inspect', () => {
  test('shows layers, degrees, ages and encoding; --json has the same facts', async () => {
    run([...training, '--epochs', '4', '--save', 'looked.st']);
    const { code, stdout } = run(['inspect', 'looked.st']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^network +5 → 40 → 3, \d+ links/m);
    expect(stdout).toMatch(/^drawn +erdos-renyi, ε 3, weights he-fan-in, seed 0$/m);
    expect(stdout).toMatch(/^trained +4 epochs; training can go on$/m);
    expect(stdout).toMatch(/^colour +words: blé, rouge, vif$/m);
    expect(stdout).toMatch(/^classes +Iris "setosa", virginica, wild, ÿlor 花$/m);
    const facts = JSON.parse(run(['inspect', 'looked.st', '--json']).stdout);
    const model = await SparseMLP.load(place('looked.st'), { backend: 'cpu', threads: 1 });
    const layers = await model.layers();
    expect(facts.encoding).toEqual(model.encoding);
    expect(facts.layers.map(({ links }: { links: number }) => links)).toEqual(layers.map(({ nnz }) => nnz));
    expect(facts).toMatchObject({ bytes: bytesOf('looked.st').length, epochs: 4, resumable: true });
    const [first] = facts.layers;
    expect(first.dense).toBe(false);
    // Evolution followed epochs 1 to 3; what is left of the start is as old as the model.
    expect(first.age).toMatchObject({ min: 1, max: 4 });
    const [data] = await model.download();
    const degrees = Array.from({ length: 5 }, (_, i) => data!.rowOffsets[i + 1]! - data!.rowOffsets[i]!).sort(
      (a, b) => a - b,
    );
    expect(first.outDegree).toEqual({ min: degrees[0], median: degrees[2], max: degrees[4] });
    await model.save(place('light2.st'), { optimizer: false });
    model.dispose();
    const light = run(['inspect', 'light2.st']).stdout;
    expect(light).toContain('saved without the state of the optimizer');
    expect(light).toContain('–'); // ages are not in it
  });

  test('hostile files are refused, by inspect, predict and --resume, and nothing of them reaches the terminal', () => {
    run([...training, '--epochs', '1', '--save', 'good.st']);
    const good = bytesOf('good.st');
    const header = Number(good.readBigUInt64LE());
    const flipped = Buffer.from(good);
    flipped[header + 12]! ^= 0xff;
    const escaped = Buffer.from(
      good.toString('latin1').replace('"format":"set-native"', '"format":"\\u001b[2Jxxx"'),
      'latin1',
    );
    const long = Buffer.from(good);
    long.writeBigUInt64LE(2n ** 62n);
    const files = {
      cut: good.subarray(0, -3),
      head: good.subarray(0, 50),
      long,
      escaped,
      empty: Buffer.alloc(0),
      more: Buffer.concat([good, Buffer.from('x')]),
    };
    for (const [name, bytes] of Object.entries(files)) {
      writeFileSync(place(`${name}.bad`), bytes);
      for (const args of [
        ['inspect', `${name}.bad`],
        ['predict', `${name}.bad`],
        [...training, '--resume', `${name}.bad`],
      ]) {
        const { code, stdout, stderr } = run(args, '');
        expect({ name, code, stdout }).toEqual({ name, code: 1, stdout: '' });
        expect(stderr).toMatch(/^error: \[load\] \w+\.bad/m);
        expect(stderr).not.toContain('\u001b');
      }
    }
    writeFileSync(place('flipped.bad'), flipped);
    expect([0, 1]).toContain(run(['inspect', 'flipped.bad']).code); // a weight may be any finite number
  });
});

describe('experiments on a table', () => {
  test.each(['bench', 'select'])(
    '%s records the file, goes on from anywhere, and refuses another',
    (command) => {
      const sizes = [
        '--hidden',
        '20',
        '--epsilon',
        '2',
        '--epochs',
        '2',
        '--runs',
        '2',
        '--progress',
        'json',
      ];
      const kinds = command === 'bench' ? ['--methods', 'set,static'] : ['--keep', '50,100'];
      const out = `${command}-out`;
      const { code, stderr } = run([command, ...table, ...sizes, ...kinds, '--out', out]);
      expect(code).toBe(0);
      const lines = stderr
        .split('\n')
        .filter((line) => line.startsWith('{'))
        .map((line) => JSON.parse(line));
      expect(lines.filter(({ kind }) => kind === (command === 'bench' ? 'epoch' : 'run'))).toHaveLength(
        command === 'bench' ? 8 : 4,
      );
      copyFileSync(place('flowers.csv'), place('moved.csv'));
      expect(run([command, '--resume', out]).code).toBe(0);
      expect(run([command, '--resume', out, '--csv', 'moved.csv']).code).toBe(0);
      writeFileSync(place('moved.csv'), flowers(150).replace('\r\n1,', '\r\n2,'));
      const other = run([command, '--resume', out, '--csv', 'moved.csv']);
      expect(other).toMatchObject({
        code: 1,
        stderr: expect.stringContaining('name the same table with --csv'),
      });
      expect(run([command, '--resume', out, '--label', 'id'])).toMatchObject({ code: 2 });
    },
  );
});
