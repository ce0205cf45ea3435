#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "gpu/device.h"
#include "gpu/layer.h"

namespace set_native::gpu {

/** Flags on the device that tell whether numbers are finite, so that the numbers need not be downloaded. */
class FiniteFlags {
 public:
  FiniteFlags(Device& device, size_t count);

  /** Queues that all flags are lowered. */
  void clear();
  /** Queues a check that raises a flag if a parameter of the layer is not finite. */
  void check(size_t flag, const Layer& layer);
  /**
   * Queues the same check of the first `columns` floats in each row of a matrix; a row has `stride` floats.
   */
  void check(size_t flag, const Buffer& matrix, uint32_t rows, uint32_t stride, uint32_t columns);
  /** Waits; returns the first flag that is raised, or the number of flags if none is. */
  size_t first_raised() const;

  /** Returns whether a layer or matrix, given as to `check`, is finite. Lowers all flags first; waits. */
  template <class... What>
  bool finite(const What&... what) {
    clear();
    check(0, what...);
    return first_raised() > 0;
  }

 private:
  void queue(size_t flag, const Buffer& values, uint64_t count, uint32_t stride, uint32_t columns);

  Device& device_;
  size_t count_;
  std::unique_ptr<Buffer> flags_;
};

}  // namespace set_native::gpu
