import { expect, test } from 'vitest';
import {
  armKey,
  armLabel,
  armName,
  methodLabel,
  type Trial,
  trialKey,
  trialName,
  trialNameInFull,
} from '../../../src/experiment/trial.js';

const set: Trial = { reading: 'plain', method: 'set', epsilon: 5, motifSize: 1, seed: 3 };
const motif: Trial = { ...set, reading: 'described', method: 'set-motif', motifSize: 4 };
const dense: Trial = { ...set, method: 'dense', epsilon: null, motifSize: null };

test('the names of a training', () => {
  expect([set, motif, dense].map((trial) => trialName(trial))).toEqual([
    'set at epsilon 5, seed 3',
    'set-motif at epsilon 5 and motif size 4, seed 3',
    'dense, seed 3',
  ]);
  expect(armName(motif)).toBe('set-motif at epsilon 5 and motif size 4');
  expect(trialName(motif, 'motif')).toBe('motif at epsilon 5 and motif size 4, seed 3');
  expect(trialNameInFull(set)).toBe('plain, set at epsilon 5, seed 3');
  expect([set, motif, dense].map(methodLabel)).toEqual(['set', 'set-motif 4', 'dense']);
  expect([set, motif, dense].map(armLabel)).toEqual(['set ε 5', 'described set-motif 4 ε 5', 'dense']);
});

test('keys differ where any part of the identity does, and see nothing else', () => {
  const others: Trial[] = [
    { ...set, reading: 'improved' },
    { ...set, method: 'static' },
    { ...set, epsilon: 15 },
    { ...set, motifSize: 2 },
    { ...set, seed: 13 },
  ];
  expect(new Set([set, ...others].map(trialKey)).size).toBe(6);
  expect(new Set([set, ...others].map(armKey)).size).toBe(5);
  expect(trialKey({ ...set, epochs: [] } as Trial)).toBe(trialKey(set));
});
