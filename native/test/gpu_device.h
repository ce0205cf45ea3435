#pragma once

#include <cstdlib>
#include <memory>
#include <string>
#include <utility>

#include "core/backend.h"
#include "metal/device.h"
#include "test/check.h"
#include "test/emulator/device.h"
#include "test/emulator/metal_gpu.h"

/*
 * The device that GPU tests run on. SET_NATIVE_TEST_DEVICE names it:
 *   nothing          the emulator with the CUDA kernels
 *   emulated-metal   Metal's host code over the emulator with the Metal kernels
 *   cuda, metal      the GPU that this back end finds
 * Tests of what only the emulator can do, failing allocations say, name EmulatedDevice, or call need_emulator().
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

inline bool on_cuda() {
  return test_device() == "cuda";
}

inline void need_emulator() {
  if (!test_device().empty()) skip("only the emulator's own device can be told to misbehave");
}

/** Throws backend_unavailable where SET_NATIVE_TEST_DEVICE asks for a GPU and there is none. */
inline std::unique_ptr<gpu::Device> make_test_device(const EmulatedDevice::Options& options) {
  if (on_gpu()) return find_backend(test_device()).open_device();
  if (test_device().empty()) return std::make_unique<EmulatedDevice>(options);
  EmulatedGpu::Options gpu;
  gpu.schedule = options.schedule;
  gpu.working_set = options.memory;
  return std::make_unique<metal::MetalDevice>(std::make_unique<EmulatedGpu>(gpu));
}

/** Passes everything on to one of them. The options are the emulator's. */
class TestDevice final : public gpu::Device {
 public:
  TestDevice() : TestDevice(EmulatedDevice::Options{}) {}
  explicit TestDevice(const EmulatedDevice::Options& options) : device_(make_test_device(options)) {}

  gpu::DeviceMemory memory() const override { return device_->memory(); }
  bool has_doubles() const override { return device_->has_doubles(); }
  std::unique_ptr<gpu::Buffer> allocate(size_t bytes) override {
    ++allocations_;
    return device_->allocate(bytes);
  }
  std::unique_ptr<gpu::SharedBuffer> allocate_shared(size_t bytes) override {
    ++allocations_;
    return device_->allocate_shared(bytes);
  }
  void upload(gpu::Buffer& to, size_t offset, const void* from, size_t bytes) override {
    device_->upload(to, offset, from, bytes);
  }
  void download(void* to, const gpu::Buffer& from, size_t offset, size_t bytes) override {
    device_->download(to, from, offset, bytes);
  }
  void copy(gpu::Buffer& to, size_t to_offset, const gpu::Buffer& from, size_t from_offset, size_t bytes) override {
    device_->copy(to, to_offset, from, from_offset, bytes);
  }
  void clear(gpu::Buffer& buffer, size_t offset, size_t bytes) override { device_->clear(buffer, offset, bytes); }
  using gpu::Device::dispatch;
  void dispatch(const gpu::Launch& launch, std::initializer_list<gpu::Binding> buffers, const void* params,
                size_t params_bytes) override {
    ++launches_;
    device_->dispatch(launch, buffers, params, params_bytes);
  }
  std::unique_ptr<gpu::Recording> record(const std::function<void()>& work) override { return device_->record(work); }
  void replay(const gpu::Recording& recording) override { device_->replay(recording); }
  bool idle() override { return device_->idle(); }
  void synchronize() override { device_->synchronize(); }
  uint32_t resident_blocks(const gpu::KernelId& kernel, uint32_t threads, uint32_t shared_bytes) const override {
    return device_->resident_blocks(kernel, threads, shared_bytes);
  }

  size_t allocations_made() const { return allocations_; }
  /** Kernels dispatched since the last call. */
  size_t take_launches() { return std::exchange(launches_, 0); }
  /** need_emulator() first. */
  EmulatedDevice& emulated() { return dynamic_cast<EmulatedDevice&>(*device_); }

 private:
  std::unique_ptr<gpu::Device> device_;
  size_t allocations_ = 0, launches_ = 0;
};

}  // namespace set_native::test
