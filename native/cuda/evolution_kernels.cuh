#pragma once

#include "cuda/kernel_list.h"
#include "gpu/ops.h"

namespace set_native::cuda {

/** Instances of the kernels of evolution. */
inline void add_evolution_kernels(KernelList&) {}

}  // namespace set_native::cuda
