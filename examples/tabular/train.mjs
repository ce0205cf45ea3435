/*
 * From a table to a saved model: node train.mjs [table.csv] [model.safetensors]
 *
 * The table has words and gaps; `customer` is a number of the row and no feature, so it is left out.
 */
import { fileURLToPath } from 'node:url';
import { prepare, readCsv, SparseMLP } from 'set-native';

const here = (name) => fileURLToPath(new URL(name, import.meta.url));
const [table = here('customers.csv'), file = 'churn.safetensors'] = process.argv.slice(2);

const data = readCsv(table, {
  label: 'churned',
  columns: ['plan', 'months', 'country', 'calls', 'income'],
  missing: 'mean',
});
console.log(`${data.train.count} rows, ${data.features} features, classes ${data.classNames.join(' and ')}`);

// A quarter of the training rows chooses the epoch to stop at; the test rows are looked at once, at the end.
const { train, validation, test, encoding } = prepare(data, { seed: 1, validation: 100 });
const model = await SparseMLP.create({
  layers: [data.features, 64, 64, data.classes],
  epsilon: 4,
  optimizer: 'adamw',
  encoding,
});
const history = await model.fit(train, {
  epochs: 200,
  batchSize: 32,
  learningRate: { schedule: 'cosine', rate: 0.003, warmup: 1 },
  classWeight: 'balanced',
  validation,
  earlyStopping: { monitor: 'validationLoss', patience: 20, restoreBest: true },
});
console.log(`stopped after ${history.epochs.length} epochs, the best was ${model.epochs}`);

const { accuracy, classes } = await model.evaluate(test);
console.log(`accuracy on ${test.count} rows it never saw: ${accuracy.toFixed(3)}`);
console.table(
  classes.map(({ precision, recall, support }, k) => ({
    class: data.classNames[k],
    rows: support,
    precision: Number(precision?.toFixed(3)),
    recall: Number(recall?.toFixed(3)),
  })),
);

await model.save(file, { optimizer: false });
console.log(`saved ${file}`);
model.dispose();
