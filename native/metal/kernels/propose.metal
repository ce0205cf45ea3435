#include "gpu/philox.h"
#include "metal/kernels/cells.h"
#include "metal/kernels/given.h"

/*
 * Regrow: numbered slots propose places; the lowest slot that proposes a free place gets it. A round:
 *
 *   step     one thread per   work
 *   propose  slot             each open slot draws a place and tests whether it is free
 *   claim    slot             each slot with a free place enters it in a hash table, which keeps the lowest
 *
 *   step     one warp per     work
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
 * With density d a share d of the slots stays open. After the first rounds few slots are left. One
 * threadgroup takes them through all further rounds (propose_rest), without a dispatch or a download in
 * between.
 */
using namespace metal;
using namespace set_native::gpu;

struct ProposedPlace {
  uint32_t row, col;
};

/** Returns the 64 bits that a slot draws in round p.round + later. */
inline uint64_t draw_of_slot(constant RoundParams& p, uint32_t slot, uint32_t later) {
  const DrawKey key = {p.key.seed_low, p.key.seed_high, p.key.epoch, p.key.last_word + later};
  return first_64(draw(key, slot));
}

/** Returns the place that a slot draws among all places. */
inline ProposedPlace any_place(constant RoundParams& p, uint64_t u) {
  uint64_t fraction = 0;
  ProposedPlace place;
  place.row = p.first_row + below(u, p.rows, fraction);
  place.col = below(fraction, p.cols, fraction);
  return place;
}

/** Returns the number of free places in rows first_row .. first_row + row - 1. */
inline uint64_t free_before(constant RoundParams& p, device const uint32_t* ranks, uint32_t row) {
  const uint32_t begin = ranks[p.first_row * p.words], end = ranks[(p.first_row + row) * p.words];
  return static_cast<uint64_t>(row) * p.cols - (end - begin);
}

/**
 * Returns the place that a slot draws among the free ones. Searches for its row, then for its word in the
 * row.
 */
inline ProposedPlace free_place(constant RoundParams& p, device const uint32_t* cells,
                                device const uint32_t* ranks, uint64_t u) {
  const uint64_t number = below(u, free_before(p, ranks, p.rows));
  uint32_t row = 0, end_row = p.rows;  // the last row with at most `number` free places before it
  while (end_row - row > 1) {
    const uint32_t middle = row + (end_row - row) / 2;
    if (free_before(p, ranks, middle) <= number) {
      row = middle;
    } else {
      end_row = middle;
    }
  }
  const uint32_t number_in_row = static_cast<uint32_t>(number - free_before(p, ranks, row));
  row += p.first_row;
  device const uint32_t* row_ranks = ranks + row * p.words;
  uint32_t word = 0, end_word = p.words;
  while (end_word - word > 1) {
    const uint32_t middle = word + (end_word - word) / 2;
    if (32 * middle - (row_ranks[middle] - row_ranks[0]) <= number_in_row) {
      word = middle;
    } else {
      end_word = middle;
    }
  }
  uint32_t free_bits = ~cells[row * p.words + word];
  for (uint32_t left = number_in_row - (32 * word - (row_ranks[word] - row_ranks[0])); left > 0; --left)
    free_bits &= free_bits - 1;
  ProposedPlace place;
  place.row = row;
  place.col = 32 * word + ctz(free_bits);
  return place;
}

inline uint32_t slot_at(device const uint32_t* open, uint32_t position) {
  return open != nullptr ? open[position] : position;
}

