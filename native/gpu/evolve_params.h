#pragma once

#include "core/vocabulary.h"
#include "gpu/binding.h"
#include "gpu/draw_key.h"
#include "gpu/language.h"

namespace set_native::gpu {

/*
 * The arguments of the kernels of evolution: each operation has a structure of numbers and one of buffers. A
 * buffer may be null only where its comment says so.
 *
 * A layer of n sources and m targets has `groups` groups of `height` sources, and `blocks` blocks that link
 * groups to targets. `cells` is a bitmap of groups rows and m columns. A bit is set where the layer has that
 * block; a row has `words` = ceil(m / 32) words of 32 bits, the lowest bit first, and bits beyond m are 0.
 * `ranks` holds for each word of such a bitmap the number of set bits before it, and behind the last word the
 * number of all set bits. So a block's number is the rank of its bit, and the number of free places before a
 * place is known, too. `by_target` is the transposed bitmap, in rows of `row_words` = ceil(groups / 32)
 * words.
 */

// Threads per team in all kernels of evolution but propose_rest.
SET_CONSTANT uint32_t kEvolveThreads = 128;
// Numbers that a team scans.
SET_CONSTANT uint32_t kScanTile = 8 * kEvolveThreads;
// Neighbouring items per warp, where their order counts.
SET_CONSTANT uint32_t kWarpTile = 256;
// Items per thread, where their order does not count.
SET_CONSTANT uint32_t kThreadItems = 8;
// Threads of the one team of propose_rest, and open slots that it takes.
SET_CONSTANT uint32_t kRestThreads = 512;
// Bins of a digit of a radix select.
SET_CONSTANT uint32_t kSelectBins = 1u << 11;
// Stands for no entry and for no place.
SET_CONSTANT uint32_t kNone = 0xffffffff;

// ---- Sums over arrays -------------------------------------------------------------------------------------

/**
 * scan_tiles: a team per kScanTile numbers; shared memory: a word per warp. scan_add: a thread per number.
 */
struct ScanParams {
  uint32_t size;
};
/** scan_tiles, scan_add. */
struct ScanBuffers {
  Binding values;  // u32[size], in and out
  Binding sums;    // u32[tiles]
};

/** rank_bits: teams and shared memory as scan_tiles. */
struct RankParams {
  uint32_t words;  // words of the whole bitmap
};
struct RankBuffers {
  Binding bits;   // u32[words]
  Binding ranks;  // u32[words + 1]
  Binding sums;   // u32[tiles of words + 1]
};

// ---- Prune ------------------------------------------------------------------------------------------------

/** check_finite: the flag becomes 1 if a weight is not finite. kThreadItems weights per thread. */
struct CheckParams {
  uint32_t size_low, size_high;
};
struct CheckBuffers {
  Binding weights;  // u32[size]: bits of floats
  Binding flag;     // u32[1]
};

/** block_scores: a thread per block. */
struct ScoreParams {
  uint32_t blocks;
  uint32_t height;
  uint32_t first_truncated;  // from this block on blocks have only `sources` links
  uint32_t sources;          // sources of the last group
  MotifScore score;
};
struct ScoreBuffers {
  Binding weights;  // f32[blocks height]
  Binding keys;     // u32[blocks]: bits of scores
};

/** The counts of count_signs and count_nearest. The host clears them, and sets `nearest` to kNone. */
struct SignSummary {
  uint32_t positive, positive_zero, negative, negative_zero;
  uint32_t nearest;                             // bits of the smallest |weight| other than 0
  uint32_t nearest_positive, nearest_negative;  // weights of that size, counted by count_nearest
};

struct SignParams {
  uint32_t size;
};
/** count_signs, count_nearest. */
struct SignBuffers {
  Binding keys;     // u32[size]: bits of weights
  Binding summary;  // SignSummary
};

/** The state of a selection, for one sign. */
struct SelectState {
  uint32_t threshold;  // digits found so far; in the end items below it go, and kNone means that all go
  uint32_t rest;       // items that go among those with these digits; in the end those equal to threshold
};

/**
 * select_histogram: shared memory: 2 kSelectBins words. select_digit: a team per sign; shared memory: a word
 * per warp. It clears the histogram.
 */
struct SelectParams {
  uint32_t size;
  uint32_t shift, width;        // the digit: bits shift .. shift + width - 1 of |key|
  uint32_t first;               // 1 for the first digit
  uint32_t positive, negative;  // numbers of items of either sign that go, read with the first digit
};
struct SelectHistogramBuffers {
  Binding keys;       // u32[size]
  Binding states;     // SelectState[2]
  Binding histogram;  // u32[2 kSelectBins]
};
struct SelectDigitBuffers {
  Binding states;     // SelectState[2]
  Binding histogram;  // u32[2 kSelectBins]
};

/** Numbers of removed blocks in full groups and in a smaller last one. */
struct PruneCounts {
  uint32_t full, truncated;
};

/** count_ties, mark_pruned: a warp per tile. */
struct MarkParams {
  uint32_t size;
  uint32_t tiles;            // tiles of kWarpTile items
  uint32_t first_truncated;  // items from there on count as truncated
};
struct TieBuffers {
  Binding keys;    // u32[size]
  Binding states;  // SelectState[2]
  Binding ties;    // u32[2 tiles]
};
struct MarkBuffers {
  Binding keys;     // u32[size]
  Binding states;   // SelectState[2]
  Binding ties;     // u32[2 tiles], scanned
  Binding removed;  // u32[ceil(size / 32)]
  Binding counts;   // PruneCounts
};

// ---- Regrow -----------------------------------------------------------------------------------------------

/** occupy: a warp per group. */
struct OccupyParams {
  uint32_t groups;
  uint32_t words;
};
struct OccupyBuffers {
  Binding offsets;  // u32[groups + 1]
  Binding targets;  // Index[blocks]
  Binding removed;  // u32[ceil(blocks / 32)]
  Binding cells;    // u32[groups words]
};

/**
 * A round of proposals for places in rows `first_row` .. first_row + rows - 1. Slots are numbered from 0;
 * their arrays are bound from the first slot on. propose, claim: a thread per open slot. settle, compact: a
 * warp per tile of kWarpTile open slots. propose_rest: one team for several rounds, which does nothing where
 * more than kRestThreads slots are open; shared memory: 2 kRestThreads words and one per warp.
 */
struct RoundParams {
  DrawKey key;
  uint32_t count;  // open slots
  uint32_t first_row, rows;
  uint32_t cols;  // m
  uint32_t words;
  uint32_t listed;      // 1: slots draw among the free places, 0: among all
  uint32_t table_mask;  // entries of the hash table, a power of two, less 1
  uint32_t round;
  uint32_t end_round;  // propose_rest runs rounds round .. end_round - 1
};
struct ProposeBuffers {
  Binding open;       // u32[count]: open slots, ascending; or null: slots 0 .. count - 1
  Binding cells;      // u32[groups words]
  Binding ranks;      // u32[groups words + 1], read only if `listed`
  Binding slot_rows;  // u32[slots]
  Binding slot_cols;  // u32[slots]
  Binding entries;    // u32[slots]
};
struct ClaimBuffers {
  Binding open;       // as in ProposeBuffers
  Binding slot_rows;  // u32[slots]
  Binding slot_cols;  // u32[slots]
  Binding entries;    // u32[slots]
  Binding table;      // u32[table_mask + 1], cleared
};
struct SettleBuffers {
  Binding open;       // as in ProposeBuffers
  Binding slot_rows;  // u32[slots]
  Binding slot_cols;  // u32[slots]
  Binding entries;    // u32[slots]
  Binding table;      // u32[table_mask + 1]
  Binding cells;      // u32[groups words]
  Binding lost;       // u32[ceil(count / 32)]
  Binding tile_lost;  // u32[tiles + 1]
};
struct CompactBuffers {
  Binding open;       // as in ProposeBuffers
  Binding lost;       // u32[ceil(count / 32)]
  Binding tile_lost;  // u32[tiles + 1], scanned
  Binding open_next;  // u32[slots still open]
};
struct ProposeRestBuffers {
  Binding open;       // u32[left], in and out
  Binding cells;      // u32[groups words]
  Binding slot_rows;  // u32[slots]
  Binding slot_cols;  // u32[slots]
  Binding left;       // u32[1]: number of open slots, in and out
};

// ---- Rebuild ----------------------------------------------------------------------------------------------

/** set_offsets: a thread per row, and one more. */
struct OffsetParams {
  uint32_t rows;
  uint32_t words;
};
struct OffsetBuffers {
  Binding ranks;    // u32[rows words + 1]
  Binding offsets;  // u32[rows + 1]
};

/** move_kept: a warp per group. */
struct MoveParams {
  uint32_t groups;
  uint32_t words;
  uint32_t height;
};
struct MoveBuffers {
  Binding old_offsets;        // u32[groups + 1]
  Binding old_targets;        // Index[blocks]
  Binding removed;            // u32[ceil(blocks / 32)]
  Binding old_weights;        // u32[blocks height]
  Binding old_velocity;       // u32[blocks height]
  Binding old_second_moment;  // u32[blocks height], or null
  Binding old_birth;          // u16[blocks height]
  Binding cells;              // u32[groups words]
  Binding ranks;              // u32[groups words + 1]
  Binding targets;            // Index[blocks]
  Binding weights;            // u32[blocks height]
  Binding velocity;           // u32[blocks height]
  Binding second_moment;      // u32[blocks height], or null
  Binding birth;              // u16[blocks height]
};

/** place_grown: a thread per grown block. */
struct PlaceParams {
  uint32_t count;
  uint32_t words;
};
struct PlaceBuffers {
  Binding slot_rows;  // u32[count]
  Binding slot_cols;  // u32[count]
  Binding cells;      // u32[groups words]
  Binding ranks;      // u32[groups words + 1]
  Binding positions;  // u32[count]: numbers of the grown blocks
  Binding targets;    // Index[blocks]
};

/** transpose_bits: a warp per 32 x 32 bits. */
struct TransposeParams {
  uint32_t rows, cols;
  uint32_t words;      // words of a row
  uint32_t row_words;  // words of a column
};
struct TransposeBuffers {
  Binding cells;      // u32[rows words]
  Binding by_target;  // u32[cols row_words]
};

/** index_targets: a warp per group. */
struct IndexParams {
  uint32_t groups;
  uint32_t row_words;
};
struct IndexBuffers {
  Binding offsets;        // u32[groups + 1]
  Binding targets;        // Index[blocks]
  Binding by_target;      // u32[m row_words]
  Binding ranks;          // u32[m row_words + 1]: ranks of by_target
  Binding target_groups;  // Index[blocks]
  Binding target_blocks;  // u32[blocks]
};

/** grow_weights: a thread per grown link. */
struct GrowParams {
  DrawKey key;
  uint32_t count;  // grown blocks
  uint32_t height;
  uint32_t inputs, cols;
  uint32_t row_words;
  RegrowInit init;
  uint32_t birth;     // birth of the grown links
  float dense_bound;  // he_bound(inputs)
};
struct GrowBuffers {
  Binding slot_rows;       // u32[count]
  Binding slot_cols;       // u32[count]
  Binding positions;       // u32[count]
  Binding target_offsets;  // u32[m + 1]
  Binding by_target;       // u32[m row_words]
  Binding bounds;          // f32[inputs + 1], or null unless init is he_fan_in
  Binding weights;         // f32[blocks height]
  Binding velocity;        // f32[blocks height]
  Binding second_moment;   // f32[blocks height], or null
  Binding birth;           // u16[blocks height]
};

}  // namespace set_native::gpu
