#pragma once

#include "gpu/philox.h"

/*
 * Which outputs of hidden layers are dropped, as core/dropout.h says it. Kernels mark a dropped output by -0
 * and make no other output -0, so that the backward pass needs no mask.
 */
namespace set_native::gpu {

SET_CONSTANT uint32_t kDropoutNeurons = 8;          // neurons that share a block of random words
SET_CONSTANT uint32_t kDroppedOutput = 0x80000000;  // bits of -0

/** Returns the words of the neurons from kDropoutNeurons `group` on, for the sample at `place`. */
SET_GPU PhiloxWords dropout_words(DrawKey key, uint32_t place, uint32_t group) {
  return draw(key, static_cast<uint64_t>(group) << 32 | place);
}

/** Returns whether neuron k of the group is dropped. */
SET_GPU bool is_dropped(PhiloxWords words, uint32_t k, uint32_t threshold) {
  const uint32_t word = k < 4 ? (k < 2 ? words.x : words.y) : (k < 6 ? words.z : words.w);
  return (k % 2 == 0 ? word & 0xffff : word >> 16) < threshold;
}

}  // namespace set_native::gpu
