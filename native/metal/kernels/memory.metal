#include "metal/memory_params.h"

/*
 * Clearing and copying between buffers, as kernels: in order with all others and in the same encoder, which
 * Metal's own are not. 4 bytes per thread, the last of them alone where they are fewer. 4 and 8 bytes moved
 * per 4.
 */
using namespace metal;
using namespace set_native::gpu;

kernel void clear_bytes(constant MemoryParams& p [[buffer(0)]], device uint8_t* to [[buffer(1)]],
                        uint3 team [[threadgroup_position_in_grid]],
                        uint32_t lane [[thread_index_in_threadgroup]]) {
  const uint64_t first = (static_cast<uint64_t>(team.x) * kMemoryThreads + lane) * 4;
  if (first + 4 <= p.bytes)
    *reinterpret_cast<device uint32_t*>(to + first) = 0;
  else
    for (uint64_t k = first; k < p.bytes; ++k) to[k] = 0;
}

kernel void copy_bytes(constant MemoryParams& p [[buffer(0)]], device uint8_t* to [[buffer(1)]],
                       device const uint8_t* from [[buffer(2)]], uint3 team [[threadgroup_position_in_grid]],
                       uint32_t lane [[thread_index_in_threadgroup]]) {
  const uint64_t first = (static_cast<uint64_t>(team.x) * kMemoryThreads + lane) * 4;
  if (first + 4 <= p.bytes)
    *reinterpret_cast<device uint32_t*>(to + first) = *reinterpret_cast<device const uint32_t*>(from + first);
  else
    for (uint64_t k = first; k < p.bytes; ++k) to[k] = from[k];
}
