#include "gpu/train_params.h"
#include "metal/kernels/columns.h"
#include "metal/kernels/given.h"

/*
 * The backward pass of backward.metal in two passes, for rows of more than kPassStride floats, which no warp
 * holds:
 *
 *   input_gradient  dx_i = f'(x_i) sum of w dz_j, in a matrix of its own, because the second pass reads x
 *   update_links    g = x_i . dz_j, the update of the weight by g, and of source i's own bias by the sum of
 *                   dx_i
 *
 * In the first pass a group belongs to `warps` warps, and a threadgroup takes kPassStride floats of its rows,
 * as in forward. In the second a warp takes one block of links after the other and walks along the rows, with
 * x_i from caches. A link takes 4 stride flops and 16 bytes as there; dz is read twice.
 */
using namespace metal;
using namespace set_native::gpu;

/** Does what input_gradient does for the `rows` <= kRows sources of a group from number r0 on. */
template <typename Index, uint32_t kRows>
inline void input_gradient_rows(constant BackwardParams& p, thread const Columns& c, uint32_t lane,
                                uint32_t warp, uint32_t r0, uint32_t rows, uint32_t group,
                                device const uint32_t* offsets, device const Index* targets,
                                device const float* weights, device const float4* x, device const float4* dz,
                                device float4* dx, threadgroup float4* partial) {
  const uint32_t part = warp % p.warps, source = group * p.height + r0;
  const uint32_t existing = existing_sources(p, group, source, rows);
  float4 sums[kRows];
  SET_UNROLL
  for (uint32_t r = 0; r < kRows; ++r) sums[r] = float4(0.0f);
  if (c.active && group < p.groups) {
    const uint32_t end = offsets[group + 1], step = p.warps * c.slots;
    for (uint32_t k = offsets[group] + part * c.slots + c.slot; k < end; k += step) {
      const float4 d = dz[static_cast<uint32_t>(targets[k]) * c.row + c.column];
      device const float* w = weights + static_cast<uint64_t>(k) * p.height + r0;
      SET_UNROLL
      for (uint32_t r = 0; r < kRows; ++r)
        if (r < rows) sums[r] = fma(float4(w[r]), d, sums[r]);
    }
  }
  SET_UNROLL
  for (uint32_t r = 0; r < kRows; ++r) sums[r] = c.over_slots(sums[r]);
  if (!over_warps<kRows>(sums, p.warps, part, warp * 32 + lane, partial)) return;
  if (c.slot != 0) return;
  SET_UNROLL
  for (uint32_t r = 0; r < kRows; ++r)
    if (r < existing) {
      const uint32_t place = (source + r) * c.row + c.column;
      dx[place] = input_gradient_of4(x[place], sums[r], p);
    }
}

/** Computes dx of the groups of threadgroup x, part y of their rows. */
template <typename Index, uint32_t kHeight>
kernel void input_gradient(
    constant BackwardParams& p [[buffer(0)]], device const StepState* state [[buffer(1)]],
    device const uint32_t* offsets [[buffer(2)]], device const Index* targets [[buffer(3)]],
    device const float* weights [[buffer(4)]], device const float4* x [[buffer(5)]],
    device const float4* dz [[buffer(6)]], device float4* dx [[buffer(7)]],
    threadgroup float4* partial [[threadgroup(0)]], uint3 team [[threadgroup_position_in_grid]],
    uint32_t lane [[thread_index_in_simdgroup]], uint32_t warp [[simdgroup_index_in_threadgroup]]) {
  if (stopped(state)) return;
  const Columns c(p.stride, team.y, lane);
  const uint32_t group = team.x * (kTrainWarps / p.warps) + warp / p.warps;
  constexpr uint32_t kRows = kHeight != 0 ? kHeight : kChunk;
  const uint32_t height = kHeight != 0 ? kHeight : p.height;
  for (uint32_t r0 = 0; r0 < height; r0 += kRows)
    input_gradient_rows<Index, kRows>(p, c, lane, warp, r0, height - r0 < kRows ? height - r0 : kRows, group,
                                      offsets, targets, weights, x, dz, dx, partial);
}

/** Updates the links, and the biases, of the groups of a threadgroup. */
template <typename Index, uint32_t kHeight>
kernel void update_links(constant BackwardParams& p [[buffer(0)]],
                         device const StepState* state [[buffer(1)]],
                         device const uint32_t* offsets [[buffer(2)]],
                         device const Index* targets [[buffer(3)]], device float* weights [[buffer(4)]],
                         device float* velocity [[buffer(5)]], device float* second_moment [[buffer(6)]],
                         device const float4* x [[buffer(7)]], device const float4* dz [[buffer(8)]],
                         device const float4* dx [[buffer(9)]], device float* bias [[buffer(10)]],
                         device float* bias_velocity [[buffer(11)]],
                         device float* bias_second_moment [[buffer(12)]],
                         constant uint32_t& given [[buffer(30)]], uint3 team [[threadgroup_position_in_grid]],
                         uint32_t lane [[thread_index_in_simdgroup]],
                         uint32_t warp [[simdgroup_index_in_threadgroup]]) {
  const uint32_t part = warp % p.warps, group = team.x * (kTrainWarps / p.warps) + warp / p.warps;
  if (stopped(state) || group >= p.groups) return;
  const Parameters links = {weights, velocity, SET_GIVEN(given, 6, second_moment)};
  const Parameters biases = {SET_GIVEN(given, 10, bias), bias_velocity,
                             SET_GIVEN(given, 12, bias_second_moment)};
  const UpdateRule rule = rule_of(state);
  constexpr uint32_t kRows = kHeight != 0 ? kHeight : kChunk;
  const uint32_t height = kHeight != 0 ? kHeight : p.height, row = p.stride / 4;
  const uint32_t source = group * height, existing = existing_sources(p, group, source, height);
  const uint32_t end = offsets[group + 1];
  // The warp's blocks of links, kRows sources at a time.
  for (uint32_t k = offsets[group] + part; k < end; k += p.warps)
    for (uint32_t r0 = 0; r0 < existing; r0 += kRows) {
      device const float4* xs = x + (source + r0) * row;
      device const float4* d = dz + static_cast<uint32_t>(targets[k]) * row;
      float gradients[kRows];
      SET_UNROLL
      for (uint32_t r = 0; r < kRows; ++r) gradients[r] = 0.0f;
      for (uint32_t column = lane; column < row; column += 32) {
        const float4 dz_part = d[column];
        SET_UNROLL
        for (uint32_t r = 0; r < kRows; ++r)
          if (r0 + r < existing) gradients[r] += dot4(xs[r * row + column], dz_part);
      }
      SET_UNROLL
      for (uint32_t r = 0; r < kRows; ++r) gradients[r] = over_warp(gradients[r]);
      const uint64_t place = static_cast<uint64_t>(k) * height + r0;
      SET_UNROLL
      for (uint32_t r = 0; r < kRows; ++r)
        if (lane == r && r0 + r < existing) update(links, place + r, gradients[r], rule);
    }
  // The biases of the sources.
  if (biases.values == nullptr || part != 0) return;
  for (uint32_t r = 0; r < existing; ++r) {
    device const float4* slopes = dx + (source + r) * row;
    float gradient = 0.0f;
    for (uint32_t column = lane; column < row; column += 32) gradient += sum4(slopes[column]);
    gradient = over_warp(gradient);
    if (lane == 0) update(biases, source + r, gradient, rule);
  }
}
