#pragma once

#include <memory>
#include <string>

#include "core/backend.h"
#include "cuda/library.h"
#include "gpu/device.h"

namespace set_native::cuda {

/** "NVIDIA H200, 141 GB, compute capability 9.0, driver for CUDA 13.0", or the reason. */
Availability availability(const Library& library);

/** What the device holds at once. */
struct Capacity {
  uint64_t memory = 0;  // bytes in all
  uint32_t warps = 0;
};

/** Zeros where the device is not available. */
Capacity capacity(const Library& library);

/** Opens the device and passes some bytes through it. Throws as it does, internal when other bytes come back. */
void try_device(const Library& library);

/** A gpu::Device that also tells how long the device took. */
class TimedDevice : public gpu::Device {
 public:
  virtual void start_timer() = 0;
  /** Waits. Milliseconds, by the device's own clock, that everything queued since start_timer took. */
  virtual double stop_timer() = 0;
};

/**
 * Device 0 by way of the library, with a stream of its own. Whatever the library reports is thrown as Error, of code
 * backend_unavailable, out_of_memory or internal, its text with the operation before it.
 */
std::unique_ptr<TimedDevice> open_device(const Library& library);

}  // namespace set_native::cuda
