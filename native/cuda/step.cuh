#pragma once

#include "cuda/columns.cuh"
#include "cuda/device_code.cuh"
#include "gpu/train_params.h"

/*
 * The end of a step: the output layer's bias is updated by the sums of dz, one warp per output; then one
 * thread moves the state to the next step, unless the host has cancelled. The kernel `finite`, once an epoch,
 * checks whether all numbers of an array are finite.
 */
namespace set_native::cuda {

/** Updates the output layer's bias and moves the state to the next step. One thread block. */
__global__ void end_step(gpu::EndStepParams p, gpu::StepState* state, const uint32_t* cancel, const float* dz,
                         float* bias, float* bias_velocity, float* bias_second_moment,
                         const float* corrections) {
  if (stopped(state)) return;
  const uint32_t lane = threadIdx.x % 32, warps = blockDim.x / 32;
  for (uint32_t j = threadIdx.x / 32; j < p.outputs; j += warps) {
    float gradient = 0.0f;
    for (uint32_t b = lane; b < p.stride; b += 32) gradient += dz[static_cast<uint64_t>(j) * p.stride + b];
    gradient = over_warp(gradient);
    if (lane == 0) update({bias, bias_velocity, bias_second_moment}, j, gradient, state->rule);
  }
  __syncthreads();  // all threads have read the state
  if (threadIdx.x != 0) return;
  const uint64_t next = static_cast<uint64_t>(state->first) + state->full_batch;
  ++state->step;
  if (next >= state->count) return;
  state->first = static_cast<uint32_t>(next);
  if (corrections != nullptr) {
    const uint64_t at = 3 * static_cast<uint64_t>(state->step);
    state->rule.rate = corrections[at];
    state->rule.scale = corrections[at + 1];
    state->rule.decay = corrections[at + 2];
  }
  const uint32_t left = state->count - state->first;
  state->batch = left < state->full_batch ? left : state->full_batch;
  if (*static_cast<const volatile uint32_t*>(cancel) != 0) state->stop = gpu::StopReason::cancelled;
}

/** Sets a flag if a number is not finite among the first p.columns of each p.stride. */
__global__ void finite(gpu::FiniteParams p, const float* values, uint32_t* flags) {
  const uint64_t step = static_cast<uint64_t>(gridDim.x) * blockDim.x;
  bool all = true;
  for (uint64_t k = static_cast<uint64_t>(blockIdx.x) * blockDim.x + threadIdx.x; k < p.count; k += step)
    if (!isfinite(values[k]) && k % p.stride < p.columns) all = false;
  if (!all) atomicOr(flags + p.flag, 1u);
}

}  // namespace set_native::cuda
