#pragma once

#include <cstdint>

/*
 * What every kernel file includes: CUDA itself under nvcc, else stand-ins that run kernels in the emulator of
 * the tests. Kernels are inline functions in headers; nothing here launches one.
 *
 *   SET_SHARED(name)       declares `unsigned char* name`, the block's dynamic shared memory, 16-byte
 * aligned: all the shared memory that a kernel uses, cut by hand. SET_UNROLL             before a loop:
 * unroll it wholly. SET_UNROLL_2: twice. SET_GRID_BARRIER(words) waits for all threads of a cooperative
 * launch and makes visible what they wrote: `words` is the address of two words that are zero before their
 * first use and used for nothing else.
 */
#ifdef __CUDACC__

#define SET_UNROLL _Pragma("unroll")
#define SET_UNROLL_2 _Pragma("unroll 2")
#define SET_SHARED(name)                                              \
  extern __shared__ __align__(16) unsigned char set_shared_memory_[]; \
  unsigned char* const name = set_shared_memory_

namespace set_native::gpu {

/**
 * The blocks that came before the last wait for the turn in the second word to change; the last resets the
 * count. The turn only ever grows, so the words can be used again at once, and need no reset between
 * launches.
 */
__device__ __forceinline__ void grid_barrier(uint32_t* words) {
  __syncthreads();
  if (threadIdx.x == 0) {
    volatile uint32_t* const turn = words + 1;
    const uint32_t mine = *turn;
    __threadfence();
    if (atomicAdd(words, 1u) == gridDim.x * gridDim.y - 1) {
      words[0] = 0;
      __threadfence();
      *turn = mine + 1;
    } else {
      while (*turn == mine) {
      }
    }
    __threadfence();
  }
  __syncthreads();
}

}  // namespace set_native::gpu

#define SET_GRID_BARRIER(words) ::set_native::gpu::grid_barrier(words)

#else

#include "test/emulator/cuda.h"

#define SET_UNROLL
#define SET_UNROLL_2
#define SET_SHARED(name) unsigned char* const name = ::set_native::simt::shared_memory()
#define SET_GRID_BARRIER(words) ((void)(words), ::set_native::simt::grid_barrier(__LINE__))

#endif
