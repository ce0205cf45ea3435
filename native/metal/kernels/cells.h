#pragma once

#include "metal/kernels/scan.h"

/*
 * The bitmap of a layer's blocks: one bit per group and target, rows padded to words of 32 bits.
 */
using namespace metal;
using namespace set_native::gpu;

inline uint32_t word_of(uint32_t row, uint32_t words, uint32_t col) {
  return row * words + col / 32;
}

inline bool is_set(device const uint32_t* bits, uint32_t row, uint32_t words, uint32_t col) {
  return (bits[word_of(row, words, col)] >> (col % 32) & 1u) != 0;
}

/** Returns whether item k is marked in one long row of bits. */
inline bool is_marked(device const uint32_t* bits, uint32_t k) {
  return (bits[k / 32] >> (k % 32) & 1u) != 0;
}

/** Sets the bit of (row, col). Other threads may set bits of the same word at the same time. */
inline void set_cell(device uint32_t* bits, uint32_t row, uint32_t words, uint32_t col) {
  set_bits_of_word(&bits[word_of(row, words, col)], 1u << (col % 32));
}

/** Returns the number of set bits before (row, col), from the word's rank and its lower bits. */
inline uint32_t rank_of(device const uint32_t* bits, device const uint32_t* ranks, uint32_t row,
                        uint32_t words, uint32_t col) {
  const uint32_t word = word_of(row, words, col);
  return ranks[word] + popcount(bits[word] & ((1u << (col % 32)) - 1u));
}
