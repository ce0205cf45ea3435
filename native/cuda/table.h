#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "cuda/backward.cuh"
#include "cuda/cells.cuh"
#include "cuda/dropout.cuh"
#include "cuda/forward.cuh"
#include "cuda/gather.cuh"
#include "cuda/kernel_list.h"
#include "cuda/loss.cuh"
#include "cuda/order.cuh"
#include "cuda/piecewise.cuh"
#include "cuda/propose.cuh"
#include "cuda/rebuild.cuh"
#include "cuda/scan.cuh"
#include "cuda/select.cuh"
#include "cuda/step.cuh"
#include "cuda/target_index.cuh"
#include "cuda/wide_backward.cuh"
#include "gpu/ops.h"

/*
 * The list of all kernels of gpu/op_table.h. The library launches them, the emulator of the tests runs them.
 */
namespace set_native::cuda {

// Adds the kernels of an operation, by its family.
#define SET_ADD_single(op, ...) list.add<__VA_ARGS__>({gpu::Op::op}, &op);
#define SET_ADD_per_index(op, ...)                            \
  list.add<__VA_ARGS__>({gpu::Op::op, false}, &op<uint16_t>); \
  list.add<__VA_ARGS__>({gpu::Op::op, true}, &op<uint32_t>);
#define SET_ADD_HEIGHT(height, op, wide, Index, ...) \
  list.add<__VA_ARGS__>({gpu::Op::op, wide, height}, &op<Index, height>);
#define SET_ADD_per_height(op, ...)                                 \
  SET_GPU_HEIGHTS(SET_ADD_HEIGHT, op, false, uint16_t, __VA_ARGS__) \
  SET_GPU_HEIGHTS(SET_ADD_HEIGHT, op, true, uint32_t, __VA_ARGS__)
#define SET_ADD(op, family, threads, Params, Buffers) SET_ADD_##family(op, gpu::Params, gpu::Buffers)

/** Returns all kernels. The first call makes the list. */
inline const std::vector<Kernel>& kernels() {
  static const std::vector<Kernel> all = [] {
    KernelList list;
    SET_GPU_OPS(SET_ADD)
    return list.take();
  }();
  return all;
}

#undef SET_ADD_single
#undef SET_ADD_per_index
#undef SET_ADD_HEIGHT
#undef SET_ADD_per_height
#undef SET_ADD

/** Returns a kernel, or null where there is no such kernel. */
inline const Kernel* find_kernel(const gpu::KernelId& id) {
  for (const Kernel& kernel : kernels())
    if (kernel.id == id) return &kernel;
  return nullptr;
}

}  // namespace set_native::cuda
