#pragma once

#include <cstdlib>
#include <memory>
#include <string>
#include <utility>

#include "backends.h"
#include "gpu/backend.h"
#include "metal/device.h"
#include "test/check.h"
#include "test/emulator/device.h"
#include "test/emulator/metal_gpu.h"
#include "test/gpu/forwarding_device.h"

/*
 * The device that GPU tests run on. SET_NATIVE_TEST_DEVICE names it:
 *   nothing          the emulator with the CUDA kernels
 *   emulated-metal   Metal's host code over the emulator with the Metal kernels
 *   cuda, metal      the GPU that this back end finds
 * Tests of what only the emulator can do, failing allocations say, name EmulatedDevice, or call
 * need_emulator().
 */
namespace set_native::test {

inline std::string test_device() {
  const char* name = std::getenv("SET_NATIVE_TEST_DEVICE");
  return name != nullptr ? name : "";
}

/** Whether tests run on hardware. */
inline bool on_gpu() {
  return !test_device().empty() && test_device() != "emulated-metal";
}

inline void need_emulator() {
  if (!test_device().empty()) skip("only the emulator's own device can be told to misbehave");
}

/** Throws backend_unavailable where SET_NATIVE_TEST_DEVICE asks for a GPU and there is none. */
inline std::unique_ptr<gpu::Device> make_test_device(const EmulatedDevice::Options& options) {
  if (on_gpu()) return gpu::open_device(find_backend(test_device()));
  if (test_device().empty()) return std::make_unique<EmulatedDevice>(options);
  EmulatedGpu::Options gpu;
  gpu.schedule = options.schedule;
  gpu.working_set = options.memory;
  return std::make_unique<metal::MetalDevice>(std::make_unique<EmulatedGpu>(gpu));
}

/** One of them, counted. The options are the emulator's. */
class TestDevice final : public ForwardingDevice {
 public:
  TestDevice() : TestDevice(EmulatedDevice::Options{}) {}
  explicit TestDevice(const EmulatedDevice::Options& options) : ForwardingDevice(make_test_device(options)) {}

  std::unique_ptr<gpu::Buffer> allocate(size_t bytes) override {
    ++allocations_;
    return ForwardingDevice::allocate(bytes);
  }
  std::unique_ptr<gpu::SharedBuffer> allocate_shared(size_t bytes) override {
    ++allocations_;
    return ForwardingDevice::allocate_shared(bytes);
  }
  void queue(const gpu::Launch& launch, const gpu::Arguments& arguments) override {
    ++launches_;
    ForwardingDevice::queue(launch, arguments);
  }

  size_t allocations_made() const { return allocations_; }
  /** Kernels dispatched since the last call. */
  size_t take_launches() { return std::exchange(launches_, 0); }
  /** need_emulator() first. */
  EmulatedDevice& emulated() { return dynamic_cast<EmulatedDevice&>(device()); }

 private:
  size_t allocations_ = 0, launches_ = 0;
};

}  // namespace set_native::test
