#pragma once

#include "gpu/draw_key.h"
#include "gpu/language.h"

/*
 * Philox4x32-10, with the same words for the same counters as core/philox.h. It needs no products but those
 * of 32 x 32 bits.
 */
namespace set_native::gpu {

struct PhiloxWords {
  uint32_t x, y, z, w;
};

SET_GPU uint32_t high_half(uint32_t a, uint32_t b) {
  return static_cast<uint32_t>(static_cast<uint64_t>(a) * b >> 32);
}

SET_GPU PhiloxWords philox4x32_10(PhiloxWords c, uint32_t k0, uint32_t k1) {
  for (int round = 0; round < 10; ++round) {
    constexpr uint32_t kMultiplier0 = 0xD2511F53, kMultiplier1 = 0xCD9E8D57;
    const PhiloxWords next = {high_half(kMultiplier1, c.z) ^ c.y ^ k0, kMultiplier1 * c.z,
                              high_half(kMultiplier0, c.x) ^ c.w ^ k1, kMultiplier0 * c.x};
    c = next;
    k0 += 0x9E3779B9;
    k1 += 0xBB67AE85;
  }
  return c;
}

/** Returns the four words of an index; `key` holds the rest of the counter. */
SET_GPU PhiloxWords draw(DrawKey key, uint64_t index) {
  return philox4x32_10(
      {static_cast<uint32_t>(index), static_cast<uint32_t>(index >> 32), key.epoch, key.last_word},
      key.seed_low, key.seed_high);
}

SET_GPU uint64_t first_64(PhiloxWords words) {
  return static_cast<uint64_t>(words.y) << 32 | words.x;
}

/** Returns floor(u count / 2^64), the high 64 of the 128 bits of the product. */
SET_GPU uint64_t below(uint64_t u, uint64_t count) {
  const uint64_t u0 = static_cast<uint32_t>(u), u1 = u >> 32;
  const uint64_t c0 = static_cast<uint32_t>(count), c1 = count >> 32;
  const uint64_t middle = u1 * c0 + (u0 * c0 >> 32);
  const uint64_t other = u0 * c1 + static_cast<uint32_t>(middle);
  return u1 * c1 + (middle >> 32) + (other >> 32);
}

/**
 * Returns below(u, count). `fraction` becomes the low 64 bits of the product, from which below(fraction, ...)
 * makes a further draw.
 */
SET_GPU uint32_t below(uint64_t u, uint32_t count, SET_THREAD uint64_t& fraction) {
  const uint64_t low = static_cast<uint64_t>(static_cast<uint32_t>(u)) * count;
  const uint64_t high = (u >> 32) * count + (low >> 32);
  fraction = high << 32 | static_cast<uint32_t>(low);
  return static_cast<uint32_t>(high >> 32);
}

/** Returns a number uniform in [-1, 1), as core/philox.h does. */
SET_GPU float symmetric_unit(uint32_t u) {
  return static_cast<float>(static_cast<int32_t>(u >> 8) - (1 << 23)) * 1.1920928955078125e-7f;
}

}  // namespace set_native::gpu
