#pragma once

#include <cstdint>

#include "cuda/device_code.cuh"
#include "cuda/scan.cuh"
#include "gpu/evolve_params.h"

/*
 * The bitmap of a layer's blocks: one bit per group and target, rows padded to words of 32 bits.
 */
namespace set_native::cuda {

__device__ inline uint64_t word_of(uint32_t row, uint32_t words, uint32_t col) {
  return static_cast<uint64_t>(row) * words + col / 32;
}

__device__ inline bool is_set(const uint32_t* bits, uint32_t row, uint32_t words, uint32_t col) {
  return (bits[word_of(row, words, col)] >> (col % 32) & 1) != 0;
}

/** Returns the number of set bits before (row, col), from the word's rank and its lower bits. */
__device__ inline uint32_t rank_of(const uint32_t* bits, const uint32_t* ranks, uint32_t row, uint32_t words,
                                   uint32_t col) {
  const uint64_t word = word_of(row, words, col);
  return ranks[word] + static_cast<uint32_t>(__popc(bits[word] & ((1u << (col % 32)) - 1)));
}

/**
 * Sets the bits of the kept blocks. A warp per group; a block takes 1 bit and an index read, and one atomic.
 */
template <class Index>
__global__ void occupy(gpu::OccupyParams p, const uint32_t* offsets, const Index* targets,
                       const uint32_t* removed, uint32_t* cells) {
  const uint32_t group = warp_of_launch();
  if (group >= p.groups) return;
  for (uint32_t k = offsets[group] + lane_of_thread(); k < offsets[group + 1]; k += 32) {
    if ((removed[k / 32] >> (k % 32) & 1) != 0) continue;
    const uint32_t target = targets[k];
    atomicOr(&cells[word_of(group, p.words, target)], 1u << (target % 32));
  }
}

/**
 * Transposes the bitmap. A warp takes 32 x 32 bits: a lane reads a word of a row and writes one of a column.
 */
__global__ void transpose_bits(gpu::TransposeParams p, const uint32_t* cells, uint32_t* by_target) {
  const uint32_t tile = warp_of_launch(), word = tile % p.words, row_word = tile / p.words;
  const uint32_t lane = lane_of_thread();
  const uint64_t row = static_cast<uint64_t>(row_word) * 32 + lane,
                 col = static_cast<uint64_t>(word) * 32 + lane;
  const uint32_t bits = row < p.rows ? cells[row * p.words + word] : 0;
  uint32_t own = 0;
  for (uint32_t b = 0; b < 32; ++b) {
    const uint32_t column = __ballot_sync(kWholeWarp, (bits >> b & 1) != 0);
    if (b == lane) own = column;
  }
  if (row_word < p.row_words && col < p.cols) by_target[col * p.row_words + row_word] = own;
}

}  // namespace set_native::cuda
