#pragma once

/*
 * Update of a parameter w with gradient g in one step. C++, CUDA and the Metal shading language all read this
 * header.
 *
 * Momentum SGD:  h = g + l2 w,  v = momentum v - rate h,  w = w + (v - decay w).
 *
 * AdamW (Loshchilov and Hutter 2019, algorithm 2), with moments v and s:
 *   h = g + l2 w,  v = momentum v + (1 - momentum) h,  s = beta2 s + (1 - beta2) h^2,
 *   w = w - rate v / (scale sqrt(s) + tiny) - decay w.
 * In step t of a model's life, rate is learning_rate / (1 - momentum^t) and scale is 1 / sqrt(1 - beta2^t).
 * Both correct the bias of moments that start from zero.
 *
 * The pieces of an activation follow the same rule without l2 and decay.
 */
namespace set_native {

struct UpdateRule {
  float rate;
  float momentum;  // momentum of SGD, beta1 of AdamW
  float l2;
  float decay;
  float beta2;
  float tiny;
  float scale;
};

}  // namespace set_native
