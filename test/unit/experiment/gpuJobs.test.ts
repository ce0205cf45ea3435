import { expect, test } from 'vitest';
import { gpuJobs } from '../../../src/experiment/gpuJobs.js';

const gpu = { warps: 8448, memory: 100e9 };
const small = Array<number>(64).fill(1e6);

test('small networks run side by side until the device is full of warps', () => {
  const layers = [784, 3000, 3000, 3000, 10]; // 2349 warps on average
  expect(gpuJobs(layers, small, gpu, 64)).toBe(4);
  expect(gpuJobs([8448, 8448], small, gpu, 64)).toBe(1);
  expect(gpuJobs([8448, 8446], small, gpu, 64)).toBe(2);
  expect(gpuJobs([1e6, 1e6, 1e6], small, gpu, 64)).toBe(1);
});

test('never more than 16, than there are groups or cores, or than fit the memory, the largest counted first', () => {
  const tiny = [20, 20, 10];
  expect(gpuJobs(tiny, small, gpu, 64)).toBe(16);
  expect(gpuJobs(tiny, small.slice(0, 3), gpu, 64)).toBe(3);
  expect(gpuJobs(tiny, small, gpu, 6)).toBe(6);
  expect(gpuJobs(tiny, [1e9, 50e9, 1e9, 40e9], gpu, 64)).toBe(2);
  expect(gpuJobs(tiny, [200e9], gpu, 64)).toBe(1);
});
