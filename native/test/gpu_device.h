#pragma once

#include <cstdlib>
#include <memory>
#include <string>
#include <utility>

#include "core/error.h"
#include "cuda/device.h"
#include "cuda/loader.h"
#include "test/check.h"
#include "test/emulator/device.h"

/*
 * The device that GPU tests run on: the emulator, or with SET_NATIVE_TEST_DEVICE=cuda the one that the CUDA library
 * finds. Tests of what only the emulator can do, failing allocations say, name EmulatedDevice, or call
 * need_emulator().
 */
namespace set_native::test {

inline bool on_cuda() {
  const char* name = std::getenv("SET_NATIVE_TEST_DEVICE");
  return name != nullptr && std::string(name) == "cuda";
}

inline void need_emulator() {
  if (on_cuda()) skip("only the emulator can be told to misbehave");
}

/** Throws backend_unavailable where SET_NATIVE_TEST_DEVICE asks for a GPU and there is none. */
inline std::unique_ptr<gpu::Device> make_test_device(const EmulatedDevice::Options& options) {
  if (!on_cuda()) return std::make_unique<EmulatedDevice>(options);
  const Availability availability = cuda_backend().probe();
  if (!availability.available) throw Error(ErrorCode::backend_unavailable, "[test] cuda is " + availability.reason);
  return cuda::open_device(*cuda::library().table);
}

/** Passes everything on to one of the two. The options are the emulator's. */
class TestDevice final : public gpu::Device {
 public:
  TestDevice() : TestDevice(EmulatedDevice::Options{}) {}
  explicit TestDevice(const EmulatedDevice::Options& options) : device_(make_test_device(options)) {}

  gpu::DeviceMemory memory() const override { return device_->memory(); }
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
  /** Of the emulator; a GPU has its own. */
  void set_schedule(const simt::Schedule& schedule) {
    if (auto* emulated = dynamic_cast<EmulatedDevice*>(device_.get())) emulated->set_schedule(schedule);
  }
  /** need_emulator() first. */
  EmulatedDevice& emulated() { return dynamic_cast<EmulatedDevice&>(*device_); }

 private:
  std::unique_ptr<gpu::Device> device_;
  size_t allocations_ = 0, launches_ = 0;
};

}  // namespace set_native::test
