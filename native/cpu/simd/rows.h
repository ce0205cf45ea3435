#pragma once

#include <math.h>

#include "cpu/kernels.h"
#include "cpu/simd/vec.h"

/*
 * What the kernels do alike with a row once its sums are known: activation, its derivative, the update.
 */
namespace set_native::cpu::SET_ISA {
namespace {

/** f in place over `count` floats. */
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
    default:  // a piecewise one is an operation of its own: what comes here by mistake must not pass for
              // linear
      for (size_t c = 0; c < count; ++c) z[c] = NAN;
  }
}

/** f'(z) v, from the output x = f(z). */
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

/** v = momentum v - rate (g + l2 w), w = w + (v - decay w); an element's bits do not depend on its place. */
SET_INLINE void update(float* weights, float* velocity, const float* gradient, size_t count,
                       const UpdateRule& rule) {
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
