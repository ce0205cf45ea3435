#pragma once

#include <memory>
#include <string>

#include "bench/target.h"
#include "cuda/device.h"
#include "gpu/trainer.h"

namespace set_native::bench {

/** What is known of a GPU by measurement. */
struct GpuFacts {
  std::string device;
  double copy = 0.0;  // GB/s, bytes read and bytes written, of copies within its memory
};

/** The GPU's models, timed by its own events; their limit is that of the copy: bytes in order / its rate. */
class CudaTarget : public Target {
 public:
  virtual const GpuFacts& facts() const = 0;
  /** A device for single operations. The stopwatch is its from now on, until the next one or model is made. */
  virtual std::unique_ptr<gpu::TimedDevice> open() = 0;
  /** How models made from now on run their epochs. At first: recorded, as the back end's. */
  virtual void use(gpu::EpochForm form) = 0;
};

/** Measures the copy at once. Throws backend_unavailable with the reason where there is no GPU. */
std::unique_ptr<CudaTarget> cuda_target();

}  // namespace set_native::bench
