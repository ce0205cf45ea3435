#pragma once

#include <memory>
#include <string>

#include "bench/target.h"
#include "gpu/device.h"

namespace set_native::bench {

/** What is known of a GPU by measurement. */
struct GpuFacts {
  std::string device;
  double copy = 0.0;  // GB/s, bytes read and bytes written, of copies within its memory
};

/** The GPU's models, timed by its own clock; their limit is that of the copy: bytes in order / its rate. */
class GpuTarget : public Target {
 public:
  virtual const GpuFacts& facts() const = 0;
  /** A device for single operations. The stopwatch is its from now on, until the next one or model is made.
   */
  virtual std::unique_ptr<gpu::TimedDevice> open() = 0;
};

/**
 * Of the back end of that name. Measures the copy at once. Throws backend_unavailable with the reason where
 * there is no GPU, invalid_argument where there is no such back end.
 */
std::unique_ptr<GpuTarget> gpu_target(const std::string& name);

}  // namespace set_native::bench
