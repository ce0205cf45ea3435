#include "metal/kernels/scan.h"

/*
 * Prune: marks the items of lowest |key|, a given number of positive ones and one of negative ones. Of equal
 * keys the lower items go first.
 *
 * Keys are the bits of floats, which within one sign have the order of absolute values; +0 is the lowest
 * positive key, -0 the lowest negative. A radix select finds the two thresholds exactly. Three passes over
 * the keys count those that share the digits found so far by their next digit, 11 + 10 + 10 bits, in
 * threadgroup memory first; after each pass one threadgroup per sign finds the digit that holds the
 * threshold. Counts do not depend on the order of atomics. Then each warp counts the keys equal to a
 * threshold in its 256 items, a scan numbers them, and those with low enough numbers go with those below the
 * threshold.
 *
 * 5 passes of 4 bytes per item, and 1 bit written. At most 2^30 items.
 */
using namespace metal;
using namespace set_native::gpu;

SET_CONSTANT uint32_t kMagnitude = 0x7fffffff;
SET_CONSTANT uint32_t kInfinity = 0x7f800000;

/**
 * SET-motif: writes the score of each block, summed as the CPU does. One thread per block of links. Only sums
 * and means use float arithmetic, in which GPUs that flush denormal numbers take them as zero. The mean must
 * be the CPU's to the last bit, which `/` does not guarantee.
 */
kernel void block_scores(constant ScoreParams& p [[buffer(0)]], device const uint32_t* weights [[buffer(1)]],
                         device uint32_t* keys [[buffer(2)]], uint3 team [[threadgroup_position_in_grid]],
                         uint32_t index [[thread_index_in_threadgroup]]) {
  const uint32_t k = thread_of_launch(team, index);
  if (k >= p.blocks) return;
  device const uint32_t* w = weights + k * p.height;
  const uint32_t count = k < p.first_truncated ? p.height : p.sources;
  uint32_t score = w[0] & kMagnitude;
  for (uint32_t r = 1; r < count; ++r) {
    const uint32_t size = w[r] & kMagnitude;
    if (p.score == MotifScore::max) {
      score = max(score, size);
    } else if (p.score == MotifScore::min) {
      score = min(score, size);
    } else {
      score = as_type<uint32_t>(as_type<float>(score) + as_type<float>(size));
    }
  }
  if (p.score == MotifScore::mean)
    score = as_type<uint32_t>(precise::divide(as_type<float>(score), static_cast<float>(count)));
  keys[k] = score;
}

/** Sets the flag if a weight is not finite. */
kernel void check_finite(constant CheckParams& p [[buffer(0)]], device const uint32_t* weights [[buffer(1)]],
                         device uint32_t* flag [[buffer(2)]], uint3 team [[threadgroup_position_in_grid]],
                         uint32_t index [[thread_index_in_threadgroup]]) {
  const uint64_t size = static_cast<uint64_t>(p.size_high) << 32 | p.size_low;
  const uint64_t first = static_cast<uint64_t>(team.x) * (kEvolveThreads * kThreadItems) + index;
  bool finite = true;
  for (uint32_t t = 0; t < kThreadItems; ++t) {
    const uint64_t i = first + t * kEvolveThreads;
    if (i < size && (weights[i] & kMagnitude) >= kInfinity) finite = false;
  }
  if (!finite) set_bits_of_word(flag, 1);
}

/** Counts the keys of either sign and the zeros of either sign, and finds the smallest |key| other than 0. */
kernel void count_signs(constant SignParams& p [[buffer(0)]], device const uint32_t* keys [[buffer(1)]],
                        device SignSummary* summary [[buffer(2)]],
                        uint3 team [[threadgroup_position_in_grid]],
                        uint32_t lane [[thread_index_in_simdgroup]],
                        uint32_t warp [[simdgroup_index_in_threadgroup]]) {
  uint32_t positive = 0, positive_zero = 0, negative = 0, negative_zero = 0, nearest = kNone;
  for (uint32_t t = 0; t < kThreadItems; ++t) {
    const uint32_t i = item_of_thread(team, warp * 32 + lane, t);
    if (i >= p.size) continue;
    const uint32_t key = keys[i], magnitude = key & kMagnitude;
    const bool below_zero = key != magnitude, zero = magnitude == 0;
    positive += !below_zero && !zero ? 1 : 0;
    positive_zero += !below_zero && zero ? 1 : 0;
    negative += below_zero && !zero ? 1 : 0;
    negative_zero += below_zero && zero ? 1 : 0;
    if (!zero) nearest = min(nearest, magnitude);
  }
  nearest = simd_min(nearest);
  if (lane == 0) lower_word(&summary->nearest, nearest);
  add_from_warp(&summary->positive, positive, lane);
  add_from_warp(&summary->positive_zero, positive_zero, lane);
  add_from_warp(&summary->negative, negative, lane);
  add_from_warp(&summary->negative_zero, negative_zero, lane);
}

