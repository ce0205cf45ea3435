#pragma once

#include <cstdint>

#include "cuda/device_code.cuh"
#include "cuda/scan.cuh"
#include "gpu/evolve_params.h"

/*
 * Prune: marks the items of lowest |key|, a given number of positive ones and one of negative ones. Of equal
 * keys the lower items go first.
 *
 * Keys are the bits of floats, which within one sign have the order of absolute values; +0 is the lowest
 * positive key, -0 the lowest negative. A radix select finds the two thresholds exactly. Three passes over
 * the keys count those that share the digits found so far by their next digit, 11 + 10 + 10 bits, in shared
 * memory first; after each pass one thread block per sign finds the digit that holds the threshold. Counts do
 * not depend on the order of atomics. Then each warp counts the keys equal to a threshold in its 256 items, a
 * scan numbers them, and those with low enough numbers go with those below the threshold.
 *
 * 5 passes of 4 bytes per item, and 1 bit written. At most 2^32 - 1 items.
 */
namespace set_native::cuda {

constexpr uint32_t kMagnitude = 0x7fffffff;
constexpr uint32_t kInfinity = 0x7f800000;

/** SET-motif: writes the score of each block, summed as the CPU does. One thread per block of links. */
__global__ void block_scores(gpu::ScoreParams p, const float* weights, uint32_t* keys) {
  const uint32_t k = thread_of_launch();
  if (k >= p.blocks) return;
  const float* const w = weights + static_cast<uint64_t>(k) * p.height;
  const uint32_t count = k < p.first_truncated ? p.height : p.sources;
  float score = fabsf(w[0]);
  for (uint32_t r = 1; r < count; ++r) {
    const float size = fabsf(w[r]);
    score = p.score == MotifScore::max   ? fmaxf(score, size)
            : p.score == MotifScore::min ? fminf(score, size)
                                         : score + size;
  }
  if (p.score == MotifScore::mean) score /= static_cast<float>(count);
  keys[k] = __float_as_uint(score);
}

/** Sets the flag if a weight is not finite. */
__global__ void check_finite(gpu::CheckParams p, const uint32_t* weights, uint32_t* flag) {
  const uint64_t size = static_cast<uint64_t>(p.size_high) << 32 | p.size_low;
  const uint64_t first = static_cast<uint64_t>(blockIdx.x) * blockDim.x * gpu::kThreadItems + threadIdx.x;
  bool finite = true;
  for (uint32_t t = 0; t < gpu::kThreadItems; ++t) {
    const uint64_t i = first + t * blockDim.x;
    if (i < size) finite &= (weights[i] & kMagnitude) < kInfinity;
  }
  if (!finite) atomicOr(flag, 1);
}

/** Calls use(key) for the thread's share of the items. Neighbouring threads take neighbouring items. */
template <class Use>
__device__ inline void for_keys(uint32_t size, const uint32_t* keys, Use&& use) {
  const uint32_t first = blockIdx.x * blockDim.x * gpu::kThreadItems + threadIdx.x;
  for (uint32_t t = 0; t < gpu::kThreadItems; ++t) {
    const uint32_t i = first + t * blockDim.x;
    if (i < size) use(keys[i]);
  }
}

/** Adds the counts of all lanes to `to`, with one atomic per warp. */
__device__ inline void add_from_warp(uint32_t* to, uint32_t count) {
  const uint32_t sum = sum_of_warp(count);
  if (lane_of_thread() == 0 && sum > 0) atomicAdd(to, sum);
}

/** Counts the keys of either sign and the zeros of either sign, and finds the smallest |key| other than 0. */
__global__ void count_signs(gpu::SignParams p, const uint32_t* keys, gpu::SignSummary* summary) {
  uint32_t positive = 0, positive_zero = 0, negative = 0, negative_zero = 0, nearest = gpu::kNone;
  for_keys(p.size, keys, [&](uint32_t key) {
    const uint32_t magnitude = key & kMagnitude;
    const bool below_zero = key != magnitude, zero = magnitude == 0;
    positive += !below_zero && !zero;
    positive_zero += !below_zero && zero;
    negative += below_zero && !zero;
    negative_zero += below_zero && zero;
    if (!zero) nearest = min(nearest, magnitude);
  });
  for (uint32_t step = 16; step > 0; step /= 2)
    nearest = min(nearest, __shfl_xor_sync(kWholeWarp, nearest, step));
  if (lane_of_thread() == 0) atomicMin(&summary->nearest, nearest);
  add_from_warp(&summary->positive, positive);
  add_from_warp(&summary->positive_zero, positive_zero);
  add_from_warp(&summary->negative, negative);
  add_from_warp(&summary->negative_zero, negative_zero);
}

/** Counts the keys of that smallest |key|, by sign. */
__global__ void count_nearest(gpu::SignParams p, const uint32_t* keys, gpu::SignSummary* summary) {
  const uint32_t nearest = summary->nearest;
  uint32_t positive = 0, negative = 0;
  for_keys(p.size, keys, [&](uint32_t key) {
    positive += key == nearest;
    negative += key == (nearest | ~kMagnitude);
  });
  add_from_warp(&summary->nearest_positive, positive);
  add_from_warp(&summary->nearest_negative, negative);
}

/** Counts keys by sign and digit, in shared memory of 2 kSelectBins words first. */
__global__ void select_histogram(gpu::SelectParams p, const uint32_t* keys, const gpu::SelectState* state,
                                 uint32_t* histogram) {
  SET_SHARED(shared);
  auto* const bins = reinterpret_cast<uint32_t*>(shared);
  for (uint32_t b = threadIdx.x; b < 2 * gpu::kSelectBins; b += blockDim.x) bins[b] = 0;
  __syncthreads();
  const uint32_t known[2] = {state[0].threshold, state[1].threshold};
  for_keys(p.size, keys, [&](uint32_t key) {
    const uint32_t sign = key >> 31, magnitude = key & kMagnitude, digits = magnitude >> p.shift;
    if (p.first == 0 && digits >> p.width != known[sign]) return;
    atomicAdd(&bins[sign * gpu::kSelectBins + (digits & ((1u << p.width) - 1))], 1);
  });
  __syncthreads();
  for (uint32_t b = threadIdx.x; b < 2 * gpu::kSelectBins; b += blockDim.x)
    if (bins[b] > 0) atomicAdd(&histogram[b], bins[b]);
}

/** Finds the digit that holds the threshold. If all items go there is none, and the threshold stays kNone. */
__global__ void select_digit(gpu::SelectParams p, gpu::SelectState* state, uint32_t* histogram) {
  SET_SHARED(shared);
  constexpr uint32_t kPerThread = gpu::kSelectBins / gpu::kEvolveThreads;
  const uint32_t sign = blockIdx.x;
  uint32_t* const bins = histogram + sign * gpu::kSelectBins + threadIdx.x * kPerThread;
  const uint32_t rest = p.first != 0 ? (sign == 0 ? p.positive : p.negative) : state[sign].rest;
  const uint32_t known = p.first != 0 ? 0 : state[sign].threshold << p.width;
  uint32_t sum = 0, total;
  for (uint32_t b = 0; b < kPerThread; ++b) sum += bins[b];
  // Its barrier comes after all threads have read the state that one of them writes.
  uint32_t before = sum_of_threads_before(sum, reinterpret_cast<uint32_t*>(shared), total);
  if (p.first != 0 && rest >= total && threadIdx.x == 0) state[sign] = {gpu::kNone, 0};
  const bool here = before <= rest && rest - before < sum;
  for (uint32_t b = 0; b < kPerThread; ++b) {
    const uint32_t count = bins[b];
    if (here && before <= rest && rest - before < count)
      state[sign] = {known | (threadIdx.x * kPerThread + b), rest - before};
    before += count;
    bins[b] = 0;
  }
}

/** Returns one of two registers. An array with an index known only at run time would be put in memory. */
__device__ inline uint32_t of_sign(const uint32_t (&values)[2], uint32_t sign) {
  return sign == 0 ? values[0] : values[1];
}

/** The thread's item compared with the threshold of its sign, and the ties of its warp. */
struct TieVotes {
  bool below;         // whether the item is below the threshold, and goes
  uint32_t sign;      // sign of the item: 0 positive, 1 negative
  bool tied;          // whether the item is equal to the threshold
  uint32_t votes[2];  // by sign, a bit for each lane whose item is tied
};

__device__ inline TieVotes tie_votes(uint32_t size, uint32_t item, const uint32_t* keys,
                                     const uint32_t (&cut)[2]) {
  const bool exists = item < size;
  const uint32_t key = exists ? keys[item] : 0, sign = key >> 31, magnitude = key & kMagnitude;
  const bool tied = exists && magnitude == of_sign(cut, sign);
  return {exists && magnitude < of_sign(cut, sign),
          sign,
          tied,
          {__ballot_sync(kWholeWarp, tied && sign == 0), __ballot_sync(kWholeWarp, tied && sign == 1)}};
}

/** Counts the ties of each tile, by sign. A warp per tile. */
__global__ void count_ties(gpu::MarkParams p, const uint32_t* keys, const gpu::SelectState* state,
                           uint32_t* ties) {
  const uint32_t tile = warp_of_launch();
  const uint32_t cut[2] = {state[0].threshold, state[1].threshold};
  uint32_t count[2] = {0, 0};
  for (uint32_t first = 0; first < gpu::kWarpTile; first += 32) {
    const TieVotes item = tie_votes(p.size, tile * gpu::kWarpTile + first + lane_of_thread(), keys, cut);
    for (uint32_t s = 0; s < 2; ++s) count[s] += static_cast<uint32_t>(__popc(item.votes[s]));
  }
  if (tile < p.tiles && lane_of_thread() < 2)
    ties[lane_of_thread() * p.tiles + tile] = count[lane_of_thread()];
}

/** Marks the items that go, and counts the full and the truncated blocks among them. A warp per tile. */
__global__ void mark_pruned(gpu::MarkParams p, const uint32_t* keys, const gpu::SelectState* state,
                            const uint32_t* ties, uint32_t* removed, gpu::PruneCounts* counts) {
  const uint32_t tile = warp_of_launch(), lane = lane_of_thread();
  const uint32_t cut[2] = {state[0].threshold, state[1].threshold}, go[2] = {state[0].rest, state[1].rest};
  // Numbers of the tile's first ties. The scan counts the negative items after the positive ones.
  uint32_t number[2] = {0, 0};
  if (tile < p.tiles) {
    number[0] = ties[tile];
    number[1] = ties[p.tiles + tile] - ties[p.tiles];
  }
  uint32_t full = 0, truncated = 0;
  for (uint32_t first = 0; first < gpu::kWarpTile; first += 32) {
    const uint32_t item = tile * gpu::kWarpTile + first + lane;
    const TieVotes votes = tie_votes(p.size, item, keys, cut);
    const uint32_t rank = of_sign(number, votes.sign) + votes_before(of_sign(votes.votes, votes.sign));
    const bool goes = votes.below || (votes.tied && rank < of_sign(go, votes.sign));
    const uint32_t word = __ballot_sync(kWholeWarp, goes);
    for (uint32_t s = 0; s < 2; ++s) number[s] += static_cast<uint32_t>(__popc(votes.votes[s]));
    if (lane == 0 && item < p.size) removed[item / 32] = word;
    full += goes && item < p.first_truncated;
    truncated += goes && item >= p.first_truncated;
  }
  add_from_warp(&counts->full, full);
  add_from_warp(&counts->truncated, truncated);
}

}  // namespace set_native::cuda
