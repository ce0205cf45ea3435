#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "metal/gpu.h"
#include "test/emulator/metal_kernels.h"
#include "test/emulator/simt.h"

namespace set_native::test {

/**
 * A metal::Gpu that runs the Metal kernels in the emulator. Commands run when somebody waits for them or asks
 * whether they are done, not before: a host that looks at memory too early, or changes it too early, gets
 * wrong results. Memory is exact pieces of the heap filled with NaNs. What Metal's own checks would refuse is
 * refused: arguments that are missing or too small, sizes.
 */
class EmulatedGpu final : public metal::Gpu {
 public:
  struct Options {
    simt::Schedule schedule{};
    uint64_t working_set = uint64_t{1} << 32;
    uint64_t longest_buffer = uint64_t{1} << 31;
    const std::vector<simt_metal::Kernel>* kernels = nullptr;  // null: the back end's
    /** Called before each kernel runs. */
    std::function<void(const std::string& name)> before_kernel{};
  };

  EmulatedGpu() : EmulatedGpu(Options{}) {}
  explicit EmulatedGpu(const Options& options);
  ~EmulatedGpu() override;

  metal::GpuFacts facts() const override;
  uint64_t allocated() const override;
  std::unique_ptr<metal::GpuBuffer> make_buffer(size_t bytes) override;
  std::unique_ptr<metal::GpuFunction> make_function(const std::string& name, uint32_t threads,
                                                    std::string& problem) override;
  std::unique_ptr<metal::GpuCommands> make_commands() override;

  /** The next command buffer that runs ends with this failure instead. */
  void fail_commands(std::string text) { failure_ = std::move(text); }
  /** The next buffer is refused. */
  void fail_allocation() { fails_ = true; }
  /** Command buffers committed so far. */
  size_t commits() const { return commits_; }
  size_t live_buffers() const;

  /** Of the emulator's own parts. */
  struct Memory;
  struct Tape;
  void run_through(const Tape& last);
  void enqueue(std::shared_ptr<Tape> tape);

 private:
  struct Count;
  Options options_;
  std::shared_ptr<Count> count_;
  std::deque<std::shared_ptr<Tape>> queue_;
  std::string failure_;
  bool fails_ = false;
  size_t commits_ = 0;
  double clock_ = 0.0;
};

}  // namespace set_native::test
