#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace set_native {

/**
 * Philox4x32-10, the counter-based generator of Salmon, Moraes, Dror and Shaw,
 * "Parallel random numbers: as easy as 1, 2, 3" (SC'11, doi:10.1145/2063384.2063405).
 *
 * Every random number of set-native is a pure function of (seed, stream, layer, epoch, index, round). There
 * is no state, so the same seed gives the same draws on every back end and any number of threads.
 */
using PhiloxBlock = std::array<uint32_t, 4>;

PhiloxBlock philox4x32_10(PhiloxBlock counter, std::array<uint32_t, 2> key);

/** Purpose of a draw. Values are part of the reproducibility contract and are never renumbered. */
enum class Stream : uint32_t {
  topology = 1,           // index = row << 32 | number of the block within the row
  weights = 2,            // index = cell
  shuffle = 3,            // index = sample
  regrow = 4,             // index = open slot, round = round of proposals; words 0 and 1 give the place
  regrow_single = 5,      // the same for the single links that complete a motif regrowth
  regrow_weights = 6,     // index = cell
  split = 7,              // index = sample; subsets and train/test splits
  dropout = 8,            // index = neuron / 8 << 32 | place of the sample in the order of the epoch
  candidate = 9,          // as regrow, for the places among which growth by gradient chooses
  candidate_single = 10,  // as regrow_single, likewise
  augment = 11,           // index = sample; words 0 and 1 give its shift, word 2 whether it is mirrored
};

constexpr uint32_t kMaxLayers = 1u << 12;
constexpr uint32_t kMaxRounds = 1u << 12;

/** Returns the last word of the counter of a draw. */
constexpr uint32_t last_word(Stream stream, uint32_t layer, uint32_t round = 0) {
  return static_cast<uint32_t>(stream) << 24 | layer << 12 | round;
}

/**
 * Returns the random block of a draw:
 * counter = {index low, index high, epoch, stream << 24 | layer << 12 | round}, key = {seed low, seed high}.
 */
inline PhiloxBlock draw(uint64_t seed, Stream stream, uint32_t layer, uint32_t epoch, uint64_t index,
                        uint32_t round = 0) {
  return philox4x32_10({static_cast<uint32_t>(index), static_cast<uint32_t>(index >> 32), epoch,
                        last_word(stream, layer, round)},
                       {static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)});
}

/** Words 0 and 1 of a block (2 and 3 with `half` = 1) as one 64-bit number. */
inline uint64_t word64(const PhiloxBlock& block, int half = 0) {
  return static_cast<uint64_t>(block[2 * half + 1]) << 32 | block[2 * half];
}

/**
 * Sets out[k] = word64(block, 0) and, unless `second` is null, second[k] = word64(block, 1), where block =
 * draw(seed, stream, layer, epoch, index[k], round), for all k < count. Faster than single draws.
 */
void draw_many(uint64_t seed, Stream stream, uint32_t layer, uint32_t epoch, const uint64_t* index,
               uint32_t round, size_t count, uint64_t* out, uint64_t* second = nullptr);

/**
 * Random permutation of 0 .. count-1: k in ascending order of word64(draw(seed, stream, 0, epoch, k)), ties
 * by k.
 */
std::vector<uint32_t> random_order(uint64_t seed, Stream stream, uint32_t epoch, uint64_t count);

/**
 * Uniform integer in 0 .. count-1: the high half of a 64 x 64 bit product. The bias is below count / 2^64.
 */
inline uint64_t below(uint64_t u, uint64_t count) {
  return static_cast<uint64_t>((static_cast<unsigned __int128>(u) * count) >> 64);
}

/**
 * Uniform double strictly inside (0, 1) from 52 bits. With 53 bits, adding the half would round the largest
 * number up to 1.
 */
inline double unit_open(uint64_t u) {
  return (static_cast<double>(u >> 12) + 0.5) * 0x1p-52;
}

/** Uniform float in [-1, 1). It is a multiple of 2^-23, hence exact on every back end. */
inline float symmetric_unit(uint32_t u) {
  return static_cast<float>(static_cast<int32_t>(u >> 8) - (1 << 23)) * 0x1p-23f;
}

}  // namespace set_native
