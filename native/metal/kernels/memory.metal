#include "metal/memory_params.h"

/*
 * Kernels that clear and copy buffers, so that this is in order with all other kernels and in the same
 * encoder, unlike Metal's own commands. A thread takes 4 bytes, the last one the bytes that are left.
 * Clearing moves 4 bytes per 4, copying 8.
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
