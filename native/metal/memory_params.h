#pragma once

#include "gpu/language.h"

namespace set_native::gpu {

SET_CONSTANT uint32_t kMemoryThreads = 256;  // per threadgroup, of 4 bytes each

/** clear_bytes: to.  copy_bytes: to, from. Both begin at multiples of 4. */
struct MemoryParams {
  uint64_t bytes;
};

}  // namespace set_native::gpu
