/*
 * Trains, saves, loads and predicts; prints one line of JSON. The same network, seed and instruction set must
 * give the same hash in every runtime and on every platform.
 */
import { createHash } from 'node:crypto';
import os from 'node:os';
import path from 'node:path';
import { info, loadDataset, prepare, SparseMLP } from 'set-native';

const { train, test } = prepare(loadDataset('procedural'), { train: 200, test: 50, seed: 1 });
const model = await SparseMLP.create({
  layers: [784, 100, 10],
  epsilon: 5,
  seed: 1,
  threads: 1,
  backend: 'cpu',
});
await model.fit(train, { epochs: 2, evolution: { method: 'set', zeta: 0.3 } });
const file = path.join(process.env.MODEL_FOLDER ?? os.tmpdir(), `model-${process.pid}.safetensors`);
await model.save(file);
model.dispose();
const loaded = await SparseMLP.load(file);
const predictions = await loaded.predict(test.x);
loaded.dispose();

const { addon, isa } = info();
const { bun, deno, electron, node } = process.versions;
const runtime = bun
  ? `Bun ${bun}`
  : deno
    ? `Deno ${deno}`
    : electron
      ? `Electron ${electron}`
      : `Node ${node}`;
const bytes = Buffer.from(predictions.buffer, predictions.byteOffset, predictions.byteLength);
const hash = createHash('sha256').update(bytes).digest('hex');
console.log(JSON.stringify({ runtime, ...addon, isa: isa.used, hash }));
