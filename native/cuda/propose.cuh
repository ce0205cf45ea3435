#pragma once

#include <cstdint>

#include "cuda/cells.cuh"
#include "cuda/device_code.cuh"
#include "cuda/scan.cuh"
#include "gpu/evolve_params.h"
#include "gpu/philox.h"

/*
 * Regrow: numbered slots propose places; the lowest slot that proposes a free place gets it. A round:
 *
 *   kernel   one thread per   work
 *   propose  slot             each open slot draws a place and tests whether it is free
 *   claim    slot             each slot with a free place enters it in a hash table, which keeps the lowest
 *
 *   kernel   one warp per     work
 *   settle   256 slots        each slot that is the lowest of its place sets the place's bit
 *   compact  256 slots        the other slots, in order, become the open slots of the next round
 *
 * An entry of the table is the number of a slot, plus one, and stands for that slot's place, which `propose`
 * has written: one compare-and-swap takes an empty entry, a minimum lowers an entry of the same place. The
 * schedule decides which entry a place gets, but not its lowest slot. The table has at least twice as many
 * entries as slots.
 *
 * An open slot takes about 60 bytes, half of them scattered: its word of the bitmap, its entry of the table.
 *
 * With density d a share d of the slots stays open. After the first rounds few slots are left. One thread
 * block takes them through all further rounds (propose_rest), without a launch or a download in between.
 */
