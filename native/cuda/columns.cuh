#pragma once

#include <cstdint>

#include "cuda/device_code.cuh"
#include "gpu/dropout.h"
#include "gpu/train_params.h"

/*
 * How the kernels of training divide rows of activations among lanes, and the functions that they share.
 *
 * A row of q = stride / 4 float4s takes q lanes of a warp, at most 32; a shorter row leaves room for `slots`
 * = 32 / q links at a time, each with q lanes of its own. Sums over links are taken over the slots, dot
 * products over the lanes of a slot, both as trees whose shape depends on q alone: so results have the same
 * bits for any schedule.
 */
namespace set_native::cuda {

constexpr unsigned kAllLanes = 0xffffffffu;

__device__ inline float4 fma4(float w, float4 x, float4 sum) {
  return make_float4(fmaf(w, x.x, sum.x), fmaf(w, x.y, sum.y), fmaf(w, x.z, sum.z), fmaf(w, x.w, sum.w));
}
__device__ inline float4 add4(float4 a, float4 b) {
  return make_float4(a.x + b.x, a.y + b.y, a.z + b.z, a.w + b.w);
}
__device__ inline float dot4(float4 a, float4 b) {
  return fmaf(a.w, b.w, fmaf(a.z, b.z, fmaf(a.y, b.y, a.x * b.x)));
}
__device__ inline float sum4(float4 a) {
  return (a.x + a.y) + (a.z + a.w);
}
__device__ inline float4 zero4() {
  return make_float4(0.0f, 0.0f, 0.0f, 0.0f);
}

/** The float4 of a row that the calling lane takes. */
struct Columns {
  uint32_t row;    // float4s of a whole row
  uint32_t width;  // float4s of this part of it
  uint32_t slots;
  uint32_t slot, column;  // slot and column of the lane; columns count from the start of the row
  bool active;            // whether the lane has a column
  uint32_t slot_tree, column_tree;

  __device__ Columns(uint32_t stride, uint32_t tile) {
    const uint32_t lane = threadIdx.x % 32, before = tile * 32;
    row = stride / 4;
    width = row - before < 32 ? row - before : 32;
    slots = 32 / width;
    slot = lane / width;
    column = before + lane % width;
    active = slot < slots;
    slot_tree = half_above(slots);
    column_tree = half_above(width);
  }

  /** Returns the sum over slots, which only slot 0 gets. */
  __device__ float4 over_slots(float4 v) const {
    for (uint32_t k = slot_tree; k > 0; k /= 2) {
      const unsigned lanes = k * width;
      const float4 other =
          make_float4(__shfl_down_sync(kAllLanes, v.x, lanes), __shfl_down_sync(kAllLanes, v.y, lanes),
                      __shfl_down_sync(kAllLanes, v.z, lanes), __shfl_down_sync(kAllLanes, v.w, lanes));
      if (slot < k && slot + k < slots) v = add4(v, other);
    }
    return v;
  }
  /** Returns the sum over the lanes of a slot, which only its first lane gets. */
  __device__ float over_columns(float v) const {
    const uint32_t at = threadIdx.x % 32 % width;
    for (uint32_t k = column_tree; k > 0; k /= 2) {
      const float other = __shfl_down_sync(kAllLanes, v, k);
      if (at < k && at + k < width) v += other;
    }
    return v;
  }

