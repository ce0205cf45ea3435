#pragma once

#include <memory>
#include <string>

#include "core/backend.h"
#include "cuda/library.h"
#include "gpu/backend.h"
#include "gpu/device.h"

namespace set_native::cuda {

/** "NVIDIA H200, 141 GB, compute capability 9.0, driver for CUDA 13.0", or the reason. */
Availability availability(const Library& library);

/** Zeros where the device is not available. */
gpu::Capacity capacity(const Library& library);

/**
 * Device 0 by way of the library, with a stream of its own. Whatever the library reports is thrown as Error,
 * of code backend_unavailable, out_of_memory or internal, its text with the operation before it.
 */
std::unique_ptr<gpu::TimedDevice> open_device(const Library& library);

}  // namespace set_native::cuda
