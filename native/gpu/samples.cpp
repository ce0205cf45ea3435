#include "gpu/samples.h"

#include <algorithm>
#include <string>

#include "core/error.h"

namespace set_native::gpu {

namespace {

std::unique_ptr<Buffer> upload(Device& device, const void* values, size_t bytes) {
  if (values == nullptr) return nullptr;
  auto buffer = device.allocate(bytes);
  device.upload(*buffer, 0, values, bytes);
  return buffer;
}

size_t features_bytes(const Samples& samples) {
  return samples.count * samples.features * sizeof(float);
}
size_t labels_bytes(const Samples& samples) {
  return samples.labels != nullptr ? samples.count * sizeof(uint32_t) : 0;
}
size_t weights_bytes(const Samples& samples) {
  return samples.weights != nullptr ? samples.count * sizeof(float) : 0;
}
size_t targets_bytes(const Samples& samples) {
  return samples.targets != nullptr ? samples.count * samples.outputs * sizeof(float) : 0;
}

/** Returns whether `there` holds all of these samples. */
bool same(const DeviceSamples& there, const Samples& samples) {
  return there.id == samples.id && there.count == samples.count && there.features == samples.features &&
         there.outputs == samples.outputs && (there.labels != nullptr) == (samples.labels != nullptr) &&
         (there.targets != nullptr) == (samples.targets != nullptr) &&
         (there.weights != nullptr) == (samples.weights != nullptr);
}

}  // namespace

void require_device_memory(const Device& device, size_t bytes, const std::string& what) {
  const DeviceMemory memory = device.memory();
  if (bytes > memory.free)
    throw Error(ErrorCode::out_of_memory, what + " would take " + std::to_string(bytes) +
                                              " bytes of the device, of " + std::to_string(memory.total) +
                                              " bytes " + std::to_string(memory.free) + " are free");
}

size_t sample_bytes(const Samples& samples) {
  return features_bytes(samples) + labels_bytes(samples) + targets_bytes(samples) + weights_bytes(samples);
}

const DeviceSamples* SampleCache::find(const Samples& samples) {
  if (samples.id == 0) return nullptr;
  const auto at =
      std::find_if(kept_.begin(), kept_.end(), [&](const DeviceSamples& s) { return same(s, samples); });
  if (at == kept_.end()) return nullptr;
  kept_.splice(kept_.begin(), kept_, at);
  return &kept_.front();
}

const DeviceSamples& SampleCache::get(const Samples& samples) {
  if (const DeviceSamples* there = find(samples)) return *there;
  kept_.remove_if([&](const DeviceSamples& s) { return s.id == 0 || s.id == samples.id; });
  const size_t bytes = sample_bytes(samples);
  while (!kept_.empty() && (kept_.size() >= kKept || bytes > device_.memory().free)) kept_.pop_back();
  require_device_memory(device_, bytes,
                        "[samples] " + std::to_string(samples.count) + " samples of " +
                            std::to_string(samples.features) + " features");
  DeviceSamples to;
  to.id = samples.id;
  to.upload = ++uploads_;
  to.count = samples.count;
  to.features = samples.features;
  to.outputs = samples.outputs;
  to.x = upload(device_, samples.x, features_bytes(samples));
  to.labels = upload(device_, samples.labels, labels_bytes(samples));
  to.targets = upload(device_, samples.targets, targets_bytes(samples));
  to.weights = upload(device_, samples.weights, weights_bytes(samples));
  kept_.push_front(std::move(to));
  return kept_.front();
}

}  // namespace set_native::gpu
