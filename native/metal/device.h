#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gpu/device.h"
#include "metal/gpu.h"

namespace set_native::metal {

/**
 * A gpu::TimedDevice over a Metal GPU. Dispatches are collected in one command buffer, which is committed
 * when the caller waits for the device or asks whether it is idle. So an epoch is one command buffer, or
 * several if it is long, and nothing is downloaded in between. The host shares the device's memory: an upload
 * waits for the queued work and is one copy, and so is a download. A recording is a list of dispatches, which
 * each replay encodes again.
 *
 * Throws out_of_memory where Metal refuses memory or runs out of it, else internal with Metal's words.
 */
class MetalDevice final : public gpu::TimedDevice {
 public:
  explicit MetalDevice(std::unique_ptr<Gpu> gpu);
  ~MetalDevice() override;

  gpu::DeviceMemory memory() const override;
  bool has_doubles() const override { return false; }
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
  bool idle() override;
  void synchronize() override;

  /** Compiles a kernel, which its first dispatch would do otherwise. */
  void prepare(const gpu::KernelId& kernel) {
    function(gpu::kernel_name(kernel), gpu::info_of(kernel.op).threads);
  }

  void start_timer() override;
  /**
   * Waits; returns the milliseconds by the GPU's clock from the first to the last command since start_timer.
   */
  double stop_timer() override;

  // Limits of a command buffer: long ones keep other programs from the GPU, and the system ends those that
  // take seconds. Traffic is the bytes of all buffers that its dispatches take.
  static constexpr size_t kMostDispatches = 4096;
  static constexpr uint64_t kMostTraffic = uint64_t{16} << 30;

 private:
  struct Step;
  class Tape;

  const GpuFunction& function(const std::string& name, uint32_t threads);
  std::unique_ptr<GpuBuffer> make_buffer(size_t bytes);
  void run_or_note(Step step);
  void encode(const Step& step);
  void commit();
  void finish(GpuCommands& commands);
  void run_memory_kernel(const char* name, std::initializer_list<gpu::Binding> buffers, size_t bytes);

  std::unique_ptr<Gpu> gpu_;
  GpuFacts facts_;
  std::map<std::pair<std::string, uint32_t>, std::unique_ptr<GpuFunction>> functions_;  // by name and threads
  std::unique_ptr<GpuBuffer> nothing_;     // takes the place of a buffer that a kernel is not given
  std::unique_ptr<GpuCommands> commands_;  // being encoded, or null
  size_t dispatches_ = 0;                  // dispatches in commands_
  uint64_t traffic_ = 0;                   // bytes of the buffers that they take
  std::deque<std::unique_ptr<GpuCommands>> running_;
  Tape* tape_ = nullptr;                       // what is being recorded, or null
  double first_start_ = 0.0, last_end_ = 0.0;  // GPU times in seconds, since start_timer
};

}  // namespace set_native::metal
