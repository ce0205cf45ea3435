#pragma once

#include "cuda/columns.cuh"
#include "cuda/device_code.cuh"
#include "gpu/dropout.h"
#include "gpu/train_params.h"

/*
 * Dropout of a hidden layer's outputs in place: -0 where they are dropped, else gain z, and 0 in place of -0.
 * A thread takes eight neighbouring neurons of one sample, which share a block of Philox, about 100
 * instructions; the threads of a warp read and write neighbouring samples. 8 bytes per number.
 */
namespace set_native::cuda {

__global__ void dropout(gpu::DropoutParams p, const gpu::StepState* state, float* z) {
  if (stopped(state)) return;
  const uint32_t k = blockIdx.x * blockDim.x + threadIdx.x;
  const uint32_t group = k / p.stride, column = k % p.stride;
  const uint32_t first = group * gpu::kDropoutNeurons;
  if (first >= p.outputs) return;
  const gpu::DrawKey key = {p.key.seed_low, p.key.seed_high, state->epoch, p.key.last_word};
  const gpu::PhiloxWords words = gpu::dropout_words(key, state->first + column, group);
  SET_UNROLL
  for (uint32_t r = 0; r < gpu::kDropoutNeurons; ++r) {
    if (first + r >= p.outputs) break;
    float& out = z[static_cast<uint64_t>(first + r) * p.stride + column];
    const float kept = p.gain * out;
    if (gpu::is_dropped(words, r, p.threshold))
      out = __uint_as_float(gpu::kDroppedOutput);
    else
      out = __float_as_uint(kept) == gpu::kDroppedOutput ? 0.0f : kept;
  }
}

}  // namespace set_native::cuda
