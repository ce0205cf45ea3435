#pragma once

#include <metal_stdlib>

#include "gpu/dropout.h"
#include "gpu/train_params.h"

/*
 * How the kernels of training divide rows of activations among lanes, and the functions that they share.
 *
 * A row of q = stride / 4 float4s takes q lanes of a simdgroup, here called a warp as in the host code, at
 * most 32; a shorter row leaves room for `slots` = 32 / q links at a time, each with q lanes of its own. Sums
 * over links are taken over the slots, dot products over the lanes of a slot, both as trees whose shape
 * depends on q alone: so results have the same bits for any schedule.
 *
 * Matrices of rows are indexed by 32-bit counts of float4s, which reach 64 GiB, because 64-bit
 * multiplications are expensive here.
 */
using namespace metal;
using namespace set_native;
using namespace set_native::gpu;

// Arrays indexed in loops stay in registers only if the loops are unrolled.
#if defined(__GNUC__) && !defined(__clang__)
#define SET_UNROLL
#else
#define SET_UNROLL _Pragma("clang loop unroll(full)")
#endif

inline float dot4(float4 a, float4 b) {
  return fma(a.w, b.w, fma(a.z, b.z, fma(a.y, b.y, a.x * b.x)));
}
inline float sum4(float4 a) {
  return (a.x + a.y) + (a.z + a.w);
}

/** Returns half of the least power of two that is not less than `count`. */
inline uint32_t half_above(uint32_t count) {
  return count < 2 ? 0 : 1u << (31 - clz(count - 1));
}

/** The float4 of a row that the calling lane takes. */
struct Columns {
  uint32_t row;    // float4s of a whole row
  uint32_t width;  // float4s of this part of it
  uint32_t slots;
  uint32_t slot, column;  // slot and column of the lane; columns count from the start of the row
  uint32_t at;            // place of the lane in its slot
  bool active;            // whether the lane has a column
  uint32_t slot_tree, column_tree;

  Columns(uint32_t stride, uint32_t tile, uint32_t lane) {
    const uint32_t before = tile * 32;
    row = stride / 4;
    width = row - before < 32 ? row - before : 32;
    slots = 32 / width;
    slot = lane / width;
    at = lane % width;
    column = before + at;
    active = slot < slots;
    slot_tree = half_above(slots);
    column_tree = half_above(width);
  }

  /** Returns the sum over slots, which only slot 0 gets. */
  float4 over_slots(float4 v) const {
    for (uint32_t k = slot_tree; k > 0; k /= 2) {
      const uint16_t lanes = static_cast<uint16_t>(k * width);
      const float4 other = float4(simd_shuffle_down(v.x, lanes), simd_shuffle_down(v.y, lanes),
                                  simd_shuffle_down(v.z, lanes), simd_shuffle_down(v.w, lanes));
      if (slot < k && slot + k < slots) v = v + other;
    }
    return v;
  }
  /** Returns the sum over the lanes of a slot, which only its first lane gets. */
  float over_columns(float v) const {
    for (uint32_t k = column_tree; k > 0; k /= 2) {
      const float other = simd_shuffle_down(v, static_cast<uint16_t>(k));
      if (at < k && at + k < width) v += other;
    }
    return v;
  }
};

/** Returns the sum over a warp's 32 lanes, which all of them get. */
inline float over_warp(float v) {
  for (uint16_t k = 16; k > 0; k /= 2) v += simd_shuffle_xor(v, k);
  return v;
}

inline bool stopped(device const StepState* state) {
  return state != nullptr && state->stop != StopReason::running;
}

/** Returns how many of `rows` sources from `source` on exist; 0 if the group does not. */
inline uint32_t existing_sources(constant BackwardParams& p, uint32_t group, uint32_t source, uint32_t rows) {
  if (group >= p.groups || source >= p.inputs) return 0;
  return p.inputs - source < rows ? p.inputs - source : rows;
}

/**
 * Adds up the kRows sums of a group's warps, in their order, in the first of them. Returns false in the other
 * warps, which are then done. Every thread of the threadgroup must call it, with its own index.
 */
