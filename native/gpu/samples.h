#pragma once

#include <cstdint>
#include <list>
#include <memory>

#include "core/backend.h"
#include "gpu/device.h"

namespace set_native::gpu {

/** Samples in the memory of a device. */
struct DeviceSamples {
  uint64_t id = 0;
  uint64_t upload = 0;  // its number, which distinguishes these buffers from later ones in their place
  uint64_t count = 0;
  uint32_t features = 0;
  uint32_t outputs = 0;
  std::unique_ptr<Buffer> x;        // f32[count][features]
  std::unique_ptr<Buffer> labels;   // u32[count], or null
  std::unique_ptr<Buffer> targets;  // f32[count][outputs], or null
};

/** Throws out_of_memory, naming the numbers, unless the device has so many bytes free; `what` names the
 * thing. */
void require_device_memory(const Device& device, size_t bytes, const std::string& what);

size_t sample_bytes(const Samples& samples);

/**
 * The samples that epochs and evaluations come back to. Those with an id stay on the device, the latest kKept
 * of them, fewer where memory is short; without one nobody could tell whether the host's memory still holds
 * the same. An id that comes back with other sizes, or with labels or targets that were not there, is taken
 * for other samples.
 */
class SampleCache {
 public:
  explicit SampleCache(Device& device) : device_(device) {}

  /** Uploads what is not there. Valid until the next call. */
  const DeviceSamples& get(const Samples& samples);
  /** What is there, or null. */
  const DeviceSamples* find(const Samples& samples);

 private:
  static constexpr size_t kKept = 4;

  Device& device_;
  uint64_t uploads_ = 0;
  std::list<DeviceSamples> kept_;  // the latest first
};

}  // namespace set_native::gpu
