#include "metal/kernels/cells.h"

/*
 * Makes the bitmap of a layer's kept blocks, and its transpose.
 */
using namespace metal;
using namespace set_native::gpu;

/**
 * Sets the bits of the kept blocks. A warp per group; a block takes 1 bit and an index read, and one atomic.
 */
template <typename Index>
kernel void occupy(constant OccupyParams& p [[buffer(0)]], device const uint32_t* offsets [[buffer(1)]],
                   device const Index* targets [[buffer(2)]], device const uint32_t* removed [[buffer(3)]],
                   device uint32_t* cells [[buffer(4)]], uint3 team [[threadgroup_position_in_grid]],
                   uint32_t lane [[thread_index_in_simdgroup]],
                   uint32_t warp [[simdgroup_index_in_threadgroup]]) {
  const uint32_t group = warp_of_launch(team, warp);
  if (group >= p.groups) return;
  for (uint32_t k = offsets[group] + lane; k < offsets[group + 1]; k += 32)
    if (!is_marked(removed, k)) set_cell(cells, group, p.words, targets[k]);
}

/**
 * Transposes the bitmap. A warp takes 32 x 32 bits: a lane reads a word of a row and writes one of a column.
 */
kernel void transpose_bits(constant TransposeParams& p [[buffer(0)]],
                           device const uint32_t* cells [[buffer(1)]],
                           device uint32_t* by_target [[buffer(2)]],
                           uint3 team [[threadgroup_position_in_grid]],
                           uint32_t lane [[thread_index_in_simdgroup]],
                           uint32_t warp [[simdgroup_index_in_threadgroup]]) {
  const uint32_t tile = warp_of_launch(team, warp), word = tile % p.words, row_word = tile / p.words;
  const uint32_t row = row_word * 32 + lane, col = word * 32 + lane;
  const uint32_t bits = row < p.rows ? cells[row * p.words + word] : 0;
  uint32_t own = 0;
  for (uint32_t b = 0; b < 32; ++b) {
    const uint32_t column = ballot((bits >> b & 1u) != 0, lane);
    if (b == lane) own = column;
  }
  if (row_word < p.row_words && col < p.cols) by_target[col * p.row_words + row_word] = own;
}