/** Draws a place for each open slot; its entry becomes kNone if the place is not free. */
kernel void propose(constant RoundParams& p [[buffer(0)]], device const uint32_t* open [[buffer(1)]],
                    device const uint32_t* cells [[buffer(2)]], device const uint32_t* ranks [[buffer(3)]],
                    device uint32_t* slot_rows [[buffer(4)]], device uint32_t* slot_cols [[buffer(5)]],
                    device uint32_t* entries [[buffer(6)]], constant uint32_t& given [[buffer(30)]],
                    uint3 team [[threadgroup_position_in_grid]],
                    uint32_t index [[thread_index_in_threadgroup]]) {
  open = SET_GIVEN(given, 1, open);
  const uint32_t position = thread_of_launch(team, index);
  if (position >= p.count) return;
  const uint32_t slot = slot_at(open, position);
  const uint64_t u = draw_of_slot(p, slot, 0);
  ProposedPlace place;
  if (p.listed != 0) {
    place = free_place(p, cells, ranks, u);
  } else {
    place = any_place(p, u);
  }
  slot_rows[slot] = place.row;
  slot_cols[slot] = place.col;
  entries[slot] = is_set(cells, place.row, p.words, place.col) ? kNone : 0u;
}

/** Enters the slots of free places in the table. */
kernel void claim(constant RoundParams& p [[buffer(0)]], device const uint32_t* open [[buffer(1)]],
                  device const uint32_t* slot_rows [[buffer(2)]],
                  device const uint32_t* slot_cols [[buffer(3)]], device uint32_t* entries [[buffer(4)]],
                  device uint32_t* table [[buffer(5)]], constant uint32_t& given [[buffer(30)]],
                  uint3 team [[threadgroup_position_in_grid]],
                  uint32_t index [[thread_index_in_threadgroup]]) {
  open = SET_GIVEN(given, 1, open);
  const uint32_t position = thread_of_launch(team, index);
  if (position >= p.count) return;
  const uint32_t slot = slot_at(open, position);
  if (entries[slot] == kNone) return;
  const uint32_t row = slot_rows[slot], col = slot_cols[slot];
  uint32_t hash = (row * 0x9E3779B1u) ^ (col * 0x85EBCA77u);
  hash ^= hash >> 15;
  uint32_t entry = (hash * 0xC2B2AE3Du >> 7) & p.table_mask;
  uint32_t holder = take_word(&table[entry], slot + 1);
  while (holder != 0 && (slot_rows[holder - 1] != row || slot_cols[holder - 1] != col)) {
    entry = (entry + 1) & p.table_mask;
    holder = take_word(&table[entry], slot + 1);
  }
  if (holder != 0) lower_word(&table[entry], slot + 1);
  entries[slot] = entry;
}

/** Sets the bits of the slots that win, marks those that lose, and counts these per tile. */
kernel void settle(constant RoundParams& p [[buffer(0)]], device const uint32_t* open [[buffer(1)]],
                   device const uint32_t* slot_rows [[buffer(2)]],
                   device const uint32_t* slot_cols [[buffer(3)]],
                   device const uint32_t* entries [[buffer(4)]], device const uint32_t* table [[buffer(5)]],
                   device uint32_t* cells [[buffer(6)]], device uint32_t* lost [[buffer(7)]],
                   device uint32_t* tile_lost [[buffer(8)]], constant uint32_t& given [[buffer(30)]],
                   uint3 team [[threadgroup_position_in_grid]], uint32_t lane [[thread_index_in_simdgroup]],
                   uint32_t warp [[simdgroup_index_in_threadgroup]]) {
  open = SET_GIVEN(given, 1, open);
  const uint32_t tile = warp_of_launch(team, warp);
  uint32_t count = 0;
  for (uint32_t first = 0; first < kWarpTile; first += 32) {
    const uint32_t position = tile * kWarpTile + first + lane;
    bool loses = false;
    if (position < p.count) {
      const uint32_t slot = slot_at(open, position), entry = entries[slot];
      loses = entry == kNone || table[entry] != slot + 1;
      if (!loses) set_cell(cells, slot_rows[slot], p.words, slot_cols[slot]);
    }
    const uint32_t word = ballot(loses, lane);
    if (lane == 0 && position < p.count) lost[position / 32] = word;
    count += popcount(word);
  }
  if (lane == 0 && tile * kWarpTile < p.count) tile_lost[tile] = count;
}

