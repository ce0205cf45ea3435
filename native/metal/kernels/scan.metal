#include "metal/kernels/scan.h"

/*
 * Exclusive sums over arrays of any length, modulo 2^32: numbers of items before an item.
 *
 *   values[i] := values[0] + ... + values[i - 1]
 *
 * A threadgroup scans a tile of kScanTile numbers, 8 neighbours per thread, and writes the tile's sum to
 * `sums`. The host scans the sums in the same way, and scan_add adds to each tile the sum of the tiles before
 * it: 12 bytes per number.
 */
using namespace metal;
using namespace set_native::gpu;

SET_CONSTANT uint32_t kScanItems = kScanTile / kEvolveThreads;

/** Returns the place of the first of a thread's neighbouring numbers. */
inline uint32_t first_scanned(uint3 team, uint32_t lane, uint32_t warp) {
  return team.x * kScanTile + (warp * 32 + lane) * kScanItems;
}

/** Writes to `values` the exclusive sums in the tile of the thread's own numbers, and the tile's sum. */
inline void scan_tile(thread uint32_t* own, uint32_t size, device uint32_t* values, device uint32_t* sums,
                      threadgroup uint32_t* shared, uint3 team, uint32_t lane, uint32_t warp) {
  const uint32_t first = first_scanned(team, lane, warp);
  uint32_t sum = 0, total = 0;
  for (uint32_t t = 0; t < kScanItems; ++t) sum += own[t];
  uint32_t before = sum_of_threads_before(sum, lane, warp, kEvolveThreads / 32, shared, total);
  for (uint32_t t = 0; t < kScanItems; ++t) {
    if (first + t < size) values[first + t] = before;
    before += own[t];
  }
  if (warp == 0 && lane == 0) sums[team.x] = total;
}

kernel void scan_tiles(constant ScanParams& p [[buffer(0)]], device uint32_t* values [[buffer(1)]],
                       device uint32_t* sums [[buffer(2)]], threadgroup uint32_t* shared [[threadgroup(0)]],
                       uint3 team [[threadgroup_position_in_grid]],
                       uint32_t lane [[thread_index_in_simdgroup]],
                       uint32_t warp [[simdgroup_index_in_threadgroup]]) {
  const uint32_t first = first_scanned(team, lane, warp);
  uint32_t own[kScanItems];
  for (uint32_t t = 0; t < kScanItems; ++t) own[t] = first + t < p.size ? values[first + t] : 0;
  scan_tile(own, p.size, values, sums, shared, team, lane, warp);
}

kernel void scan_add(constant ScanParams& p [[buffer(0)]], device uint32_t* values [[buffer(1)]],
                     device const uint32_t* sums [[buffer(2)]], uint3 team [[threadgroup_position_in_grid]],
                     uint32_t index [[thread_index_in_threadgroup]]) {
  const uint32_t i = thread_of_launch(team, index);
  if (i < p.size) values[i] += sums[i / kScanTile];
}

/** Runs scan_tiles over the numbers of set bits of words, without an array of those. */
kernel void rank_bits(constant RankParams& p [[buffer(0)]], device const uint32_t* bits [[buffer(1)]],
                      device uint32_t* ranks [[buffer(2)]], device uint32_t* sums [[buffer(3)]],
                      threadgroup uint32_t* shared [[threadgroup(0)]],
                      uint3 team [[threadgroup_position_in_grid]],
                      uint32_t lane [[thread_index_in_simdgroup]],
                      uint32_t warp [[simdgroup_index_in_threadgroup]]) {
  const uint32_t first = first_scanned(team, lane, warp);
  uint32_t own[kScanItems];
  for (uint32_t t = 0; t < kScanItems; ++t) own[t] = first + t < p.words ? popcount(bits[first + t]) : 0;
  scan_tile(own, p.words + 1, ranks, sums, shared, team, lane, warp);
}
