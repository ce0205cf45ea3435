#include "gpu/train_params.h"
#include "metal/kernels/columns.h"
#include "metal/kernels/given.h"

/*
 * x[f][b] = data[order[first + b]][f], zero for b from batch to stride.
 *
 * A threadgroup transposes 32 features of 32 samples at a time through its memory (4,224 bytes): its
 * simdgroups read 128 neighbouring bytes of a sample and write 128 of a row. 8 bytes per number, 4 read and 4
 * written; no arithmetic.
 */
using namespace metal;
using namespace set_native::gpu;

SET_CONSTANT uint32_t kGatherTile = 32;

kernel void gather(constant GatherParams& p [[buffer(0)]], device const StepState* state [[buffer(1)]],
                   device const float* data [[buffer(2)]], device const uint32_t* order [[buffer(3)]],
                   device float* x [[buffer(4)]], constant uint32_t& given [[buffer(30)]],
                   threadgroup float* tile [[threadgroup(0)]], uint3 team [[threadgroup_position_in_grid]],
                   uint32_t lane [[thread_index_in_simdgroup]],
                   uint32_t warp [[simdgroup_index_in_threadgroup]]) {
  state = SET_GIVEN(given, 1, state);
  order = SET_GIVEN(given, 3, order);
  if (stopped(state)) return;
  const uint32_t first = state != nullptr ? state->first : p.first,
                 batch = state != nullptr ? state->batch : p.batch;
  // The tile is [sample][feature], in rows of 33 floats to avoid bank conflicts.
  const uint32_t feature = team.x * kGatherTile;
  for (uint32_t start = 0; start < p.stride; start += kGatherTile) {
    for (uint32_t s = warp; s < kGatherTile; s += kTrainWarps) {
      float value = 0.0f;
      if (start + s < batch && feature + lane < p.features) {
        const uint32_t number = first + start + s;
        const uint64_t sample = order != nullptr ? order[number] : number;
        value = data[sample * p.features + feature + lane];
      }
      tile[s * (kGatherTile + 1) + lane] = value;
    }
    threadgroup_barrier(mem_flags::mem_threadgroup);
    for (uint32_t f = warp; f < kGatherTile; f += kTrainWarps)
      if (feature + f < p.features && start + lane < p.stride)
        x[static_cast<uint64_t>(feature + f) * p.stride + start + lane] = tile[lane * (kGatherTile + 1) + f];
    threadgroup_barrier(mem_flags::mem_threadgroup);
  }
}
