#include "metal/kernels/cells.h"

/*
 * The view by target: for each target its blocks, groups ascending.
 *
 * The place of block (group, target) in that order is the rank of its bit in the transposed bitmap. So each
 * block is written independently, and the order is that of the bitmap, not that of threads. A warp per group
 * reads targets in order and scatters its writes: 8 bytes and 2 indices per block.
 */
using namespace metal;
using namespace set_native::gpu;

template <typename Index>
kernel void index_targets(
    constant IndexParams& p [[buffer(0)]], device const uint32_t* offsets [[buffer(1)]],
    device const Index* targets [[buffer(2)]], device const uint32_t* by_target [[buffer(3)]],
    device const uint32_t* ranks [[buffer(4)]], device Index* target_groups [[buffer(5)]],
    device uint32_t* target_blocks [[buffer(6)]], uint3 team [[threadgroup_position_in_grid]],
    uint32_t lane [[thread_index_in_simdgroup]], uint32_t warp [[simdgroup_index_in_threadgroup]]) {
  const uint32_t group = warp_of_launch(team, warp);
  if (group >= p.groups) return;
  for (uint32_t k = offsets[group] + lane; k < offsets[group + 1]; k += 32) {
    const uint32_t to = rank_of(by_target, ranks, targets[k], p.row_words, group);
    target_groups[to] = static_cast<Index>(group);
    target_blocks[to] = k;
  }
}
