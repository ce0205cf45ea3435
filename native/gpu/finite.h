#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "gpu/device.h"
#include "gpu/layer.h"

namespace set_native::gpu {

/** Flags on the device, each raised where numbers are not finite, so that the numbers need not come back. */
class FiniteFlags {
 public:
  FiniteFlags(Device& device, size_t count);

  /** Queued: lowers all flags. */
  void clear();
  /** Queued: raises a flag where a parameter of the layer is not finite. */
  void check(size_t flag, const Layer& layer);
  /** The same for a matrix of rows of `stride` floats, of which the first `columns` count. */
  void check(size_t flag, const Buffer& matrix, uint32_t rows, uint32_t stride, uint32_t columns);
  /** Waits. The first flag that is raised, or their number. */
  size_t first_raised() const;

  /** Clears, checks one thing, and waits for the answer. */
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
