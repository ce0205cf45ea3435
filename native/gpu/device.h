#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "core/error.h"
#include "gpu/binding.h"
#include "gpu/ops.h"

namespace set_native::gpu {

/** Memory on a device, freed with the object. Its contents are undefined until something is written. */
class Buffer {
 public:
  explicit Buffer(size_t bytes) : bytes_(bytes) {}
  virtual ~Buffer() = default;
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  size_t bytes() const { return bytes_; }

 private:
  size_t bytes_;
};

/** Memory that host and device both see, for flags and small results. */
class SharedBuffer : public Buffer {
 public:
  using Buffer::Buffer;
  virtual void* data() = 0;
};

/** The launch of a kernel: teams of as many threads as its operation has (gpu/op_table.h). */
struct Launch {
  KernelId kernel;
  uint32_t teams_x = 1;
  uint32_t teams_y = 1;
  size_t shared_bytes = 0;  // bytes that a team's threads share, at most 32 KiB
};

/** The arguments of a kernel: its operation's Params, and its Buffers in order. */
struct Arguments {
  const void* params;
  size_t params_bytes;
  const Binding* buffers;
  size_t buffer_count;
};

/** A sequence of dispatches that can be replayed as one. */
class Recording {
 public:
  virtual ~Recording() = default;
};

struct DeviceMemory {
  size_t free = 0;
  size_t total = 0;
};

/**
 * A GPU as the host code above it sees it: memory, and kernels that run one after the other, each seeing
 * what those before it wrote. CUDA, Metal and the emulator of the tests implement it. Only one thread at a
 * time may use it.
 */
class Device {
 public:
  virtual ~Device() = default;
  virtual DeviceMemory memory() const = 0;
  /** Returns whether its kernels sum losses in doubles, or in pairs of floats (LossSum). */
  virtual bool has_doubles() const { return true; }

  /** Throws out_of_memory naming what was asked for and what is free. Zero bytes are allowed. */
  virtual std::unique_ptr<Buffer> allocate(size_t bytes) = 0;
  virtual std::unique_ptr<SharedBuffer> allocate_shared(size_t bytes) = 0;

  // These run in order with the dispatches. `upload` has read its source when it returns; `download` waits
  // for its result.
  virtual void upload(Buffer& to, size_t offset, const void* from, size_t bytes) = 0;
  virtual void download(void* to, const Buffer& from, size_t offset, size_t bytes) = 0;
  virtual void copy(Buffer& to, size_t to_offset, const Buffer& from, size_t from_offset, size_t bytes) = 0;
  virtual void clear(Buffer& buffer, size_t offset, size_t bytes) = 0;  // writes zeros

  /**
   * Queues a kernel with the Params and Buffers of its operation (gpu/op_table.h). Throws internal for other
   * types.
   */
  template <class Params, class Buffers>
  void dispatch(const Launch& launch, const Params& params, const Buffers& buffers) {
    const OpInfo& info = info_of(launch.kernel.op);
    if (sizeof(Params) != info.params_bytes || kBufferCount<Buffers> != info.buffers)
      throw Error(ErrorCode::internal, std::string("[gpu] ") + info.name + " takes other arguments");
    const auto list = listed(buffers);
    queue(launch, {&params, sizeof params, list.data(), list.size()});
  }
  /** Queues a kernel with arguments of any type, which are copied. */
  virtual void queue(const Launch& launch, const Arguments& arguments) = 0;

  /** Records what `work` dispatches (dispatch, copy and clear only) instead of running it. */
  virtual std::unique_ptr<Recording> record(const std::function<void()>& work) = 0;
  virtual void replay(const Recording& recording) = 0;

  /** Returns whether all queued work is done; throws what went wrong meanwhile. */
  virtual bool idle() = 0;
  virtual void synchronize() = 0;
};

/** A Device that also measures how long its work takes. */
class TimedDevice : public Device {
 public:
  virtual void start_timer() = 0;
  /** Waits; returns the milliseconds, by the device's own clock, that the work since start_timer took. */
  virtual double stop_timer() = 0;
};

}  // namespace set_native::gpu