/** Counts the keys of that smallest |key|, by sign. */
kernel void count_nearest(constant SignParams& p [[buffer(0)]], device const uint32_t* keys [[buffer(1)]],
                          device SignSummary* summary [[buffer(2)]],
                          uint3 team [[threadgroup_position_in_grid]],
                          uint32_t lane [[thread_index_in_simdgroup]],
                          uint32_t warp [[simdgroup_index_in_threadgroup]]) {
  const uint32_t nearest = summary->nearest;
  uint32_t positive = 0, negative = 0;
  for (uint32_t t = 0; t < kThreadItems; ++t) {
    const uint32_t i = item_of_thread(team, warp * 32 + lane, t);
    if (i >= p.size) continue;
    const uint32_t key = keys[i];
    positive += key == nearest ? 1 : 0;
    negative += key == (nearest | ~kMagnitude) ? 1 : 0;
  }
  add_from_warp(&summary->nearest_positive, positive, lane);
  add_from_warp(&summary->nearest_negative, negative, lane);
}

/** Counts keys by sign and digit, in threadgroup memory of 2 kSelectBins words, 16 KiB, first. */
kernel void select_histogram(constant SelectParams& p [[buffer(0)]],
                             device const uint32_t* keys [[buffer(1)]],
                             device const SelectState* state [[buffer(2)]],
                             device uint32_t* histogram [[buffer(3)]],
                             threadgroup atomic_uint* bins [[threadgroup(0)]],
                             uint3 team [[threadgroup_position_in_grid]],
                             uint32_t index [[thread_index_in_threadgroup]]) {
  for (uint32_t b = index; b < 2 * kSelectBins; b += kEvolveThreads)
    atomic_store_explicit(&bins[b], 0u, memory_order_relaxed);
  threadgroup_barrier(mem_flags::mem_threadgroup);
  const uint32_t positive_known = state[0].threshold, negative_known = state[1].threshold;
  for (uint32_t t = 0; t < kThreadItems; ++t) {
    const uint32_t i = item_of_thread(team, index, t);
    if (i >= p.size) continue;
    const uint32_t key = keys[i], sign = key >> 31, digits = (key & kMagnitude) >> p.shift;
    if (p.first == 0 && digits >> p.width != (sign == 0 ? positive_known : negative_known)) continue;
    const uint32_t bin = sign * kSelectBins + (digits & ((1u << p.width) - 1u));
    atomic_fetch_add_explicit(&bins[bin], 1u, memory_order_relaxed);
  }
  threadgroup_barrier(mem_flags::mem_threadgroup);
  for (uint32_t b = index; b < 2 * kSelectBins; b += kEvolveThreads) {
    const uint32_t count = atomic_load_explicit(&bins[b], memory_order_relaxed);
    if (count > 0) add_to_word(&histogram[b], count);
  }
}

/** Finds the digit that holds the threshold. If all items go there is none, and the threshold stays kNone. */
kernel void select_digit(constant SelectParams& p [[buffer(0)]], device SelectState* states [[buffer(1)]],
                         device uint32_t* histogram [[buffer(2)]],
                         threadgroup uint32_t* shared [[threadgroup(0)]],
                         uint3 team [[threadgroup_position_in_grid]],
                         uint32_t lane [[thread_index_in_simdgroup]],
                         uint32_t warp [[simdgroup_index_in_threadgroup]]) {
  constexpr uint32_t kPerThread = kSelectBins / kEvolveThreads;
  const uint32_t sign = team.x, first_bin = (warp * 32 + lane) * kPerThread;
  device SelectState* state = states + sign;
  device uint32_t* bins = histogram + sign * kSelectBins + first_bin;
  const uint32_t rest = p.first != 0 ? (sign == 0 ? p.positive : p.negative) : state->rest;
  const uint32_t known = p.first != 0 ? 0 : state->threshold << p.width;
  threadgroup_barrier(mem_flags::mem_device);  // all have read the state that one writes
  uint32_t sum = 0, total = 0;
  for (uint32_t b = 0; b < kPerThread; ++b) sum += bins[b];
  uint32_t before = sum_of_threads_before(sum, lane, warp, kEvolveThreads / 32, shared, total);
  if (p.first != 0 && rest >= total && first_bin == 0) {
    state->threshold = kNone;
    state->rest = 0;
  }
  const bool here = before <= rest && rest - before < sum;
  for (uint32_t b = 0; b < kPerThread; ++b) {
    const uint32_t count = bins[b];
    if (here && before <= rest && rest - before < count) {
      state->threshold = known | (first_bin + b);
      state->rest = rest - before;
    }
    before += count;
    bins[b] = 0;
  }
}

