#include "gpu/philox.h"
#include "metal/kernels/cells.h"
#include "metal/kernels/given.h"

/*
 * Rebuild: makes the layer from the bitmap of its blocks. A block's new number is the rank of its bit, so
 * every block, kept or grown, finds its place independently; nothing is sorted, and groups and targets are in
 * ascending order.
 *
 * Moves each array of the layer once, from a copy: bytes per block 2 (10 height + index) + 10, of which rank
 * look-ups are 8 that neighbouring blocks share.
 */
using namespace metal;
using namespace set_native::gpu;

/** Writes the offsets of a bitmap's rows: the ranks of their first words. */
kernel void set_offsets(constant OffsetParams& p [[buffer(0)]], device const uint32_t* ranks [[buffer(1)]],
                        device uint32_t* offsets [[buffer(2)]], uint3 team [[threadgroup_position_in_grid]],
                        uint32_t index [[thread_index_in_threadgroup]]) {
  const uint32_t row = thread_of_launch(team, index);
  if (row <= p.rows) offsets[row] = ranks[row * p.words];
}

/** Moves the kept blocks. A warp per group; lanes take neighbouring links. Values move as bits. */
template <typename Index>
kernel void move_kept(
    constant MoveParams& p [[buffer(0)]], device const uint32_t* old_offsets [[buffer(1)]],
    device const Index* old_targets [[buffer(2)]], device const uint32_t* removed [[buffer(3)]],
    device const uint32_t* old_weights [[buffer(4)]], device const uint32_t* old_velocity [[buffer(5)]],
    device const uint32_t* old_second_moment [[buffer(6)]], device const uint16_t* old_birth [[buffer(7)]],
    device const uint32_t* cells [[buffer(8)]], device const uint32_t* ranks [[buffer(9)]],
    device Index* targets [[buffer(10)]], device uint32_t* weights [[buffer(11)]],
    device uint32_t* velocity [[buffer(12)]], device uint32_t* second_moment [[buffer(13)]],
    device uint16_t* birth [[buffer(14)]], constant uint32_t& given [[buffer(30)]],
    uint3 team [[threadgroup_position_in_grid]], uint32_t lane [[thread_index_in_simdgroup]],
    uint32_t warp [[simdgroup_index_in_threadgroup]]) {
  second_moment = SET_GIVEN(given, 13, second_moment);
  const uint32_t group = warp_of_launch(team, warp);
  if (group >= p.groups) return;
  const uint32_t first = old_offsets[group], links = (old_offsets[group + 1] - first) * p.height;
  for (uint32_t link = lane; link < links; link += 32) {
    const uint32_t block = link / p.height, r = link % p.height, k = first + block;
    if (is_marked(removed, k)) continue;
    const Index target = old_targets[k];
    const uint32_t to = rank_of(cells, ranks, group, p.words, target);
    const uint32_t from_link = k * p.height + r, to_link = to * p.height + r;
    if (r == 0) targets[to] = target;
    weights[to_link] = old_weights[from_link];
    velocity[to_link] = old_velocity[from_link];
    if (second_moment != nullptr) second_moment[to_link] = old_second_moment[from_link];
    birth[to_link] = old_birth[from_link];
  }
}

/** Writes the targets of grown blocks, and their numbers. One thread per block. */
template <typename Index>
kernel void place_grown(constant PlaceParams& p [[buffer(0)]], device const uint32_t* slot_rows [[buffer(1)]],
                        device const uint32_t* slot_cols [[buffer(2)]],
                        device const uint32_t* cells [[buffer(3)]],
                        device const uint32_t* ranks [[buffer(4)]], device uint32_t* positions [[buffer(5)]],
                        device Index* targets [[buffer(6)]], uint3 team [[threadgroup_position_in_grid]],
                        uint32_t index [[thread_index_in_threadgroup]]) {
  const uint32_t slot = thread_of_launch(team, index);
  if (slot >= p.count) return;
  const uint32_t target = slot_cols[slot], to = rank_of(cells, ranks, slot_rows[slot], p.words, target);
  positions[slot] = to;
  targets[to] = static_cast<Index>(target);
}

/**
 * Writes weight, moments and birth of grown links, one thread each. Links of sources beyond the layer get
 * zeros. The bound of he_fan_in comes from a table by fan-in, because Metal has no double square root. An
 * unknown init gives NaN.
 */
kernel void grow_weights(constant GrowParams& p [[buffer(0)]], device const uint32_t* slot_rows [[buffer(1)]],
                         device const uint32_t* slot_cols [[buffer(2)]],
                         device const uint32_t* positions [[buffer(3)]],
                         device const uint32_t* target_offsets [[buffer(4)]],
                         device const uint32_t* by_target [[buffer(5)]],
                         device const float* bounds [[buffer(6)]], device float* weights [[buffer(7)]],
                         device float* velocity [[buffer(8)]], device float* second_moment [[buffer(9)]],
                         device uint16_t* birth [[buffer(10)]], constant uint32_t& given [[buffer(30)]],
                         uint3 team [[threadgroup_position_in_grid]],
                         uint32_t index [[thread_index_in_threadgroup]]) {
  second_moment = SET_GIVEN(given, 9, second_moment);
  const uint32_t number = thread_of_launch(team, index);
  const uint32_t slot = number / p.height, r = number % p.height;
  if (slot >= p.count) return;
  const uint32_t group = slot_rows[slot], target = slot_cols[slot];
  const uint64_t source = static_cast<uint64_t>(group) * p.height + r;
  const uint32_t link = positions[slot] * p.height + r;
  float weight = 0.0f;
  const bool exists = source < p.inputs;
  if (exists && p.init != RegrowInit::zero) {
    float bound = p.init == RegrowInit::he_dense ? p.dense_bound : NAN;
    if (p.init == RegrowInit::he_fan_in) {
      const uint32_t last = (p.inputs - 1) / p.height, missing = (last + 1) * p.height - p.inputs;
      uint32_t fan_in = (target_offsets[target + 1] - target_offsets[target]) * p.height;
      if (missing > 0 && is_set(by_target, target, p.row_words, last)) fan_in -= missing;
      bound = bounds[fan_in];
    }
    const DrawKey key = {p.key.seed_low, p.key.seed_high, p.key.epoch, p.key.last_word};
    weight = bound * symmetric_unit(draw(key, source * p.cols + target).x);
  }
  weights[link] = weight;
  velocity[link] = 0.0f;
  if (second_moment != nullptr) second_moment[link] = 0.0f;
  birth[link] = static_cast<uint16_t>(exists ? p.birth : 0);
}
