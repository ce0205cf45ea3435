#pragma once

#include "cuda/columns.cuh"
#include "cuda/device_code.cuh"
#include "gpu/train_params.h"

/*
 * The backward pass of backward.cuh in two passes, for rows of more than kPassStride floats, which no warp
 * holds:
 *
 *   input_gradient  dx_i = f'(x_i) sum of w dz_j, in a matrix of its own, because the second pass reads x
 *   update_links    g = x_i . dz_j, the update of the weight by g, and of source i's own bias by the sum of
 *                   dx_i
 *
 * In the first pass a group belongs to `warps` warps, and a thread block takes kPassStride floats of its
 * rows, as in forward. In the second a warp takes one block of links after the other and walks along the
 * rows, with x_i from L1. A link takes 4 stride flops and 16 bytes as there; dz is read twice.
 */
namespace set_native::cuda {

/** Does what input_gradient does for the `rows` <= kRows sources of a group from number r0 on. */
template <class Index, unsigned kRows>
__device__ inline void input_gradient_rows(const gpu::BackwardParams& p, const Columns& c, uint32_t group,
                                           uint32_t part, uint32_t r0, uint32_t rows, const uint32_t* offsets,
                                           const Index* targets, const float* weights, const float4* x,
                                           const float4* dz, float4* dx, float4* partial) {
  const uint32_t source = group * p.height + r0;
  const uint32_t existing = existing_sources(p, group, source, rows);
  float4 sums[kRows];
  SET_UNROLL
  for (uint32_t r = 0; r < kRows; ++r) sums[r] = zero4();
  if (c.active && group < p.groups)
    for (uint32_t k = offsets[group] + part * c.slots + c.slot; k < offsets[group + 1];
         k += p.warps * c.slots) {
      const float4 d = dz[static_cast<uint64_t>(targets[k]) * c.row + c.column];
      const float* w = weights + static_cast<uint64_t>(k) * p.height + r0;
      SET_UNROLL
      for (uint32_t r = 0; r < kRows; ++r)
        if (r < rows) sums[r] = fma4(w[r], d, sums[r]);
    }
  SET_UNROLL
  for (uint32_t r = 0; r < kRows; ++r) sums[r] = c.over_slots(sums[r]);
  if (!over_warps(sums, p.warps, part, partial)) return;
  if (c.slot != 0) return;
  SET_UNROLL
  for (uint32_t r = 0; r < kRows; ++r) {
    if (r >= existing) continue;
    const uint64_t place = static_cast<uint64_t>(source + r) * c.row + c.column;
    dx[place] = input_gradient_of(x[place], sums[r], p);
  }
}

/** Computes dx of the groups of thread block x, part y of their rows. */
template <class Index, unsigned kHeight>
__global__ void __launch_bounds__(gpu::kTrainThreads)
    input_gradient(gpu::BackwardParams p, const gpu::StepState* state, const uint32_t* offsets,
                   const Index* targets, const float* weights, const float* x, const float* dz, float* dx) {
  SET_SHARED(memory);
  if (stopped(state)) return;
  const Columns c(p.stride, blockIdx.y);
  const uint32_t warp = threadIdx.x / 32, part = warp % p.warps;
  const uint32_t group = blockIdx.x * (gpu::kTrainWarps / p.warps) + warp / p.warps;
  constexpr uint32_t kRows = kHeight != 0 ? kHeight : gpu::kChunk;
  const uint32_t height = kHeight != 0 ? kHeight : p.height;
  for (uint32_t r0 = 0; r0 < height; r0 += kRows)
    input_gradient_rows<Index, kRows>(p, c, group, part, r0, height - r0 < kRows ? height - r0 : kRows,
                                      offsets, targets, weights, reinterpret_cast<const float4*>(x),
                                      reinterpret_cast<const float4*>(dz), reinterpret_cast<float4*>(dx),
                                      reinterpret_cast<float4*>(memory));
}

/** Updates the links, and the biases, of the groups of thread block x. */
template <class Index, unsigned kHeight>
__global__ void __launch_bounds__(gpu::kTrainThreads)
    update_links(gpu::BackwardParams p, const gpu::StepState* state, const uint32_t* offsets,
                 const Index* targets, float* weights, float* velocity, float* second_moment, const float* x,
                 const float* dz, const float* dx, float* bias, float* bias_velocity,
                 float* bias_second_moment) {
  if (stopped(state)) return;
  const Parameters links{weights, velocity, second_moment};
  const Parameters biases{bias, bias_velocity, bias_second_moment};
  const uint32_t lane = threadIdx.x % 32, warp = threadIdx.x / 32, part = warp % p.warps;
  const uint32_t group = blockIdx.x * (gpu::kTrainWarps / p.warps) + warp / p.warps;
  if (group >= p.groups) return;
  constexpr uint32_t kRows = kHeight != 0 ? kHeight : gpu::kChunk;
  const uint32_t height = kHeight != 0 ? kHeight : p.height, row = p.stride / 4;
  const uint32_t source = group * height;
  const uint32_t existing = p.inputs - source < height ? p.inputs - source : height;
  // The warp's blocks of links, kRows sources at a time.
  for (uint32_t k = offsets[group] + part; k < offsets[group + 1]; k += p.warps)
    for (uint32_t r0 = 0; r0 < existing; r0 += kRows) {
      const float4* xs = reinterpret_cast<const float4*>(x) + static_cast<uint64_t>(source + r0) * row;
      const float4* d = reinterpret_cast<const float4*>(dz) + static_cast<uint64_t>(targets[k]) * row;
      float gradients[kRows];
      SET_UNROLL
      for (uint32_t r = 0; r < kRows; ++r) gradients[r] = 0.0f;
      for (uint32_t column = lane; column < row; column += 32) {
        const float4 dz_part = d[column];
        SET_UNROLL
        for (uint32_t r = 0; r < kRows; ++r)
          if (r0 + r < existing) gradients[r] += dot4(xs[static_cast<uint64_t>(r) * row + column], dz_part);
      }
      SET_UNROLL
      for (uint32_t r = 0; r < kRows; ++r) gradients[r] = over_warp(gradients[r]);
      const uint64_t place = static_cast<uint64_t>(k) * height + r0;
      SET_UNROLL
      for (uint32_t r = 0; r < kRows; ++r)
        if (lane == r && r0 + r < existing) update(links, place + r, gradients[r], state->rule);
    }
  // The biases of the sources.
  if (bias == nullptr || part != 0) return;
  for (uint32_t r = 0; r < existing; ++r) {
    const float4* slopes = reinterpret_cast<const float4*>(dx) + static_cast<uint64_t>(source + r) * row;
    float gradient = 0.0f;
    for (uint32_t column = lane; column < row; column += 32) gradient += sum4(slopes[column]);
    gradient = over_warp(gradient);
    if (lane == 0) update(biases, source + r, gradient, state->rule);
  }
}

}  // namespace set_native::cuda
