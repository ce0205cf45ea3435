import type { GpuCapacity } from '../native.js';

/** Most jobs, which bounds the cost of a wrong estimate. */
const mostJobs = 16;

/** Share of the device's memory that networks and samples may take. */
const usable = 0.9;

/**
 * Estimates how many groups must train at once so that their kernels fill a GPU. A group trains one network
 * at a time, whose forward kernels run about one warp per target and whose backward kernels one per source of
 * a layer; streams overlap, so that groups are added until their warps, on average over the kernels, are as
 * many as the device holds.
 *
 * @param layers sizes of the networks' layers
 * @param bytes of device memory that each group takes
 * @param cores of the host: each job has a thread that queues its kernels
 */
export function gpuJobs(layers: number[], bytes: number[], gpu: GpuCapacity, cores: number): number {
  const warps = layers.slice(1).flatMap((targets, l) => [targets, layers[l]!]);
  const filling = Math.ceil((gpu.warps * warps.length) / warps.reduce((sum, each) => sum + each, 0));
  let left = gpu.memory * usable;
  let fitting = 0;
  for (const each of [...bytes].sort((a, b) => b - a)) {
    left -= each;
    if (left < 0) break;
    fitting++;
  }
  return Math.max(1, Math.min(filling, fitting, mostJobs, cores));
}
