#pragma once

#include <memory>
#include <string>

#include "core/backend.h"
#include "cuda/library.h"
#include "gpu/backend.h"
#include "gpu/device.h"

namespace set_native::cuda {

/** Returns "NVIDIA H200, 150.1 GB, compute capability 9.0, driver for CUDA 13.0", or the reason. */
Availability availability(const Library& library);

/** Returns the device's memory and resident warps; zeros where it is not available. */
gpu::Capacity capacity(const Library& library);

/**
 * Opens device 0 through the library, with a stream of its own. The device throws what the library reports as
 * Error of code backend_unavailable, out_of_memory or internal; the text names the operation first.
 */
std::unique_ptr<gpu::TimedDevice> open_device(const Library& library);

}  // namespace set_native::cuda