/**
 * Two words, for the positive and for the negative items. An array with an index known only at run time would
 * be put in memory.
 */
struct BySign {
  uint32_t positive, negative;
};

inline uint32_t of_sign(BySign words, uint32_t sign) {
  return sign == 0 ? words.positive : words.negative;
}

/** The thread's item compared with the threshold of its sign, and the ties of its warp. */
struct TieVotes {
  bool below;     // whether the item is below the threshold, and goes
  bool tied;      // whether the item is equal to the threshold
  uint32_t sign;  // sign of the item: 0 positive, 1 negative
  BySign votes;   // a bit for each lane whose item is tied
};

inline TieVotes tie_votes(uint32_t size, uint32_t item, device const uint32_t* keys, BySign cut,
                          uint32_t lane) {
  const bool exists = item < size;
  const uint32_t key = exists ? keys[item] : 0, magnitude = key & kMagnitude;
  TieVotes votes;
  votes.sign = key >> 31;
  votes.below = exists && magnitude < of_sign(cut, votes.sign);
  votes.tied = exists && magnitude == of_sign(cut, votes.sign);
  votes.votes.positive = ballot(votes.tied && votes.sign == 0, lane);
  votes.votes.negative = ballot(votes.tied && votes.sign == 1, lane);
  return votes;
}

/** Counts the ties of each tile, by sign. A warp per tile. */
kernel void count_ties(constant MarkParams& p [[buffer(0)]], device const uint32_t* keys [[buffer(1)]],
                       device const SelectState* state [[buffer(2)]], device uint32_t* ties [[buffer(3)]],
                       uint3 team [[threadgroup_position_in_grid]],
                       uint32_t lane [[thread_index_in_simdgroup]],
                       uint32_t warp [[simdgroup_index_in_threadgroup]]) {
  const uint32_t tile = warp_of_launch(team, warp);
  const BySign cut = {state[0].threshold, state[1].threshold};
  uint32_t positive = 0, negative = 0;
  for (uint32_t first = 0; first < kWarpTile; first += 32) {
    const TieVotes item = tie_votes(p.size, tile * kWarpTile + first + lane, keys, cut, lane);
    positive += popcount(item.votes.positive);
    negative += popcount(item.votes.negative);
  }
  if (tile >= p.tiles || lane != 0) return;
  ties[tile] = positive;
  ties[p.tiles + tile] = negative;
}

/** Marks the items that go, and counts the full and the truncated blocks among them. A warp per tile. */
kernel void mark_pruned(constant MarkParams& p [[buffer(0)]], device const uint32_t* keys [[buffer(1)]],
                        device const SelectState* state [[buffer(2)]],
                        device const uint32_t* ties [[buffer(3)]], device uint32_t* removed [[buffer(4)]],
                        device PruneCounts* counts [[buffer(5)]], uint3 team [[threadgroup_position_in_grid]],
                        uint32_t lane [[thread_index_in_simdgroup]],
                        uint32_t warp [[simdgroup_index_in_threadgroup]]) {
  const uint32_t tile = warp_of_launch(team, warp);
  const BySign cut = {state[0].threshold, state[1].threshold}, go = {state[0].rest, state[1].rest};
  // Numbers of the tile's first ties. The scan counts the negative items after the positive ones.
  BySign number = {0, 0};
  if (tile < p.tiles) {
    number.positive = ties[tile];
    number.negative = ties[p.tiles + tile] - ties[p.tiles];
  }
  uint32_t full = 0, truncated = 0;
  for (uint32_t first = 0; first < kWarpTile; first += 32) {
    const uint32_t item = tile * kWarpTile + first + lane;
    const TieVotes votes = tie_votes(p.size, item, keys, cut, lane);
    const uint32_t rank = of_sign(number, votes.sign) + votes_before(of_sign(votes.votes, votes.sign), lane);
    const bool goes = votes.below || (votes.tied && rank < of_sign(go, votes.sign));
    const uint32_t word = ballot(goes, lane);
    number.positive += popcount(votes.votes.positive);
    number.negative += popcount(votes.votes.negative);
    if (lane == 0 && item < p.size) removed[item / 32] = word;
    full += goes && item < p.first_truncated ? 1 : 0;
    truncated += goes && item >= p.first_truncated ? 1 : 0;
  }
  add_from_warp(&counts->full, full, lane);
  add_from_warp(&counts->truncated, truncated, lane);
}
