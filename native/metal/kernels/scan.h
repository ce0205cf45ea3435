#pragma once

#include "gpu/evolve_params.h"

/*
 * The functions that the kernels of evolution share: numbers of threads, exclusive sums, votes, atomics.
 *
 * Simdgroups, here called warps as in the host code, have 32 lanes and are whole. Where the order of items
 * counts, a thread is lane `lane` of warp `warp` of its threadgroup, and its items are numbered by that, too.
 * Numbers of words, blocks and links have 32 bits, which the host checks, because 64-bit multiplications are
 * expensive here.
 */
using namespace metal;
using namespace set_native;
using namespace set_native::gpu;

/** Returns the number of this warp among all warps of the launch. */
inline uint32_t warp_of_launch(uint3 team, uint32_t warp) {
  return team.x * (kEvolveThreads / 32) + warp;
}

inline uint32_t thread_of_launch(uint3 team, uint32_t index) {
  return team.x * kEvolveThreads + index;
}

/** Returns item t of the kThreadItems items of a thread. Neighbouring threads take neighbouring items. */
inline uint32_t item_of_thread(uint3 team, uint32_t index, uint32_t t) {
  return (team.x * kThreadItems + t) * kEvolveThreads + index;
}

/** Returns the sum of the values of the lanes before this one. */
inline uint32_t sum_of_lanes_before(uint32_t value, uint32_t lane) {
  uint32_t sum = value;
  for (uint32_t step = 1; step < 32; step *= 2) {
    const uint32_t other = simd_shuffle_up(sum, static_cast<uint16_t>(step));
    if (lane >= step) sum += other;
  }
  return sum - value;
}

/** Returns the lanes for which `vote` is true, as bits. */
inline uint32_t ballot(bool vote, uint32_t lane) {
  return simd_or(vote ? 1u << lane : 0u);
}

/** Returns the number of set bits of a ballot that belong to lanes before this one. */
inline uint32_t votes_before(uint32_t votes, uint32_t lane) {
  return popcount(votes & ((1u << lane) - 1u));
}

/**
 * Returns the sum of the values of the threads before this one in a threadgroup of `warps` warps; `total`
 * becomes the sum of all. `sums` has one word per warp, free again when this returns. Every thread of the
 * threadgroup must call it.
 */
inline uint32_t sum_of_threads_before(uint32_t value, uint32_t lane, uint32_t warp, uint32_t warps,
                                      threadgroup uint32_t* sums, thread uint32_t& total) {
  const uint32_t before = sum_of_lanes_before(value, lane);
  if (lane == 31) sums[warp] = before + value;
  threadgroup_barrier(mem_flags::mem_threadgroup);
  uint32_t warps_before = 0, all = 0;
  for (uint32_t w = 0; w < warps; ++w) {
    if (w == warp) warps_before = all;
    all += sums[w];
  }
  threadgroup_barrier(mem_flags::mem_threadgroup);
  total = all;
  return warps_before + before;
}

// Functions on words that threads of a launch share. Metal's atomics are types of their own; in memory an
// atomic_uint is its word.

inline device atomic_uint* as_atomic(device uint32_t* word) {
  return reinterpret_cast<device atomic_uint*>(word);
}

inline uint32_t load_word(device uint32_t* word) {
  return atomic_load_explicit(as_atomic(word), memory_order_relaxed);
}

inline void add_to_word(device uint32_t* word, uint32_t value) {
  atomic_fetch_add_explicit(as_atomic(word), value, memory_order_relaxed);
}

inline void set_bits_of_word(device uint32_t* word, uint32_t bits) {
  atomic_fetch_or_explicit(as_atomic(word), bits, memory_order_relaxed);
}

inline void lower_word(device uint32_t* word, uint32_t value) {
  atomic_fetch_min_explicit(as_atomic(word), value, memory_order_relaxed);
}

/**
 * Writes `value` if the word is 0, and returns its former value. A weak exchange may fail, so it is repeated.
 */
inline uint32_t take_word(device uint32_t* word, uint32_t value) {
  uint32_t held = 0;
  while (!atomic_compare_exchange_weak_explicit(as_atomic(word), &held, value, memory_order_relaxed,
                                                memory_order_relaxed)) {
    if (held != 0) return held;
  }
  return 0;
}

/** Adds the counts of all lanes to a word, with one atomic per warp. */
inline void add_from_warp(device uint32_t* word, uint32_t count, uint32_t lane) {
  const uint32_t sum = simd_sum(count);
  if (lane == 0 && sum > 0) add_to_word(word, sum);
}
