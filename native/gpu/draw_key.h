#pragma once

#include "gpu/language.h"

namespace set_native::gpu {

/** Key and counter with which kernels draw as core/philox.h does, without the index. */
struct DrawKey {
  uint32_t seed_low, seed_high;
  uint32_t epoch;
  uint32_t last_word;  // last word of the counter: stream << 24 | layer << 12 | round
};

}  // namespace set_native::gpu

#if !defined(__METAL_VERSION__)
#include "core/philox.h"

namespace set_native::gpu {

inline DrawKey draw_key(uint64_t seed, Stream stream, uint32_t layer, uint32_t epoch) {
  return {static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32), epoch, last_word(stream, layer)};
}

}  // namespace set_native::gpu
#endif
