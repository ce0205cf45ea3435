#pragma once

#include "cuda/columns.cuh"
#include "cuda/device_code.cuh"
#include "gpu/train_params.h"

/*
 * The backward pass, for the sources i of a group and their links (i, j):
 *
 *   g = x_i . dz_j, and the update of the weight by g
 *   dx_i = f'(x_i) sum of w dz_j, with the weights before their update, in place of x_i
 *   the update of source i's own bias by the sum of dx_i
 *
 * A group belongs to `warps` warps of one thread block, whose slots take its blocks of links in turn. Lanes
 * keep their float4 of x_i and dx_i in registers, for kChunk sources of a block at a time; one load of dz_j
 * serves both products of all these sources, and no gradient is ever stored. A link takes 4 stride flops and
 * 16 bytes of weight and velocity, 24 with AdamW; a block of links takes one index and 4 stride bytes of dz,
 * mostly from L2. Rows have at most kPassStride floats; wide_backward.cuh takes longer ones. kHeight 0 stands
 * for any height, by chunks.
 */
namespace set_native::cuda {

/** Does what backward does for the `rows` <= kRows sources of a group from number r0 on. */
template <class Index, unsigned kRows>
__device__ inline void backward_rows(const gpu::BackwardParams& p, const Columns& c, const UpdateRule& rule,
                                     uint32_t group, uint32_t part, uint32_t r0, uint32_t rows,
                                     const uint32_t* offsets, const Index* targets, const Parameters& links,
                                     float4* x, const float4* dz, const Parameters& bias, float4* partial) {
  // Load the sources.
  const uint32_t source = group * p.height + r0;
  const uint32_t existing = existing_sources(p, group, source, rows);
  float4 inputs[kRows], sums[kRows];
  SET_UNROLL
  for (uint32_t r = 0; r < kRows; ++r) {
    inputs[r] = sums[r] = zero4();
    if (c.active && r < existing) inputs[r] = x[static_cast<uint64_t>(source + r) * c.row + c.column];
  }
  // Walk along the blocks: gradients and updates of weights, and the lane's part of dx.
  const uint32_t begin = group < p.groups ? offsets[group] : 0,
                 end = group < p.groups ? offsets[group + 1] : 0;
  for (uint32_t base = begin + part * c.slots; base < end; base += p.warps * c.slots) {
    const uint32_t k = base + c.slot;
    const bool valid = c.active && k < end;
    const uint64_t place = static_cast<uint64_t>(k) * p.height + r0;
    const float4 d = valid ? dz[static_cast<uint64_t>(targets[k]) * c.row + c.column] : zero4();
    float gradients[kRows];
    SET_UNROLL
    for (uint32_t r = 0; r < kRows; ++r) {
      gradients[r] = dot4(inputs[r], d);
      if (p.wants_dx != 0 && valid && r < rows) sums[r] = fma4(links.values[place + r], d, sums[r]);
    }
    SET_UNROLL
    for (uint32_t r = 0; r < kRows; ++r) gradients[r] = c.over_columns(gradients[r]);
    if (valid && threadIdx.x % 32 == c.slot * c.width) {
      SET_UNROLL
      for (uint32_t r = 0; r < kRows; ++r)
        if (r < existing) update(links, place + r, gradients[r], rule);
    }
  }
  if (p.wants_dx == 0) return;
  // Add up dx over slots and warps, write it, and update the biases.
  SET_UNROLL
  for (uint32_t r = 0; r < kRows; ++r) sums[r] = c.over_slots(sums[r]);
  if (!over_warps(sums, p.warps, part, partial)) return;
  SET_UNROLL
  for (uint32_t r = 0; r < kRows; ++r) {
    const bool mine = c.slot == 0 && r < existing;
    const float4 dx = input_gradient_of(inputs[r], sums[r], p);
    if (mine) x[static_cast<uint64_t>(source + r) * c.row + c.column] = dx;
    if (bias.values == nullptr) continue;
    const float gradient = c.over_columns(mine ? sum4(dx) : 0.0f);
    if (mine && threadIdx.x % 32 == 0) update(bias, source + r, gradient, rule);
  }
}

/** Runs the backward pass through the groups of thread block x. */
template <class Index, unsigned kHeight>
__global__ void __launch_bounds__(gpu::kTrainThreads)
    backward(gpu::BackwardParams p, const gpu::StepState* state, const uint32_t* offsets,
             const Index* targets, float* weights, float* velocity, float* second_moment, float* x,
             const float* dz, float* bias, float* bias_velocity, float* bias_second_moment) {
  SET_SHARED(memory);
  if (stopped(state)) return;
  const Columns c(p.stride, 0);
  const uint32_t warp = threadIdx.x / 32, part = warp % p.warps;
  const uint32_t group = blockIdx.x * (gpu::kTrainWarps / p.warps) + warp / p.warps;
  constexpr uint32_t kRows = kHeight != 0 ? kHeight : gpu::kChunk;
  const uint32_t height = kHeight != 0 ? kHeight : p.height;
  for (uint32_t r0 = 0; r0 < height; r0 += kRows)
    backward_rows<Index, kRows>(p, c, state->rule, group, part, r0, height - r0 < kRows ? height - r0 : kRows,
                                offsets, targets, {weights, velocity, second_moment},
                                reinterpret_cast<float4*>(x), reinterpret_cast<const float4*>(dz),
                                {bias, bias_velocity, bias_second_moment}, reinterpret_cast<float4*>(memory));
}

}  // namespace set_native::cuda
