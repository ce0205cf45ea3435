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
 * Every random number of set-native is a pure function of (seed, stream, layer, epoch, index, round):
 * no state, so the same seed gives the same draws on every back end and any number of threads.
 */
using PhiloxBlock = std::array<uint32_t, 4>;

PhiloxBlock philox4x32_10(PhiloxBlock counter, std::array<uint32_t, 2> key);

/** What a draw is for. Values are part of the reproducibility contract: never renumber. */
enum class Stream : uint32_t {
  topology = 1,        // index = row << 32 | number of the draw within the row
  weights = 2,         // index = cell
  shuffle = 3,         // index = sample
  regrow = 4,          // index = open slot, round = attempt; words 0, 1 propose
  regrow_single = 5,   // the same for the single links that complete a motif regrowth
  regrow_weights = 6,  // index = cell
  split = 7,           // index = sample; subsets and train/test splits
};

constexpr uint32_t kMaxLayers = 1u << 12;
constexpr uint32_t kMaxRounds = 1u << 12;

/** counter = {index low, index high, epoch, stream << 24 | layer << 12 | round}, key = {seed low, seed high}.
 */
inline PhiloxBlock draw(uint64_t seed, Stream stream, uint32_t layer, uint32_t epoch, uint64_t index,
                        uint32_t round = 0) {
  return philox4x32_10({static_cast<uint32_t>(index), static_cast<uint32_t>(index >> 32), epoch,
                        static_cast<uint32_t>(stream) << 24 | layer << 12 | round},
                       {static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)});
}

/** Words 0, 1 (or 2, 3 with `half` = 1) of a block as one 64-bit number. */
inline uint64_t word64(const PhiloxBlock& block, int half = 0) {
  return static_cast<uint64_t>(block[2 * half + 1]) << 32 | block[2 * half];
}

/**
 * out[k] = word64(block, 0) and, where wanted, second[k] = word64(block, 1) of block = draw(seed, stream,
 * layer, epoch, index[k], round), for all k < count; faster than one by one.
 */
void draw_many(uint64_t seed, Stream stream, uint32_t layer, uint32_t epoch, const uint64_t* index,
               uint32_t round, size_t count, uint64_t* out, uint64_t* second = nullptr);

/** A random permutation of 0 .. count-1: ascending word64(draw(seed, stream, 0, epoch, k)), ties by k. */
std::vector<uint32_t> random_order(uint64_t seed, Stream stream, uint32_t epoch, uint64_t count);

/** Uniform in 0 .. count-1 by the high half of a 64 x 64 bit product; bias below count / 2^64. */
inline uint64_t below(uint64_t u, uint64_t count) {
  return static_cast<uint64_t>((static_cast<unsigned __int128>(u) * count) >> 64);
}

/** Uniform double strictly inside (0, 1): 52 bits, for with 53 the half added to the largest would round it
 * up to 1. */
inline double unit_open(uint64_t u) {
  return (static_cast<double>(u >> 12) + 0.5) * 0x1p-52;
}

/** Uniform float in [-1, 1), a multiple of 2^-23, hence exact on every back end. */
inline float symmetric_unit(uint32_t u) {
  return static_cast<float>(static_cast<int32_t>(u >> 8) - (1 << 23)) * 0x1p-23f;
}

}  // namespace set_native
