#include "gpu/train_params.h"
#include "metal/kernels/columns.h"
#include "metal/kernels/given.h"

/*
 * Activations of three straight pieces (core/model.h, is_piecewise), one warp per row of z. Forward works in
 * place and keeps a copy of z, because the output does not determine z. Backward computes dz = f'(z) dy in
 * place and updates the row's bias and its pieces, by dt = (1 - a) dy and da = (z - t) dy on the piece that
 * holds z, without decay. A number takes 12 bytes and 2 flops forward, 12 bytes and about 8 flops backward.
 */
using namespace metal;
using namespace set_native::gpu;

kernel void piecewise(constant PiecewiseParams& p [[buffer(0)]], device const StepState* state [[buffer(1)]],
                      device const float* pieces [[buffer(2)]], device float* z [[buffer(3)]],
                      device float* pre_activation [[buffer(4)]], constant uint32_t& given [[buffer(30)]],
                      uint3 team [[threadgroup_position_in_grid]],
                      uint32_t lane [[thread_index_in_simdgroup]],
                      uint32_t warp [[simdgroup_index_in_threadgroup]]) {
  pre_activation = SET_GIVEN(given, 4, pre_activation);
  const uint32_t j = team.x * kTrainWarps + warp;
  if (stopped(SET_GIVEN(given, 1, state)) || j >= p.outputs) return;
  const uint64_t row = static_cast<uint64_t>(j) * p.stride;
  const float t_l = pieces[j], a_l = pieces[p.outputs + j];
  const float t_r = pieces[2 * p.outputs + j], a_r = pieces[3 * p.outputs + j];
  for (uint32_t b = lane; b < p.stride; b += 32) {
    const float v = z[row + b];
    if (pre_activation != nullptr) pre_activation[row + b] = v;
    z[row + b] = v >= t_r ? fma(a_r, v - t_r, t_r) : v <= t_l ? fma(a_l, v - t_l, t_l) : v;
  }
}

kernel void piecewise_backward(
    constant PiecewiseParams& p [[buffer(0)]], device const StepState* state [[buffer(1)]],
    device const float* pre_activation [[buffer(2)]], device float* dy [[buffer(3)]],
    device float* pieces [[buffer(4)]], device float* pieces_velocity [[buffer(5)]],
    device float* pieces_second_moment [[buffer(6)]], device float* bias [[buffer(7)]],
    device float* bias_velocity [[buffer(8)]], device float* bias_second_moment [[buffer(9)]],
    constant uint32_t& given [[buffer(30)]], uint3 team [[threadgroup_position_in_grid]],
    uint32_t lane [[thread_index_in_simdgroup]], uint32_t warp [[simdgroup_index_in_threadgroup]]) {
  pieces_velocity = SET_GIVEN(given, 5, pieces_velocity);
  const uint32_t j = team.x * kTrainWarps + warp;
  if (stopped(state) || j >= p.outputs) return;
  const uint64_t row = static_cast<uint64_t>(j) * p.stride;
  const float t_l = pieces[j], a_l = pieces[p.outputs + j];
  const float t_r = pieces[2 * p.outputs + j], a_r = pieces[3 * p.outputs + j];
  float sums[5] = {0.0f, 0.0f, 0.0f, 0.0f, 0.0f};  // gradients by t_l, a_l, t_r, a_r and the bias
  for (uint32_t b = lane; b < p.stride; b += 32) {
    const float z = pre_activation[row + b], d = dy[row + b];
    const float right = z >= t_r ? d : 0.0f, left = z >= t_r ? 0.0f : z <= t_l ? d : 0.0f;
    sums[0] = fma(1.0f - a_l, left, sums[0]);
    sums[1] = fma(z - t_l, left, sums[1]);
    sums[2] = fma(1.0f - a_r, right, sums[2]);
    sums[3] = fma(z - t_r, right, sums[3]);
    const float dz = z >= t_r ? a_r * d : z <= t_l ? a_l * d : d;
    dy[row + b] = dz;
    sums[4] += dz;
  }
  SET_UNROLL
  for (uint32_t k = 0; k < 5; ++k) sums[k] = over_warp(sums[k]);
  if (lane != 0) return;
  const UpdateRule rule = rule_of(state);
  const Parameters biases = {bias, bias_velocity, SET_GIVEN(given, 9, bias_second_moment)};
  update(biases, j, sums[4], rule);
  if (pieces_velocity == nullptr) return;
  const Parameters learned = {pieces, pieces_velocity, SET_GIVEN(given, 6, pieces_second_moment)};
  SET_UNROLL
  for (uint32_t k = 0; k < 4; ++k) update(learned, k * p.outputs + j, sums[k], rule, true);
}
