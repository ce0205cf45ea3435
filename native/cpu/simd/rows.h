#pragma once

#include <math.h>

#include "cpu/kernels.h"
#include "cpu/simd/vec.h"

/*
 * Operations that all kernels apply to a row once its sums are known: activation, its derivative, the update.
 */
namespace set_native::cpu::SET_ISA {
namespace {

/** Applies f in place to `count` floats. */
SET_INLINE void activate(float* z, size_t count, Activation activation) {
  switch (activation) {
    case Activation::relu: {
      size_t c = 0;
      for (; c + kWidth <= count; c += kWidth) store(z + c, positive_part(load(z + c)));
      for (; c < count; ++c) z[c] = z[c] < 0.0f ? 0.0f : z[c];
      break;
    }
    case Activation::tanh:
      for (size_t c = 0; c < count; ++c) z[c] = tanhf(z[c]);
      break;
    case Activation::sigmoid:
      for (size_t c = 0; c < count; ++c) z[c] = 1.0f / (1.0f + expf(-z[c]));
      break;
    case Activation::linear:
      break;
    default:  // piecewise activations are a separate operation; one that gets here by mistake must show
      for (size_t c = 0; c < count; ++c) z[c] = NAN;
  }
}

/** f'(z) v, computed from the output x = f(z). */
// NOLINTBEGIN(bugprone-macro-parentheses): V is a type.
#define SET_THROUGH_ACTIVATION(V)                                    \
  SET_INLINE V through_activation(V x, V v, Activation activation) { \
    switch (activation) {                                            \
      case Activation::relu:                                         \
        return where_positive(x, v);                                 \
      case Activation::tanh:                                         \
        return fma(x * v, -x, v);                                    \
      case Activation::sigmoid:                                      \
        return fma(x * v, -x, x * v);                                \
      case Activation::linear:                                       \
        return v;                                                    \
      default:                                                       \
        return v * NAN;                                              \
    }                                                                \
  }
// NOLINTEND(bugprone-macro-parentheses)
SET_THROUGH_ACTIVATION(Float4)
#if SET_VEC_WIDTH >= 8
SET_THROUGH_ACTIVATION(Float8)
#endif
#if SET_VEC_WIDTH >= 16
SET_THROUGH_ACTIVATION(Float16)
#endif
SET_INLINE float where_positive(float x, float v) {
  return x > 0.0f ? v : 0.0f;
}
SET_THROUGH_ACTIVATION(float)

/*
 * v where x was not dropped, 0 elsewhere. DropOutputs marks dropped outputs by -0.
 */
// NOLINTBEGIN(bugprone-macro-parentheses): V and I are types.
#define SET_WHERE_KEPT(V, I)                 \
  SET_INLINE V where_kept(V x, V v) {        \
    const I bits = reinterpret_cast<I>(x);   \
    return bits == I{} + kDropped ? V{} : v; \
  }
// NOLINTEND(bugprone-macro-parentheses)
constexpr int32_t kDropped = INT32_MIN;  // bits of -0
SET_WHERE_KEPT(Vec, Ints)
#if SET_VEC_WIDTH > 4
SET_WHERE_KEPT(Half, HalfInts)
#endif
SET_INLINE float where_kept(float x, float v) {
  int32_t bits;
  __builtin_memcpy(&bits, &x, sizeof bits);
  return bits == kDropped ? 0.0f : v;
}

/** Updates one vector of parameters by AdamW. */
SET_INLINE void adamw_vector(const Parameters& at, size_t k, const float* gradient, const UpdateRule& rule) {
  const Vec w = load(at.values + k);
  const Vec h = fma(broadcast(rule.l2), w, load(gradient + k));
  const Vec v = fma(broadcast(1.0f - rule.momentum), h, broadcast(rule.momentum) * load(at.velocity + k));
  const Vec s = fma(broadcast(1.0f - rule.beta2) * h, h, broadcast(rule.beta2) * load(at.second_moment + k));
  const Vec root = fma(broadcast(rule.scale), square_root(s), broadcast(rule.tiny));
  store(at.velocity + k, v);
  store(at.second_moment + k, s);
  store(at.values + k, w + fma(broadcast(-rule.decay), w, broadcast(-rule.rate) * v / root));
}

/** Updates by AdamW. 16 bytes read and 12 written per parameter; the division and the root bind. */
SET_INLINE void update_adamw(const Parameters& at, const float* gradient, size_t count,
                             const UpdateRule& rule) {
  size_t k = 0;
  for (; k + kWidth <= count; k += kWidth) adamw_vector(at, k, gradient, rule);
  if (k == count) return;
  // The parameters left over go through a vector padded with zeros.
  float values[kWidth] = {}, velocity[kWidth] = {}, second_moment[kWidth] = {}, last[kWidth] = {};
  for (size_t c = 0; c < count - k; ++c) {
    values[c] = at.values[k + c];
    velocity[c] = at.velocity[k + c];
    second_moment[c] = at.second_moment[k + c];
    last[c] = gradient[k + c];
  }
  adamw_vector({values, velocity, second_moment}, 0, last, rule);
  for (size_t c = 0; c < count - k; ++c) {
    at.values[k + c] = values[c];
    at.velocity[k + c] = velocity[c];
    at.second_moment[k + c] = second_moment[c];
  }
}

/** Updates by the rule of core/update_rule.h. An element's bits do not depend on its place. */
SET_INLINE void update(const Parameters& at, const float* gradient, size_t count, const UpdateRule& rule) {
  if (at.second_moment != nullptr) return update_adamw(at, gradient, count, rule);
  float *const weights = at.values, *const velocity = at.velocity;
  const Vec rate = broadcast(-rule.rate), momentum = broadcast(rule.momentum);
  const Vec l2 = broadcast(rule.l2), decay = broadcast(-rule.decay);
  size_t k = 0;
  for (; k + kWidth <= count; k += kWidth) {
    const Vec w = load(weights + k);
    const Vec g = fma(l2, w, load(gradient + k));
    const Vec v = fma(rate, g, momentum * load(velocity + k));
    store(velocity + k, v);
    store(weights + k, w + fma(decay, w, v));
  }
  for (; k < count; ++k) {
    const float g = fma(rule.l2, weights[k], gradient[k]);
    velocity[k] = fma(-rule.rate, g, rule.momentum * velocity[k]);
    weights[k] += fma(-rule.decay, weights[k], velocity[k]);
  }
}

}  // namespace
}  // namespace set_native::cpu::SET_ISA
