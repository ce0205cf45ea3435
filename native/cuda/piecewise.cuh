#pragma once

#include "cuda/columns.cuh"
#include "cuda/device_code.cuh"
#include "gpu/train_params.h"

/*
 * Activations of three straight pieces (core/model.h, is_piecewise), one warp per row of z. Forward works in
 * place and keeps a copy of z, because the output does not determine z. Backward computes dz = f'(z) dy in
 * place and updates the row's bias and its pieces, by dt = (1 - a) dy and da = (z - t) dy on the piece that
 * holds z, without decay. A number takes 12 bytes and 2 flops forward, 12 bytes and about 8 flops backward.
 */
namespace set_native::cuda {

__global__ void piecewise(gpu::PiecewiseParams p, const gpu::StepState* state, const float* pieces, float* z,
                          float* pre_activation) {
  if (stopped(state)) return;
  const uint32_t j = blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32;
  if (j >= p.outputs) return;
  const uint64_t row = static_cast<uint64_t>(j) * p.stride;
  const float t_l = pieces[j], a_l = pieces[p.outputs + j];
  const float t_r = pieces[2 * p.outputs + j], a_r = pieces[3 * p.outputs + j];
  for (uint32_t b = threadIdx.x % 32; b < p.stride; b += 32) {
    const float v = z[row + b];
    if (pre_activation != nullptr) pre_activation[row + b] = v;
    z[row + b] = v >= t_r ? fmaf(a_r, v - t_r, t_r) : v <= t_l ? fmaf(a_l, v - t_l, t_l) : v;
  }
}

__global__ void piecewise_backward(gpu::PiecewiseParams p, const gpu::StepState* state,
                                   const float* pre_activation, float* dy, float* pieces,
                                   float* pieces_velocity, float* pieces_second_moment, float* bias,
                                   float* bias_velocity, float* bias_second_moment) {
  if (stopped(state)) return;
  const uint32_t j = blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32, lane = threadIdx.x % 32;
  if (j >= p.outputs) return;
  const uint64_t row = static_cast<uint64_t>(j) * p.stride;
  const float t_l = pieces[j], a_l = pieces[p.outputs + j];
  const float t_r = pieces[2 * p.outputs + j], a_r = pieces[3 * p.outputs + j];
  float sums[5] = {0.0f, 0.0f, 0.0f, 0.0f, 0.0f};  // gradients by t_l, a_l, t_r, a_r and the bias
  for (uint32_t b = lane; b < p.stride; b += 32) {
    const float z = pre_activation[row + b], d = dy[row + b];
    const float right = z >= t_r ? d : 0.0f, left = z >= t_r ? 0.0f : z <= t_l ? d : 0.0f;
    sums[0] = fmaf(1.0f - a_l, left, sums[0]);
    sums[1] = fmaf(z - t_l, left, sums[1]);
    sums[2] = fmaf(1.0f - a_r, right, sums[2]);
    sums[3] = fmaf(z - t_r, right, sums[3]);
    const float dz = z >= t_r ? a_r * d : z <= t_l ? a_l * d : d;
    dy[row + b] = dz;
    sums[4] += dz;
  }
  SET_UNROLL
  for (int k = 0; k < 5; ++k) sums[k] = over_warp(sums[k]);
  if (lane != 0) return;
  update({bias, bias_velocity, bias_second_moment}, j, sums[4], state->rule);
  SET_UNROLL
  for (uint32_t k = 0; k < 4; ++k)
    if (pieces_velocity != nullptr)
      update({pieces, pieces_velocity, pieces_second_moment}, k * p.outputs + j, sums[k], state->rule, true);
}

}  // namespace set_native::cuda
