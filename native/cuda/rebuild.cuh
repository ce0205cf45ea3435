#pragma once

#include <cstdint>

#include "cuda/cells.cuh"
#include "cuda/device_code.cuh"
#include "cuda/scan.cuh"
#include "gpu/evolve_params.h"
#include "gpu/philox.h"

/*
 * Rebuild: makes the layer from the bitmap of its blocks. A block's new number is the rank of its bit, so
 * every block, kept or grown, finds its place independently; nothing is sorted, and groups and targets are in
 * ascending order.
 *
 * Moves each array of the layer once, from a copy: bytes per block 2 (10 height + index) + 10, of which rank
 * look-ups are 8 that neighbouring blocks share.
 */
namespace set_native::cuda {

/** Writes the offsets of a bitmap's rows: the ranks of their first words. */
__global__ void set_offsets(gpu::OffsetParams p, const uint32_t* ranks, uint32_t* offsets) {
  const uint32_t row = thread_of_launch();
  if (row <= p.rows) offsets[row] = ranks[static_cast<uint64_t>(row) * p.words];
}

/** Moves the kept blocks. A warp per group; lanes take neighbouring links. Values move as bits. */
template <class Index>
__global__ void move_kept(gpu::MoveParams p, const uint32_t* old_offsets, const Index* old_targets,
                          const uint32_t* removed, const uint32_t* old_weights, const uint32_t* old_velocity,
                          const uint32_t* old_second_moment, const uint16_t* old_birth, const uint32_t* cells,
                          const uint32_t* ranks, Index* targets, uint32_t* weights, uint32_t* velocity,
                          uint32_t* second_moment, uint16_t* birth) {
  const uint32_t group = warp_of_launch();
  if (group >= p.groups) return;
  const uint64_t first = old_offsets[group];
  const uint64_t links = (old_offsets[group + 1] - first) * p.height;
  for (uint64_t link = lane_of_thread(); link < links; link += 32) {
    const uint32_t block = static_cast<uint32_t>(link) / p.height, r = static_cast<uint32_t>(link) % p.height;
    const uint64_t k = first + block;
    if ((removed[k / 32] >> (k % 32) & 1) != 0) continue;
    const Index target = old_targets[k];
    const uint32_t to = rank_of(cells, ranks, group, p.words, target);
    const uint64_t from_link = k * p.height + r, to_link = static_cast<uint64_t>(to) * p.height + r;
    if (r == 0) targets[to] = target;
    weights[to_link] = old_weights[from_link];
    velocity[to_link] = old_velocity[from_link];
    if (second_moment != nullptr) second_moment[to_link] = old_second_moment[from_link];
    birth[to_link] = old_birth[from_link];
  }
}

/** Writes the targets of grown blocks, and their numbers. One thread per block. */
template <class Index>
__global__ void place_grown(gpu::PlaceParams p, const uint32_t* slot_rows, const uint32_t* slot_cols,
                            const uint32_t* cells, const uint32_t* ranks, uint32_t* positions,
                            Index* targets) {
  const uint32_t slot = thread_of_launch();
  if (slot >= p.count) return;
  const uint32_t target = slot_cols[slot], to = rank_of(cells, ranks, slot_rows[slot], p.words, target);
  positions[slot] = to;
  targets[to] = static_cast<Index>(target);
}

/**
 * Writes weight, moments and birth of grown links, one thread each. Links of sources beyond the layer get
 * zeros. The bound of he_fan_in comes from a table by fan-in, because a device may lack the double square
 * root. An unknown init gives NaN.
 */
__global__ void grow_weights(gpu::GrowParams p, const uint32_t* slot_rows, const uint32_t* slot_cols,
                             const uint32_t* positions, const uint32_t* target_offsets,
                             const uint32_t* by_target, const float* bounds, float* weights, float* velocity,
                             float* second_moment, uint16_t* birth) {
  const uint32_t number = thread_of_launch();
  const uint32_t slot = number / p.height, r = number % p.height;
  if (slot >= p.count) return;
  const uint32_t group = slot_rows[slot], target = slot_cols[slot];
  const uint64_t source = static_cast<uint64_t>(group) * p.height + r;
  const uint64_t link = static_cast<uint64_t>(positions[slot]) * p.height + r;
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
    weight = bound * gpu::symmetric_unit(gpu::draw(p.key, source * p.cols + target).x);
  }
  weights[link] = weight;
  velocity[link] = 0.0f;
  if (second_moment != nullptr) second_moment[link] = 0.0f;
  birth[link] = static_cast<uint16_t>(exists ? p.birth : 0);
}

}  // namespace set_native::cuda
