#pragma once

#include <math.h>

#include "cpu/kernels.h"
#include "cpu/simd/vec.h"

/*
 * What sparse and dense kernels do alike with a row once its sums are known: activation, its derivative, the update.
 */
namespace set_native::cpu::SET_ISA {
namespace {

/** The vectors of a row are dealt to `passes` tiles as evenly as possible: 13 vectors in tiles of at most 8 are 7 + 6.
 */
struct Tiling {
  size_t vectors, passes;
  Tiling(size_t stride, size_t max_tile)
      : vectors(stride / kWidth), passes((stride / kWidth + max_tile - 1) / max_tile) {}
  size_t first(size_t pass) const { return vectors * pass / passes; }
  size_t size(size_t pass) const { return first(pass + 1) - first(pass); }
};

/** f in place over `count` floats, a multiple of the width. */
SET_INLINE void activate(float* z, size_t count, ActivationKind activation) {
  switch (activation) {
    case ActivationKind::relu:
      for (size_t c = 0; c < count; c += kWidth) store(z + c, positive_part(load(z + c)));
      break;
    case ActivationKind::tanh:
      for (size_t c = 0; c < count; ++c) z[c] = tanhf(z[c]);
      break;
    case ActivationKind::sigmoid:
      for (size_t c = 0; c < count; ++c) z[c] = 1.0f / (1.0f + expf(-z[c]));
      break;
    case ActivationKind::linear:
      break;
  }
}

/** f'(z) v, from the output x = f(z). */
SET_INLINE Vec through_activation(Vec x, Vec v, ActivationKind activation) {
  switch (activation) {
    case ActivationKind::relu:
      return where_positive(x, v);
    case ActivationKind::tanh:
      return fma(x * v, -x, v);
    case ActivationKind::sigmoid:
      return fma(x * v, -x, x * v);
    case ActivationKind::linear:
      break;
  }
  return v;
}

/** v = momentum v - rate (g + l2 w), w = w + (v - decay w); an element's bits do not depend on its place. */
SET_INLINE void update(float* weights, float* velocity, const float* gradient, size_t count, const UpdateRule& rule) {
  const Vec rate = broadcast(-rule.rate), momentum = broadcast(rule.momentum);
  const Vec l2 = broadcast(rule.l2), decay = broadcast(-rule.decay);
  size_t k = 0;
  for (; k + kWidth <= count; k += kWidth) {
    const Vec w = load_unaligned(weights + k);
    const Vec g = fma(l2, w, load_unaligned(gradient + k));
    const Vec v = fma(rate, g, momentum * load_unaligned(velocity + k));
    store_unaligned(velocity + k, v);
    store_unaligned(weights + k, w + fma(decay, w, v));
  }
  for (; k < count; ++k) {
    const float g = fma(rule.l2, weights[k], gradient[k]);
    velocity[k] = fma(-rule.rate, g, rule.momentum * velocity[k]);
    weights[k] += fma(-rule.decay, weights[k], velocity[k]);
  }
}

}  // namespace
}  // namespace set_native::cpu::SET_ISA
