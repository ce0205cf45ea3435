#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

/*
 * What set-native needs of Metal, in C++ terms: the narrow boundary between the host code (metal/device.h),
 * which is plain C++, and Objective-C++ (metal/apple_gpu.mm), which is thin. The tests put an emulator behind
 * it.
 *
 * Nothing throws across it. Only one thread at a time may use a device, but two threads may use two devices.
 */
namespace set_native::metal {

struct GpuFacts {
  std::string name;          // "Apple M2"
  uint64_t working_set = 0;  // bytes that the GPU may use at once without slowing down
  uint64_t longest_buffer = 0;
};

/** Memory that processor and GPU share. It lives until the commands that use it have run, too. */
class GpuBuffer {
 public:
  virtual ~GpuBuffer() = default;
  virtual void* contents() const = 0;
};

/** A compiled kernel. */
class GpuFunction {
 public:
  virtual ~GpuFunction() = default;
  virtual uint32_t most_threads() const = 0;  // most threads of a threadgroup
  virtual uint32_t simd_width() const = 0;
};

/**
 * A command buffer with one serial compute encoder: dispatches run one after the other, in order with the
 * command buffers committed before, and each sees what those before it wrote. A setting holds until it is set
 * again.
 */
class GpuCommands {
 public:
  virtual ~GpuCommands() = default;
  virtual void set_function(const GpuFunction& function) = 0;
  virtual void set_buffer(const GpuBuffer& buffer, size_t offset, uint32_t index) = 0;
  virtual void set_bytes(const void* bytes, size_t size, uint32_t index) = 0;  // copied; at most 4 KiB
  virtual void set_threadgroup_memory(size_t bytes) = 0;                       // at index 0; a multiple of 16
  virtual void dispatch(uint32_t teams_x, uint32_t teams_y, uint32_t threads) = 0;

  /** Ends the command buffer and starts it. To be called once, after the last dispatch. */
  virtual void commit() = 0;
  // After commit():
  virtual bool done() const = 0;
  virtual void wait() = 0;
  /** Returns, when done, what went wrong, or "". */
  virtual std::string failure() const = 0;
  virtual bool ran_out_of_memory() const = 0;
  // When done: seconds by the GPU's clock.
  virtual double start_time() const = 0;
  virtual double end_time() const = 0;
};

class Gpu {
 public:
  virtual ~Gpu() = default;
  virtual GpuFacts facts() const = 0;
  virtual uint64_t allocated() const = 0;  // bytes that this process has allocated on it
  /** Allocates `bytes` bytes, at least 1. Returns null if Metal refuses them. */
  virtual std::unique_ptr<GpuBuffer> make_buffer(size_t bytes) = 0;
  /**
   * Compiles a kernel for threadgroups of `threads` threads. Returns null with the compiler's words in
   * `problem` if that fails.
   */
  virtual std::unique_ptr<GpuFunction> make_function(const std::string& name, uint32_t threads,
                                                     std::string& problem) = 0;
  /** Returns a command buffer, or null if Metal refuses it. */
  virtual std::unique_ptr<GpuCommands> make_commands() = 0;
};

/**
 * Opens the machine's GPU with the kernels compiled from `source`, the text that metal/embed.js makes.
 * Returns null with the end of "not available, because ..." in `reason` if there is none. Exists only where
 * metal/apple_gpu.mm is built.
 */
std::unique_ptr<Gpu> open_apple_gpu(const char* source, std::string& reason);

// Indices of a kernel's arguments: its parameter structure; its buffers, in the order of train_params.h and
// evolve_params.h; a u32 whose bit k is set if the buffer of index k was given (not null).
constexpr uint32_t kParamsIndex = 0;
constexpr uint32_t kFirstBufferIndex = 1;
constexpr uint32_t kGivenIndex = 30;

}  // namespace set_native::metal
