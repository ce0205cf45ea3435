#pragma once

#include <cstdint>

#include "cuda/device_code.cuh"
#include "gpu/evolve_params.h"

/*
 * Exclusive sums over arrays of any length, modulo 2^32: numbers of items before an item.
 *
 *   values[i] := values[0] + ... + values[i - 1]
 *
 * A thread block scans a tile of kScanTile numbers, 8 neighbours per thread, and writes the tile's sum to
 * `sums`. The host scans the sums in the same way, and scan_add adds to each tile the sum of the tiles before
 * it: 12 bytes per number.
 */
namespace set_native::cuda {

constexpr unsigned kWholeWarp = 0xffffffff;

__device__ inline uint32_t lane_of_thread() {
  return threadIdx.x % 32;
}

/** Returns the number of this warp among all warps of the launch. */
__device__ inline uint32_t warp_of_launch() {
  return (blockIdx.x * blockDim.x + threadIdx.x) / 32;
}

__device__ inline uint32_t thread_of_launch() {
  return blockIdx.x * blockDim.x + threadIdx.x;
}

/** Returns the sum of the values of the lanes before this one. */
__device__ inline uint32_t sum_of_lanes_before(uint32_t value) {
  uint32_t sum = value;
  for (uint32_t step = 1; step < 32; step *= 2) {
    const uint32_t other = __shfl_up_sync(kWholeWarp, sum, step);
    if (lane_of_thread() >= step) sum += other;
  }
  return sum - value;
}

__device__ inline uint32_t sum_of_warp(uint32_t value) {
  for (uint32_t step = 16; step > 0; step /= 2) value += __shfl_xor_sync(kWholeWarp, value, step);
  return value;
}

/** Returns the number of set bits of a ballot that belong to lanes before this one. */
__device__ inline uint32_t votes_before(uint32_t ballot) {
  return static_cast<uint32_t>(__popc(ballot & ((1u << lane_of_thread()) - 1)));
}

/**
 * Returns the sum of the values of the threads before this one in the thread block; `total` becomes the sum
 * of all. `sums` is shared memory of one word per warp, free again when this returns.
 */
__device__ inline uint32_t sum_of_threads_before(uint32_t value, uint32_t* sums, uint32_t& total) {
  const uint32_t before = sum_of_lanes_before(value), warp = threadIdx.x / 32;
  if (lane_of_thread() == 31) sums[warp] = before + value;
  __syncthreads();
  uint32_t warps_before = 0;
  total = 0;
  for (uint32_t w = 0; w < blockDim.x / 32; ++w) {
    if (w == warp) warps_before = total;
    total += sums[w];
  }
  __syncthreads();
  return warps_before + before;
}

/**
 * Writes to `values` the exclusive sums of value(i), i < size, of the thread block's tile, and the tile's
 * sum.
 */
template <class Value>
__device__ inline void scan_tile(uint32_t size, const Value& value, uint32_t* values, uint32_t* sums,
                                 uint32_t* shared) {
  constexpr uint32_t kPerThread = gpu::kScanTile / gpu::kEvolveThreads;
  const uint32_t first = blockIdx.x * gpu::kScanTile + threadIdx.x * kPerThread;
  uint32_t own[kPerThread], sum = 0, total;
  for (uint32_t t = 0; t < kPerThread; ++t) {
    own[t] = first + t < size ? value(first + t) : 0;
    sum += own[t];
  }
  uint32_t before = sum_of_threads_before(sum, shared, total);
  for (uint32_t t = 0; t < kPerThread; ++t) {
    if (first + t < size) values[first + t] = before;
    before += own[t];
  }
  if (threadIdx.x == 0) sums[blockIdx.x] = total;
}

__global__ void scan_tiles(gpu::ScanParams p, uint32_t* values, uint32_t* sums) {
  SET_SHARED(shared);
  scan_tile(p.size, [=](uint32_t i) { return values[i]; }, values, sums, reinterpret_cast<uint32_t*>(shared));
}

__global__ void scan_add(gpu::ScanParams p, uint32_t* values, const uint32_t* sums) {
  const uint32_t i = thread_of_launch();
  if (i < p.size) values[i] += sums[i / gpu::kScanTile];
}

/** Runs scan_tiles over the numbers of set bits of words, without an array of those. */
__global__ void rank_bits(gpu::RankParams p, const uint32_t* bits, uint32_t* ranks, uint32_t* sums) {
  SET_SHARED(shared);
  const auto ones = [=](uint32_t w) { return w < p.words ? static_cast<uint32_t>(__popc(bits[w])) : 0; };
  scan_tile(p.words + 1, ones, ranks, sums, reinterpret_cast<uint32_t*>(shared));
}

}  // namespace set_native::cuda