/** Lists the slots that lose, in order. */
kernel void compact(constant RoundParams& p [[buffer(0)]], device const uint32_t* open [[buffer(1)]],
                    device const uint32_t* lost [[buffer(2)]], device const uint32_t* tile_lost [[buffer(3)]],
                    device uint32_t* open_next [[buffer(4)]], constant uint32_t& given [[buffer(30)]],
                    uint3 team [[threadgroup_position_in_grid]], uint32_t lane [[thread_index_in_simdgroup]],
                    uint32_t warp [[simdgroup_index_in_threadgroup]]) {
  open = SET_GIVEN(given, 1, open);
  const uint32_t begin = warp_of_launch(team, warp) * kWarpTile;
  if (begin >= p.count) return;
  uint32_t to = tile_lost[begin / kWarpTile];
  for (uint32_t first = begin; first < begin + kWarpTile && first < p.count; first += 32) {
    const uint32_t word = lost[first / 32];
    if ((word >> lane & 1u) != 0) open_next[to + votes_before(word, lane)] = slot_at(open, first + lane);
    to += popcount(word);
  }
}

/**
 * Runs rounds p.round .. p.end_round - 1 for at most kRestThreads slots, one per thread, in one threadgroup.
 * A slot loses to every lower one that proposes the same place, so each thread compares its place with
 * theirs: quadratic, but for few slots, in threadgroup memory.
 *
 * Bits of `cells` that one thread sets are read by others in the next round. Both use atomics, ordered by
 * barriers for device memory.
 */
kernel void propose_rest(constant RoundParams& p [[buffer(0)]], device uint32_t* open [[buffer(1)]],
                         device uint32_t* cells [[buffer(2)]], device uint32_t* slot_rows [[buffer(3)]],
                         device uint32_t* slot_cols [[buffer(4)]], device uint32_t* left [[buffer(5)]],
                         threadgroup uint32_t* rows [[threadgroup(0)]],
                         uint32_t lane [[thread_index_in_simdgroup]],
                         uint32_t warp [[simdgroup_index_in_threadgroup]]) {
  threadgroup uint32_t* cols = rows + kRestThreads;
  threadgroup uint32_t* sums = cols + kRestThreads;
  const uint32_t index = warp * 32 + lane;
  uint32_t count = left[0];
  if (count == 0 || count > kRestThreads) return;
  uint32_t slot = index < count ? open[index] : 0;
  for (uint32_t round = p.round; round < p.end_round && count > 0; ++round) {
    // Propose a place, as `propose` does.
    const bool proposes = index < count;
    const ProposedPlace place = any_place(p, draw_of_slot(p, slot, round - p.round));
    const uint32_t word = load_word(&cells[word_of(place.row, p.words, place.col)]);
    const bool is_free = proposes && (word >> (place.col % 32) & 1u) == 0;
    rows[index] = is_free ? place.row : kNone;
    cols[index] = place.col;
    // Behind the barrier all threads have read their bits, before any sets one.
    threadgroup_barrier(mem_flags::mem_threadgroup | mem_flags::mem_device);
    // The lowest slot of a free place wins.
    bool wins = is_free;
    for (uint32_t other = 0; other < index && wins; ++other)
      wins = rows[other] != place.row || cols[other] != place.col;
    if (wins) {
      slot_rows[slot] = place.row;
      slot_cols[slot] = place.col;
      set_cell(cells, place.row, p.words, place.col);
    }
    // The others stay open, in order.
    uint32_t lost = 0;
    const uint32_t to =
        sum_of_threads_before(proposes && !wins ? 1 : 0, lane, warp, kRestThreads / 32, sums, lost);
    if (proposes && !wins) rows[to] = slot;
    // Behind the barrier the losers are in order, and all bits of the round are set. No other thread writes
    // rows[index] before the next one.
    threadgroup_barrier(mem_flags::mem_threadgroup | mem_flags::mem_device);
    count = lost;
    slot = index < count ? rows[index] : 0;
  }
  if (index < count) open[index] = slot;
  if (index == 0) left[0] = count;
}
