/*
 * A model for Python: node export.mjs FOLDER
 *
 * Writes the weights as SciPy reads them, the model's own file, and some samples with the outputs that Python
 * should get.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { loadDataset, prepare, SparseMLP } from 'set-native';

const [folder = 'for-python'] = process.argv.slice(2);
mkdirSync(folder, { recursive: true });
const { train, test } = prepare(loadDataset('procedural'), { train: 1000, test: 20 });
const model = await SparseMLP.create({ layers: [784, 200, 100, 10], epsilon: 10 });
await model.fit(train, { epochs: 5, evolution: { method: 'set' } });

await model.exportNpz(path.join(folder, 'layers'));
await model.save(path.join(folder, 'model.safetensors'));
const outputs = await model.predict(test.x);
const lines = (values, width) =>
  Array.from({ length: values.length / width }, (_, row) =>
    values.subarray(row * width, (row + 1) * width).join(' '),
  ).join('\n');
writeFileSync(path.join(folder, 'x.txt'), lines(test.x, 784));
writeFileSync(path.join(folder, 'outputs.txt'), lines(outputs, 10));
console.log(`wrote ${folder}: layers/, model.safetensors, x.txt, outputs.txt`);
model.dispose();
