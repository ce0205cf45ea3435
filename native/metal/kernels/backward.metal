#include "gpu/train_params.h"
#include "metal/kernels/columns.h"
#include "metal/kernels/given.h"

/*
 * The backward pass, for the sources i of a group and their links (i, j):
 *
 *   g = x_i . dz_j, and the update of the weight by g
 *   dx_i = f'(x_i) sum of w dz_j, with the weights before their update, in place of x_i
 *   the update of source i's own bias by the sum of dx_i
 *
 * A group belongs to `warps` warps of one threadgroup, whose slots take its blocks of links in turn. Lanes
 * keep their float4 of x_i and dx_i in registers, for kChunk sources of a block at a time, which takes 64
 * registers; one load of dz_j serves both products of all these sources, and no gradient is ever stored. A
 * link takes 4 stride flops and 16 bytes of weight and velocity, 24 with AdamW; a block of links takes one
 * index and 4 stride bytes of dz, mostly from caches. Rows have at most kPassStride floats;
 * wide_backward.metal takes longer ones. kHeight 0 stands for any height, by chunks. Where warps share
 * groups, kChunk sources take all 32 KiB of threadgroup memory.
 */
using namespace metal;
using namespace set_native::gpu;

/** Does what backward does for the `rows` <= kRows sources of a group from number r0 on. */
template <typename Index, uint32_t kRows>
inline void backward_rows(constant BackwardParams& p, thread const Columns& c, thread const UpdateRule& rule,
                          uint32_t lane, uint32_t warp, uint32_t r0, uint32_t rows, uint32_t group,
                          device const uint32_t* offsets, device const Index* targets,
                          thread const Parameters& links, device float4* x, device const float4* dz,
                          thread const Parameters& bias, threadgroup float4* partial) {
  // Load the sources.
  const uint32_t part = warp % p.warps, source = group * p.height + r0;
  const uint32_t existing = existing_sources(p, group, source, rows);
  float4 inputs[kRows], sums[kRows];
  SET_UNROLL
  for (uint32_t r = 0; r < kRows; ++r) {
    inputs[r] = float4(0.0f);
    sums[r] = float4(0.0f);
    if (c.active && r < existing) inputs[r] = x[(source + r) * c.row + c.column];
  }
  // Walk along the blocks: gradients and updates of weights, and the lane's part of dx.
  const uint32_t begin = group < p.groups ? offsets[group] : 0,
                 end = group < p.groups ? offsets[group + 1] : 0;
  for (uint32_t base = begin + part * c.slots; base < end; base += p.warps * c.slots) {
    const uint32_t k = base + c.slot;
    const bool valid = c.active && k < end;
    const uint64_t place = static_cast<uint64_t>(k) * p.height + r0;
    float4 d = float4(0.0f);
    if (valid) d = dz[static_cast<uint32_t>(targets[k]) * c.row + c.column];
    float gradients[kRows];
    SET_UNROLL
    for (uint32_t r = 0; r < kRows; ++r) {
      gradients[r] = dot4(inputs[r], d);
      if (p.wants_dx != 0 && valid && r < rows) sums[r] = fma(float4(links.values[place + r]), d, sums[r]);
    }
    SET_UNROLL
    for (uint32_t r = 0; r < kRows; ++r) gradients[r] = c.over_columns(gradients[r]);
    if (valid && c.at == 0) {
      SET_UNROLL
      for (uint32_t r = 0; r < kRows; ++r)
        if (r < existing) update(links, place + r, gradients[r], rule);
    }
  }
  if (p.wants_dx == 0) return;
  // Add up dx over slots and warps, write it, and update the biases.
  SET_UNROLL
  for (uint32_t r = 0; r < kRows; ++r) sums[r] = c.over_slots(sums[r]);
  if (!over_warps<kRows>(sums, p.warps, part, warp * 32 + lane, partial)) return;
  SET_UNROLL
  for (uint32_t r = 0; r < kRows; ++r) {
    const bool mine = c.slot == 0 && r < existing;
    const float4 dx = input_gradient_of4(inputs[r], sums[r], p);
    if (mine) x[(source + r) * c.row + c.column] = dx;
    if (bias.values != nullptr) {
      const float gradient = c.over_columns(mine ? sum4(dx) : 0.0f);
      if (mine && lane == 0) update(bias, source + r, gradient, rule);
    }
  }
}

/** Runs the backward pass through the groups of a threadgroup. */
template <typename Index, uint32_t kHeight>
kernel void backward(constant BackwardParams& p [[buffer(0)]], device const StepState* state [[buffer(1)]],
                     device const uint32_t* offsets [[buffer(2)]], device const Index* targets [[buffer(3)]],
                     device float* weights [[buffer(4)]], device float* velocity [[buffer(5)]],
                     device float* second_moment [[buffer(6)]], device float4* x [[buffer(7)]],
                     device const float4* dz [[buffer(8)]], device float* bias [[buffer(9)]],
                     device float* bias_velocity [[buffer(10)]],
                     device float* bias_second_moment [[buffer(11)]], constant uint32_t& given [[buffer(30)]],
                     threadgroup float4* partial [[threadgroup(0)]],
                     uint3 team [[threadgroup_position_in_grid]], uint32_t lane [[thread_index_in_simdgroup]],
                     uint32_t warp [[simdgroup_index_in_threadgroup]]) {
  if (stopped(state)) return;
  const Parameters links = {weights, velocity, SET_GIVEN(given, 6, second_moment)};
  const Parameters biases = {SET_GIVEN(given, 9, bias), bias_velocity,
                             SET_GIVEN(given, 11, bias_second_moment)};
  const UpdateRule rule = rule_of(state);
  const Columns c(p.stride, 0, lane);
  const uint32_t group = team.x * (kTrainWarps / p.warps) + warp / p.warps;
  constexpr uint32_t kRows = kHeight != 0 ? kHeight : kChunk;
  const uint32_t height = kHeight != 0 ? kHeight : p.height;
  for (uint32_t r0 = 0; r0 < height; r0 += kRows)
    backward_rows<Index, kRows>(p, c, rule, lane, warp, r0, height - r0 < kRows ? height - r0 : kRows, group,
                                offsets, targets, links, x, dz, biases, partial);
}
