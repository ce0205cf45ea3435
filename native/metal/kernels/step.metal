#include "gpu/train_params.h"
#include "metal/kernels/columns.h"
#include "metal/kernels/given.h"

/*
 * The end of a step: the output layer's bias is updated by the sums of dz, one warp per output; then one
 * thread moves the state to the next step, unless the host has cancelled. The kernel `finite`, once an epoch,
 * checks whether all numbers of an array are finite.
 */
using namespace metal;
using namespace set_native::gpu;

/**
 * Updates the output layer's bias and moves the state to the next step. One threadgroup. The host may set
 * `cancel` while this runs, hence the atomic load.
 */
kernel void end_step(constant EndStepParams& p [[buffer(0)]], device StepState* state [[buffer(1)]],
                     device atomic_uint* cancel [[buffer(2)]], device const float* dz [[buffer(3)]],
                     device float* bias [[buffer(4)]], device float* bias_velocity [[buffer(5)]],
                     device float* bias_second_moment [[buffer(6)]],
                     device const float* corrections [[buffer(7)]], constant uint32_t& given [[buffer(30)]],
                     uint32_t lane [[thread_index_in_simdgroup]],
                     uint32_t warp [[simdgroup_index_in_threadgroup]]) {
  if (stopped(state)) return;
  corrections = SET_GIVEN(given, 7, corrections);
  const UpdateRule rule = rule_of(state);
  const Parameters biases = {bias, bias_velocity, SET_GIVEN(given, 6, bias_second_moment)};
  for (uint32_t j = warp; j < p.outputs; j += kTrainWarps) {
    float gradient = 0.0f;
    for (uint32_t b = lane; b < p.stride; b += 32) gradient += dz[static_cast<uint64_t>(j) * p.stride + b];
    gradient = over_warp(gradient);
    if (lane == 0) update(biases, j, gradient, rule);
  }
  threadgroup_barrier(mem_flags::mem_device);  // all threads have read the state
  if (warp != 0 || lane != 0) return;
  const uint64_t next = static_cast<uint64_t>(state->first) + state->full_batch;
  state->step = state->step + 1;
  if (next >= state->count) return;
  if (corrections != nullptr) {
    const uint64_t at = 3 * static_cast<uint64_t>(state->step);
    state->rule.rate = corrections[at];
    state->rule.scale = corrections[at + 1];
    state->rule.decay = corrections[at + 2];
  }
  const uint32_t first = static_cast<uint32_t>(next), left = state->count - first;
  state->first = first;
  state->batch = left < state->full_batch ? left : state->full_batch;
  if (atomic_load_explicit(cancel, memory_order_relaxed) != 0) state->stop = StopReason::cancelled;
}

/** Sets a flag if a number is not finite among the first p.columns of each p.stride. */
kernel void finite(constant FiniteParams& p [[buffer(0)]], device const float* values [[buffer(1)]],
                   device atomic_uint* flags [[buffer(2)]], uint3 team [[threadgroup_position_in_grid]],
                   uint3 teams [[threadgroups_per_grid]], uint32_t index [[thread_index_in_threadgroup]]) {
  const uint64_t step = static_cast<uint64_t>(teams.x) * kTrainThreads;
  bool found = false;
  for (uint64_t k = static_cast<uint64_t>(team.x) * kTrainThreads + index; k < p.count; k += step)
    if (!isfinite(values[k]) && k % p.stride < p.columns) found = true;
  if (found) atomic_fetch_or_explicit(flags + p.flag, 1u, memory_order_relaxed);
}
