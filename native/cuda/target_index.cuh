#pragma once

#include <cstdint>

#include "cuda/cells.cuh"
#include "cuda/device_code.cuh"
#include "cuda/scan.cuh"
#include "gpu/evolve_params.h"

/*
 * The view by target: for each target its blocks, groups ascending.
 *
 * The place of block (group, target) in that order is the rank of its bit in the transposed bitmap. So each
 * block is written independently, and the order is that of the bitmap, not that of threads. A warp per group
 * reads targets in order and scatters its writes: 8 bytes and 2 indices per block.
 */
namespace set_native::cuda {

template <class Index>
__global__ void index_targets(gpu::IndexParams p, const uint32_t* offsets, const Index* targets,
                              const uint32_t* by_target, const uint32_t* ranks, Index* target_groups,
                              uint32_t* target_blocks) {
  const uint32_t group = warp_of_launch();
  if (group >= p.groups) return;
  for (uint32_t k = offsets[group] + lane_of_thread(); k < offsets[group + 1]; k += 32) {
    const uint32_t to = rank_of(by_target, ranks, targets[k], p.row_words, group);
    target_groups[to] = static_cast<Index>(group);
    target_blocks[to] = k;
  }
}

}  // namespace set_native::cuda
