/*
 * Predictions of a saved model, in another process: node predict.mjs [model.safetensors]
 */
import { SparseMLP } from 'set-native';

const [file = 'churn.safetensors'] = process.argv.slice(2);
const model = await SparseMLP.load(file);

// Objects by the names of the columns; a number that is not known may be left out or null.
const customers = [
  { plan: 'basic', months: 2, country: 'ES', calls: 9, income: 2100 },
  { plan: 'pro', months: 48, country: 'NL', calls: 0, income: 4900 },
  { plan: 'plus', months: 12, country: 'DE', calls: 4, income: null },
];
for (const { className, probability } of await model.classify(customers))
  console.log(`${className} ${probability.toFixed(3)}`);
model.dispose();
