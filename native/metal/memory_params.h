#pragma once

#include "gpu/language.h"

namespace set_native::gpu {

SET_CONSTANT uint32_t kMemoryThreads = 256;  // threads per threadgroup, each of which takes 4 bytes

/**
 * clear_bytes takes the buffer `to`, copy_bytes `to` and `from`. Both buffers begin at multiples of 4 bytes.
 */
struct MemoryParams {
  uint64_t bytes;
};

}  // namespace set_native::gpu
