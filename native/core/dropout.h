#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "core/philox.h"

/*
 * Dropout of the outputs of hidden layers in training (Srivastava et al. 2014), in its inverted form: an
 * output is zero with probability p and else multiplied by 1 / (1 - p), so that evaluation and prediction
 * take the network as it is.
 *
 * Which outputs are dropped is a function of the model's seed, the layer, the epoch, the place of the sample
 * in the order of the epoch, and the neuron: on every back end the same ones, for any number of threads, and
 * for an epoch that is trained in parts. A block of Philox serves eight neurons of a sample, with 16 bits
 * each.
 */
namespace set_native {

/** A probability of dropout, rounded to a multiple of 2^-16 below 1, as kernels take it. */
struct Dropout {
  uint32_t threshold = 0;  // p 2^16
  float keep = 1.0f;       // 1 - p
  float gain = 1.0f;       // 1 / (1 - p)

  bool any() const { return threshold != 0; }
};

inline Dropout dropout_of(float p) {
  constexpr uint32_t kOne = 1u << 16;
  Dropout out;
  out.threshold = std::min(static_cast<uint32_t>(std::lround(p * static_cast<double>(kOne))), kOne - 1);
  out.keep = static_cast<float>(kOne - out.threshold) / static_cast<float>(kOne);
  out.gain = 1.0f / out.keep;
  return out;
}

constexpr uint32_t kDropoutNeurons = 8;  // neurons that share a block of random words

/** Index of the block of a neuron, for the sample at `place` in the order of the epoch. */
inline uint64_t dropout_index(uint32_t place, uint32_t neuron) {
  return static_cast<uint64_t>(neuron / kDropoutNeurons) << 32 | place;
}

/** Whether a neuron, whose block is given, is dropped. */
inline bool is_dropped(const PhiloxBlock& block, uint32_t neuron, uint32_t threshold) {
  const uint32_t word = block[neuron % kDropoutNeurons / 2];
  return (neuron % 2 == 0 ? word & 0xffff : word >> 16) < threshold;
}

}  // namespace set_native
