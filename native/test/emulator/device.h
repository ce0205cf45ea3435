#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "cuda/kernel_list.h"
#include "gpu/device.h"
#include "test/emulator/simt.h"

namespace set_native::test {

/**
 * A gpu::Device that runs the CUDA kernels in the emulator, at once. Its memory is exact pieces of the heap,
 * where AddressSanitizer sees every step over their ends, filled with NaNs; it counts what lives and fails
 * when told to.
 */
class EmulatedDevice final : public gpu::Device {
 public:
  struct Options {
    simt::Schedule schedule{};
    size_t memory = size_t{1} << 32;
    /** Called before each kernel runs, replayed ones too, with the memory of its bindings. */
    std::function<void(const gpu::Launch& launch, const std::vector<void*>& memory)> before_kernel{};
  };

  EmulatedDevice();
  explicit EmulatedDevice(const Options& options);
  ~EmulatedDevice() override;

  gpu::DeviceMemory memory() const override;
  std::unique_ptr<gpu::Buffer> allocate(size_t bytes) override;
  std::unique_ptr<gpu::SharedBuffer> allocate_shared(size_t bytes) override;
  void upload(gpu::Buffer& to, size_t offset, const void* from, size_t bytes) override;
  void download(void* to, const gpu::Buffer& from, size_t offset, size_t bytes) override;
  void copy(gpu::Buffer& to, size_t to_offset, const gpu::Buffer& from, size_t from_offset,
            size_t bytes) override;
  void clear(gpu::Buffer& buffer, size_t offset, size_t bytes) override;
  void queue(const gpu::Launch& launch, const gpu::Arguments& arguments) override;
  std::unique_ptr<gpu::Recording> record(const std::function<void()>& work) override;
  void replay(const gpu::Recording& recording) override;
  bool idle() override { return true; }
  void synchronize() override {}

  /** What there is beside the allocations themselves, which may outlive the device by mistake. */
  struct Count {
    size_t live = 0, bytes = 0;  // allocations now
    size_t made = 0;             // allocations ever
    size_t fail_at = SIZE_MAX;   // the allocation that fails, counted by `made`
    size_t memory = 0;
  };
  size_t live_allocations() const { return count_->live; }
  size_t live_bytes() const { return count_->bytes; }
  size_t allocations_made() const { return count_->made; }
  /** The n-th allocation from now on fails, the first being 0, as if memory were short; those after it do
   * not. */
  void fail_allocation(size_t n) { count_->fail_at = count_->made + n; }
  void fail_no_allocation() { count_->fail_at = SIZE_MAX; }
  void set_schedule(const simt::Schedule& schedule) { options_.schedule = schedule; }
  /** Kernels run since the last call. */
  size_t take_launches() { return std::exchange(launches_, 0); }

 private:
  struct Tape;
  template <class Work>
  void run_or_note(Work&& work);

  Options options_;
  std::shared_ptr<Count> count_;
  Tape* tape_ = nullptr;
  size_t launches_ = 0;
};

/** Runs a kernel by the device's rules: one launch, its own parameters and memory. */
void run_kernel(const cuda::Kernel& kernel, const simt::Shape& shape, const simt::Schedule& schedule,
                const void* params, size_t params_bytes, const std::vector<void*>& buffers);

/** The shape of a launch for the emulator. */
simt::Shape shape_of(const gpu::Launch& launch);

}  // namespace set_native::test
