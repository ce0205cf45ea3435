#pragma once

#include "cuda/columns.cuh"
#include "cuda/device_code.cuh"
#include "gpu/train_params.h"

/*
 * x[f][b] = data[order[first + b]][f], zero for b from batch to stride.
 *
 * A thread block transposes 32 features of 32 samples at a time through shared memory (4,224 bytes): its
 * warps read 128 neighbouring bytes of a sample and write 128 of a row. 8 bytes per number, 4 read and 4
 * written; no arithmetic.
 */
namespace set_native::cuda {

constexpr uint32_t kGatherTile = 32;

__global__ void gather(gpu::GatherParams p, const gpu::StepState* state, const float* data,
                       const uint32_t* order, float* x) {
  SET_SHARED(memory);
  if (stopped(state)) return;
  // [sample][feature], in rows of 33 floats to avoid bank conflicts.
  auto* const tile = reinterpret_cast<float*>(memory);
  const uint32_t first = state != nullptr ? state->first : p.first;
  const uint32_t batch = state != nullptr ? state->batch : p.batch;
  const uint32_t lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = blockDim.x / 32;
  const uint32_t feature = blockIdx.x * kGatherTile;
  for (uint32_t start = 0; start < p.stride; start += kGatherTile) {
    for (uint32_t s = warp; s < kGatherTile; s += warps) {
      float value = 0.0f;
      if (start + s < batch && feature + lane < p.features) {
        const uint32_t number = first + start + s;
        const uint64_t sample = order != nullptr ? order[number] : number;
        value = data[sample * p.features + feature + lane];
      }
      tile[s * (kGatherTile + 1) + lane] = value;
    }
    __syncthreads();
    for (uint32_t f = warp; f < kGatherTile; f += warps)
      if (feature + f < p.features && start + lane < p.stride)
        x[static_cast<uint64_t>(feature + f) * p.stride + start + lane] = tile[lane * (kGatherTile + 1) + f];
    __syncthreads();
  }
}

}  // namespace set_native::cuda
