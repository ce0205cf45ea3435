#pragma once

#include "cuda/device_code.cuh"
#include "gpu/philox.h"
#include "gpu/train_params.h"

/*
 * The order of an epoch's samples, as core's random_order gives it: numbers 0 .. count - 1 by ascending
 * (draw, number).
 *
 * A bitonic sort of size = 2^k entries. Stage s (2, 4, .. size) makes sorted runs of s entries, in steps that
 * exchange over distances s/2, s/4 .. 1. A thread block keeps kSortTile entries in shared memory, 24 KiB. It
 * runs there all stages up to that size, and of later stages the steps within the tile; each longer step is a
 * kernel of its own over global memory. For 5,000 samples that is 6 launches, for 60,000 it is 21, once an
 * epoch: 24 bytes per entry and launch.
 */
namespace set_native::cuda {

/** Writes a draw for each sample, and the largest draw for all other entries. */
__global__ void order(gpu::OrderParams p, uint64_t* draws, uint32_t* numbers) {
  const uint32_t step = gridDim.x * blockDim.x;
  for (uint32_t k = blockIdx.x * blockDim.x + threadIdx.x; k < p.size; k += step) {
    draws[k] = k < p.count ? gpu::first_64(gpu::draw(p.key, k)) : ~uint64_t{0};
    numbers[k] = k;
  }
}

/** Puts two entries in ascending or descending order. */
__device__ inline void exchange_entries(uint64_t& a, uint32_t& m, uint64_t& b, uint32_t& n, bool ascending) {
  const bool greater = a > b || (a == b && m > n);
  if (greater != ascending) return;
  const uint64_t draw = a;
  a = b;
  b = draw;
  const uint32_t number = m;
  m = n;
  n = number;
}

/** Runs the steps of stages p.first .. p.last that exchange within a tile. */
__global__ void sort_tiles(gpu::SortParams p, uint64_t* draws, uint32_t* numbers) {
  SET_SHARED(memory);
  auto* tile_draws = reinterpret_cast<uint64_t*>(memory);
  auto* tile_numbers = reinterpret_cast<uint32_t*>(tile_draws + gpu::kSortTile);
  const uint32_t start = blockIdx.x * gpu::kSortTile;
  for (uint32_t k = threadIdx.x; k < gpu::kSortTile; k += blockDim.x) {
    tile_draws[k] = draws[start + k];
    tile_numbers[k] = numbers[start + k];
  }
  __syncthreads();
  for (uint64_t stage = p.first; stage <= p.last; stage *= 2) {
    for (uint32_t distance = stage / 2 < gpu::kSortTile / 2 ? static_cast<uint32_t>(stage / 2)
                                                            : gpu::kSortTile / 2;
         distance > 0; distance /= 2) {
      for (uint32_t pair = threadIdx.x; pair < gpu::kSortTile / 2; pair += blockDim.x) {
        const uint32_t a = pair / distance * 2 * distance + pair % distance, b = a + distance;
        exchange_entries(tile_draws[a], tile_numbers[a], tile_draws[b], tile_numbers[b],
                         ((start + a) & stage) == 0);
      }
      __syncthreads();
    }
  }
  for (uint32_t k = threadIdx.x; k < gpu::kSortTile; k += blockDim.x) {
    draws[start + k] = tile_draws[k];
    numbers[start + k] = tile_numbers[k];
  }
}

/** Runs the step of stage p.first that exchanges over p.distance. One thread per pair. */
__global__ void sort_merge(gpu::SortParams p, uint64_t* draws, uint32_t* numbers) {
  const uint32_t pair = blockIdx.x * blockDim.x + threadIdx.x;
  if (pair >= p.size / 2) return;
  const uint32_t a = pair / p.distance * 2 * p.distance + pair % p.distance, b = a + p.distance;
  exchange_entries(draws[a], numbers[a], draws[b], numbers[b], (a & p.first) == 0);
}

}  // namespace set_native::cuda
