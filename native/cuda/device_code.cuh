#pragma once

#include <cuda_runtime.h>

#include <cstdint>

/*
 * Every kernel file includes this header: CUDA, and three words that it spells in ways of its own. The
 * emulator of the tests comes with a cuda_runtime.h that defines all of it for a plain C++ compiler. Kernels
 * are inline functions in headers; nothing here launches one.
 *
 *   SET_SHARED(name)  declares `unsigned char* name`, the thread block's dynamic shared memory, aligned to 16
 *                     bytes. A kernel has no other shared memory and divides this by hand.
 *   SET_UNROLL        stands before a loop that is unrolled wholly
 *   SET_UNROLL_2      stands before a loop that is unrolled twice
 */
#ifdef __CUDACC__

#define SET_UNROLL _Pragma("unroll")
#define SET_UNROLL_2 _Pragma("unroll 2")
#define SET_SHARED(name)                                              \
  extern __shared__ __align__(16) unsigned char set_shared_memory_[]; \
  unsigned char* const name = set_shared_memory_

#endif
