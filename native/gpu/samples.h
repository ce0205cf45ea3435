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
  uint64_t upload = 0;  // number of the upload, which distinguishes these buffers from later ones
  uint64_t count = 0;
  uint32_t features = 0;
  uint32_t outputs = 0;
  std::unique_ptr<Buffer> x;        // f32[count][features]
  std::unique_ptr<Buffer> labels;   // u32[count], or null
  std::unique_ptr<Buffer> targets;  // f32[count][outputs], or null
  std::unique_ptr<Buffer> weights;  // f32[count], or null
};

/**
 * Throws out_of_memory unless the device has `bytes` bytes free. The text names them, the free bytes and
 * `what` they are for.
 */
void require_device_memory(const Device& device, size_t bytes, const std::string& what);

/** Returns the bytes that samples take on a device. */
size_t sample_bytes(const Samples& samples);

/**
 * A cache of the samples that epochs and evaluations use again. The latest kKept samples with an id stay on
 * the device, fewer where memory is short. Samples without an id do not stay: nobody could tell whether the
 * host's memory still holds the same. Samples of the same id but of other sizes, or with labels, targets or
 * weights where there were none, or without, count as other samples.
 */
class SampleCache {
 public:
  explicit SampleCache(Device& device) : device_(device) {}

  /** Returns samples on the device, uploaded if they are not there. Valid until the next call. */
  const DeviceSamples& get(const Samples& samples);
  /** Returns the samples on the device, or null if they are not there. */
  const DeviceSamples* find(const Samples& samples);

 private:
  static constexpr size_t kKept = 4;

  Device& device_;
  uint64_t uploads_ = 0;
  std::list<DeviceSamples> kept_;  // the latest first
};

}  // namespace set_native::gpu
