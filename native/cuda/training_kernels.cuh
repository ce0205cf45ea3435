#pragma once

#include "cuda/kernel_list.h"
#include "gpu/ops.h"

namespace set_native::cuda {

/** Instances of the kernels of training and inference. */
inline void add_training_kernels(KernelList&) {}

}  // namespace set_native::cuda
