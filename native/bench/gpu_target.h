#pragma once

#include <memory>
#include <string>

#include "bench/target.h"
#include "gpu/device.h"

namespace set_native::bench {

/** Name and measured bandwidth of a GPU. */
struct GpuFacts {
  std::string device;
  double copy = 0.0;  // GB/s of copies within its memory, bytes read and bytes written
};

/** A GPU as the target of cases, timed by its own clock. The limit is bytes in order / rate of the copy. */
class GpuTarget : public Target {
 public:
  virtual const GpuFacts& facts() const = 0;
  /** Opens a device for single operations. The stopwatch reads its clock until the next device or model. */
  virtual std::unique_ptr<gpu::TimedDevice> open() = 0;
};

/**
 * Returns the GPU of the back end `name`, whose copy it measures at once. Throws backend_unavailable with the
 * reason where there is no GPU, invalid_argument where there is no such back end.
 */
std::unique_ptr<GpuTarget> gpu_target(const std::string& name);

}  // namespace set_native::bench