namespace set_native::cuda {

struct ProposedPlace {
  uint32_t row, col;
};

/** Returns the place that a slot draws among all places. */
__device__ inline ProposedPlace any_place(const gpu::RoundParams& p, uint64_t u) {
  uint64_t fraction;
  const uint32_t row = gpu::below(u, p.rows, fraction);
  return {p.first_row + row, gpu::below(fraction, p.cols, fraction)};
}

/** Returns the number of free places in rows first_row .. first_row + row - 1. */
__device__ inline uint64_t free_before(const gpu::RoundParams& p, const uint32_t* ranks, uint32_t row) {
  const uint32_t begin = ranks[static_cast<uint64_t>(p.first_row) * p.words];
  const uint32_t end = ranks[static_cast<uint64_t>(p.first_row + row) * p.words];
  return static_cast<uint64_t>(row) * p.cols - (end - begin);
}

/**
 * Returns the place that a slot draws among the free ones. Searches for its row, then for its word in the
 * row.
 */
__device__ inline ProposedPlace free_place(const gpu::RoundParams& p, const uint32_t* cells,
                                           const uint32_t* ranks, uint64_t u) {
  uint64_t number = gpu::below(u, free_before(p, ranks, p.rows));
  uint32_t row = 0, end_row = p.rows;  // the last row with at most `number` free places before it
  while (end_row - row > 1) {
    const uint32_t middle = row + (end_row - row) / 2;
    (free_before(p, ranks, middle) <= number ? row : end_row) = middle;
  }
  number -= free_before(p, ranks, row);
  row += p.first_row;
  const uint32_t* const row_ranks = ranks + static_cast<uint64_t>(row) * p.words;
  uint32_t word = 0, end_word = p.words;
  while (end_word - word > 1) {
    const uint32_t middle = word + (end_word - word) / 2;
    (32 * middle - (row_ranks[middle] - row_ranks[0]) <= number ? word : end_word) = middle;
  }
  auto left = static_cast<uint32_t>(number) - (32 * word - (row_ranks[word] - row_ranks[0]));
  uint32_t free = ~cells[static_cast<uint64_t>(row) * p.words + word];
  for (; left > 0; --left) free &= free - 1;
  return {row, 32 * word + static_cast<uint32_t>(__ffs(static_cast<int>(free))) - 1};
}

__device__ inline uint32_t slot_at(const uint32_t* open, uint32_t position) {
  return open != nullptr ? open[position] : position;
}

/** Draws a place for each open slot; its entry becomes kNone if the place is not free. */
__global__ void propose(gpu::RoundParams p, const uint32_t* open, const uint32_t* cells,
                        const uint32_t* ranks, uint32_t* slot_rows, uint32_t* slot_cols, uint32_t* entries) {
  const uint32_t position = thread_of_launch();
  if (position >= p.count) return;
  const uint32_t slot = slot_at(open, position);
  const uint64_t u = gpu::first_64(gpu::draw(p.key, slot));
  const ProposedPlace place = p.listed != 0 ? free_place(p, cells, ranks, u) : any_place(p, u);
  slot_rows[slot] = place.row;
  slot_cols[slot] = place.col;
  entries[slot] = is_set(cells, place.row, p.words, place.col) ? gpu::kNone : 0;
}

/** Enters the slots of free places in the table. */
__global__ void claim(gpu::RoundParams p, const uint32_t* open, const uint32_t* slot_rows,
                      const uint32_t* slot_cols, uint32_t* entries, uint32_t* table) {
  const uint32_t position = thread_of_launch();
  if (position >= p.count) return;
  const uint32_t slot = slot_at(open, position);
  if (entries[slot] == gpu::kNone) return;
  const uint32_t row = slot_rows[slot], col = slot_cols[slot];
  uint32_t hash = (row * 0x9E3779B1u) ^ (col * 0x85EBCA77u);
  hash ^= hash >> 15;
  for (uint32_t entry = hash * 0xC2B2AE3Du >> 7;; ++entry) {
    entry &= p.table_mask;
    const uint32_t holder = atomicCAS(&table[entry], 0, slot + 1);
    if (holder != 0) {
      if (slot_rows[holder - 1] != row || slot_cols[holder - 1] != col) continue;
      atomicMin(&table[entry], slot + 1);
    }
    entries[slot] = entry;
    return;
  }
}

/** Sets the bits of the slots that win, marks those that lose, and counts these per tile. */
__global__ void settle(gpu::RoundParams p, const uint32_t* open, const uint32_t* slot_rows,
                       const uint32_t* slot_cols, const uint32_t* entries, const uint32_t* table,
                       uint32_t* cells, uint32_t* lost, uint32_t* tile_lost) {
  const uint32_t tile = warp_of_launch(), lane = lane_of_thread();
  uint32_t count = 0;
  for (uint32_t first = 0; first < gpu::kWarpTile; first += 32) {
    const uint32_t position = tile * gpu::kWarpTile + first + lane;
    bool loses = false;
    if (position < p.count) {
      const uint32_t slot = slot_at(open, position), entry = entries[slot];
      loses = entry == gpu::kNone || table[entry] != slot + 1;
      if (!loses) {
        const uint32_t col = slot_cols[slot];
        atomicOr(&cells[word_of(slot_rows[slot], p.words, col)], 1u << (col % 32));
      }
    }
    const uint32_t word = __ballot_sync(kWholeWarp, loses);
    if (lane == 0 && position < p.count) lost[position / 32] = word;
    count += static_cast<uint32_t>(__popc(word));
  }
  if (lane == 0 && tile * gpu::kWarpTile < p.count) tile_lost[tile] = count;
}

/** Lists the slots that lose, in order. */
__global__ void compact(gpu::RoundParams p, const uint32_t* open, const uint32_t* lost,
                        const uint32_t* tile_lost, uint32_t* open_next) {
  const uint32_t tile = warp_of_launch(), lane = lane_of_thread();
  if (tile * gpu::kWarpTile >= p.count) return;
  uint32_t to = tile_lost[tile];
  for (uint32_t first = 0; first < gpu::kWarpTile; first += 32) {
    const uint32_t position = tile * gpu::kWarpTile + first + lane;
    const uint32_t word = tile * gpu::kWarpTile + first < p.count ? lost[position / 32] : 0;
    if ((word >> lane & 1) != 0) open_next[to + votes_before(word)] = slot_at(open, position);
    to += static_cast<uint32_t>(__popc(word));
  }
}

/**
 * Runs rounds p.round .. p.end_round - 1 for at most kRestThreads slots, one per thread, in one thread block.
 * A slot loses to every lower one that proposes the same place, so each thread compares its place with
 * theirs: quadratic, but for few slots, in shared memory.
 */
__global__ void propose_rest(gpu::RoundParams p, uint32_t* open, uint32_t* cells, uint32_t* slot_rows,
                             uint32_t* slot_cols, uint32_t* left) {
  SET_SHARED(shared);
  auto* const rows = reinterpret_cast<uint32_t*>(shared);
  uint32_t* const cols = rows + gpu::kRestThreads;
  uint32_t* const sums = cols + gpu::kRestThreads;
  uint32_t count = left[0];
  if (count == 0 || count > gpu::kRestThreads) return;
  uint32_t slot = threadIdx.x < count ? open[threadIdx.x] : 0;
  for (uint32_t round = p.round; round < p.end_round && count > 0; ++round) {
    // Propose a place, as `propose` does.
    const bool proposes = threadIdx.x < count;
    gpu::DrawKey key = p.key;
    key.last_word += round - p.round;
    const ProposedPlace place = any_place(p, gpu::first_64(gpu::draw(key, slot)));
    const bool is_free = proposes && !is_set(cells, place.row, p.words, place.col);
    rows[threadIdx.x] = is_free ? place.row : gpu::kNone;
    cols[threadIdx.x] = place.col;
    __syncthreads();
    // The lowest slot of a free place wins.
    bool wins = is_free;
    for (uint32_t other = 0; other < threadIdx.x && wins; ++other)
      wins = rows[other] != place.row || cols[other] != place.col;
    if (wins) {
      slot_rows[slot] = place.row;
      slot_cols[slot] = place.col;
      atomicOr(&cells[word_of(place.row, p.words, place.col)], 1u << (place.col % 32));
    }
    // The others stay open, in order.
    uint32_t lost;
    const uint32_t to = sum_of_threads_before(proposes && !wins ? 1 : 0, sums, lost);
    if (proposes && !wins) rows[to] = slot;
    __syncthreads();
    count = lost;
    slot = threadIdx.x < count ? rows[threadIdx.x] : 0;
    __syncthreads();
  }
  if (threadIdx.x < count) open[threadIdx.x] = slot;
  if (threadIdx.x == 0) left[0] = count;
}

}  // namespace set_native::cuda