template <uint32_t kRows>
inline bool over_warps(thread float4* sums, uint32_t warps, uint32_t part, uint32_t index,
                       threadgroup float4* partial) {
  if (warps == 1) return true;
  threadgroup_barrier(mem_flags::mem_threadgroup);  // the former contents of `partial` have been read
  SET_UNROLL
  for (uint32_t r = 0; r < kRows; ++r) partial[r * kTrainThreads + index] = sums[r];
  // Device memory, too: the first warp may now write over x, which the others have read.
  threadgroup_barrier(mem_flags::mem_threadgroup | mem_flags::mem_device);
  if (part != 0) return false;
  SET_UNROLL
  for (uint32_t r = 0; r < kRows; ++r)
    for (uint32_t w = 1; w < warps; ++w) sums[r] = sums[r] + partial[r * kTrainThreads + index + w * 32];
  return true;
}

/** Returns f(z); NaN for an activation that kernels do not compute here. */
inline float activate(float z, Activation activation) {
  switch (activation) {
    case Activation::relu:
      return z < 0.0f ? 0.0f : z;  // NaN stays NaN
    case Activation::tanh:
      return precise::tanh(z);
    case Activation::sigmoid:
      return 1.0f / (1.0f + precise::exp(-z));
    case Activation::linear:
      return z;
    default:
      return NAN;
  }
}
inline float4 activate4(float4 z, Activation activation) {
  return float4(activate(z.x, activation), activate(z.y, activation), activate(z.z, activation),
                activate(z.w, activation));
}

/** Returns f'(z) v, from the output x = f(z); NaN where activate returns it. */
inline float through_activation(float x, float v, Activation activation) {
  switch (activation) {
    case Activation::relu:
      return x > 0.0f ? v : 0.0f;
    case Activation::tanh:
      return fma(x * v, -x, v);
    case Activation::sigmoid:
      return fma(x * v, -x, x * v);
    case Activation::linear:
      return v;
    default:
      return NAN;
  }
}

/** Returns dx for outputs x of the layer below: f' times the sum v over links, 0 where x was dropped. */
inline float input_gradient_of(float x, float v, constant BackwardParams& p) {
  if (p.keep == 1.0f) return through_activation(x, v, p.activation);
  if (as_type<uint32_t>(x) == kDroppedOutput) return 0.0f;
  return through_activation(p.keep * x, p.gain * v, p.activation);
}
inline float4 input_gradient_of4(float4 x, float4 v, constant BackwardParams& p) {
  return float4(input_gradient_of(x.x, v.x, p), input_gradient_of(x.y, v.y, p),
                input_gradient_of(x.z, v.z, p), input_gradient_of(x.w, v.w, p));
}

/** Returns the rule of this step. Read once, because for the compiler every store might change the state. */
inline UpdateRule rule_of(device const StepState* state) {
  UpdateRule rule;
  rule.rate = state->rule.rate;
  rule.momentum = state->rule.momentum;
  rule.l2 = state->rule.l2;
  rule.decay = state->rule.decay;
  rule.beta2 = state->rule.beta2;
  rule.tiny = state->rule.tiny;
  rule.scale = state->rule.scale;
  return rule;
}

/** Parameters, and the moments that the optimizer keeps of each. */
struct Parameters {
  device float* values;
  device float* velocity;
  device float* second_moment;  // null unless the optimizer is AdamW
};

/** Updates parameter `k` by the rule of core/update_rule.h, without l2 and decay if `plain`. */
inline void update(thread const Parameters& at, uint64_t k, float gradient, thread const UpdateRule& rule,
                   bool plain = false) {
  const float w = at.values[k], h = plain ? gradient : fma(rule.l2, w, gradient);
  float v = 0.0f, step = 0.0f;
  if (at.second_moment == nullptr) {
    v = step = fma(-rule.rate, h, rule.momentum * at.velocity[k]);
  } else {
    const float s = fma((1.0f - rule.beta2) * h, h, rule.beta2 * at.second_moment[k]);
    v = fma(1.0f - rule.momentum, h, rule.momentum * at.velocity[k]);
    step = -rule.rate * v / fma(rule.scale, sqrt(s), rule.tiny);
    at.second_moment[k] = s;
  }
  at.velocity[k] = v;
  at.values[k] = plain ? w + step : w + fma(-rule.decay, w, step);
}
