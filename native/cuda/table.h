#pragma once

#include <cstddef>
#include <vector>

#include "cuda/device_code.cuh"
#include "cuda/evolution_kernels.cuh"
#include "cuda/kernel_list.h"
#include "cuda/training_kernels.cuh"
#include "gpu/ops.h"

/*
 * The one list of all kernel instances: what the library launches and what the emulator of the tests runs.
 */
namespace set_native::cuda {

inline const std::vector<Kernel>& kernels() {
  static const std::vector<Kernel> all = [] {
    KernelList list;
    add_training_kernels(list);
    add_evolution_kernels(list);
    return list.take();
  }();
  return all;
}

/** Null where there is no such instance. */
inline const Kernel* find_kernel(const gpu::KernelId& id) {
  for (const Kernel& kernel : kernels())
    if (kernel.id.op == id.op && kernel.id.wide == id.wide && kernel.id.height == id.height) return &kernel;
  return nullptr;
}

}  // namespace set_native::cuda
