#pragma once

#include "gpu/draw_key.h"
#include "gpu/language.h"

namespace set_native::gpu {

/*
 * Parameters of the kernels of evolution, and beside each the buffers that it takes, in order.
 *
 * Words of an evolution: a layer of n sources and m targets has `groups` of `height` sources and `blocks`
 * links of groups to targets. `cells` is a bitmap of groups rows and m columns, one bit per block that is
 * there, in rows of `words` = ceil(m / 32) words of 32 bits, the lowest bit first; bits beyond m are 0.
 * `ranks` has for each word of such a bitmap how many bits are set before it, and behind the last word how
 * many there are: so a block's number is the rank of its bit, and the number of free places before one is
 * known too. `by_target` is the bitmap transposed.
 */

SET_CONSTANT uint32_t kEvolveThreads = 128;  // per block, in all kernels of evolution but the last rounds
SET_CONSTANT uint32_t kScanTile = 8 * kEvolveThreads;  // numbers that a block scans
SET_CONSTANT uint32_t kWarpTile = 256;     // neighbouring items of a warp, where their order counts
SET_CONSTANT uint32_t kThreadItems = 8;    // items of a thread, where it does not
SET_CONSTANT uint32_t kRestThreads = 512;  // of the one block for the last rounds: at most so many open slots
SET_CONSTANT uint32_t kSelectBins = 1u << 11;  // of a digit of a radix select
SET_CONSTANT uint32_t kNone = 0xffffffff;      // no entry, no place

/** scan_tiles: values u32[size] (in and out), sums u32[tiles].  scan_add: the same. */
struct ScanParams {
  uint32_t size;
};

/** rank_bits: bits u32[words], ranks u32[words + 1], sums u32[tiles of words + 1]. */
struct RankParams {
  uint32_t words;  // of the whole bitmap
};

/** check_finite: weights u32[size] (bits of floats), flag u32[1]: becomes 1 where one is not finite. */
struct CheckParams {
  uint32_t size_low, size_high;
};

/** block_scores: weights f32[blocks * height], keys u32[blocks]. */
struct ScoreParams {
  uint32_t blocks;
  uint32_t height;
  uint32_t first_truncated;  // block from which on only `sources` of the height exist
  uint32_t sources;
  uint32_t score;  // a MotifScore
};

/** What count_signs finds; the host clears it, and sets `nearest` to kNone. */
struct SignSummary {
  uint32_t positive, positive_zero, negative, negative_zero;
  uint32_t nearest;                             // bits of the smallest |weight| other than 0
  uint32_t nearest_positive, nearest_negative;  // how many have it, counted by count_nearest
};

/** count_signs: keys u32[size], SignSummary.  count_nearest: the same. */
struct SignParams {
  uint32_t size;
};

/** Where a selection stands, per sign. */
struct SelectState {
  uint32_t threshold;  // digits found; in the end items below it go, and kNone means all
  uint32_t
      rest;  // items still to go among those with these digits; in the end: of those equal to it, in order
};

/**
 * select_histogram: keys u32[size], SelectState[2], histogram u32[2 * kSelectBins].
 * select_digit (one block per sign): SelectState[2], histogram, which it leaves cleared.
 */
struct SelectParams {
  uint32_t size;
  uint32_t shift, width;        // the digit: bits shift .. shift + width - 1 of |key|
  uint32_t first;               // 1: the first digit
  uint32_t positive, negative;  // then: how many items of either sign go
};

/** Numbers of removed blocks that the host reads. */
struct PruneCounts {
  uint32_t full, truncated;
};

/**
 * count_ties: keys u32[size], SelectState[2], ties u32[2 * tiles].
 * mark_pruned: keys, SelectState[2], ties (scanned), removed u32[ceil(size / 32)], PruneCounts.
 */
struct MarkParams {
  uint32_t size;
  uint32_t tiles;            // of kWarpTile items
  uint32_t first_truncated;  // items from there on count as truncated
};

/** occupy: offsets u32[groups + 1], targets, removed u32, cells u32. */
struct OccupyParams {
  uint32_t groups;
  uint32_t words;
};

/**
 * A round of proposals for places of rows `first_row` .. first_row + rows - 1. Slots are numbered from 0;
 * their arrays are bound from the first of them on. `open` has the numbers of the open slots, ascending;
 * null: slots 0 .. count - 1.
 *
 * propose: open u32[count], cells, ranks (null unless listed), slot_rows u32, slot_cols u32, entries u32.
 * claim: open, slot_rows, slot_cols, entries, table u32[table_mask + 1], cleared.
 * settle: open, slot_rows, slot_cols, entries, table, cells, lost u32[ceil(count / 32)], tile_lost u32[tiles
 * + 1]. compact: open, lost, tile_lost (scanned), open_next u32. propose_rest (one block of kRestThreads):
 * open, cells, slot_rows, slot_cols, left u32[1], which is count and becomes the number of slots still open:
 * it does nothing where more than kRestThreads are.
 */
struct RoundParams {
  DrawKey key;
  uint32_t count;
  uint32_t first_row, rows;
  uint32_t cols;  // m
  uint32_t words;
  uint32_t listed;
  uint32_t table_mask;
  uint32_t round;
  uint32_t end_round;  // propose_rest
};

/** set_offsets: ranks u32, offsets u32[rows + 1]. */
struct OffsetParams {
  uint32_t rows;
  uint32_t words;
};

/**
 * move_kept: old_offsets u32[groups + 1], old_targets, removed u32, old_weights u32, old_velocity u32,
 * old_birth u16, cells, ranks, targets, weights u32, velocity u32, birth u16.
 */
struct MoveParams {
  uint32_t groups;
  uint32_t words;
  uint32_t height;
};

/** place_grown: slot_rows, slot_cols, cells, ranks, positions u32[count], targets. */
struct PlaceParams {
  uint32_t count;
  uint32_t words;
};

/** transpose_bits: cells u32[rows * words], by_target u32[cols * row_words]. */
struct TransposeParams {
  uint32_t rows, cols;
  uint32_t words;      // of a row
  uint32_t row_words;  // of a column
};

/** index_targets: offsets u32, targets, by_target, ranks, target_groups, target_blocks u32. */
struct IndexParams {
  uint32_t groups;
  uint32_t row_words;
};

/**
 * grow_weights: slot_rows, slot_cols, positions u32[count], target_offsets u32[cols + 1], by_target u32,
 * bounds f32[inputs + 1] (he_fan_in, else null), weights f32, velocity f32, birth u16.
 */
struct GrowParams {
  DrawKey key;
  uint32_t count;
  uint32_t height;
  uint32_t inputs, cols;
  uint32_t row_words;
  uint32_t init;   // a RegrowInit
  uint32_t birth;  // of what grows
  float dense_bound;
};

}  // namespace set_native::gpu