 private:
  /** Returns half of the least power of two that is not less than `count`. */
  __device__ static uint32_t half_above(uint32_t count) {
    return count < 2 ? 0 : 1u << (31 - __clz(static_cast<int>(count - 1)));
  }
};

/** Returns the sum over a warp's 32 lanes, which all of them get. */
__device__ inline float over_warp(float v) {
  for (int k = 16; k > 0; k /= 2) v += __shfl_xor_sync(kAllLanes, v, k);
  return v;
}

__device__ inline bool stopped(const gpu::StepState* state) {
  return state != nullptr && state->stop != gpu::StopReason::running;
}

/** Returns how many of `rows` sources from `source` on exist; 0 if the group does not. */
__device__ inline uint32_t existing_sources(const gpu::BackwardParams& p, uint32_t group, uint32_t source,
                                            uint32_t rows) {
  if (group >= p.groups || source >= p.inputs) return 0;
  return p.inputs - source < rows ? p.inputs - source : rows;
}

/**
 * Adds up the sums of a group's warps, in their order, in the first of them. Returns false in the other
 * warps, which are then done. Every thread of the thread block must call it.
 */
template <unsigned kRows>
__device__ inline bool over_warps(float4 (&sums)[kRows], uint32_t warps, uint32_t part, float4* partial) {
  if (warps == 1) return true;
  __syncthreads();  // the former contents of `partial` have been read
  SET_UNROLL
  for (uint32_t r = 0; r < kRows; ++r) partial[r * gpu::kTrainThreads + threadIdx.x] = sums[r];
  __syncthreads();
  if (part != 0) return false;
  SET_UNROLL
  for (uint32_t r = 0; r < kRows; ++r)
    for (uint32_t w = 1; w < warps; ++w)
      sums[r] = add4(sums[r], partial[r * gpu::kTrainThreads + threadIdx.x + w * 32]);
  return true;
}

/** Returns f(z); NaN for an activation that kernels do not compute here. */
__device__ inline float activate(float z, Activation activation) {
  switch (activation) {
    case Activation::relu:
      return z < 0.0f ? 0.0f : z;  // NaN stays NaN
    case Activation::tanh:
      return tanhf(z);
    case Activation::sigmoid:
      return 1.0f / (1.0f + expf(-z));
    case Activation::linear:
      return z;
    default:
      return NAN;
  }
}
__device__ inline float4 activate(float4 z, Activation activation) {
  return make_float4(activate(z.x, activation), activate(z.y, activation), activate(z.z, activation),
                     activate(z.w, activation));
}

/** Returns f'(z) v, from the output x = f(z); NaN where activate returns it. */
__device__ inline float through_activation(float x, float v, Activation activation) {
  switch (activation) {
    case Activation::relu:
      return x > 0.0f ? v : 0.0f;
    case Activation::tanh:
      return fmaf(x * v, -x, v);
    case Activation::sigmoid:
      return fmaf(x * v, -x, x * v);
    case Activation::linear:
      return v;
    default:
      return NAN;
  }
}

/** Returns dx for outputs x of the layer below: f' times the sum v over links, 0 where x was dropped. */
__device__ inline float input_gradient_of(float x, float v, const gpu::BackwardParams& p) {
  if (p.keep == 1.0f) return through_activation(x, v, p.activation);
  if (__float_as_uint(x) == gpu::kDroppedOutput) return 0.0f;
  return through_activation(p.keep * x, p.gain * v, p.activation);
}
__device__ inline float4 input_gradient_of(float4 x, float4 v, const gpu::BackwardParams& p) {
  return make_float4(input_gradient_of(x.x, v.x, p), input_gradient_of(x.y, v.y, p),
                     input_gradient_of(x.z, v.z, p), input_gradient_of(x.w, v.w, p));
}

/** Parameters, and the moments that the optimizer keeps of each. */
struct Parameters {
  float* values;
  float* velocity;
  float* second_moment;  // null unless the optimizer is AdamW
};

/** Updates parameter `k` by the rule of core/update_rule.h, without l2 and decay if `plain`. */
__device__ inline void update(const Parameters& at, uint64_t k, float gradient, const UpdateRule& rule,
                              bool plain = false) {
  const float w = at.values[k], h = plain ? gradient : fmaf(rule.l2, w, gradient);
  float v, step;
  if (at.second_moment == nullptr) {
    v = step = fmaf(-rule.rate, h, rule.momentum * at.velocity[k]);
  } else {
    const float s = fmaf((1.0f - rule.beta2) * h, h, rule.beta2 * at.second_moment[k]);
    v = fmaf(1.0f - rule.momentum, h, rule.momentum * at.velocity[k]);
    step = -rule.rate * v / fmaf(rule.scale, sqrtf(s), rule.tiny);
    at.second_moment[k] = s;
  }
  at.velocity[k] = v;
  at.values[k] = plain ? w + step : w + fmaf(-rule.decay, w, step);
}

}  // namespace set_native::cuda
