/*
 * A model of layers that from_python.py made: node import.mjs FOLDER
 */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { SparseMLP } from 'set-native';

const [folder = 'from-python'] = process.argv.slice(2);
const numbers = (name) =>
  Float32Array.from(readFileSync(path.join(folder, name), 'utf8').trim().split(/\s+/), Number);
const model = await SparseMLP.fromNpz(['layer0.npz', 'layer1.npz'].map((name) => path.join(folder, name)));
const outputs = await model.predict(numbers('x.txt'));
const difference = numbers('outputs.txt').reduce((most, y, i) => Math.max(most, Math.abs(y - outputs[i])), 0);
console.log(`layers ${model.sizes.join(' x ')}, largest difference ${difference.toExponential(1)}`);
if (difference > 1e-5) throw new Error('Python predicts other numbers');
model.dispose();
