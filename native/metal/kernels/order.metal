#include "gpu/philox.h"
#include "gpu/train_params.h"

/*
 * The order of an epoch's samples, as core's random_order gives it: numbers 0 .. count - 1 by ascending
 * (draw, number).
 *
 * A bitonic sort of size = 2^k entries. Stage s (2, 4, .. size) makes sorted runs of s entries, in steps that
 * exchange over distances s/2, s/4 .. 1. A threadgroup keeps kSortTile entries in its memory, 24 KiB. It runs
 * there all stages up to that size, and of later stages the steps within the tile; each longer step is a
 * kernel of its own over device memory. For 5,000 samples that is 6 dispatches, for 60,000 it is 21, once an
 * epoch: 24 bytes per entry and dispatch.
 */
using namespace metal;
using namespace set_native::gpu;

/** Writes a draw for each sample, and the largest draw for all other entries. */
kernel void order(constant OrderParams& p [[buffer(0)]], device uint64_t* draws [[buffer(1)]],
                  device uint32_t* numbers [[buffer(2)]], uint3 team [[threadgroup_position_in_grid]],
                  uint3 teams [[threadgroups_per_grid]], uint32_t index [[thread_index_in_threadgroup]]) {
  const DrawKey key = {p.key.seed_low, p.key.seed_high, p.key.epoch, p.key.last_word};
  const uint32_t step = teams.x * kTrainThreads;
  for (uint32_t k = team.x * kTrainThreads + index; k < p.size; k += step) {
    draws[k] = k < p.count ? first_64(draw(key, k)) : ~static_cast<uint64_t>(0);
    numbers[k] = k;
  }
}

/** Puts entries a and b in ascending or descending order. The arrays are in device or threadgroup memory. */
template <typename Draws, typename Numbers>
inline void exchange_entries(Draws draws, Numbers numbers, uint32_t a, uint32_t b, bool ascending) {
  const uint64_t draw_a = draws[a], draw_b = draws[b];
  const uint32_t number_a = numbers[a], number_b = numbers[b];
  const bool greater = draw_a > draw_b || (draw_a == draw_b && number_a > number_b);
  if (greater != ascending) return;
  draws[a] = draw_b;
  draws[b] = draw_a;
  numbers[a] = number_b;
  numbers[b] = number_a;
}

/** Runs the steps of stages p.first .. p.last that exchange within a tile. */
kernel void sort_tiles(constant SortParams& p [[buffer(0)]], device uint64_t* draws [[buffer(1)]],
                       device uint32_t* numbers [[buffer(2)]],
                       threadgroup uint64_t* tile_draws [[threadgroup(0)]],
                       uint3 team [[threadgroup_position_in_grid]],
                       uint32_t index [[thread_index_in_threadgroup]]) {
  threadgroup uint32_t* tile_numbers = reinterpret_cast<threadgroup uint32_t*>(tile_draws + kSortTile);
  const uint32_t start = team.x * kSortTile;
  for (uint32_t k = index; k < kSortTile; k += kSortThreads) {
    tile_draws[k] = draws[start + k];
    tile_numbers[k] = numbers[start + k];
  }
  threadgroup_barrier(mem_flags::mem_threadgroup);
  for (uint64_t stage = p.first; stage <= p.last; stage *= 2) {
    const uint32_t longest = stage / 2 < kSortTile / 2 ? static_cast<uint32_t>(stage / 2) : kSortTile / 2;
    for (uint32_t distance = longest; distance > 0; distance /= 2) {
      for (uint32_t pair = index; pair < kSortTile / 2; pair += kSortThreads) {
        const uint32_t a = pair / distance * 2 * distance + pair % distance;
        exchange_entries(tile_draws, tile_numbers, a, a + distance, ((start + a) & stage) == 0);
      }
      threadgroup_barrier(mem_flags::mem_threadgroup);
    }
  }
  for (uint32_t k = index; k < kSortTile; k += kSortThreads) {
    draws[start + k] = tile_draws[k];
    numbers[start + k] = tile_numbers[k];
  }
}

/** Runs the step of stage p.first that exchanges over p.distance. One thread per pair. */
kernel void sort_merge(constant SortParams& p [[buffer(0)]], device uint64_t* draws [[buffer(1)]],
                       device uint32_t* numbers [[buffer(2)]], uint3 team [[threadgroup_position_in_grid]],
                       uint32_t index [[thread_index_in_threadgroup]]) {
  const uint32_t pair = team.x * kTrainThreads + index;
  if (pair >= p.size / 2) return;
  const uint32_t a = pair / p.distance * 2 * p.distance + pair % p.distance;
  exchange_entries(draws, numbers, a, a + p.distance, (a & p.first) == 0);
}
